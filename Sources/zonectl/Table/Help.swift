/// `--help`, from the table.
extension CommandTable {
  /// The whole program's help.
  public func help() -> String {
    var page = Page()
    page.line("\(program): \(summary)")
    page.line()
    page.line("usage: \(program) [OPTION…] VERB …")
    page.line()
    page.paragraphs(details)
    page.line("examples:")
    page.examples(examples)
    for chapter in chapters {
      let rows = shownVerbs.filter { $0.chapter == chapter }
      guard !rows.isEmpty else { continue }
      page.line()
      page.line("\(chapter):")
      for verb in rows {
        let also = verb.aliases.isEmpty ? "" : " (also \(verb.aliases.joined(separator: ", ")))"
        page.row("  " + verb.name, verb.summary + also, at: 14)
      }
    }
    page.line()
    page.line("\(title(ofSet: globalSet)):")
    page.options(options(inSet: globalSet))
    for section in sections {
      page.line()
      page.line("\(section.title):")
      for row in section.rows { page.row("  " + row.command, row.meaning, at: 20) }
    }
    page.line()
    page.line("\(program) VERB --help teaches a verb; \(program) man prints the manual.")
    return page.text
  }

  /// One verb's help.
  public func help(_ verb: Verb) -> String {
    var page = Page()
    page.line("\(program) \(verb.name): \(verb.summary)")
    page.line()
    page.line("usage: \(program) \(verb.name) \(verb.grammar)")
    if !verb.aliases.isEmpty { page.line("also:  " + verb.aliases.map { "\(program) \($0)" }.joined(separator: ", ")) }
    page.line()
    page.paragraphs(verb.details)
    page.line("examples:")
    page.examples(verb.examples)
    let own = ownOptions(of: verb)
    if !own.isEmpty {
      page.line()
      page.line("options:")
      page.options(own)
    }
    for set in verb.sets + (verb.kind == .ordinary ? [globalSet] : []) {
      page.line()
      page.line("\(title(ofSet: set)):")
      page.options(options(inSet: set))
    }
    return page.text
  }

  func title(ofSet set: String) -> String { setTitles.first { $0.set == set }?.title ?? set }
}

/// Lines of at most 80 columns.
struct Page {
  static let width = 80
  private(set) var text = ""

  mutating func line(_ words: String = "") { text += words + "\n" }

  mutating func paragraphs(_ words: String) {
    guard !words.isEmpty else { return }
    for paragraph in CommandTable.paragraphs(words) {
      for part in Page.wrap(paragraph, Page.width) { line(part) }
      line()
    }
  }

  mutating func examples(_ examples: [Example]) {
    for example in examples {
      line("  " + example.command)
      for part in Page.wrap(example.meaning, Page.width - 6) { line("      " + part) }
    }
  }

  mutating func options(_ options: [Option]) {
    for option in options {
      let letter = option.letter.isEmpty ? "    " : "-\(option.letter), "
      row("  \(letter)\(option.spelling)", option.help + (option.repeats ? "; repeatable" : ""), at: 28)
    }
  }

  /// A term and its meaning in a column; a term too long for its column stands on a line of its own.
  mutating func row(_ term: String, _ meaning: String, at column: Int) {
    let parts = Page.wrap(meaning, Page.width - column)
    let blank = String(repeating: " ", count: column)
    var rest = parts[...]
    if term.count + 2 <= column, let first = rest.popFirst() {
      line(term + String(repeating: " ", count: column - term.count) + first)
    } else {
      line(term)
    }
    for part in rest { line(blank + part) }
  }

  /// Breaks at blanks; a word longer than the width stands alone.
  static func wrap(_ text: String, _ width: Int) -> [String] {
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ") {
      if !line.isEmpty && line.count + 1 + word.count > width {
        lines.append(line)
        line = ""
      }
      line += (line.isEmpty ? "" : " ") + word
    }
    if !line.isEmpty { lines.append(line) }
    return lines
  }
}

extension CommandTable {
  /// Text between empty lines, each paragraph on one line.
  static func paragraphs(_ text: String) -> [String] {
    var paragraphs: [String] = []
    var current = ""
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      if line.isEmpty {
        if !current.isEmpty { paragraphs.append(current) }
        current = ""
      } else {
        current += (current.isEmpty ? "" : " ") + line
      }
    }
    if !current.isEmpty { paragraphs.append(current) }
    return paragraphs
  }
}
