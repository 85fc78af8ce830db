/// A program's whole command line as data. It knows no verb and runs nothing: what a verb does is its caller's.
public struct CommandTable: Sendable {
  public let program: String
  public let version: String
  /// One line: lower case, no full stop.
  public let summary: String
  /// Paragraphs for help and the man page.
  public let details: String
  public var examples: [Example] { makeExamples() }
  public let chapters: [String]
  public let options: [Option]
  /// The set whose options stand before the verb and after it.
  public let globalSet: String
  public let verbs: [Verb]
  /// Titles of sets of options, by the set's name.
  public var setTitles: [(set: String, title: String)] { makeTitles() }
  /// Meanings of exit statuses, environment variables and files, for the man page and global help.
  public var sections: [Section] { makeSections() }
  // What only help and man pages show is made when it is asked for.
  private let makeExamples: @Sendable () -> [Example]
  private let makeTitles: @Sendable () -> [(set: String, title: String)]
  private let makeSections: @Sendable () -> [Section]

  /// A titled list of terms, `exit status` say.
  public struct Section: Sendable {
    public let title: String
    public let rows: [Example]

    public init(_ title: String, _ rows: [Example]) {
      self.title = title
      self.rows = rows
    }
  }

  public init(
    program: String, version: String, summary: String, details: String,
    examples: @autoclosure @escaping @Sendable () -> [Example], chapters: [String], options: [Option],
    globalSet: String,
    verbs: [Verb], setTitles: @autoclosure @escaping @Sendable () -> [(set: String, title: String)],
    sections: @autoclosure @escaping @Sendable () -> [Section]
  ) {
    self.program = program
    self.version = version
    self.summary = summary
    self.details = details
    makeExamples = examples
    self.chapters = chapters
    self.options = options
    self.globalSet = globalSet
    self.verbs = verbs
    makeTitles = setTitles
    makeSections = sections
  }

  /// The verb of that name or alias. Abbreviations are not taken: a script must not change its meaning with a new verb.
  public func verb(_ name: String) -> Verb? {
    for verb in verbs where verb.name == name { return verb }
    for verb in verbs where verb.aliases.contains(name) { return verb }
    return nil
  }

  public func option(_ name: String) -> Option? {
    for option in options where option.name == name { return option }
    return nil
  }

  /// The option of that name as a verb takes it: one that it names itself comes before a global one.
  func option(_ name: String, of verb: Verb?) -> Option? {
    guard let verb, verb.options.contains(where: { $0.name == name }) else { return option(name) }
    for option in options where option.name == name && option.set != globalSet { return option }
    return option(name)
  }

  /// Whether `verb` takes the option; nil asks for the options before the verb.
  public func takes(_ option: Option, _ verb: Verb?) -> Bool {
    if option.set == globalSet { return true }
    guard let verb else { return false }
    if !option.set.isEmpty && verb.sets.contains(option.set) { return true }
    return verb.options.contains { $0.name == option.name }
  }

  /// A verb's own options in the order of help: those it names, worded for it.
  public func ownOptions(of verb: Verb) -> [Option] {
    verb.options.compactMap { use in
      guard let row = option(use.name, of: verb) else { return nil }
      guard !use.help.isEmpty else { return row }
      return Option(
        row.name, row.letter, use.metavar.isEmpty ? row.metavar : use.metavar, repeats: row.repeats,
        hint: use.hint ?? row.hint, set: row.set, help: use.help)
    }
  }

  public func options(inSet set: String) -> [Option] { options.filter { $0.set == set } }

  /// All that `verb` takes, its own first, the global ones last.
  public func allOptions(of verb: Verb) -> [Option] {
    ownOptions(of: verb) + verb.sets.flatMap(options(inSet:)) + options(inSet: globalSet)
  }

  /// The verbs that help shows.
  public var shownVerbs: [Verb] { verbs.filter { $0.kind != .hidden } }
}
