import CommandLineTable
import Testing

@Suite struct TableTextTests {
  @Test func columnsAreAsWideAsTheirWidestCell() {
    var table = TextTable(["name", "state"])
    table.add(["a-long-name", "running"])
    table.add(["b", "-"])
    #expect(table.text() == "NAME         STATE\na-long-name  running\nb            -\n")
  }

  @Test func noZonesLeaveTheHeader() { #expect(TextTable(["name", "state"]).text() == "NAME  STATE\n") }

  @Test func paintDoesNotChangeWidths() {
    var table = TextTable(["name", "state", "x"])
    table.add(["a", "running", "1"])
    let painted = table.text { column, cell in column == 1 ? "\u{1b}[32m\(cell)\u{1b}[0m" : nil }
    #expect(painted.replacing("\u{1b}[32m", with: "").replacing("\u{1b}[0m", with: "") == table.text())
  }

  @Test func cellsCannotWriteToTheTerminal() {
    var table = TextTable(["command"])
    table.add(["echo \u{1b}]0;title\u{7}\nnext"])
    #expect(table.text() == "COMMAND\necho ?]0;title??next\n")
  }

  @Test(arguments: [(0, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"), (172_800, "2d")])
  func spans(_ seconds: UInt64, _ text: String) { #expect(Words.span(nanoseconds: seconds * 1_000_000_000) == text) }

  @Test func namesAreLabelsAndNotTaken() {
    var random = SplitMix(state: 7)
    var made: Set<String> = []
    for _ in 0..<300 {
      let name = ZoneNames.make(using: &random) { made.contains($0) }
      #expect(made.insert(name).inserted)
      #expect(name.split(separator: "-").count == 2)
      #expect(name.utf8.allSatisfy { (97...122).contains($0) || $0 == 45 })
    }
  }

  @Test func whereAllNamesAreTakenANumberHelps() {
    var random = SplitMix(state: 7)
    let name = ZoneNames.make(using: &random) { $0.split(separator: "-").count == 2 }
    #expect(name.split(separator: "-").count == 3)
  }
}
