/// Manual pages in the macros of man(7), from the table.
extension CommandTable {
  /// The program's page, `zonectl.1`.
  public func manPage() -> String {
    var page = Troff(title: program, version: "\(program) \(version)")
    page.section("NAME")
    page.text("\(program) - \(summary)")
    page.section("SYNOPSIS")
    page.term("\(program) [OPTION…] VERB …")
    page.section("DESCRIPTION")
    page.paragraphs(details)
    page.section("VERBS")
    for chapter in chapters {
      let rows = shownVerbs.filter { $0.chapter == chapter }
      guard !rows.isEmpty else { continue }
      page.subsection(chapter)
      for verb in rows {
        page.item("\(verb.name) \(verb.grammar)", verb.summary + ". See \(program)-\(verb.name)(1).")
      }
    }
    page.section("OPTIONS")
    page.options(options(inSet: globalSet))
    for section in sections {
      page.section(section.title.uppercased())
      for row in section.rows { page.item(row.command, row.meaning) }
    }
    page.section("EXAMPLES")
    page.examples(examples)
    page.section("SEE ALSO")
    page.text(shownVerbs.map { "\(program)-\($0.name)(1)" }.joined(separator: ", "))
    return page.source
  }

  /// One verb's page, `zonectl-run.1`.
  public func manPage(_ verb: Verb) -> String {
    var page = Troff(title: "\(program)-\(verb.name)", version: "\(program) \(version)")
    page.section("NAME")
    page.text("\(program)-\(verb.name) - \(verb.summary)")
    page.section("SYNOPSIS")
    for name in [verb.name] + verb.aliases { page.term("\(program) \(name) \(verb.grammar)") }
    if !verb.details.isEmpty {
      page.section("DESCRIPTION")
      page.paragraphs(verb.details)
    }
    let own = ownOptions(of: verb)
    if !own.isEmpty || verb.kind == .ordinary {
      page.section("OPTIONS")
      page.options(own)
      for set in verb.sets + (verb.kind == .ordinary ? [globalSet] : []) {
        page.subsection(title(ofSet: set))
        page.options(options(inSet: set))
      }
    }
    page.section("EXAMPLES")
    page.examples(verb.examples)
    page.section("SEE ALSO")
    page.text("\(program)(1)")
    return page.source
  }
}

/// The source of a manual page. No date in it: the same table gives the same bytes.
private struct Troff {
  private(set) var source: String

  init(title: String, version: String) {
    source = ".TH \(Troff.escape(title.uppercased())) 1 \"\" \"\(Troff.escape(version))\" \"Zones\"\n.nh\n"
  }

  mutating func section(_ title: String) { source += ".SH \(Troff.escape(title))\n" }
  mutating func subsection(_ title: String) { source += ".SS \(Troff.escape(title))\n" }
  mutating func text(_ words: String) { source += Troff.line(words) }

  mutating func paragraphs(_ words: String) {
    for (index, paragraph) in CommandTable.paragraphs(words).enumerated() {
      source += (index == 0 ? "" : ".PP\n") + Troff.line(paragraph)
    }
  }

  /// A command line in bold, one a paragraph.
  mutating func term(_ words: String) { source += ".PP\n.B \(Troff.escape(words))\n" }

  mutating func item(_ term: String, _ meaning: String) {
    source += ".TP\n.B \(Troff.escape(term))\n" + Troff.line(meaning)
  }

  mutating func options(_ options: [Option]) {
    for option in options {
      let letter = option.letter.isEmpty ? "" : "-\(option.letter), "
      item(letter + option.spelling, option.help + (option.repeats ? "; repeatable" : ""))
    }
  }

  mutating func examples(_ examples: [Example]) {
    for example in examples { item(example.command, example.meaning) }
  }

  /// Text on a line of its own, which a leading dot or apostrophe must not turn into a request.
  private static func line(_ words: String) -> String {
    let first = words.first
    return (first == "." || first == "'" ? "\\&" : "") + escape(words) + "\n"
  }

  /// groff_char(7): what has a meaning to troff, and what is not ASCII.
  static func escape(_ words: String) -> String {
    var text = ""
    for character in words {
      switch character {
      case "\\": text += "\\e"
      case "-": text += "\\-"
      case "'": text += "\\(aq"
      case "`": text += "\\(ga"
      case "^": text += "\\(ha"
      case "~": text += "\\(ti"
      case "\"": text += "\\(dq"
      case "…": text += ".\\|.\\|."
      default: text.append(character)
      }
    }
    return text
  }
}
