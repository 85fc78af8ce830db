import Foundation
import Testing

/// The keys of whoever starts a zone or executes in it.
@Suite(.serialized, .machine, .needs(.root, .ordinaryUser, .program("gcc")), .ends(within: 5))
struct AttackKeyringTests {
  /// A verb run by somebody who has keys; `@key@` is the number of one.
  private func withKeys(_ zones: Zonectl, _ words: [String]) throws -> Outcome {
    var command = zones.command(words)
    let helper = try Attack.build("withkey", into: zones.folder + "/helpers")
    command.argv.insert(helper, at: zones.prefix.count)
    let outcome = try command.run()
    try #require(outcome.status == 0, "\(outcome)")
    return outcome
  }

  @Test(arguments: [Zonectl.Who.root, .ordinaryUser]) func theLaunchersKeysAreNotTheZones(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      let attack = ["--", "/attacks/keyring", "@key@"]
      let options = ["--network", "none"] + (try zones.attacks("keyring"))
      let run = try withKeys(zones, ["run", "--rm", "--nesting"] + options + attack)
      _ = try withKeys(zones, ["create", "--nesting"] + options + ["a", "--", "sleep", "infinity"])
      _ = try withKeys(zones, ["start", "a"])
      let exec = try withKeys(zones, ["exec", "a"] + attack)
      for outcome in [run, exec] {
        #expect(outcome.lines.contains("own: read"), "the attack itself is wrong: \(outcome)")
        #expect(Report(lines: outcome.lines).done == [], "\(outcome)")
        #expect(outcome.lines.count { $0.contains(": refused") } == 11, "\(outcome)")
      }
      // Without nesting there are no keys at all.
      let plain = try withKeys(zones, ["run", "--rm"] + options + attack)
      #expect(
        plain.lines.count { $0.hasSuffix(": refused EPERM") } == 11 && plain.lines.last == "own: EPERM", "\(plain)")
    }
  }
}
