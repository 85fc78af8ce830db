/// A limit that cannot be set: which, the value, why, and what would be right.
public struct LimitError: Error, Equatable, Sendable, CustomStringConvertible {
  public var limit: String
  public var value: String
  public var why: String

  public init(limit: String, value: String, why: String) {
    self.limit = limit
    self.value = value
    self.why = why
  }

  public var description: String { "\(limit) '\(value)': \(why)" }
}

/// Bytes as people write them.
public enum ByteSize {
  private static let units: [(letter: Character, shift: Int64)] = [
    ("k", 10), ("m", 20), ("g", 30), ("t", 40), ("p", 50),
  ]

  /// `67108864`, `64M`, `64mb`, `64MiB`, `1.5G`: powers of 1024 whichever way the unit is written, as Docker and
  /// Compose have them (Compose specification, "specifying byte values"). A fraction of a byte is cut off.
  /// - Parameter limit: the option or field, for the error.
  public static func parse(_ text: String, limit: String = "memory") throws(LimitError) -> Int64 {
    let refuse = LimitError(limit: limit, value: text, why: "wants a number with b, k, m, g, t or p, 64M or 1.5G say")
    let tooLarge = LimitError(limit: limit, value: text, why: "more than \(Int64.max) bytes")
    let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let shift: Int64
    switch text.dropFirst(number.count).lowercased() {
    case "", "b": shift = 0
    case let unit:
      guard let entry = units.first(where: { ["\($0.letter)", "\($0.letter)b", "\($0.letter)ib"].contains(unit) })
      else {
        throw refuse
      }
      shift = entry.shift
    }
    guard let (whole, fraction) = decimal(number) else { throw refuse }
    guard let whole = Int64(whole) else { throw tooLarge }
    let scaled = whole.multipliedReportingOverflow(by: 1 << shift)
    guard !scaled.overflow else { throw tooLarge }
    guard fraction.isEmpty || shift > 0 else { throw refuse }
    // At most nine digits of a number below 2^50: no overflow in 128 bits.
    let digits = fraction.prefix(9)
    let part = (UInt128(digits) ?? 0) << UInt128(shift) / powerOfTen(digits.count)
    let total = scaled.partialValue.addingReportingOverflow(Int64(part))
    guard !total.overflow else { throw tooLarge }
    return total.partialValue
  }

  /// The largest unit that gives a whole number: `64M`, `1536M`, `1000`. Read back, it is the same number.
  public static func text(_ bytes: Int64) -> String {
    guard bytes > 0 else { return String(bytes) }
    for (letter, shift) in units.reversed() where bytes & ((1 << shift) - 1) == 0 {
      return "\(bytes >> shift)\(letter.uppercased())"
    }
    return String(bytes)
  }

  /// Digits before and after the point; at least one before, and none or at least one after.
  static func decimal(_ text: some StringProtocol) -> (whole: String, fraction: String)? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count <= 2, !parts.contains(where: { $0.isEmpty }),
      parts.allSatisfy({ $0.utf8.allSatisfy { (48...57).contains($0) } })
    else { return nil }
    return (String(parts[0]), parts.count == 2 ? String(parts[1]) : "")
  }

  private static func powerOfTen(_ exponent: Int) -> UInt128 { (0..<exponent).reduce(1) { power, _ in power * 10 } }
}

/// A number of CPUs as people write it.
public enum CPUCount {
  /// `1.5`, `2`: decimal digits with a point, neither sign nor exponent. Whether the machine has so many is told by
  /// `ResourceLimits.validate`.
  public static func parse(_ text: String) throws(LimitError) -> Double {
    guard text.utf8.count <= 20, ByteSize.decimal(text) != nil, let value = Double(text), value.isFinite else {
      throw LimitError(limit: "cpus", value: text, why: "wants a number of CPUs, 1.5 say")
    }
    return value
  }
}

/// CPUs by number, as cpuset(7) writes them under "List format".
public enum CPUList {
  /// `0-1,3`: sorted and each once.
  public static func parse(_ text: String) throws(LimitError) -> [Int] {
    let refuse = LimitError(limit: "cpuset", value: text, why: "wants numbers and ranges of CPUs, 0-1,3 say")
    var numbers: Set<Int> = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false).map(number)
      guard ends.count <= 2, let first = ends[0], let last = ends.last!, first <= last else { throw refuse }
      numbers.formUnion(first...last)
    }
    return numbers.sorted()
  }

  /// The kernel has at most 8,192 (CONFIG_NR_CPUS).
  private static func number(_ text: some StringProtocol) -> Int? {
    guard (1...4).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int(text),
      number < 8192
    else { return nil }
    return number
  }

  /// `0-1,3`.
  public static func text(_ numbers: some Sequence<Int>) -> String {
    var ranges: [ClosedRange<Int>] = []
    for number in numbers.sorted() {
      if let last = ranges.last, number <= last.upperBound + 1 {
        ranges[ranges.count - 1] = last.lowerBound...max(last.upperBound, number)
      } else {
        ranges.append(number...number)
      }
    }
    return ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }.joined(
      separator: ",")
  }
}
