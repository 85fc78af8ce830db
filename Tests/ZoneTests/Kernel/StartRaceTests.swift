import Foundation
import Glibc
import Testing

/// Starts that something comes in between of: another verb, or a kill.
@Suite(.serialized, .machine, .needs(.root, .program("gcc")), .ends(within: 10))
struct StartRaceTests {
  /// `halt` and `delete --force` of a zone that is being started, at every distance from the start's beginning.
  @Test(arguments: [["halt"], ["delete", "--force", "--yes"]]) func anEndRacesWithAStart(verb: [String]) throws {
    try Zonectl.with { zones in
      let processes = Machine.processes()
      var won = [false: 0, true: 0]
      for turn in 0..<80 {
        if try zones.status("a") == nil { try zones.make("a", "installed") }
        let starting = try zones.command(["start", "a"]).start()
        _ = poll(nil, 0, Int32(turn % 20))  // not for a state: the distance of the two
        let ending = try zones.command(verb + ["a"]).start()
        let ended = try ending.finish()
        let started = try starting.finish()
        try #require(!started.timedOut && !ended.timedOut, "turn \(turn): \(started)\n\(ended)")
        try #require(ended.status == 0, "turn \(turn): \(ended)")
        // The start was there first and was ended, or came last and stands, or was told why not in one line.
        try #require(started.status == 0 || started.err.split(separator: "\n").count == 1, "turn \(turn): \(started)")
        let status = try zones.status("a")
        let state = status?.state ?? "none"
        if verb[0] == "delete" {
          try #require(state == "none", "turn \(turn): \(state)")
        } else {
          try #require(["installed", "running"].contains(state), "turn \(turn): \(state)")
        }
        let runs = state == "running"
        won[runs]! += 1
        if runs {
          #expect(kill(try #require(status?.pid), 0) == 0 && started.status == 0, "turn \(turn)")
          #expect(try zones.run("exec", "a", "true").status == 0, "turn \(turn)")
          try zones.ok("halt", "a")
        }
        try #require(
          eventually(timeout: 5) { Machine.processes() == processes },
          "turn \(turn) leaves \(Machine.processes().filter { !processes.contains($0) })")
      }
      #expect(won[false]! > 0, "none came in time: \(won)")
    }
  }

  /// Several of each at once.
  @Test func manyVerbsAtOnceLeaveAStateThatIsTrue() throws {
    try Zonectl.with { zones in
      for turn in 0..<12 {
        if try zones.status("a") == nil { try zones.make("a", "installed") }
        let verbs = [
          ["start", "a"], ["halt", "a"], ["start", "a"], ["stop", "--timeout", "1", "a"], ["start", "a"],
          ["halt", "a"],
        ]
        let all = try (verbs + (turn % 3 == 2 ? [["delete", "--force", "--yes", "a"]] : [])).map {
          try zones.command($0).start()
        }
        for one in all {
          let outcome = try one.finish()
          #expect(!outcome.timedOut && outcome.err.split(separator: "\n").count <= 1, "turn \(turn): \(outcome)")
        }
        let status = try zones.status("a")
        #expect(["installed", "running", "none"].contains(status?.state ?? "none"), "turn \(turn): \(status as Any)")
        if let pid = status?.pid { #expect(kill(pid, 0) == 0) }
        if status != nil { try zones.ok("halt", "a") }
      }
    }
  }

  /// A start that was killed between its gate and its network: the next one attaches it.
  @Test func aZoneThatWaitsWithoutANetworkGetsIt() throws {
    try Zonectl.with { zones in
      try zones.make("a", "installed", [])
      let calls = try #require(try Trace(zones.command(["start", "a"])).points.first)
      try zones.ok("halt", "a")
      var waited = 0
      for at in stride(from: 0, to: calls.count, by: max(1, calls.count / 120)) {
        let call = calls[at]
        _ = try Injection.run(zones.command(["start", "a"]), .kill, at: call)
        guard let status = try zones.status("a"), status.state == "ready" else {
          try zones.ok("halt", "a")
          continue
        }
        if status.addresses?.isEmpty != false { waited += 1 }
        try zones.ok("start", "a")
        let address = try #require(try zones.status("a")?.addresses?.first, "killed at \(call)")
        let routes = try zones.ok("exec", "a", "cat", "/proc/net/fib_trie", "/proc/net/route").out
        #expect(routes.contains(address) && routes.contains("eth0"), "killed at \(call): \(routes)")
        try zones.ok("halt", "a")
      }
      #expect(waited > 0, "no kill came between the gate and the network")
    }
  }
}
