/// A parsed command line: the verb, its options in the order given, its operands and its command.
public struct Invocation: Sendable {
  public let verb: Verb
  /// The name or alias it was called by.
  public let calledAs: String
  public internal(set) var settings: [Setting] = []
  /// Words that are no options, without the command's.
  public internal(set) var operands: [String] = []
  /// The command and its arguments; of a verb that is handed over, every argument.
  public internal(set) var command: [String] = []

  public struct Setting: Equatable, Sendable {
    public let option: String
    /// Empty for a flag.
    public let value: String
  }

  public func has(_ option: String) -> Bool { settings.contains { $0.option == option } }

  /// The first operand of what takes ZONE or ZONE@SNAPSHOT.
  public var zoneState: (zone: String, snapshot: String?) {
    let parts = operands[0].split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
    return (String(parts[0]), parts.count > 1 ? String(parts[1]) : nil)
  }

  /// The last value given.
  public func value(_ option: String) -> String? { settings.last { $0.option == option }?.value }

  public func values(_ option: String) -> [String] { settings.filter { $0.option == option }.map { $0.value } }

  /// The last value as a whole number in `range`.
  public func number(_ option: String, in range: ClosedRange<Int>) throws(UsageError) -> Int? {
    guard let text = value(option) else { return nil }
    guard let number = Int(text), range.contains(number) else {
      throw .refused("\(option) '\(text)': not a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// The last value as seconds: `1.5`, `90`, `90s`, `2m`, `1h`.
  public func seconds(_ option: String) throws(UsageError) -> Double? {
    guard let text = value(option) else { return nil }
    guard let seconds = Invocation.seconds(parsing: text) else {
      throw .refused("\(option) '\(text)': not a number of seconds (1.5, 90s, 2m, 1h)")
    }
    return seconds
  }

  /// A duration of at most a hundred years; nil where the text is none.
  public static func seconds(parsing text: String) -> Double? {
    var digits = text[...]
    var unit = 1.0
    switch text.utf8.last {
    case UInt8(ascii: "s"): digits = text.dropLast()
    case UInt8(ascii: "m"): (digits, unit) = (text.dropLast(), 60)
    case UInt8(ascii: "h"): (digits, unit) = (text.dropLast(), 3600)
    default: break
    }
    guard digits.utf8.allSatisfy({ (48...57).contains($0) || $0 == 46 }), let number = Double(digits) else {
      return nil
    }
    let seconds = number * unit
    return seconds <= 3_155_760_000 ? seconds : nil
  }

  /// The last value, which must be one of `choices`.
  public func choice(_ option: String, _ choices: [String]) throws(UsageError) -> String? {
    guard let text = value(option) else { return nil }
    guard choices.contains(text) else {
      let nearest = Nearest.of(text, among: choices).map { "; did you mean \($0)?" } ?? ""
      throw .refused("\(option) '\(text)': not one of \(choices.joined(separator: ", "))\(nearest)")
    }
    return text
  }
}
