/// One challenge of a WWW-Authenticate header (RFC 9110 section 11.3): a scheme and its parameters.
struct AuthChallenge: Equatable {
  /// In lower case.
  var scheme: String
  /// Names in lower case, in the header's order.
  var parameters: [(name: String, value: String)] = []

  subscript(name: String) -> String? { parameters.first { $0.name == name }?.value }

  static func == (one: AuthChallenge, other: AuthChallenge) -> Bool {
    one.scheme == other.scheme
      && one.parameters.elementsEqual(other.parameters) { $0.name == $1.name && $0.value == $1.value }
  }

  static let mostBytes = 8192

  /// All of a header's value. Commas stand between parameters and between challenges alike: a token that no `=` follows
  /// begins another challenge.
  /// - Returns: nil for what is no such header; a parameter given twice is none, since readers differ about it.
  static func all(in value: String) -> [AuthChallenge]? {
    var reader = HeaderReader(bytes: Array(value.utf8))
    guard reader.bytes.count <= mostBytes else { return nil }
    var challenges: [AuthChallenge] = []
    reader.skipCommas()
    while !reader.isAtEnd {
      guard let word = reader.token() else { return nil }
      reader.skipBlanks()
      let isParameter = reader.take(UInt8(ascii: "="))
      if isParameter {
        reader.skipBlanks()
        guard !challenges.isEmpty, let value = reader.value(), challenges[challenges.count - 1].add(word, value) else {
          return nil
        }
      } else {
        var challenge = AuthChallenge(scheme: word.lowerASCII)
        // `Negotiate YII=`: a token of another alphabet, with no name.
        if !reader.token68(), !reader.isAtEnd, reader.peek != UInt8(ascii: ",") {
          guard let name = reader.token() else { return nil }
          reader.skipBlanks()
          guard reader.take(UInt8(ascii: "=")) else { return nil }
          reader.skipBlanks()
          guard let value = reader.value(), challenge.add(name, value) else { return nil }
        }
        challenges.append(challenge)
      }
      reader.skipBlanks()
      guard reader.isAtEnd || reader.peek == UInt8(ascii: ",") else { return nil }
      reader.skipCommas()
    }
    return challenges
  }

  private mutating func add(_ name: String, _ value: String) -> Bool {
    let name = name.lowerASCII
    guard self[name] == nil else { return false }
    parameters.append((name, value))
    return true
  }
}

/// The words of a header's value (RFC 9110 section 5.6).
private struct HeaderReader {
  let bytes: [UInt8]
  var at = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { at >= bytes.count }
  var peek: UInt8? { at < bytes.count ? bytes[at] : nil }

  mutating func skipBlanks() { while let byte = peek, byte == 32 || byte == 9 { at += 1 } }
  mutating func skipCommas() { while let byte = peek, byte == 32 || byte == 9 || byte == 44 { at += 1 } }

  mutating func take(_ byte: UInt8) -> Bool {
    guard peek == byte else { return false }
    at += 1
    return true
  }

  mutating func token() -> String? {
    let start = at
    while let byte = peek, Self.isToken(byte) { at += 1 }
    return at > start ? String(decoding: bytes[start..<at], as: UTF8.self) : nil
  }

  mutating func value() -> String? {
    guard take(UInt8(ascii: "\"")) else { return token() }
    var text: [UInt8] = []
    while let byte = peek {
      at += 1
      switch byte {
      case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
      case UInt8(ascii: "\\"):
        guard let next = peek, next >= 32, next != 127 else { return nil }
        text.append(next)
        at += 1
      default:
        guard byte >= 32 && byte != 127 || byte == 9 else { return nil }
        text.append(byte)
      }
    }
    return nil
  }

  /// `token68`: letters, digits and `-._~+/`, then equal signs, and nothing else up to a comma or the end.
  mutating func token68() -> Bool {
    let start = at
    while let byte = peek, Self.isToken68(byte) { at += 1 }
    if at > start {
      while take(UInt8(ascii: "=")) {}
      let end = at
      skipBlanks()
      if isAtEnd || peek == UInt8(ascii: ",") {
        at = end
        return true
      }
    }
    at = start
    return false
  }

  private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
  }

  private static func isToken(_ byte: UInt8) -> Bool {
    isLetterOrDigit(byte) || [33, 35, 36, 37, 38, 39, 42, 43, 45, 46, 94, 95, 96, 124, 126].contains(byte)
  }

  private static func isToken68(_ byte: UInt8) -> Bool {
    isLetterOrDigit(byte) || [45, 46, 95, 126, 43, 47].contains(byte)
  }
}
