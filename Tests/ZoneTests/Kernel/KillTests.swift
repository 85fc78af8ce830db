import Foundation
import Glibc
import Testing

/// `kill -9` of everything that can be killed: what is left must be right, and a way out.
@Suite(.serialized, .machine, .needs(.root), .ends(within: 5)) struct KillTests {
  @Test func theFirstProcessIsBackByItsPolicyAndStartedOnce() throws {
    try Zonectl.with { zones in
      try zones.make(
        "a", "running", ["--network", "none", "--restart", "always"],
        command: ["sh", "-c", "echo started; exec sleep infinity"])
      let before = try #require(try zones.status("a"))
      let begun = Date()
      kill(try #require(before.pid), SIGKILL)
      let after = try eventually(
        timeout: 10,
        value: { () -> Listed? in
          guard let status = try zones.status("a"), status.state == "running", status.pid != before.pid else {
            return nil
          }
          return status
        })
      #expect(Date().timeIntervalSince(begun) < 5)
      #expect(after?.restarts == 1)
      #expect(after?.startId != before.startId)
      #expect(try eventually { try zones.ok("logs", "a").lines == ["started", "started"] })
      #expect(try zones.status("a")?.exit?.signal == Int(SIGKILL))
    }
  }

  @Test func withoutAPolicyTheSignalIsTold() throws {
    try Zonectl.with { zones in
      try zones.make("a")
      kill(try #require(try zones.status("a")?.pid), SIGKILL)
      try zones.expect("a", becomes: "installed")
      #expect(try zones.status("a")?.exit == Listed.Exit(code: nil, signal: Int(SIGKILL), oomKilled: false))
      #expect(try zones.ok("wait", "a").text.hasPrefix("137"))
    }
  }

  @Test func killSendsASignalByNameOrNumber() throws {
    try Zonectl.with { zones in
      for (name, number) in [("INT", SIGINT), ("SIGUSR2", SIGUSR2), ("9", SIGKILL)] {
        try zones.make("a")
        try zones.ok("kill", "a", name)
        try zones.expect("a", becomes: "installed")
        #expect(try zones.status("a")?.exit?.signal == Int(number))
        try zones.ok("delete", "--yes", "a")
      }
      try zones.make("a")
      try zones.refused("kill", "a", "NONSENSE", status: 2)
      #expect(try zones.state("a") == "running")
    }
  }

  @Test func everyProcessOfAZoneEndsWithIt() throws {
    try Zonectl.with { zones in
      // A grandchild in a session of its own, whose parent has ended.
      try zones.make("a", command: ["sh", "-c", "(setsid sleep 1234567 &) ; sleep infinity"])
      let orphan = try eventually(value: { try pids(of: "sleep 1234567").first })
      let pid = try #require(orphan)
      try zones.ok("halt", "a")
      #expect(eventually { kill(pid, 0) != 0 })
    }
  }

  @Test func theKeeperTakesItsZoneAlong() throws {
    try Zonectl.with { zones in
      try zones.make("a", "running", ["--network", "none", "--restart", "always"])
      let status = try #require(try zones.status("a"))
      kill(try #require(status.keeper), SIGKILL)
      let pid = try #require(status.pid)
      #expect(eventually(timeout: 5) { kill(pid, 0) != 0 })
      #expect(try zones.state("a") != "running")
      try zones.ok("start", "a")
      #expect(try zones.status("a")?.pid != pid)
    }
  }

  @Test func theKeeperOutlivesItsCallersSession() throws {
    try Zonectl.with { zones in
      try zones.make("a", "installed")
      // The caller's session leader dies, and its terminal with it.
      let command = zones.command(["start", "a"])
      let terminal = try Terminal(Command(["sh", "-c", command.argv.joined(separator: " ") + "; kill -9 $$"]))
      #expect(terminal.wait() == 137)
      #expect(try zones.state("a") == "running")
      let keeper = try #require(try zones.status("a")?.keeper)
      #expect(getsid(keeper) != terminal.pid)
    }
  }
}

/// `zonectl` and what it starts killed at their system calls: `list` is right afterwards, `delete` works, nothing is left.
enum KilledAtCalls {
  static let verbs = ["create", "start", "run"]

  /// Kills `verb` at the calls that `chosen` picks of all, each in a world of its own kind.
  /// - Parameter children: the calls of what it starts, and not its own.
  static func walk(_ verb: String, children: Bool, _ chosen: ([CallPoint]) -> [CallPoint]) throws {
    try Zonectl.with { zones in
      // A command that ends by itself, so that all that a zone's processes do is seen.
      let options = ["--network", "none"]
      let words: [String] =
        switch verb {
        case "create": ["create"] + options + ["a", "--", "true"]
        case "start": ["start", "a"]
        default: ["run"] + options + ["--name", "a", "--", "true"]
        }
      // The first one makes what is made once for all zones (the copy of /etc, the filter), thousands of calls that those
      // to be killed do not come by.
      let points = try Trace.shortest {
        if verb == "start" { try zones.make("a", "installed", command: ["true"]) }
        let trace = try Trace(zones.command(words), following: children)
        try zones.ok("delete", "--force", "--yes", "a")
        return trace
      }.points
      let calls = children ? Array(points.dropFirst().joined()) : points[0]
      #expect(calls.count > 10)
      let processes = Machine.processes()
      let chosen = chosen(calls)
      var hits = 0
      for call in chosen {
        let what = "\(verb) killed at \(call)"
        if verb == "start" { try zones.make("a", "installed", command: ["true"]) }
        let (outcome, hit) = try Injection.run(zones.command(words), .kill, at: call)
        if hit != nil { hits += 1 }
        #expect(!outcome.timedOut, "\(what) hangs")
        let list = try zones.command(["list", "-o", "json"]).run()
        try #require(list.status == 0, "\(what): \(list)")
        if let status = try zones.status("a") {
          if let wrong = try zones.untruth(of: status) { Issue.record("\(what): \(wrong)") }
          let delete = try zones.run("delete", "--force", "--yes", "a")
          try #require(delete.status == 0, "\(what): \(delete)")
        }
        #expect(try zones.list().isEmpty)
        let left = { Machine.processes().filter { !processes.contains($0) } }
        #expect(eventually(timeout: 5) { left().isEmpty }, "\(what) leaves \(left())")
      }
      #expect(hits * 10 >= chosen.count * 8, "of \(chosen.count) calls of \(verb) only \(hits) were hit")
    }
  }
}

@Suite(.serialized, .machine, .needs(.root, .program("gcc")), .ends(within: 10))
struct KillAtCallsTests {
  @Test(arguments: KilledAtCalls.verbs) func aSpreadOfCalls(verb: String) throws {
    try KilledAtCalls.walk(verb, children: false) { $0.spread(25) }
  }

  /// The very first start, which makes what is made once for all zones: whatever a kill leaves of that, the next start is
  /// as good as ever.
  @Test func aSpreadOfCallsOfTheVeryFirstStart() throws {
    var calls: [CallPoint] = []
    try Zonectl.with { zones in
      try zones.make("a", "installed")
      calls = try Trace(zones.command(["start", "a"])).points[0]
    }
    for call in calls.spread(12) {
      try Zonectl.with { zones in
        try zones.make("a", "installed")
        _ = try Injection.run(zones.command(["start", "a"]), .kill, at: call)
        let state = try zones.state("a")
        if state != "running" { try zones.ok("start", "a") }
        #expect(try zones.ok("exec", "a", "cat", "/etc/hosts").out.contains("localhost"), "killed at \(call)")
      }
    }
  }
}

@Suite(.serialized, .machine, .needs(.root, .program("gcc")), .ends(within: 60))
struct LongKillAtCallsTests {
  @Test(arguments: KilledAtCalls.verbs) func everyCall(verb: String) throws {
    try KilledAtCalls.walk(verb, children: false) { $0 }
  }

  @Test(arguments: ["start", "run"]) func everyCallOfWhatItStarts(verb: String) throws {
    try KilledAtCalls.walk(verb, children: true) { $0 }
  }
}

/// Processes whose command line is exactly that.
func pids(of commandLine: String) throws -> [Int32] {
  try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { entry in
    guard let pid = Int32(entry), let line = contents("/proc/\(pid)/cmdline") else { return nil }
    let words = line.split(separator: "\0").joined(separator: " ")
    return words == commandLine ? pid : nil
  }
}
