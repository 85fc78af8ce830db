/// Who the caller is for git(1): `user.name` and `user.email` of his own configuration, and nothing else of it, which may
/// hold credentials and programs to run.
struct GitIdentity: Equatable {
  var name: String?
  var email: String?

  init(name: String?, email: String?) {
    self.name = name
    self.email = email
  }

  /// - Parameter texts: the configurations, the weaker ones first (git-config(1), FILES).
  init(_ texts: [[UInt8]]) {
    for text in texts { read(text) }
  }

  /// What git inside reads; nil where there is nothing to tell.
  var configuration: String? {
    guard name != nil || email != nil else { return nil }
    var text = "[user]\n"
    if let name { text += "\tname = \"\(Self.escaped(name))\"\n" }
    if let email { text += "\temail = \"\(Self.escaped(email))\"\n" }
    return text
  }

  private mutating func read(_ text: [UInt8]) {
    var inUser = false
    for line in text.split(whereSeparator: { $0 == 10 || $0 == 13 }) {
      var rest = line.drop { $0 == 32 || $0 == 9 }
      if rest.first == UInt8(ascii: "[") {
        guard let end = rest.firstIndex(of: UInt8(ascii: "]")) else { continue }
        inUser = Self.lowercased(rest[rest.index(after: rest.startIndex)..<end]) == "user"
        rest = rest[rest.index(after: end)...].drop { $0 == 32 || $0 == 9 }
      }
      guard inUser, let mark = rest.firstIndex(of: UInt8(ascii: "=")) else { continue }
      let key = Self.lowercased(rest[..<mark].filter { $0 != 32 && $0 != 9 }[...])
      let value = Self.value(rest[rest.index(after: mark)...])
      if key == "name" { name = value }
      if key == "email" { email = value }
    }
  }

  /// git-config(1), Syntax: quotes, backslashes and comments; blanks at the ends are no part.
  private static func value(_ bytes: ArraySlice<UInt8>) -> String {
    var (value, kept): ([UInt8], Int) = ([], 0)
    var (quoted, escaped) = (false, false)
    for byte in bytes.drop(while: { $0 == 32 || $0 == 9 }) {
      if escaped {
        value.append(byte == UInt8(ascii: "n") ? 10 : byte == UInt8(ascii: "t") ? 9 : byte)
        escaped = false
        kept = value.count
        continue
      }
      if byte == UInt8(ascii: "\\") {
        escaped = true
      } else if byte == UInt8(ascii: "\"") {
        quoted.toggle()
        kept = value.count
      } else if !quoted, byte == UInt8(ascii: "#") || byte == UInt8(ascii: ";") {
        break
      } else {
        value.append(byte)
        if quoted || (byte != 32 && byte != 9) { kept = value.count }
      }
    }
    return String(decoding: value[..<kept], as: UTF8.self)
  }

  private static func escaped(_ text: String) -> String {
    var out: [UInt8] = []
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): out += [UInt8(ascii: "\\"), byte]
      case 10: out += Array("\\n".utf8)
      case 9: out += Array("\\t".utf8)
      case 0..<32: continue
      default: out.append(byte)
      }
    }
    return String(decoding: out, as: UTF8.self)
  }

  private static func lowercased(_ bytes: ArraySlice<UInt8>) -> String {
    String(decoding: bytes.map { (65...90).contains($0) ? $0 + 32 : $0 }, as: UTF8.self)
  }
}
