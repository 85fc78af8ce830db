internal import LinuxNS
internal import VirtualNet

/// The other end that a call names (sockaddr of unix(7), ip(7), ipv6(7)).
enum WatchedAddress: Equatable {
  case path(String)
  case abstract(String)
  /// Not this machine's own loopback: `ADDRESS:PORT`.
  case host(String)
  /// What leads nowhere, stays inside, or is none of these.
  case other

  init(_ bytes: [UInt8]) {
    self = .other
    guard bytes.count >= 3 else { return }
    switch UInt16(bytes[0]) | UInt16(bytes[1]) << 8 {
    case 1 where bytes[2] == 0: self = .abstract(Printable.text(bytes[3...].prefix { $0 != 0 }))
    case 1: self = .path(String(decoding: bytes[2...].prefix { $0 != 0 }, as: UTF8.self))
    case 2 where bytes.count >= 8:
      let port = UInt16(bytes[2]) << 8 | UInt16(bytes[3])
      guard port != 0, bytes[4] != 127, bytes[4] != 0 else { return }
      self = .host("\(bytes[4]).\(bytes[5]).\(bytes[6]).\(bytes[7]):\(port)")
    case 10 where bytes.count >= 24:
      let port = UInt16(bytes[2]) << 8 | UInt16(bytes[3])
      guard port != 0, let address = IPAddress(bytes: bytes[8..<24]), bytes[8..<23].contains(where: { $0 != 0 }) else {
        return
      }
      self = .host("[\(address)]:\(port)")
    default: return
    }
  }

  /// Whether somebody of this machine's has that name (unix(7), /proc/net/unix).
  static func isOutside(abstract name: String) -> Bool {
    let bytes = (try? FileSystem.read("/proc/self/net/unix")) ?? []
    let wanted = Array("@\(name)".utf8)
    return bytes.split(separator: 10).contains { line in
      line.split(separator: 32).last.map { last in
        // Trailing NULs of a name are shown as @.
        last.starts(with: wanted) && last.dropFirst(wanted.count).allSatisfy { $0 == UInt8(ascii: "@") }
      } == true
    }
  }
}

/// Strangers' words on one line: what is not printable ASCII, and the backslash, as \xNN.
enum Printable {
  static func text(_ bytes: some Sequence<UInt8>) -> String {
    var text: [UInt8] = []
    let digits = Array("0123456789abcdef".utf8)
    for byte in bytes {
      if (32...126).contains(byte) && byte != UInt8(ascii: "\\") {
        text.append(byte)
      } else {
        text += [UInt8(ascii: "\\"), UInt8(ascii: "x"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  static func text(_ text: String) -> String { self.text(text.utf8) }
}
