/// The text of a GVariant (GLib, "GVariant Text Format"), so far as properties of units are written in it: texts, truth
/// values, numbers, which are int32 or double unless their type stands before them, and arrays of these.
struct VariantText {
  /// In busctl(1)'s words.
  struct Value: Equatable {
    var signature: String
    var words: [String]

    /// Of a number of seconds.
    var microseconds: UInt64? {
      guard words.count == 1, "ynqiuxtd".contains(Character(signature)), let seconds = Double(words[0]),
        seconds >= 0, seconds < 1e12
      else { return nil }
      return UInt64(seconds * 1e6)
    }
  }

  private let text: [UInt8]
  private var at = 0

  private init(_ text: String) { self.text = Array(text.utf8) }

  /// nil: it is none.
  static func parse(_ text: String) -> Value? {
    var reader = VariantText(text)
    guard let value = reader.value(nil) else { return nil }
    return reader.next == nil ? value : nil
  }

  private static let types: [(name: String, code: String)] = [
    ("boolean", "b"), ("byte", "y"), ("int16", "n"), ("uint16", "q"), ("int32", "i"), ("uint32", "u"), ("int64", "x"),
    ("uint64", "t"), ("double", "d"), ("string", "s"), ("objectpath", "o"), ("signature", "g"),
  ]

  /// The first byte behind blanks.
  private var next: UInt8? {
    mutating get {
      while at < text.count, text[at] == 32 || (9...13).contains(text[at]) { at += 1 }
      return at < text.count ? text[at] : nil
    }
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard next == byte else { return false }
    at += 1
    return true
  }

  /// - Parameter type: what it has to be; nil: what it says it is.
  private mutating func value(_ type: String?) -> Value? {
    guard let first = next else { return nil }
    switch first {
    case UInt8(ascii: "'"), UInt8(ascii: "\""):
      guard ["s", "o", "g"].contains(type ?? "s"), let text = quoted() else { return nil }
      return Value(signature: type ?? "s", words: [text])
    case UInt8(ascii: "["): return array(type)
    case UInt8(ascii: "@"):
      at += 1
      let named = word()
      return type == nil || type == named ? value(named) : nil
    default:
      let word = word()
      if word == "true" || word == "false" {
        return type ?? "b" == "b" ? Value(signature: "b", words: [word]) : nil
      }
      if let row = Self.types.first(where: { $0.name == word }) {
        return type == nil || type == row.code ? value(row.code) : nil
      }
      return number(word, type ?? (word.utf8.contains(UInt8(ascii: ".")) ? "d" : "i"))
    }
  }

  /// To the next blank, comma or bracket.
  private mutating func word() -> String {
    let start = at
    while at < text.count, text[at] > 32, ![UInt8(ascii: ","), UInt8(ascii: "]")].contains(text[at]) { at += 1 }
    return String(decoding: text[start..<at], as: UTF8.self)
  }

  private func number(_ word: String, _ type: String) -> Value? {
    let isIn =
      switch type {
      case "y": UInt8(word) != nil
      case "n": Int16(word) != nil
      case "q": UInt16(word) != nil
      case "i": Int32(word) != nil
      case "u": UInt32(word) != nil
      case "x": Int64(word) != nil
      case "t": UInt64(word) != nil
      case "d": word.utf8.allSatisfy { (48...57).contains($0) || [43, 45, 46].contains($0) } && Double(word) != nil
      default: false
      }
    return isIn ? Value(signature: type, words: [word]) : nil
  }

  private mutating func quoted() -> String? {
    let end = text[at]
    at += 1
    var bytes: [UInt8] = []
    while at < text.count {
      let byte = text[at]
      at += 1
      if byte == end { return String(decoding: bytes, as: UTF8.self) }
      guard byte == UInt8(ascii: "\\"), at < text.count else {
        bytes.append(byte)
        continue
      }
      switch text[at] {
      case UInt8(ascii: "n"): bytes.append(10)
      case UInt8(ascii: "t"): bytes.append(9)
      default: bytes.append(text[at])
      }
      at += 1
    }
    return nil
  }

  private mutating func array(_ type: String?) -> Value? {
    if let type, type.first != "a" { return nil }
    // Its first element says what the others are; where there is none, its own type (`@as []`).
    var element = type.map { String($0.dropFirst()) }
    var (count, words): (Int, [String]) = (0, [])
    at += 1
    while !take(UInt8(ascii: "]")) {
      if count > 0, !take(UInt8(ascii: ",")) { return nil }
      guard let value = value(element) else { return nil }
      element = value.signature
      words += value.words
      count += 1
    }
    return element.map { Value(signature: "a\($0)", words: ["\(count)"] + words) }
  }
}
