/// One option of a command line: a row of the table that parsing, help, completions and man pages read.
public struct Option: Sendable {
  /// The long name without its hyphens: `memory`.
  public let name: String
  /// The short form's letter, or empty.
  public let letter: String
  /// What the value is called in help, `SIZE` say; empty for a flag.
  public let metavar: String
  /// May be given more than once, each adding to the last; otherwise the last one counts.
  public let repeats: Bool
  /// What a shell can offer for the value.
  public let hint: Hint
  /// Options that verbs take as a set (`Verb.sets`); empty for those that a verb names one by one.
  public let set: String
  /// One line: lower case, no full stop.
  public let help: String

  public init(
    _ name: String, _ letter: String = "", _ metavar: String = "", repeats: Bool = false, hint: Hint = .none,
    set: String = "", help: String
  ) {
    self.name = name
    self.letter = letter
    self.metavar = metavar
    self.repeats = repeats
    self.hint = hint
    self.set = set
    self.help = help
  }

  public var takesValue: Bool { !metavar.isEmpty }
  /// `--memory SIZE`, as help shows it.
  public var spelling: String { takesValue ? "--\(name) \(metavar)" : "--\(name)" }
}

/// What a shell offers where a word is wanted.
public enum Hint: Sendable, Equatable {
  case none
  case zone
  case file
  case directory
  case signal
  case verb
  /// A program and its arguments.
  case command
  /// A zone's path or one of the host.
  case zonePath
  /// One of these, separated by blanks.
  case words(String)
}

/// An option as one verb takes it.
public struct OptionUse: Sendable {
  public let name: String
  /// What it means for this verb, where that is not the option's own help; or empty.
  public let help: String
  /// What its value is for this verb, where that is not the option's own; or empty.
  public let metavar: String
  public let hint: Hint?

  public init(_ name: String, _ help: String = "", _ metavar: String = "", hint: Hint? = nil) {
    self.name = name
    self.help = help
    self.metavar = metavar
    self.hint = hint
  }
}
