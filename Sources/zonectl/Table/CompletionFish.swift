extension CommandTable {
  /// `complete` lines for fish.
  func fishCompletion() -> String {
    let zones = "(\(program) list -q 2>/dev/null)"
    let spoken = shownVerbs.flatMap(names).joined(separator: " ")
    var script = """
      # fish completion for \(program); made by: \(program) completion fish
      complete -c \(program) -f

      """
    func line(_ condition: String, _ rest: String) {
      script += "complete -c \(program) -n \(fishQuoted(condition)) \(rest)\n"
    }
    let early = "not __fish_seen_subcommand_from \(spoken)"
    for verb in shownVerbs {
      for name in names(verb) { line(early, "-a \(name) -d \(fishQuoted(verb.summary))") }
    }
    for option in options(inSet: globalSet) { script += "complete -c \(program) \(specification(option, zones))\n" }
    for verb in ordinaryVerbs {
      let seen = "__fish_seen_subcommand_from \(names(verb).joined(separator: " "))"
      for option in allOptions(of: verb) where option.set != globalSet {
        line(seen, specification(option, zones))
      }
      for hint in verb.operands.map({ $0.hint }) where hint != .none { line(seen, values(hint, zones)) }
    }
    for verb in shownVerbs where verb.kind == .handedOver {
      line("__fish_seen_subcommand_from \(names(verb).joined(separator: " "))", "-F")
    }
    return script
  }

  private func specification(_ option: Option, _ zones: String) -> String {
    let letter = option.letter.isEmpty ? "" : " -s \(option.letter)"
    let value = option.takesValue ? " -r" + (option.hint == .none ? "" : " \(values(option.hint, zones))") : ""
    return "-l \(option.name)\(letter)\(value) -d \(fishQuoted(option.help))"
  }

  private func values(_ hint: Hint, _ zones: String) -> String {
    switch hint {
    case .none: ""
    case .zone: "-a \(fishQuoted(zones))"
    case .file: "-F"
    case .directory: "-a '(__fish_complete_directories)'"
    case .signal: "-a \(fishQuoted(CommandTable.signals))"
    case .verb: "-a \(fishQuoted(shownVerbs.map { $0.name }.joined(separator: " ")))"
    case .command: "-a '(__fish_complete_subcommand)'"
    case .zonePath: "-F -a \(fishQuoted("(\(program) list -q 2>/dev/null | string replace -r '$' ':')"))"
    case .words(let words): "-a \(fishQuoted(words))"
    }
  }

  /// fish escapes a quote inside quotes by a backslash.
  private func fishQuoted(_ text: String) -> String {
    var result = "'"
    for character in text {
      if character == "'" || character == "\\" { result += "\\" }
      result.append(character)
    }
    return result + "'"
  }
}
