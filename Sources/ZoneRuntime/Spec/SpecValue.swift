internal import ResourceControl

/// Numbers, sizes and words as a person types them; strict, because a limit that is misread is no limit.
enum SpecValue {
  /// `512M`, `1.5G`, `64KiB`, `1073741824`: bytes, at least a page.
  static func bytes(_ text: String, _ what: String) throws(SyntaxError) -> Int64 {
    guard let bytes = try? ByteSize.parse(text, limit: what) else {  // refused in the words of an option
      throw SyntaxError(what: what, value: text, why: "not a size; write 512M or 2G (K, M, G, T are powers of 1024)")
    }
    guard bytes >= 4096 else { throw SyntaxError(what: what, value: text, why: "less than a page (4096 bytes)") }
    return bytes
  }

  static func whole<Number: FixedWidthInteger>(
    _ text: String, _ what: String, _ range: ClosedRange<Number>
  ) throws(SyntaxError) -> Number {
    guard text.utf8.allSatisfy({ (48...57).contains($0) }), let number = Number(text), range.contains(number) else {
      throw SyntaxError(
        what: what, value: text, why: "not a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  static func decimal(_ text: String, _ what: String, _ range: ClosedRange<Double>) throws(SyntaxError) -> Double {
    guard text.utf8.allSatisfy({ (48...57).contains($0) || $0 == 46 }), let number = Double(text),
      range.contains(number)
    else {
      throw SyntaxError(
        what: what, value: text,
        why: "not a number from \(self.text(range.lowerBound)) to \(self.text(range.upperBound))")
    }
    return number
  }

  /// `10`, `1.5`: no needless fraction.
  static func text(_ number: Double) -> String {
    number == number.rounded() && abs(number) < 1e15 ? String(Int64(number)) : String(number)
  }

  static func flag(_ text: String, _ what: String) throws(SyntaxError) -> Bool {
    switch text {
    case "true": return true
    case "false": return false
    default: throw SyntaxError(what: what, value: text, why: "neither true nor false")
    }
  }

  /// cpuset(7)'s list format: `0-1,3`.
  static func cpuList(_ text: String, _ what: String) throws(SyntaxError) -> String {
    guard (try? CPUList.parse(text)) != nil else {  // refused in the words of an option
      throw SyntaxError(what: what, value: text, why: "not a list of CPUs; write 0-1,3")
    }
    return text
  }

  /// An environment variable's name: anything but empty, `=` and NUL (environ(7)).
  static func variable(_ name: String, _ what: String) throws(SyntaxError) -> String {
    guard !name.isEmpty, !name.utf8.contains(where: { $0 == 61 || $0 == 0 }) else {
      throw SyntaxError(what: what, value: name, why: "not a name; write NAME=VALUE")
    }
    return name
  }

  /// sethostname(2): at most 64 bytes; letters, digits, `-` and `.`.
  static func hostname(_ text: String, _ what: String) throws(SyntaxError) -> String {
    let fits = { (byte: UInt8) in
      (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == 45 || byte == 46
    }
    guard (1...64).contains(text.utf8.count), text.utf8.allSatisfy(fits) else {
      throw SyntaxError(what: what, value: text, why: "not a host name: at most 64 letters, digits, - and .")
    }
    return text
  }

  static func absolutePath(_ text: String, _ what: String) throws(SyntaxError) -> String {
    guard text.hasPrefix("/") else { throw SyntaxError(what: what, value: text, why: "not an absolute path") }
    return text
  }

  /// `USER[:GROUP]`, each a name or a number; who that is, the zone's passwd says at the start.
  static func user(_ text: String, _ what: String) throws(SyntaxError) -> String {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard (1...2).contains(parts.count), parts.allSatisfy({ !$0.isEmpty && !$0.contains(where: { $0.isWhitespace }) })
    else {
      throw SyntaxError(what: what, value: text, why: "write USER or USER:GROUP, by name or number")
    }
    return text
  }
}
