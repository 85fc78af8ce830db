/// Seconds as Compose writes them: `1m30s`.
public func durationText(_ seconds: Double) -> String { Units.text(seconds: seconds) }

/// The spellings of time, sizes and command lines that Compose's specification has.
enum Units {
  /// No span of time in a manifest is as long: seconds, as with a zone's stop_grace_period. Whoever counts in milliseconds
  /// or nanoseconds has room for it.
  static let longest = 1e6

  /// `1h30m`, `1m30s`, `500ms`, `10us`: seconds (compose-spec, "Specifying durations").
  static func seconds(_ text: String) -> Double? {
    let factors = ["h": 3600.0, "m": 60, "s": 1, "ms": 0.001, "us": 0.000_001]
    var rest = text[...]
    var total = 0.0
    guard !rest.isEmpty else { return nil }
    while !rest.isEmpty {
      let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
      rest = rest.dropFirst(number.count)
      let unit = rest.prefix { $0.isASCII && $0.isLetter }
      rest = rest.dropFirst(unit.count)
      guard let value = Double(number), let factor = factors[String(unit)] else { return nil }
      total += value * factor
    }
    return total
  }

  /// Seconds as Compose writes them: `1m30s`, `500ms`, `0s`.
  static func text(seconds: Double) -> String {
    guard seconds > 0 else { return "0s" }
    if seconds < 1 { return "\(Int((seconds * 1000).rounded()))ms" }
    let whole = Int(seconds.rounded())
    let parts = [(whole / 3600, "h"), (whole / 60 % 60, "m"), (whole % 60, "s")]
    return parts.filter { $0.0 > 0 }.map { "\($0.0)\($0.1)" }.joined()
  }

  /// `300`, `64b`, `64k`, `64kb`, `1.5m`, `1g`: bytes, in powers of 1024 (compose-spec, "Specifying byte values").
  static func bytes(_ text: String) -> Int64? {
    let lower = text.lowercased()
    let number = lower.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    guard let value = Double(number) else { return nil }
    let factor: Double
    switch lower.dropFirst(number.count) {
    case "", "b": factor = 1
    case "k", "kb": factor = 1024
    case "m", "mb": factor = 1_048_576
    case "g", "gb": factor = 1_073_741_824
    default: return nil
    }
    let bytes = value * factor
    return bytes < 9e18 ? Int64(bytes) : nil
  }

  /// Splits a command line as a shell would, without expanding anything; nil where a quote stays open.
  static func words(_ text: String) -> [String]? {
    var words: [String] = []
    var word: String?
    var quote: Character?
    var escaped = false
    for letter in text {
      if escaped {
        // Within double quotes a backslash is kept before letters it has no meaning for (POSIX, XCU 2.2.3).
        if quote == "\"" && !"$`\"\\\n".contains(letter) { word?.append("\\") }
        word = (word ?? "") + String(letter)
        escaped = false
      } else if letter == "\\" && quote != "'" {
        escaped = true
        word = word ?? ""
      } else if let open = quote {
        if letter == open { quote = nil } else { word?.append(letter) }
      } else if letter == "'" || letter == "\"" {
        quote = letter
        word = word ?? ""
      } else if letter.isWhitespace {
        if let done = word { words.append(done) }
        word = nil
      } else {
        word = (word ?? "") + String(letter)
      }
    }
    guard quote == nil, !escaped else { return nil }
    if let done = word { words.append(done) }
    return words
  }
}
