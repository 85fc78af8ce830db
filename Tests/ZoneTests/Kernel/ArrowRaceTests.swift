import Foundation
import Glibc
import Testing

/// Several commands at once: the lock of a zone makes one win, and nothing is done twice.
@Suite(.serialized, .machine, .needs(.root), .ends(within: 5)) struct ArrowRaceTests {
  private func atOnce(_ zones: Zonectl, _ commands: [[String]]) throws -> [Outcome] {
    let running = try commands.map { try zones.command($0).start() }
    return try running.map { try $0.finish(timeout: 60) }
  }

  @Test func aZoneIsMadeOnce() throws {
    try Zonectl.with { zones in
      let create = ["create", "--network", "none", "a", "--", "sleep", "infinity"]
      let outcomes = try atOnce(zones, Array(repeating: create, count: 6))
      #expect(outcomes.count { $0.status == 0 } == 1, "\(outcomes)")
      #expect(try zones.state("a") == "installed")
    }
  }

  @Test func aZoneIsStartedOnce() throws {
    try Zonectl.with { zones in
      try zones.make("a", "installed", command: ["sh", "-c", "echo started; exec sleep infinity"])
      let outcomes = try atOnce(zones, Array(repeating: ["start", "a"], count: 6))
      #expect(outcomes.count { $0.status == 0 } == 1, "\(outcomes)")
      #expect(try zones.state("a") == "running")
      #expect(try zones.ok("logs", "a").lines == ["started"])
    }
  }

  @Test func startsAndHaltsAndDeletesMixed() throws {
    try Zonectl.with { zones in
      for _ in 0..<8 {
        try zones.make("a", "installed")
        let outcomes = try atOnce(
          zones, [["start", "a"], ["halt", "a"], ["start", "a"], ["delete", "--force", "--yes", "a"], ["list"]])
        for outcome in outcomes { #expect(!outcome.timedOut && [0, 1].contains(outcome.status), "\(outcome)") }
        if try zones.status("a") != nil { try zones.ok("delete", "--force", "--yes", "a") }
        #expect(try zones.list().isEmpty)
      }
    }
  }

  @Test func tenZonesStartedAtOnceHaveTenAddresses() throws {
    try Zonectl.with { zones in
      let names = (0..<10).map { "many\($0)" }
      let outcomes = try atOnce(zones, names.map { ["run", "-d", "--name", $0, "--", "sleep", "infinity"] })
      for outcome in outcomes { #expect(outcome.status == 0, "\(outcome)") }
      let list = try zones.list()
      #expect(list.count == 10 && list.allSatisfy { $0.state == "running" })
      #expect(Set(list.compactMap { $0.addresses?.first }).count == 10)
      let deleted = try atOnce(zones, names.map { ["delete", "--force", "--yes", $0] })
      for outcome in deleted { #expect(outcome.status == 0, "\(outcome)") }
    }
  }

  @Test func tenThrowAwayZonesAtOnce() throws {
    try Zonectl.with { zones in
      let run = ["run", "--rm", "--network", "none", "--", "echo", "ran"]
      for outcome in try atOnce(zones, Array(repeating: run, count: 10)) {
        #expect(outcome.status == 0 && outcome.text == "ran", "\(outcome)")
      }
      #expect(try zones.list().isEmpty)
    }
  }

  @Test func listIsNeverHalf() throws {
    try Zonectl.with { zones in
      let busy = try Command(
        ["sh", "-c", "for i in 1 2 3 4 5 6 7 8; do \"$@\" run --rm --network none --name x -- true; done", "sh"]
          + zones.command([]).argv
      ).start()
      while busy.isRunning {
        let outcome = try zones.run("list", "-o", "json")
        #expect(outcome.status == 0, "\(outcome)")
        #expect((try? JSONDecoder().decode([Listed].self, from: outcome.output)) != nil, "\(outcome)")
      }
      #expect(try busy.finish().status == 0)
    }
  }

  @Test func explainDoesNothing() throws {
    try Zonectl.with { zones in
      let before = try Machine.snapshot()
      let outcome = try zones.ok(
        "explain", "-v", "data:/data", "-p", "18090:80", "--memory", "64M", "a", "--", "sh", "-c", "echo hi")
      for word in ["user", "pivot", "67108864", "filter", "18090", "CAP_CHOWN", "echo hi"] {
        #expect(outcome.out.contains(word), "\(word) is not explained")
      }
      #expect(try before.differences(to: Machine.snapshot()) == [])
      #expect(try zones.list().isEmpty)
      try zones.make("b")
      let state = try zones.status("b")
      try zones.ok("explain", "b")
      #expect(try zones.status("b")?.startId == state?.startId)
    }
  }
}
