import Foundation
import Glibc
import Testing

/// Every arrow of the table of states: from each state by each verb to where the table says, and what the table does
/// not have is refused without a change.
@Suite(.serialized, .machine, .needs(.root), .ends(within: 5)) struct ArrowTests {
  // MARK: to installed

  @Test func configureWritesASpecAndCreateMakesIt() throws {
    try Zonectl.with { zones in
      try zones.make("a", "configured")
      #expect(try zones.status("a")?.pid == nil)
      // Merely configured, the spec may be replaced.
      try zones.ok("configure", "--network", "none", "a", "--", "sleep", "77")
      try zones.ok("create", "a")
      #expect(try zones.state("a") == "installed")
      #expect(try zones.ok("show", "a").out.contains("77"))
    }
  }

  @Test func createFromNothingAndNotTwice() throws {
    try Zonectl.with { zones in
      try zones.make("a", "installed")
      #expect(try zones.refused("create", "--network", "none", "a", "--", "true").contains("a"))
      #expect(try zones.refused("configure", "--network", "none", "a", "--", "true").contains("a"))
      #expect(try zones.state("a") == "installed")
    }
  }

  // MARK: to ready and running

  @Test func readyWaitsAtTheGate() throws {
    try Zonectl.with { zones in
      try zones.make("a", "ready", command: ["sh", "-c", "echo through; sleep infinity"])
      let status = try #require(try zones.status("a"))
      let pid = try #require(status.pid)
      let keeper = try #require(status.keeper)
      #expect(kill(pid, 0) == 0)
      #expect(kill(keeper, 0) == 0)
      #expect(try zones.ok("logs", "a").out.isEmpty)
      try zones.ok("start", "a")
      #expect(try zones.state("a") == "running")
      #expect(try zones.status("a")?.keeper == keeper, "the keeper that stood is the one that runs it")
      #expect(try eventually { try zones.ok("logs", "a").text == "through" })
    }
  }

  @Test(arguments: ["start", "boot"]) func startGoesAllTheWay(verb: String) throws {
    try Zonectl.with { zones in
      try zones.make("a", "installed")
      try zones.ok(verb, "a")
      let pid = try #require(try zones.status("a")?.pid)
      // "started" means that the command was executed, not that it will be.
      #expect(contents("/proc/\(pid)/comm") == "sleep\n")
    }
  }

  @Test func bootAllStartsThoseWithAutostartOnly() throws {
    try Zonectl.with { zones in
      try zones.make("a", "installed", ["--network", "none", "--autostart"])
      try zones.make("b", "installed")
      try zones.make("c", "installed", ["--network", "none", "--autostart"])
      try zones.ok("boot", "--all")
      #expect(try zones.list().map(\.state) == ["running", "installed", "running"])
      // Again, as after a unit's restart: those that run are fine.
      try zones.ok("boot", "--all")
    }
  }

  // MARK: the first process ends

  @Test(arguments: [0, 1, 42]) func theEndLeadsBackToInstalled(code: Int) throws {
    try Zonectl.with { zones in
      try zones.make("a", "installed", command: ["sh", "-c", "exit \(code)"])
      try zones.ok("start", "a")
      try zones.expect("a", becomes: "installed")
      #expect(try zones.status("a")?.exit == Listed.Exit(code: code, signal: nil, oomKilled: false))
      #expect(try zones.ok("wait", "a").text == "\(code)")
    }
  }

  @Test func aPolicyLeadsBackToRunning() throws {
    try Zonectl.with { zones in
      try zones.make(
        "a", "installed", ["--network", "none", "--restart", "always"], command: ["sh", "-c", "echo once; exit 3"])
      try zones.ok("start", "a")
      #expect(try eventually { try zones.status("a")?.restarts ?? 0 >= 2 })
      #expect(try eventually { try zones.ok("logs", "a").lines.count >= 3 })
      try zones.ok("stop", "a")
      #expect(try zones.state("a") == "installed")
    }
  }

  @Test func onFailureGivesUpAfterItsTries() throws {
    try Zonectl.with { zones in
      try zones.make(
        "a", "installed", ["--network", "none", "--restart", "on-failure:2"],
        command: ["sh", "-c", "echo once; exit 3"])
      try zones.ok("start", "a")
      let gaveUp = try eventually(timeout: 20) {
        try zones.ok("logs", "a").lines.count >= 3 && zones.state("a") == "installed"
      }
      #expect(gaveUp)
      #expect(try zones.ok("logs", "a").lines == ["once", "once", "once"])
      #expect(try zones.status("a")?.exit?.code == 3)
    }
  }

  @Test func onFailureLeavesASuccessAlone() throws {
    try Zonectl.with { zones in
      try zones.make("a", "installed", ["--network", "none", "--restart", "on-failure"], command: ["true"])
      try zones.ok("start", "a")
      try zones.expect("a", becomes: "installed")
      #expect(try zones.status("a")?.restarts == 0)
    }
  }

  // MARK: out of running

  @Test(arguments: ["ready", "running", "frozen"]) func stopEnds(state: String) throws {
    try Zonectl.with { zones in
      try zones.make("a", state)
      try zones.ok("stop", "--timeout", "5", "a")
      #expect(try zones.state("a") == "installed")
      try zones.ok("stop", "a")
      try zones.ok("start", "a")
      #expect(try zones.state("a") == "running")
    }
  }

  @Test(arguments: ["ready", "running", "frozen"]) func haltEnds(state: String) throws {
    try Zonectl.with { zones in
      try zones.make("a", state)
      try zones.ok("halt", "a")
      #expect(try zones.state("a") == "installed")
      try zones.ok("start", "a")
      #expect(try zones.state("a") == "running")
    }
  }

  @Test func stopSendsTheStopSignalAndWaits() throws {
    try Zonectl.with { zones in
      try zones.make(
        "a", "running", ["--network", "none", "--stop-signal", "USR1"],
        command: ["sh", "-c", "trap 'echo told; exit 5' USR1; echo trapped; while :; do sleep 0.05; done"])
      #expect(try eventually { try zones.ok("logs", "a").text == "trapped" })
      try zones.ok("stop", "a")
      #expect(try zones.status("a")?.exit?.code == 5)
      #expect(try zones.ok("logs", "a").lines == ["trapped", "told"])
    }
  }

  @Test func stopKillsAfterTheGrace() throws {
    try Zonectl.with { zones in
      try zones.make(
        "a", "running", ["--network", "none", "--stop-timeout", "1"],
        command: ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.05; done"])
      #expect(try eventually { try zones.ok("logs", "a").text == "deaf" })
      let begun = Date()
      try zones.ok("stop", "a")
      let took = Date().timeIntervalSince(begun)
      #expect(took >= 0.9 && took < 6, "took \(took) s")
      #expect(try zones.status("a")?.exit?.signal == Int(SIGKILL))
    }
  }

  @Test func haltCutsAStopShort() throws {
    try Zonectl.with { zones in
      try zones.make("a", "running", command: ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.05; done"])
      #expect(try eventually { try zones.ok("logs", "a").text == "deaf" })
      let stopping = try zones.command(["stop", "--timeout", "60", "a"]).start()
      try zones.expect("a", becomes: "shutting_down")
      try zones.ok("halt", "a")
      #expect(try stopping.finish(timeout: 10).timedOut == false)
      #expect(try zones.state("a") == "installed")
    }
  }

  @Test func aStoppedZoneWithAPolicyStaysStopped() throws {
    try Zonectl.with { zones in
      try zones.make("a", "running", ["--network", "none", "--restart", "always"])
      let keeper = try #require(try zones.status("a")?.keeper)
      try zones.ok("halt", "a")
      #expect(try zones.state("a") == "installed")
      // The keeper is what would restart it, and it is gone.
      #expect(eventually { kill(keeper, 0) != 0 })
      #expect(try zones.state("a") == "installed")
    }
  }

  @Test func restartIsStopAndStart() throws {
    try Zonectl.with { zones in
      try zones.make("a")
      let before = try #require(try zones.status("a"))
      try zones.ok("restart", "a")
      let after = try #require(try zones.status("a"))
      #expect(after.state == "running")
      #expect(after.pid != before.pid)
      #expect(after.startId != before.startId)
    }
  }

  @Test func pauseFreezesAndResumeGoesOn() throws {
    try Zonectl.with { zones in
      try zones.make("a", "running", command: ["sh", "-c", "while :; do :; done"])
      let pid = try #require(try zones.status("a")?.pid)
      try zones.ok("pause", "a")
      #expect(try zones.state("a") == "frozen")
      let frozen = cpuTicks(of: pid)
      // As long as another process gets a tenth of a second of CPU time, the frozen one gets none.
      try Command.text("sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")
      #expect(cpuTicks(of: pid) == frozen)
      try zones.ok("resume", "a")
      #expect(try zones.state("a") == "running")
      #expect(eventually { cpuTicks(of: pid) > frozen })
    }
  }

  // MARK: to none

  @Test(arguments: ["configured", "installed"]) func deleteEndsWhatDoesNotLive(state: String) throws {
    try Zonectl.with { zones in
      try zones.make("a", state)
      try zones.ok("delete", "--yes", "a")
      #expect(try zones.list().isEmpty)
      try zones.make("a", "installed")
    }
  }

  @Test(arguments: ["ready", "running", "frozen"]) func deleteOfALiveZoneNeedsForce(state: String) throws {
    try Zonectl.with { zones in
      try zones.make("a", state)
      #expect(try zones.refused("delete", "--yes", "a").contains("--force"))
      #expect(try zones.state("a") == state)
      try zones.ok("delete", "--yes", "--force", "a")
      #expect(try zones.list().isEmpty)
    }
  }

  // MARK: what the table does not have

  @Test(arguments: [
    ("none", "ready"), ("none", "start"), ("none", "stop"), ("none", "halt"), ("none", "pause"), ("none", "resume"),
    ("none", "delete"), ("none", "show"), ("none", "exec"), ("none", "kill"), ("none", "wait"), ("none", "restart"),
    ("configured", "ready"), ("configured", "start"), ("configured", "pause"), ("configured", "resume"),
    ("configured", "exec"), ("configured", "kill"),
    ("installed", "pause"), ("installed", "resume"), ("installed", "exec"), ("installed", "kill"),
    ("ready", "ready"), ("ready", "pause"), ("ready", "resume"), ("ready", "create"),
    ("running", "ready"), ("running", "start"), ("running", "resume"), ("running", "create"),
    ("frozen", "ready"), ("frozen", "start"), ("frozen", "pause"), ("frozen", "create"),
  ])
  func refusedWithoutAChange(state: String, verb: String) throws {
    try Zonectl.with { zones in
      if state != "none" { try zones.make("a", state) }
      let before = try zones.status("a")
      var words = [verb, "a"]
      if verb == "exec" { words.append("true") }
      if verb == "delete" { words.append("--yes") }
      let outcome = try zones.command(words).run()
      #expect(outcome.status == (verb == "exec" ? 125 : 1), "\(outcome)")
      #expect(outcome.err.split(separator: "\n").count == 1, "an error is one line: \(outcome)")
      let after = try zones.status("a")
      #expect(after?.state == before?.state)
      #expect(after?.pid == before?.pid)
      #expect(after?.startId == before?.startId)
    }
  }
}

/// User and system time of a process, in clock ticks (proc(5), fields 14 and 15 of stat).
func cpuTicks(of pid: Int32) -> Int {
  guard let stat = contents("/proc/\(pid)/stat"), let end = stat.lastIndex(of: ")") else { return 0 }
  let fields = stat[stat.index(after: end)...].split(separator: " ")
  return fields.count > 12 ? (Int(fields[11]) ?? 0) + (Int(fields[12]) ?? 0) : 0
}
