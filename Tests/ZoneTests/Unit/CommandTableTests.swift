import CommandLineTable
import Testing

/// The table itself: rows that name each other, and what it teaches being true.
@Suite struct CommandTableTests {
  let table = zonectlTable

  @Test func everyVerbAndOptionHasItsRowAndNoOther() {
    #expect(table.verbs.map(\.name).sorted() == ZonectlVerb.allCases.map(\.rawValue).sorted())
    #expect(table.options.map(\.name).sorted() == ZonectlOption.allCases.map(\.rawValue).sorted())
  }

  @Test func usesNameRowsThatExist() {
    for verb in table.verbs {
      for use in verb.options { #expect(table.option(use.name) != nil, "\(verb.name) uses --\(use.name)") }
      for set in verb.sets { #expect(!table.options(inSet: set).isEmpty, "\(verb.name) takes the set \(set)") }
      if verb.kind != .hidden { #expect(table.chapters.contains(verb.chapter), "\(verb.name)") }
    }
  }

  @Test func everyOptionIsTakenBySomeVerb() {
    for option in table.options { #expect(table.verbs.contains { table.takes(option, $0) }, "--\(option.name)") }
  }

  @Test func namesAndLettersAreUnambiguous() {
    let spoken = table.verbs.flatMap { [$0.name] + $0.aliases }
    #expect(Set(spoken).count == spoken.count)
    for verb in table.verbs {
      let all = table.allOptions(of: verb)
      #expect(Set(all.map(\.name)).count == all.count, "\(verb.name)")
      let letters = all.map(\.letter).filter { !$0.isEmpty }
      #expect(Set(letters).count == letters.count, "\(verb.name)")
    }
  }

  @Test func onlyTheLastOperandTakesManyAndRequiredOnesComeFirst() {
    for verb in table.verbs {
      for operand in verb.operands.dropLast() { #expect(!operand.takesMany && !operand.isCommand, "\(verb.name)") }
      let required = verb.operands.map(\.isRequired)
      #expect(required == required.sorted { $0 && !$1 }, "\(verb.name)")
    }
  }

  @Test func everyShownVerbTeaches() {
    for verb in table.shownVerbs {
      #expect(!verb.examples.isEmpty, "\(verb.name) has no example")
      #expect(verb.summary.first?.isUppercase == false && verb.summary.last != ".", "\(verb.name): \(verb.summary)")
      let help = table.help(verb)
      for option in table.allOptions(of: verb) where verb.kind == .ordinary {
        #expect(help.contains(option.spelling), "\(verb.name) --\(option.name)")
      }
      for example in verb.examples { #expect(help.contains(example.command)) }
    }
  }

  /// What help shows can be typed.
  @Test func everyExampleParses() throws {
    var parsed = 0
    for example in table.examples + table.shownVerbs.flatMap(\.examples) {
      for part in example.command.split(whereSeparator: { "|&<>();".contains($0) }) {
        let words = part.split(separator: " ").map(String.init)
        guard let at = words.firstIndex(of: "zonectl") else { continue }
        _ = try table.parse(words[(at + 1)...].map { $0.replacing("$", with: "") })
        parsed += 1
      }
    }
    #expect(parsed > table.shownVerbs.count)
  }

  @Test func globalHelpListsShownVerbsAndHidesTheOthers() {
    let help = table.help()
    for verb in table.shownVerbs { #expect(help.contains("\n  \(verb.name) "), "\(verb.name)") }
    #expect(!help.contains("zone-ended") && !help.contains("network-names"))
  }

  @Test func helpFitsEightyColumns() {
    for text in [table.help()] + table.shownVerbs.map(table.help) {
      for line in text.split(separator: "\n") where !line.hasPrefix("  zonectl") && !line.hasPrefix("usage:") {
        #expect(line.count <= 80, "\(line)")
      }
    }
  }
}
