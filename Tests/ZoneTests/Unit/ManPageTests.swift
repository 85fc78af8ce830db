import CommandLineTable
import Foundation
import Testing

@Suite struct ManPageTests {
  /// The whole page of one verb, byte by byte: `zonectl man DIR; cp DIR/zonectl-pause.1 Tests/ZoneTests/Golden/cli-pause.1`.
  @Test func aPageIsAsItWas() throws {
    let golden = Zonectl.packageRoot + "/Tests/ZoneTests/Golden/cli-pause.1"
    #expect(contents(golden) == zonectlTable.manPage(zonectlTable.verb("pause")!))
  }

  @Test func noLineIsMistakenForARequest() {
    let known = ["TH", "nh", "SH", "SS", "PP", "TP", "B"]
    for page in [zonectlTable.manPage()] + zonectlTable.shownVerbs.map(zonectlTable.manPage) {
      for line in page.split(separator: "\n") {
        #expect(!line.hasPrefix("'"))
        if line.hasPrefix(".") { #expect(known.contains { line == ".\($0)" || line.hasPrefix(".\($0) ") }, "\(line)") }
        #expect(line.utf8.allSatisfy { $0 < 128 }, "\(line)")
      }
    }
  }

  @Test func everyOptionIsInItsPage() {
    for verb in zonectlTable.shownVerbs where verb.kind == .ordinary {
      let page = zonectlTable.manPage(verb)
      for option in zonectlTable.allOptions(of: verb) {
        #expect(page.contains("\\-\\-" + option.name.replacing("-", with: "\\-")), "\(verb.name) --\(option.name)")
      }
    }
  }

  @Test func groffHasNothingToSay() throws {
    guard access("/usr/bin/groff", X_OK) == 0 else { return }
    for page in [zonectlTable.manPage()] + zonectlTable.shownVerbs.map(zonectlTable.manPage) {
      var command = Command(["groff", "-man", "-Tascii", "-ww", "-z"])
      command.input = Data(page.utf8)
      let outcome = try command.run()
      #expect(outcome.status == 0 && outcome.err.isEmpty, "\(outcome)")
    }
  }
}
