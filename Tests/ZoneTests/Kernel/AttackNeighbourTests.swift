import Foundation
import Glibc
import Testing

/// Who may speak to a keeper: root, and the zone's owner.
@Suite(.serialized, .machine, .needs(.root, .ordinaryUser, .program("gcc")), .ends(within: 5))
struct AttackNeighbourTests {
  @Test func aNeighbourOnTheKeepersSocketIsRefused() throws {
    try Zonectl.with { zones in
      try zones.make("a")
      let run = "\(zones.root)/run/a"
      let program = try Attack.build("neighbour", into: zones.folder + "/attacks")
      // The root of another zone, to whom the run directory was given: its ids are mapped, so nothing else is in the way.
      let zone = try zones.command(
        [
          "run", "--rm", "--network", "none", "-v", "\(zones.folder)/attacks:/attacks:ro", "-v", "\(run):/neighbour",
          "--",
        ]
          + ["/attacks/neighbour", "/neighbour/keeper.sock"]
      ).run()
      #expect(zone.lines == ["way in: hung up"], "\(zone)")
      // Another user of the host, to whom the way was left open.
      for path in [zones.root, "\(zones.root)/run", run] { chmod(path, 0o755) }
      chmod(run + "/keeper.sock", 0o666)
      let user = try Command(OrdinaryUser.prefix + [program, run + "/keeper.sock"]).run()
      #expect(user.lines == ["way in: hung up"], "\(user)")
      #expect(try zones.state("a") == "running")
      // The one who may is answered: it was the keeper that refused.
      #expect(try Command(program, run + "/keeper.sock", "ask").run().lines == ["way in: given"])
      for path in [zones.root, "\(zones.root)/run", run] { chmod(path, 0o700) }
    }
  }

  /// The way in is what the keeper hands out: a number on disk may be another process's by now.
  @Test func aWrongPidOnDiskDoesNotLeadIntoAnotherZone() throws {
    try Zonectl.with { zones in
      try zones.make("a")
      try zones.make("b")
      let record = "\(zones.root)/run/a/keeper.json"
      let number = { (zone: String) throws -> String in
        let text = contents("\(zones.root)/run/\(zone)/keeper.json") ?? ""
        return try #require(text.firstMatch(of: /"init":(\d+)/)).output.1.description
      }
      let (own, other) = (try number("a"), try number("b"))
      let text = try #require(contents(record))
      let replaced = text.replacingOccurrences(of: "\"init\":\(own)", with: "\"init\":\(other)")
      try #require(replaced != text)
      try replaced.write(toFile: record, atomically: false, encoding: .utf8)
      #expect(try zones.ok("exec", "a", "hostname").text == "a")
      try "x".write(toFile: zones.folder + "/copied", atomically: false, encoding: .utf8)
      try zones.ok("cp", zones.folder + "/copied", "a:/tmp/copied")
      #expect(try zones.run("exec", "b", "test", "-e", "/tmp/copied").status == 1)
      #expect(try zones.run("exec", "a", "test", "-e", "/tmp/copied").status == 0)
    }
  }
}
