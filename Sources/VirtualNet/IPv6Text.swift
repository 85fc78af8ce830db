internal import Glibc

/// IPv6 addresses as text.
enum IPv6Text {
  /// The one spelling of RFC 5952 (inet_ntop(3)), so that equal addresses are equal strings.
  static func canonical(_ text: some StringProtocol) -> String? {
    var raw = in6_addr()
    guard inet_pton(AF_INET6, String(text), &raw) == 1 else { return nil }
    var room = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard inet_ntop(AF_INET6, &raw, &room, socklen_t(room.count)) != nil else { return nil }
    return String(decoding: room.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
