import Foundation
import Glibc
import LinuxNS
import Testing

/// Sandboxes where nobody may make user namespaces: `--require landlock` runs the command behind Landlock and the filter.
/// Under Linux 6.12 only (scripts/guest): other kernels here have no Landlock, or not its scopes.
@Suite(
  .serialized, .machine, .needs(.root, .ordinaryUser, .guest, .landlock, .program("gcc"), .program("git")),
  .ends(within: 15))
struct LandlockTests {
  private static let users: [Zonectl.Who] = [.ordinaryUser, .root]

  /// A developer where user namespaces are switched off.
  private func bare(
    _ who: Zonectl.Who = .ordinaryUser, git: Bool = false, _ body: (Developer) throws -> Void
  ) throws {
    try UserNamespaceSwitch.most.off {
      try Developer.with(who, git: git) { (me) throws in try body(me) }
    }
  }

  private let asked = ["--require", "landlock"]

  @Test(arguments: UserNamespaceSwitch.there) func theOneMessageAndThenItWorks(setting: UserNamespaceSwitch) throws {
    try setting.off {
      try Developer.with { (me) throws in
        let refused = try me.inside("touch made")
        #expect(refused.status == 125 && refused.out.isEmpty, "\(refused)")
        #expect(refused.err.split(separator: "\n").count == 1 && refused.err.contains("\(setting.name) is 0"))
        #expect(refused.err.contains("zonectl sandbox --require landlock"))
        let outcome = try me.inside(asked, "touch made; id -u; pwd; exit 7")
        #expect(outcome.status == 7, "\(outcome)")
        #expect(outcome.lines == ["\(try #require(OrdinaryUser.found).uid)", me.project], "\(outcome)")
        let told = outcome.err.split(separator: "\n")
        #expect(told.count == 1 && told[0].contains("\(setting.name) is 0") && told[0].contains("Landlock ABI"))
        #expect(told[0].contains("/project/.envrc"), "what is not protected is told")
        #expect(try me.files == ["made"])
        let more = try me.run(["--require", "landlock,mount"], "true")
        #expect(more.status == 125 && more.err.contains("'mount'"), "\(more)")
      }
    }
  }

  @Test(arguments: users) func behindLandlockEveryAttemptEndsAsTheTableSays(who: Zonectl.Who) throws {
    try UserNamespaceSwitch.most.off {
      try Victim.with(who) { (victim) throws in
        victim.walls = asked
        for attempt in SandboxAttempt.all {
          let found = try victim.try(attempt, in: victim.sandbox)
          #expect(found.taken == (attempt.bare == .notCovered), "\(attempt.what): \(found.told)")
          try victim.restore()
        }
      }
    }
  }

  /// What its own pids would say, and what a name that is known would give.
  @Test(arguments: users) func nothingOfOtherProcessesIsInSight(who: Zonectl.Who) throws {
    try bare(who) { (me) throws in
      let other = try Command(me.zones.prefix + ["sleep", "1000"]).start()
      defer {
        kill(other.pid, SIGKILL)
        _ = try? other.finish(timeout: 5)
      }
      let look =
        "cd /proc/\(other.pid); cat cmdline environ status; ls root/ cwd/ fd; cat root/etc/hostname; ls /proc /dev /home; cat /proc/self/maps"
      let outcome = try me.inside(asked, look + "; cat /proc/meminfo | wc -l")
      #expect(outcome.lines.count == 1 && Int(outcome.lines[0]) ?? 0 > 10, "\(outcome)")
      // Given knowingly, it has what the kernel shows to everybody, and no more.
      let given = try me.inside(asked + ["--ro", "/proc"], look)
      #expect(given.out.contains("sleep") && given.out.contains("VmRSS") && given.out.contains("[stack]"), "\(given)")
      #expect(!given.out.contains("PATH=") && !given.out.contains("bin\n"), "\(given)")
    }
  }

  @Test(arguments: users) func usefulWorkIsDone(who: Zonectl.Who) throws {
    try bare(who, git: true) { (me) throws in
      try me.outside(
        """
        git config --global user.name A; git config --global user.email a@b
        printf 'all: hello\\nhello: a.o b.o\\n\\t$(CC) -o $@ $^\\ntest: hello\\n\\t./hello | grep -q 42\\ninstall: hello\\n\\tcp hello $(HOME)/hello\\n' > Makefile
        echo 'int answer(void) { return 42; }' > b.c
        printf '#include <stdio.h>\\nint answer(void);\\nint main(void) { printf("%%d", answer()); }' > a.c
        mkdir -p ~/bin ~/.tool; printf '#!/bin/sh\\ncat ~/.tool/say\\n' > ~/bin/tool; chmod +x ~/bin/tool; echo tool > ~/.tool/say
        """)
      me.environment["PATH"] = me.home + "/bin:/usr/bin:/bin"
      let outcome = try me.inside(
        asked + ["--ro", me.home + "/.tool"],
        """
        make -j2 test install && git add a.c b.c Makefile && git commit -q -m two && git log --format=%s%an
        tool; python3 -c 'import tempfile,os; f=tempfile.NamedTemporaryFile(); print(os.path.dirname(f.name)==os.environ["TMPDIR"])'
        echo x > $TMPDIR/a && mv $TMPDIR/a . && mkdir -p d/e && mv a d/e/ && cat d/e/a; cat < /dev/null; echo no > /dev/null; mktemp -d | wc -l
        """)
      #expect(outcome.status == 0, "\(outcome)")
      #expect(outcome.lines.suffix(6) == ["twoA", "oneA", "tool", "True", "x", "1"], "\(outcome)")
      #expect(access(me.home + "/hello", F_OK) != 0, "what was installed is gone with the private home")
      #expect(try me.outside("git log --format=%s").lines == ["two", "one"])
    }
  }

  @Test func statusesSignalsAndReportsAreAsElsewhere() throws {
    try bare { (me) throws in
      #expect(try me.inside(asked, "kill -TERM $$").status == 143)
      #expect(try me.run(asked, "nonesuch").status == 127)
      #expect(try me.run(asked, "/etc/passwd").status == 126)
      #expect(try me.run(asked, "cat", input: "through").out == "through")
      let late = try me.run(asked + ["--timeout", "0.3", "--report", "report"], "sleep", "100")
      #expect(late.status == 125, "\(late)")
      #expect(try me.outside("cat report").out.contains("\"timedOut\": true"))
      let running = try me.command(
        asked + ["--id", "mine"], ["sh", "-c", "trap 'exit 9' TERM; echo on; sleep 1000 & wait"]
      )
      .start()
      #expect(running.readUntil { $0.contains("on") })
      #expect(try me.zones.state("mine") == "running")
      // Its filter makes it, and that is none of a namespace's.
      let audit = try me.zones.run("audit", "mine")
      #expect(audit.status == 0 && audit.out.contains("weaker: no namespaces"), "\(audit)")
      let pid = try #require(try me.zones.status("mine")?.pid)
      let process = try me.zones.run("audit", "--pid", "\(pid)", "--require", "pid", "-o", "json")
      #expect(process.status == 1 && process.out.contains("\"zone\": \"mine\""), "\(process)")
      let exec = try me.zones.refused("exec", "mine", "true", status: 125)
      #expect(exec.contains("no namespaces"))
      // The launcher is what the shell that changed the user has become.
      kill(running.pid, SIGTERM)
      #expect(try running.finish(timeout: 20).status == 9)
    }
  }

  @Test func whatItWouldBeIsExplained() throws {
    try bare { (me) throws in
      let outcome = try me.run(asked + ["--explain"], "touch", "made")
      #expect(outcome.status == 0 && outcome.err.isEmpty, "\(outcome)")
      for words in [
        "landlock: what lies", "mount: \(UserNamespaceSwitch.most.name) is 0", "let it read /usr",
        "let it write \(me.project)",
        "enter the Landlock domain", "namespaces\n  none", "in the keeper, for all below it",
      ] {
        #expect(outcome.out.contains(words), "\(words): \(outcome)")
      }
      #expect(try me.files.isEmpty)
    }
  }

  @Test func aTerminalOfTheHostsIsPassedOn() throws {
    try bare { (me) throws in
      let terminal = try Terminal(
        me.command(
          asked, ["sh", "-c", "tty; stty size; echo by name > $(tty); read a < /dev/tty; echo got $a; exit 9"]),
        rows: 31, columns: 99)
      #expect(terminal.shows("/dev/pts/") && terminal.shows("31 99") && terminal.shows("by name"), "\(terminal.screen)")
      terminal.type("word\n")
      #expect(terminal.shows("got word"), "\(terminal.screen)")
      #expect(terminal.wait() == 9)
    }
  }

  enum Death: String, CaseIterable, Sendable { case command, launcher, keeper, first, halt }

  /// Whatever ends first, nothing that the command has started lives on: in sessions of their own, ignoring signals.
  @Test(arguments: Death.allCases) func nothingOutlivesIt(death: Death) throws {
    try bare { (me) throws in
      let running = try me.command(
        asked + ["--id", "mine"],
        [
          "sh", "-c",
          "trap '' TERM HUP; for i in 1 2 3; do setsid sh -c '(setsid sleep 98765 &) ; sleep 98765' & done; echo on; wait",
        ]
      ).start()
      #expect(running.readUntil { $0.contains("on") })
      let ours = { () -> [String] in ((try? Command("pgrep", "-x", "-f", "sleep 98765").run())?.lines ?? []) }
      #expect(eventually(timeout: 10) { ours().count == 6 }, "\(ours())")
      let status = try #require(try me.zones.status("mine"))
      let (keeper, pid) = (try #require(status.keeper), try #require(status.pid))
      switch death {
      case .command: kill(pid, SIGKILL)
      case .launcher: kill(running.pid, SIGKILL)
      case .keeper: kill(keeper, SIGKILL)
      case .first:
        let parent = try Command.text("ps", "-o", "ppid=", "-p", "\(pid)")
        kill(try #require(Int32(parent)), SIGKILL)
      case .halt: try me.zones.ok("halt", "mine")
      }
      _ = try running.finish(timeout: 20)
      #expect(eventually(timeout: 10) { ours().isEmpty }, "\(ours())")
      // Somebody else's process, and the tests themselves, were none of its business; what is left the next one takes away.
      #expect(try me.run(asked, "true").status == 0)
    }
  }

  @Test func itsHomeIsPrivateAndCanLast() throws {
    try bare { (me) throws in
      try me.outside("mkdir ~/.ssh; echo key > ~/.ssh/id")
      let outcome = try me.inside(
        asked,
        "ls -A ~ | wc -l; touch ~/x $TMPDIR/y; ls \(me.home)/.ssh; cat \(me.home)/.ssh/id; env | grep -c '^XDG_.*zones'"
      )
      #expect(outcome.lines == ["1", "5"], "the link to the project, and nothing else: \(outcome)")
      #expect(try me.inside(asked + ["--home", "agent"], "echo kept > ~/note").status == 0)
      #expect(try me.inside(asked + ["--home", "agent"], "cat ~/note").lines == ["kept"])
      #expect(access(me.home + "/note", F_OK) != 0)
    }
  }

  @Test(arguments: [
    (["--hide", "PROJECT/file"], "file"), (["--review"], "--review"), (["--cpus", "1"], "--cpus"),
    (["--network", "allow=example.com"], "allow="), (["--network", "full"], "full"), (["--nesting"], "nest"),
    (["--rw", "HOME"], ".ssh"), (["--ro", "PROJECT/sub"], "read-only"), (["--require", "pid"], "'pid'"),
  ])
  func whatCannotStandIsRefusedByName(options: [String], name: String) throws {
    try bare { (me) throws in
      try me.outside("touch file; mkdir sub ~/.ssh")
      let outcome = try me.run(
        asked + options.map { $0.replacing("PROJECT", with: me.project).replacing("HOME", with: me.home) }, "true")
      #expect(outcome.status == 125 && outcome.err.contains(name), "\(outcome)")
      #expect(outcome.err.split(separator: "\n").count == 1, "\(outcome)")
    }
  }

  @Test func limitsAreThoseOfSetrlimit() throws {
    try bare { (me) throws in
      let tools = me.zones.folder + "/tools"
      _ = try Attack.build("reach", into: tools)
      let outcome = try me.run(asked + ["--pids", "20", "--ro", tools], "\(tools)/reach", "forks")
      let made = try #require(outcome.lines.first.flatMap { Int($0) }, "\(outcome)")
      #expect(made > 5 && made < 20 && outcome.err.contains("RLIMIT_NPROC"), "\(outcome)")
      let memory = try me.inside(
        asked + ["--memory", "64M"], "python3 -c 'x = bytearray(100 << 20)' 2>&1 | grep -c MemoryError")
      #expect(memory.lines == ["1"] && memory.err.contains("RLIMIT_DATA"), "\(memory)")
    }
  }

  /// Asked for, the host's network is there, and still nobody's socket with a name.
  @Test func theHostsNetworkIsTheInternetsSocketsAlone() throws {
    try bare { (me) throws in
      let server = try Command(
        me.zones.prefix + ["/usr/bin/python3", "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
      ).start()
      defer {
        kill(server.pid, SIGKILL)
        _ = try? server.finish(timeout: 5)
      }
      var port = 0
      #expect(
        server.readUntil { said in
          port = Int(said.components(separatedBy: "port ").dropFirst().first?.prefix { $0.isNumber } ?? "") ?? 0
          return port != 0
        })
      let script =
        "curl -sf http://127.0.0.1:\(port)/ | grep -c Directory; python3 -c 'import socket; socket.socket(socket.AF_UNIX)' 2>&1 | grep -c 'not supported'"
      let open = try me.inside(asked + ["--network", "host"], script)
      #expect(open.lines.count == 2 && open.lines[0] != "0" && open.lines[1] == "1", "\(open)")
      let closed = try me.inside(asked, script)
      #expect(closed.lines == ["0", "1"], "\(closed)")
      let pairs = try me.inside(
        asked,
        "python3 -c 'import socket; a, b = socket.socketpair(); a.send(b\"x\"); print(b.recv(1))'; python3 -c 'import socket; socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)' 2>&1 | grep -c 'not supported'"
      )
      #expect(pairs.lines == ["b'x'", "1"], "\(pairs)")
    }
  }

  @Test func aKilledOneIsCleanedUpByTheNext() throws {
    try bare { (me) throws in
      let running = try me.command(
        asked + ["--id", "first"], ["sh", "-c", "touch ~/x; mkdir -m 0 ~/closed; echo on; sleep 1000"]
      )
      .start()
      #expect(running.readUntil { $0.contains("on") })
      let keeper = try #require(try me.zones.status("first")?.keeper)
      kill(running.pid, SIGSTOP)
      kill(keeper, SIGKILL)
      kill(running.pid, SIGKILL)
      _ = try running.finish(timeout: 10)
      #expect(access(me.zones.root + "/run/first/home/x", F_OK) == 0)
      #expect(try me.run(asked, "true").status == 0)
      #expect(access(me.zones.root + "/run/first", F_OK) != 0)
    }
  }
}

/// The same wall behind namespaces, where both are to be had.
@Suite(
  .serialized, .machine, .needs(.root, .ordinaryUser, .landlock, .program("gcc")), .ends(within: 5))
struct LandlockBehindTests {
  /// Sixteen domains can lie in each other (landlock(7)): who can make fifteen is in one.
  @Test(arguments: [Zonectl.Who.ordinaryUser, .root]) func aDomainLiesAroundTheCommand(who: Zonectl.Who) throws {
    try Developer.with(who) { (me) throws in
      let tools = me.zones.folder + "/tools"
      _ = try Attack.build("reach", into: tools)
      let outcome = try me.run(["--ro", tools, "--require", "landlock,mount,pid", "-v"], "\(tools)/reach", "domains")
      #expect(outcome.lines == ["15"], "\(outcome)")
      #expect(outcome.err.contains("landlock (ABI") && outcome.err.contains("mount"), "\(outcome)")
      // Mounts are to be made inside: then it is a domain of signals alone.
      let nesting = try me.run(
        ["--ro", tools, "--nesting"], "sh", "-c",
        "\(tools)/reach domains; unshare -Urm mount -t tmpfs x /mnt && echo mounted")
      // Root's own id may not be mapped again without a capability of his (user_namespaces(7)).
      #expect(nesting.lines == (who == .root ? ["15"] : ["15", "mounted"]), "\(nesting)")
      let refused = try me.run(["--nesting", "--require", "landlock"], "true")
      #expect(refused.status == 125 && refused.err.contains("--nesting"), "\(refused)")
    }
  }

  /// In somebody's domain nobody can mount: the message says what is in the way, and the tier without namespaces stands there.
  @Test(arguments: [Zonectl.Who.ordinaryUser, .root]) func aDomainAroundUsIsNamed(who: Zonectl.Who) throws {
    try Developer.with(who) { (me) throws in
      let tools = me.zones.folder + "/tools"
      _ = try Attack.build("reach", into: tools)
      let within = { (options: [String]) throws -> Outcome in
        var command = me.command(options, ["sh", "-c", "id -u; echo x > made"])
        let from = try #require(command.argv.firstIndex { $0.hasSuffix("/zonectl") })
        command.argv.insert(contentsOf: ["\(tools)/reach", "within"], at: from)
        return try command.run()
      }
      let refused = try within([])
      #expect(refused.status == 125 && refused.err.split(separator: "\n").count == 1, "\(refused)")
      #expect(refused.err.contains("Landlock domain") && refused.err.contains("--require landlock"), "\(refused)")
      let outcome = try within(["--require", "landlock"])
      #expect(outcome.status == 0 && outcome.lines.count == 1, "\(outcome)")
      #expect(try me.files == ["made"])
    }
  }

  /// Files, links, moves between folders and terminals are as without it.
  @Test func whatASandboxDoesItStillDoes() throws {
    try Developer.with { (me) throws in
      let outcome = try me.inside(
        ["--require", "landlock"],
        "mkdir a b; echo x > a/f; mv a/f b/; ln b/f a/g; echo y > /tmp/t; mv /tmp/t .; cat b/f a/g t; echo z > /dev/null; truncate -s 0 t; wc -c < t; sleep 100 & kill $!; wait $!; echo $?"
      )
      #expect(outcome.lines == ["x", "x", "y", "0", "143"], "\(outcome)")
    }
  }
}

/// What keeps users from user namespaces; each as root sets it for the machine.
enum UserNamespaceSwitch: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case most = "/proc/sys/user/max_user_namespaces"
  /// Debian's own.
  case clone = "/proc/sys/kernel/unprivileged_userns_clone"

  /// Those that this kernel has.
  static let there = allCases.filter { access($0.rawValue, F_OK) == 0 }

  var name: String { rawValue.dropFirst("/proc/sys/".count).replacingOccurrences(of: "/", with: ".") }
  var testDescription: String { name }

  func off(_ body: () throws -> Void) throws {
    let before = try #require(contents(rawValue), "\(rawValue)")
    try Data("0".utf8).write(to: URL(fileURLWithPath: rawValue))
    defer { try? Data(before.utf8).write(to: URL(fileURLWithPath: rawValue)) }
    try body()
  }
}
