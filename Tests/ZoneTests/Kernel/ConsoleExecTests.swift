import Foundation
import Glibc
import Testing

/// What goes in and out of a zone's processes: statuses, streams, terminals, logs.
@Suite(.serialized, .machine, .needs(.root), .ends(within: 5)) struct ConsoleExecTests {
  @Test(arguments: ["run", "exec"]) func statusesArePassedOn(verb: String) throws {
    try Zonectl.with { zones in
      try zones.make("a")
      let start = verb == "run" ? ["run", "--rm", "--network", "none", "--"] : ["exec", "a", "--"]
      let wanted: [([String], Int32)] = [
        (["sh", "-c", "exit 0"], 0), (["sh", "-c", "exit 1"], 1), (["sh", "-c", "exit 255"], 255),
        (["sh", "-c", "kill -9 $$"], 137), (["sh", "-c", "kill -TERM $$"], 143), (["/etc/passwd"], 126),
        (["/no/such"], 127), (["no-such-program"], 127),
      ]
      for (words, status) in wanted {
        let outcome = try zones.command(start + words).run()
        #expect(outcome.status == status, "\(outcome)")
      }
    }
  }

  @Test(arguments: ["run", "exec"]) func streamsAreKeptApart(verb: String) throws {
    try Zonectl.with { zones in
      try zones.make("a")
      let start = verb == "run" ? ["run", "--rm", "-i", "--network", "none", "--"] : ["exec", "-i", "a", "--"]
      let bytes = Data((0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ ($0 >> 8)) })
      var command = zones.command(start + ["sh", "-c", "cat; echo problem >&2"])
      command.input = bytes
      let outcome = try command.run()
      #expect(outcome.status == 0)
      #expect(outcome.output == bytes, "got \(outcome.output.count) of \(bytes.count) bytes")
      #expect(outcome.err == "problem\n")
    }
  }

  @Test func withoutInteractiveInputIsEmpty() throws {
    try Zonectl.with { zones in
      try zones.make("a")
      #expect(try zones.run("exec", "a", "cat", input: "unwanted").out.isEmpty)
      #expect(try zones.run("run", "--rm", "--network", "none", "--", "cat", input: "unwanted").out.isEmpty)
    }
  }

  @Test func execHasTheZonesSurroundings() throws {
    try Zonectl.with { zones in
      try zones.make("a", "running", ["--network", "none", "-e", "MODE=slow", "--hostname", "other"])
      let outcome = try zones.ok(
        "exec", "-e", "MORE=1", "-w", "/usr", "-u", "nobody", "a", "--", "sh", "-c",
        "echo $MODE $MORE $(pwd) $(id -u) $(hostname)")
      #expect(outcome.text == "slow 1 /usr 65534 other")
    }
  }

  @Test func execHasTheSameWalls() throws {
    try Zonectl.with { zones in
      try zones.make("a", "running", command: ["sh", "-c", "cat /proc/self/status; exec sleep infinity"])
      let wall = { (text: String) in
        text.split(separator: "\n").filter { line in
          ["Cap", "NoNewPrivs", "Seccomp", "Groups"].contains { line.hasPrefix($0) }
        }
      }
      #expect(try eventually { wall(try zones.ok("logs", "a").out).count >= 9 })
      let first = wall(try zones.ok("logs", "a").out)
      let second = wall(try zones.ok("exec", "a", "cat", "/proc/self/status").out)
      #expect(first == second)
      let namespaces = "for n in cgroup ipc mnt net pid user uts; do readlink /proc/self/ns/$n; done"
      let inside = try zones.ok("exec", "a", "sh", "-c", namespaces).lines
      let pid = try #require(try zones.status("a")?.pid)
      let zone = try Command("sh", "-c", namespaces.replacingOccurrences(of: "self", with: "\(pid)")).run().lines
      #expect(inside == zone && inside.count == 7)
      let host = try Command("sh", "-c", namespaces).run().lines
      for (mine, theirs) in zip(inside, host) { #expect(mine != theirs) }
    }
  }

  @Test func execIsInTheZonesGroups() throws {
    try Zonectl.with { zones in
      try zones.make("a", "running", ["--network", "none", "--memory", "64M", "--pids", "50"])
      let pid = try #require(try zones.status("a")?.pid)
      let running = try zones.command(["exec", "a", "sleep", "7654321"]).start()
      let inside = try eventually(value: { try pids(of: "sleep 7654321").first })
      let exec = try #require(inside)
      #expect(contents("/proc/\(exec)/cgroup") == contents("/proc/\(pid)/cgroup"))
      running.signal(SIGTERM)
      // The command in the zone ends with the exec that asked for it.
      let outcome = try running.finish(timeout: 10)
      #expect(outcome.status == 143, "\(outcome)")
      #expect(eventually { kill(exec, 0) != 0 })
    }
  }

  @Test func aTimeoutOfExecKills() throws {
    try Zonectl.with { zones in
      try zones.make("a")
      let outcome = try zones.run("exec", "--timeout", "0.5", "a", "sleep", "7654322")
      #expect(outcome.status == 125, "\(outcome)")
      #expect(try eventually { try pids(of: "sleep 7654322").isEmpty })
    }
  }

  // MARK: terminals

  @Test(arguments: ["run", "exec"]) func aTerminalResizesAndInterrupts(verb: String) throws {
    try Zonectl.with { zones in
      try zones.make("a")
      let terminal =
        try verb == "run"
        ? zones.terminal("run", "--rm", "-it", "--network", "none", "--", "sh", rows: 31, columns: 99)
        : zones.terminal("exec", "-it", "a", "sh", rows: 31, columns: 99)
      terminal.type("echo at-$(stty size)\n")
      #expect(terminal.shows("at-31 99"), "\(terminal.screen)")
      try terminal.resize(rows: 50, columns: 132)
      #expect(
        eventually {
          terminal.type("echo at-$(stty size)\n")
          return terminal.shows("at-50 132", timeout: 1)
        }, "\(terminal.screen)")
      terminal.type("sleep 7654320; echo ended-$?\n")
      #expect(try eventually { try pids(of: "sleep 7654320").isEmpty == false })
      terminal.type("\u{3}")
      #expect(
        eventually { (try? pids(of: "sleep 7654320").isEmpty) == true }, "Ctrl-C does not reach it: \(terminal.screen)")
      terminal.type("exit 5\n")
      #expect(terminal.wait() == 5, "\(terminal.screen)")
    }
  }

  @Test func aHangupOfTheTerminalIsNoEndOfAZone() throws {
    try Zonectl.with { zones in
      do {
        let terminal = try zones.terminal(
          "run", "-it", "--name", "a", "--network", "none", "--", "sh", "-c", "echo up; sleep infinity")
        #expect(terminal.shows("up"), "\(terminal.screen)")
      }
      // The terminal is gone and zonectl with it; the keeper holds the zone.
      #expect(try zones.state("a") == "running")
    }
  }

  /// What a command says at once comes as soon as the news that it runs: both are for who started it. Many at once, so
  /// that the keeper is held up between them.
  @Test func whatIsSaidAtOnceIsShown() throws {
    try Zonectl.with { zones in
      for round in 0..<8 {
        let terminals = try (0..<12).map { number in
          try zones.terminal("run", "-it", "--rm", "--network", "none", "--", "sh", "-c", "echo up-\(number); read x")
        }
        for (number, terminal) in terminals.enumerated() {
          try #require(terminal.shows("up-\(number)\r\n"), "round \(round): \(terminal.screen)")
          terminal.type("\n")
        }
        for terminal in terminals { #expect(terminal.wait(timeout: 30) == 0, "\(terminal.screen)") }
      }
    }
  }

  @Test func detachKeysLeaveAndAttachComesBack() throws {
    try Zonectl.with { zones in
      let terminal = try zones.terminal("run", "-it", "--name", "a", "--network", "none", "--", "sh")
      terminal.type("echo first-$((1+1))\n")
      #expect(terminal.shows("first-2"), "\(terminal.screen)")
      terminal.type("\u{10}\u{11}")
      #expect(terminal.wait() == 0, "\(terminal.screen)")
      #expect(try zones.state("a") == "running")
      let again = try zones.terminal("attach", "a")
      again.type("echo second-$((1+1))\n")
      #expect(again.shows("second-2"), "\(again.screen)")
      again.type("exit 6\n")
      #expect(again.wait() == 6, "\(again.screen)")
      try zones.expect("a", becomes: "installed")
    }
  }

  @Test func theTerminalIsAsItWasAfterwards() throws {
    try Zonectl.with { zones in
      let words = zones.command(["run", "--rm", "-it", "--network", "none", "--", "sh", "-c", "exit 0"]).argv.joined(
        separator: " ")
      var command = zones.command([])
      command.argv = ["sh", "-c", "stty -a > before; \(words); stty -a > after; cmp before after && echo same"]
      let terminal = try Terminal(command)
      #expect(terminal.shows("same"), "\(terminal.screen)")
    }
  }

  @Test func aTerminalWithoutOneIsRefused() throws {
    try Zonectl.with { zones in
      let line = try zones.refused("run", "--rm", "-it", "--network", "none", "--", "true", status: 125)
      #expect(line.contains("terminal"))
      #expect(try zones.list().isEmpty)
    }
  }

  @Test func loginGivesALoginShell() throws {
    try Zonectl.with { zones in
      try zones.make("a")
      let terminal = try zones.terminal("login", "a")
      terminal.type("shopt -q login_shell && echo login-$(pwd)-$(id -un)\n")
      #expect(terminal.shows("login-/root-root"), "\(terminal.screen)")
      terminal.type("exit\n")
      #expect(terminal.wait() == 0)
    }
  }

  // MARK: logs

  @Test func logsAreWhatWasWritten() throws {
    try Zonectl.with { zones in
      try zones.make(
        "a", "running", command: ["sh", "-c", "echo out1; echo err >&2; echo out2; printf last; exec sleep infinity"])
      // Two streams have no order between them, each has its own.
      let whole = { (text: String) in text.filter { $0 != "\n" }.count == "out1errout2last".count }
      #expect(try eventually { whole(try zones.ok("logs", "a").out) })
      let log = try zones.ok("logs", "a").out
      #expect(log.contains("err\n"))
      #expect(log.replacingOccurrences(of: "err\n", with: "").hasPrefix("out1\nout2\nlast"), "\(log)")
      try zones.ok("restart", "a")
      #expect(try eventually { try zones.ok("logs", "a").out.components(separatedBy: "out1\n").count == 3 })
      try zones.ok("halt", "a")
      #expect(try zones.ok("logs", "--tail", "1", "a").lines.count == 1)
    }
  }

  @Test func logsFollow() throws {
    try Zonectl.with { zones in
      try zones.make(
        "a", "running",
        command: ["sh", "-c", "echo one; while [ ! -e /tmp/go ]; do sleep 0.05; done; echo two; exec sleep infinity"])
      let follower = try zones.command(["logs", "-f", "a"]).start()
      #expect(follower.readUntil { $0 == "one\n" })
      try zones.ok("exec", "a", "touch", "/tmp/go")
      #expect(follower.readUntil { $0 == "one\ntwo\n" })
      try zones.ok("delete", "--force", "--yes", "a")
      #expect(try follower.finish(timeout: 10).timedOut == false, "it ends with the zone's deletion")
    }
  }

  @Test func aFloodOfLogsIsRotatedAndBlocksNobody() throws {
    try Zonectl.with { zones in
      try zones.make(
        "a", "installed",
        command: ["sh", "-c", "head -c 100000000 /dev/zero | tr '\\0' 'x' | fold -w 99; echo; echo last"])
      try zones.ok("start", "a")
      try zones.expect("a", becomes: "installed", timeout: 60)
      #expect(try zones.ok("logs", "--tail", "1", "a").text == "last")
      let size = try Command.text("du", "-sk", zones.root).split(whereSeparator: \.isWhitespace).first.flatMap {
        Int($0)
      }
      #expect(size ?? .max < 60_000, "logs take \(size ?? 0) KB of 100,000 written")
    }
  }

  @Test func waitGivesUpAndWaitGoesOn() throws {
    try Zonectl.with { zones in
      try zones.make("a")
      #expect(try zones.run("wait", "--timeout", "0.3", "a").status == 1)
      let waiting = try zones.command(["wait", "a"]).start()
      #expect(waiting.isRunning)
      try zones.ok("kill", "a", "INT")
      let outcome = try waiting.finish(timeout: 10)
      #expect(outcome.text == "130 INT" || outcome.text == "130 SIGINT", "\(outcome)")
    }
  }

  @Test func runLeavesTheZoneUnlessAsked() throws {
    try Zonectl.with { zones in
      #expect(try zones.run("run", "--name", "a", "--network", "none", "--", "sh", "-c", "echo hi; exit 4").status == 4)
      #expect(try zones.state("a") == "installed")
      #expect(try zones.ok("logs", "a").text == "hi")
      let name = try zones.ok("run", "-d", "--network", "none", "--", "sleep", "infinity").text
      #expect(name.contains("-"), "a name of two words, not \(name)")
      #expect(try zones.state(name) == "running")
    }
  }
}
