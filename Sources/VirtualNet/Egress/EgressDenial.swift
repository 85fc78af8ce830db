/// Something that a zone asked of its egress and did not get.
public struct EgressDenial: Hashable, Sendable {
  public enum Call: String, Sendable {
    /// The name or address asked for.
    case connect
    /// The name shown in TLS.
    case sni
    /// What the name resolves to.
    case resolve
    /// Nothing was refused: of `learn`, what was connected.
    case allowed
  }

  /// `HOST:PORT`, printable.
  public let name: String
  public let call: Call
  /// Why: in words, printable.
  public let rule: String

  public init(name: String, call: Call, rule: String) {
    self.name = Self.printable(name.utf8, most: 300)
    self.call = call
    self.rule = Self.printable(rule.utf8, most: 600)
  }

  /// One line of ASCII: what is not printable, and the backslash, stands as \xNN, since names are strangers' words.
  static func printable(_ bytes: some Sequence<UInt8>, most: Int) -> String {
    var text: [UInt8] = []
    let digits = Array("0123456789abcdef".utf8)
    for byte in bytes {
      guard text.count < most else { return String(decoding: text, as: UTF8.self) + "..." }
      if (32...126).contains(byte) && byte != UInt8(ascii: "\\") {
        text.append(byte)
      } else {
        text += [UInt8(ascii: "\\"), UInt8(ascii: "x"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  // MARK: from a connection's process to the proxy's

  /// A datagram: the three, a line each.
  var message: [UInt8] { Array("\(call.rawValue)\n\(name)\n\(rule)".utf8) }

  init?(message: some Collection<UInt8>) {
    let lines = String(decoding: message, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    guard lines.count == 3, let call = Call(rawValue: String(lines[0])) else { return nil }
    // Printable already: escaped again, an escape would not stay what it is.
    name = String(lines[1])
    self.call = call
    rule = String(lines[2])
  }
}
