/// One verb of a command line: a row of the table.
public struct Verb: Sendable {
  public let name: String
  public let aliases: [String]
  /// The heading it stands under in the list of verbs.
  public let chapter: String
  /// One line: lower case, no full stop.
  public let summary: String
  public let operands: [Operand]
  /// Names of the sets of options it takes (`Option.set`).
  public let sets: [String]
  public let options: [OptionUse]
  /// Paragraphs that teach, separated by an empty line; whole sentences.
  public let details: String
  public var examples: [Example] { makeExamples() }
  /// Only help and man pages show them, so only they make them.
  private let makeExamples: @Sendable () -> [Example]
  public let kind: Kind

  public enum Kind: Sendable {
    case ordinary
    /// Every argument is left as it is, for another program.
    case handedOver
    /// Called by our own processes: not in help, arguments left as they are.
    case hidden
  }

  public init(
    _ name: String, aliases: [String] = [], chapter: String, _ summary: String, operands: [Operand] = [],
    sets: [String] = [], options: [OptionUse] = [], details: String = "",
    examples: @autoclosure @escaping @Sendable () -> [Example] = [], kind: Kind = .ordinary
  ) {
    self.name = name
    self.aliases = aliases
    self.chapter = chapter
    self.summary = summary
    self.operands = operands
    self.sets = sets
    self.options = options
    self.details = details
    makeExamples = examples
    self.kind = kind
  }

  /// `[OPTION…] NAME COMMAND [ARG…]`: what follows the verb's name.
  public var grammar: String {
    if kind != .ordinary { return "[ARGUMENT…]" }
    var parts = sets.isEmpty && options.isEmpty ? [] : ["[OPTION…]"]
    parts += operands.map { $0.grammar }
    return parts.joined(separator: " ")
  }
}

/// A word that is no option: its name, how many, and what a shell can offer for it.
public struct Operand: Sendable {
  public enum Count: Sendable { case one, optional, oneOrMore, zeroOrMore }

  public let name: String
  public let count: Count
  public let hint: Hint
  /// A command and its arguments: all that follows is its own, options too.
  public let isCommand: Bool

  public init(_ name: String, _ count: Count = .one, hint: Hint = .none) {
    self.name = name
    self.count = count
    self.hint = hint
    self.isCommand = hint == .command
  }

  public var isRequired: Bool { count == .one || count == .oneOrMore }
  public var takesMany: Bool { count == .oneOrMore || count == .zeroOrMore }

  public var grammar: String {
    let words = isCommand ? "\(name) [ARG…]" : takesMany ? "\(name)…" : name
    return isRequired ? words : "[\(words)]"
  }
}

/// A command line to learn from.
public struct Example: Sendable {
  public let command: String
  /// One line: lower case, no full stop.
  public let meaning: String

  public init(_ command: String, _ meaning: String) {
    self.command = command
    self.meaning = meaning
  }
}
