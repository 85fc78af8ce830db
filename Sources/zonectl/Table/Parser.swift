/// What a command line asks for.
public enum Parsed: Sendable {
  case run(Invocation)
  /// nil: the whole program's.
  case help(Verb?)
  case version
}

extension CommandTable {
  /// Reads the arguments after the program's name.
  ///
  /// Options may stand before and after operands. The first word of a command ends them: what follows is the
  /// command's own. `--` ends them too. Nothing is abbreviated.
  public func parse(_ arguments: [String]) throws(UsageError) -> Parsed {
    var reader = Reader(table: self, arguments: arguments)
    return try reader.read()
  }
}

private struct Reader {
  let table: CommandTable
  let arguments: [String]
  var next = 0
  var early: [Invocation.Setting] = []
  var invocation: Invocation?
  /// The operand of the verb that the next word belongs to, and how many words it has.
  var operand = 0
  var taken = 0
  var wantsHelp = false

  init(table: CommandTable, arguments: [String]) {
    self.table = table
    self.arguments = arguments
  }

  mutating func read() throws(UsageError) -> Parsed {
    var optionsEnded = false
    while next < arguments.count {
      let word = arguments[next]
      next += 1
      let isOption = word.utf8.first == UInt8(ascii: "-") && word.utf8.count > 1
      if !optionsEnded && isOption {
        if word == "--" {
          guard invocation != nil else { throw .missingVerb }
          optionsEnded = true
        } else if try option(word) {
          return .version
        }
        continue
      }
      guard let verb = invocation?.verb else {
        let done = try begin(word)
        if let done { return done }
        continue
      }
      if try take(word, of: verb) { break }
    }
    guard let invocation else {
      if wantsHelp { return .help(nil) }
      throw .missingVerb
    }
    if wantsHelp { return .help(invocation.verb) }
    try checkOperands(invocation)
    return .run(invocation)
  }

  /// The verb's word. Verbs that are handed over or hidden take the rest as it is.
  private mutating func begin(_ word: String) throws(UsageError) -> Parsed? {
    guard let verb = table.verb(word) else {
      let words = table.shownVerbs.flatMap { [$0.name] + $0.aliases }
      throw .unknownVerb(word, nearest: Nearest.of(word, among: words))
    }
    var invocation = Invocation(verb: verb, calledAs: word)
    invocation.settings = early
    if verb.kind != .ordinary {
      if wantsHelp && verb.kind != .hidden { return .help(verb) }
      invocation.command = Array(arguments[next...])
      return .run(invocation)
    }
    self.invocation = invocation
    return nil
  }

  /// - Returns: true where the word began a command, which takes all that follows.
  private mutating func take(_ word: String, of verb: Verb) throws(UsageError) -> Bool {
    guard operand < verb.operands.count else {
      throw .unwantedOperand(word, verb: verb.name, grammar: verb.grammar)
    }
    let row = verb.operands[operand]
    if row.isCommand {
      invocation!.command = Array(arguments[(next - 1)...])
      operand += 1
      return true
    }
    invocation!.operands.append(word)
    taken += 1
    if !row.takesMany {
      operand += 1
      taken = 0
    }
    return false
  }

  private func checkOperands(_ invocation: Invocation) throws(UsageError) {
    let verb = invocation.verb
    for index in operand..<max(operand, verb.operands.count) {
      let row = verb.operands[index]
      guard row.isRequired, !(index == operand && taken > 0) else { continue }
      throw .missingOperand(row.name, verb: verb.name, grammar: verb.grammar)
    }
  }

  // MARK: options

  /// - Returns: true for `--version`, which ends everything.
  private mutating func option(_ word: String) throws(UsageError) -> Bool {
    guard word.utf8.dropFirst().first == UInt8(ascii: "-") else { return try letters(word) }
    let body = word.dropFirst(2)
    let equals = body.utf8.firstIndex(of: UInt8(ascii: "="))
    let name = String(equals.map { body[..<$0] } ?? body)
    guard let option = table.option(name, of: invocation?.verb), table.takes(option, invocation?.verb) else {
      throw unknown("--\(name)")
    }
    if option.takesValue {
      if let equals {
        set(option, String(body[body.utf8.index(after: equals)...]))
      } else {
        set(option, try value(of: option, spelled: "--\(name)"))
      }
      return false
    }
    if let equals {
      throw .unwantedValue(option: "--\(name)", value: String(body[body.utf8.index(after: equals)...]))
    }
    if name == "version" { return true }
    if name == "help" { wantsHelp = true } else { set(option, "") }
    return false
  }

  /// `-it`, `-e A=1`, `-eA=1`, `-e=A=1`: flags combine, a value is the rest of the word or the next one.
  /// - Returns: true for the letter of `--version`.
  private mutating func letters(_ word: String) throws(UsageError) -> Bool {
    var rest = word.dropFirst()
    while let letter = rest.popFirst() {
      let spelled = "-\(letter)"
      guard
        let option = table.options.first(where: { $0.letter == String(letter) && table.takes($0, invocation?.verb) })
      else { throw unknown(spelled) }
      if option.takesValue {
        if rest.first == "=" {
          rest = rest.dropFirst()
        } else if rest.isEmpty {
          set(option, try value(of: option, spelled: spelled))
          return false
        }
        set(option, String(rest))
        return false
      }
      if rest.first == "=" { throw .unwantedValue(option: spelled, value: String(rest.dropFirst())) }
      if option.name == "version" { return true }
      if option.name == "help" { wantsHelp = true } else { set(option, "") }
    }
    return false
  }

  private mutating func value(of option: Option, spelled: String) throws(UsageError) -> String {
    guard next < arguments.count else { throw .missingValue(option: spelled, metavar: option.metavar) }
    next += 1
    return arguments[next - 1]
  }

  private mutating func set(_ option: Option, _ value: String) {
    let setting = Invocation.Setting(option: option.name, value: value)
    if invocation == nil { early.append(setting) } else { invocation!.settings.append(setting) }
  }

  private func unknown(_ spelled: String) -> UsageError {
    let verb = invocation?.verb
    let known = table.options.filter { table.takes($0, verb) }
    var nearest: String?
    if spelled.utf8.count > 2 {
      nearest = Nearest.of(String(spelled.dropFirst(2)), among: known.lazy.map { $0.name }).map { "--\($0)" }
    }
    // The same option of another verb explains more than a near word of this one.
    let owners = table.shownVerbs.filter { other in
      table.options.contains { ("--\($0.name)" == spelled || "-\($0.letter)" == spelled) && table.takes($0, other) }
    }
    let owner = owners.isEmpty ? nil : owners.prefix(3).map { $0.name }.joined(separator: ", ")
    return .unknownOption(spelled, verb: verb?.name, nearest: owner == nil ? nearest : nil, owner: owner)
  }
}
