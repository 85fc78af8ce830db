import Foundation
import Glibc
import Testing

/// What of the launcher's own state reaches the command, and what must not.
@Suite(.serialized, .machine, .needs(.root, .ordinaryUser), .ends(within: 5))
struct LauncherTests {
  static let everybody: [Zonectl.Who] = [.root, .ordinaryUser]

  /// The three ways to a command, each begun by `launcher`, a shell script that ends in `exec "$@"`; what it printed.
  private func told(_ zones: Zonectl, by launcher: String, _ script: String) throws -> [(way: String, outcome: Outcome)]
  {
    let begun = { (words: [String]) throws -> Outcome in
      var command = zones.command(words)
      command.argv.insert(contentsOf: ["sh", "-c", launcher, "sh"], at: zones.prefix.count)
      let outcome = try command.run()
      try #require(outcome.status == 0, "\(outcome)")
      return outcome
    }
    let run = try begun(["run", "--rm", "--network", "none", "--", "sh", "-c", script])
    if try zones.status("a") != nil { try zones.ok("delete", "--force", "--yes", "a") }
    try zones.make("a", "installed", command: ["sh", "-c", script + "; echo end; exec sleep infinity"])
    _ = try begun(["start", "a"])
    try #require(try eventually { try zones.ok("logs", "a").lines.last == "end" })
    var start = try zones.ok("logs", "a")
    start.output = Data(start.lines.dropLast().joined(separator: "\n").utf8)
    return [("run", run), ("start", start), ("exec", try begun(["exec", "a", "sh", "-c", script]))]
  }

  /// nohup's SIGHUP, and an ignored SIGCHLD, which would take the ends of children away from keeper and init.
  @Test(arguments: everybody) func ignoredSignalsAreNotPassedOn(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      let ignoring = "trap '' HUP INT QUIT TERM USR1 CHLD PIPE TSTP; exec \"$@\""
      for (way, outcome) in try told(zones, by: ignoring, "grep -E '^Sig(Blk|Ign)' /proc/self/status") {
        #expect(
          outcome.lines.count == 2 && outcome.lines.allSatisfy { $0.hasSuffix("\t0000000000000000") },
          "\(way): \(outcome)")
      }
      // The end is told, and the signal works.
      let plain = zones.command(["run", "--rm", "--network", "none", "--", "sh", "-c", "kill -HUP $$; echo lives"])
      var ignorant = plain
      ignorant.argv.insert(contentsOf: ["sh", "-c", ignoring, "sh"], at: zones.prefix.count)
      let outcome = try ignorant.run()
      #expect(outcome.status == 128 + SIGHUP && outcome.out.isEmpty, "\(outcome)")
    }
  }

  @Test(arguments: everybody) func blockedSignalsAreNotPassedOn(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      let blocking = """
        exec perl -MPOSIX -e 'sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGHUP, SIGTERM, SIGCHLD, SIGUSR1)); exec @ARGV' -- "$@"
        """
      for (way, outcome) in try told(zones, by: blocking, "grep -E '^SigBlk' /proc/self/status") {
        #expect(outcome.lines == ["SigBlk:\t0000000000000000"], "\(way): \(outcome)")
      }
    }
  }

  @Test(arguments: everybody) func umaskAndEnvironmentAreTheZonesOwn(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      let launcher = "umask 077; export ZONES_SECRET=sesame LD_PRELOAD= TERM=launchers; exec \"$@\""
      for (way, outcome) in try told(zones, by: launcher, "umask; env | cut -d= -f1 | sort | xargs") {
        #expect(outcome.lines.first == "0022", "\(way): \(outcome)")
        // PWD and the last two are the shell's own.
        let names = (outcome.lines.last ?? "").split(separator: " ").filter {
          !["PWD", "OLDPWD", "SHLVL", "_"].contains($0)
        }
        #expect(names == ["HOME", "PATH", "container"], "\(way): \(outcome)")
      }
    }
  }

  /// These are the launcher's to choose, for whatever he starts (docs/SECURITY.md).
  @Test(arguments: everybody) func nicenessAndLimitsArePassedOn(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      let launcher = "ulimit -n 300; ulimit -c 0; exec nice -n 3 \"$@\""
      for (way, outcome) in try told(zones, by: launcher, "nice; ulimit -n; ulimit -c") {
        #expect(outcome.lines == ["3", "300", "0"], "\(way): \(outcome)")
      }
    }
  }

  /// A start needs some forty descriptors, not five hundred.
  @Test(arguments: everybody) func aLowLimitOfDescriptorsBreaksNoStart(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      for limit in [511, 256, 100, 64] {
        for (way, outcome) in try told(zones, by: "ulimit -n \(limit); exec \"$@\"", "ulimit -n") {
          #expect(outcome.lines == ["\(limit)"], "\(way): \(outcome)")
        }
      }
    }
  }

  /// A launcher that is to be killed first has zones that are. (To be spared takes CAP_SYS_RESOURCE: the case below.)
  @Test(arguments: everybody) func aRaisedOomScoreIsPassedOn(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      for (way, outcome) in try told(
        zones, by: "echo 300 > /proc/self/oom_score_adj; exec \"$@\"", "cat /proc/self/oom_score_adj")
      {
        #expect(outcome.lines == ["300"], "\(way): \(outcome)")
      }
    }
  }

  @Test(.needs(.capability("sys_resource"))) func toBeSparedIsNotPassedOn() throws {
    try Zonectl.with { zones in
      for (way, outcome) in try told(
        zones, by: "echo -500 > /proc/self/oom_score_adj; exec \"$@\"", "cat /proc/self/oom_score_adj")
      {
        #expect(outcome.lines == ["0"], "\(way): \(outcome)")
      }
    }
  }
}
