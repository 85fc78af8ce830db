internal import Glibc

/// IPv6 addresses as text.
enum IPv6Text {
  /// The one spelling of RFC 5952 (inet_ntop(3)), so that equal addresses are equal strings.
  static func canonical(_ text: some StringProtocol) -> String? {
    var raw = in6_addr()
    guard inet_pton(AF_INET6, String(text), &raw) == 1 else { return nil }
    var room = [UInt8](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    // CChar is signed on one of our machines and not on the other, so the bytes are only lent as such.
    let written = room.withUnsafeMutableBytes {
      inet_ntop(AF_INET6, &raw, $0.baseAddress!.assumingMemoryBound(to: CChar.self), socklen_t($0.count)) != nil
    }
    return written ? String(decoding: room.prefix { $0 != 0 }, as: UTF8.self) : nil
  }
}
