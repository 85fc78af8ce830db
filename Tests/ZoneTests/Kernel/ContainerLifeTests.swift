import Foundation
import Glibc
import LinuxNS
import Testing

/// `zone-oci`'s verbs, from nothing to running and back.
@Suite(
  .serialized, .machine, .needs(.root, .ordinaryUser, .program("busybox"), .program("strace")), .ends(within: 5))
struct ContainerLifeTests {
  @Test func whatIsSaidIsOneLineWhateverItIsMadeOf() throws {
    try OCIBundle.with { (bundle) throws in
      let log = bundle.folder + "/log"
      for words in [["a\nb\u{1b}[31m"], ["--log", log, "state", "a\nb\u{1b}[31m"]] {
        let said = try bundle.command(words).run().err
        #expect(!said.contains("\u{1b}") && said.split(separator: "\n").count == 1, "\(said)")
      }
      let logged = try #require(contents(log))
      #expect(!logged.contains("\u{1b}") && logged.split(separator: "\n").count == 1, "\(logged)")
    }
  }

  @Test func fromNothingToRunningAndBack() throws {
    let before = try Machine.snapshot()
    try OCIBundle.with { (bundle) throws in
      bundle.shell("trap 'exit 3' TERM; echo up > /tmp/up; while :; do sleep 0.05; done")
      bundle["root.readonly"] = false
      try bundle.create()
      var state = try #require(try bundle.state())
      #expect(state["status"] as? String == "created")
      #expect(state["ociVersion"] as? String == "1.3.0" && state["id"] as? String == "a")
      #expect(state["bundle"] as? String == bundle.folder)
      let pid = try #require(state["pid"] as? Int)
      #expect(kill(pid_t(pid), 0) == 0)
      #expect(contents("/proc/\(pid)/comm") == "zone-oci:init\n", "nothing of the bundle runs yet")
      #expect(try bundle.run("create", "a").err.contains("exists already"))
      try bundle.ok("start", "a")
      #expect(try bundle.status() == "running")
      #expect(try bundle.run("start", "a").err.contains("already running"))
      #expect(eventually { contents(bundle.folder + "/rootfs/tmp/up") == "up\n" })
      #expect(try bundle.run("delete", "a").err.contains("not stopped"))
      try bundle.ok("pause", "a")
      #expect(try bundle.status() == "paused")
      #expect(try bundle.run("exec", "a", "true").err.contains("paused"))
      try bundle.ok("resume", "a")
      #expect(try bundle.ok("list", "-q").text == "a")
      #expect(try bundle.ok("ps", "--format", "json", "a").text.contains("\(pid)"))
      try bundle.ok("kill", "a", "TERM")
      #expect(try eventually { try bundle.status() == "stopped" })
      state = try #require(try bundle.state())
      #expect(state["pid"] as? Int == 0)
      #expect(try bundle.run("kill", "a", "KILL").err.contains("container not running"))
      #expect(try bundle.run("start", "a").err.contains("stopped"))
      #expect(try bundle.run("exec", "a", "true").status == 255)
      try bundle.ok("delete", "a")
      #expect(try bundle.state() == nil)
      #expect(try bundle.run("delete", "a").err.contains("does not exist"))
      try bundle.ok("delete", "--force", "a")
    }
    try before.expectNoLeak()
  }

  @Test func theStatusIsTheProcesses() throws {
    try OCIBundle.with { (bundle) throws in
      bundle.shell("exit 7")
      #expect(try bundle.start().status == 7)
      bundle.shell("kill -9 $$")
      // Pid 1 of a pid namespace does not die of its own signals.
      bundle["linux.namespaces"] = (bundle["linux.namespaces"] as? [[String: Any]])?.filter {
        $0["type"] as? String != "pid"
      }
      #expect(try bundle.start().status == 137)
      #expect(try bundle.left().isEmpty)
    }
  }

  @Test func signalsArePassedOn() throws {
    try OCIBundle.with { (bundle) throws in
      bundle.shell("trap 'echo got; exit 5' USR1; echo up; while :; do sleep 0.05; done")
      let running = try bundle.prepared().start()
      #expect(running.readUntil { $0.contains("up") })
      running.signal(SIGUSR1)
      let outcome = try running.finish()
      #expect(outcome.status == 5 && outcome.out == "up\ngot\n", "\(outcome)")
    }
  }

  /// Beside a terminal too, which is relayed on: one after the other, whether the process ends of it or not.
  @Test(arguments: ["run", "exec"]) func signalsArePassedOnBesideATerminal(verb: String) throws {
    try OCIBundle.with { (bundle) throws in
      let script =
        "trap 'echo got' USR1; trap '' HUP; trap 'exit 5' TERM; echo up; while :; do read line && echo said $line; done"
      var command: Command
      if verb == "run" {
        bundle["process.terminal"] = true
        bundle.shell(script)
        command = try bundle.prepared()
      } else {
        bundle["process.args"] = ["sleep", "1000"]
        try bundle.create()
        try bundle.ok("start", "a")
        command = bundle.command(["exec", "-t", "a", "sh", "-c", script])
      }
      let terminal = try Terminal(command)
      #expect(terminal.shows("up"), "\(terminal.screen)")
      for number in 1...3 {
        kill(terminal.pid, SIGUSR1)
        kill(terminal.pid, SIGHUP)
        // A shell that is about to read a line hears of a signal when it has read it.
        terminal.type("word\(number)\r")
        #expect(terminal.shows("said word\(number)"), "\(terminal.screen)")
        #expect(terminal.shows { $0.components(separatedBy: "got").count == number + 1 }, "\(terminal.screen)")
      }
      kill(terminal.pid, SIGTERM)
      #expect(terminal.wait() == 5)
    }
  }

  /// Who reads the terminal's output goes, and the process goes on: its end is still told, and signals come through.
  @Test func aTerminalThatNobodyReadsHoldsNothingUp() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["process.terminal"] = true
      bundle["root.readonly"] = false
      bundle.shell(
        "trap '' PIPE HUP; trap 'exit 5' USR1; echo up; echo on > /tmp/on; while :; do echo more; sleep 0.05; done")
      let piped = try bundle.prepared().through(
        "{ \"$@\" & echo $! > \(bundle.folder)/pid; wait $!; echo $? > \(bundle.folder)/status; } | head -n 1")
      let running = try piped.start()
      #expect(running.readUntil { $0.contains("up") })
      #expect(eventually { contents(bundle.folder + "/rootfs/tmp/on") == "on\n" })
      let pid = try #require(Int32((contents(bundle.folder + "/pid") ?? "").trimmingCharacters(in: .newlines)))
      // Once the relay has seen that nobody reads, the runtime holds the terminal no longer.
      #expect(
        eventually {
          let open = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd")) ?? []
          return !open.contains {
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/fd/\($0)"))?.hasSuffix("ptmx")
              == true
          }
        })
      kill(pid, SIGUSR1)
      #expect(eventually { contents(bundle.folder + "/status") == "5\n" })
      _ = try running.finish()
    }
  }

  /// From the process's first instruction on, whatever the runtime is at.
  @Test func earlySignalsArePassedOn() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["linux.namespaces"] = (bundle["linux.namespaces"] as? [[String: Any]])?.filter {
        $0["type"] as? String != "pid"
      }
      bundle.shell("trap 'exit 5' USR1; kill -USR1 $PPID; while :; do sleep 0.05; done")
      for _ in 0..<20 { #expect(try bundle.start().status == 5) }
      #expect(try bundle.left().isEmpty)
    }
  }

  @Test func aCommandThatIsNotThereIsTold() throws {
    try OCIBundle.with { (bundle) throws in
      for (command, words) in [
        ("nosuch", "executable file not found in $PATH"), ("/nosuch", "no such file or directory"),
        ("/etc", "permission denied"),
      ] {
        bundle["process.args"] = [command]
        let line = try bundle.refusal()
        #expect(line.contains("exec: \"\(command)\": \(words)"))
      }
    }
  }

  @Test func aProcessIsExecuted() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["process.args"] = ["sleep", "1000"]
      bundle["process.env"] = ["PATH=/bin", "FROM=bundle"]
      try bundle.create()
      try bundle.ok("start", "a")
      #expect(try bundle.run("exec", "a", "sh", "-c", "echo $FROM; exit 9").status == 9)
      let words = try bundle.ok(
        "exec", "--user", "12:34", "-g", "56", "--env", "MORE=x", "--cwd", "/tmp", "a", "sh", "-c",
        "id -u; id -g; id -G; echo $FROM $MORE; pwd; ls /proc/self/fd | wc -l")
      #expect(words.lines == ["12", "34", "34 56", "bundle x", "/tmp", "4"])
      #expect(try bundle.ok("exec", "a", "sh", "-c", "ps | grep -c 'sleep 1000'").text != "0", "the same pid namespace")
      let process: [String: Any] = [
        "args": ["id", "-u"], "cwd": "/", "user": ["uid": 77, "gid": 0], "env": ["PATH=/bin"],
      ]
      try JSONSerialization.data(withJSONObject: process).write(
        to: URL(fileURLWithPath: bundle.folder + "/process.json"))
      #expect(try bundle.ok("exec", "--process", bundle.folder + "/process.json", "a").text == "77")
      let detached = try bundle.command([]).through(
        "\"$@\" exec -d --pid-file \(bundle.folder)/pid a sleep 999 </dev/null >/dev/null 2>&1"
      ).run()
      #expect(detached.status == 0)
      let pid = try #require(Int(contents(bundle.folder + "/pid") ?? ""))
      #expect(contents("/proc/\(pid)/cmdline") == "sleep\0999\0")
      let missing = try bundle.run("exec", "a", "nosuch")
      #expect(missing.status == 255 && missing.err.contains("executable file not found in $PATH"))
    }
  }

  /// As systemd does in a container, and engines: the first process goes into a group below, and the container's own then
  /// controls others, so that it takes no processes any more.
  @Test func aContainerWithGroupsOfItsOwnIsEntered() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["process.args"] = ["sleep", "1000"]
      try bundle.create()
      try bundle.ok("start", "a")
      let state = try #require(contents(bundle.folder + "/state/a/state.json"))
      let record = try JSONSerialization.jsonObject(with: Data(state.utf8)) as? [String: Any]
      let group = try #require(record?["unified"] as? String)
      let pid = try #require(try bundle.state()?["pid"] as? Int)
      let given = (contents(group + "/cgroup.controllers") ?? "").split(whereSeparator: \.isWhitespace).map(String.init)
      // Those of whole processes alone; the others let processes be.
      let controller = try #require(
        given.first { ["memory", "io", "hugetlb", "misc", "rdma"].contains($0) }, "the group has \(given)")
      func move(below above: String, to name: String) throws {
        try FileManager.default.createDirectory(atPath: "\(above)/\(name)", withIntermediateDirectories: false)
        try FileSystem.writeKernelFile("\(above)/\(name)/cgroup.procs", "\(pid)")
        try FileSystem.writeKernelFile(above + "/cgroup.subtree_control", "+\(controller)")
      }
      func place(_ options: String...) throws -> Outcome {
        try bundle.command(["exec"] + options + ["a", "cat", "/proc/self/cgroup"]).run()
      }
      #expect(try place().lines.last == "0::/")
      try move(below: group, to: "init.scope")
      #expect(try place().lines.last == "0::/init.scope")
      try move(below: group + "/init.scope", to: "deeper")
      #expect(try place().lines.last == "0::/init.scope/deeper")
      #expect(try place("--cgroup", "init.scope/deeper").lines.last == "0::/init.scope/deeper")
      for busy in ["/", "init.scope"] {
        let refused = try place("--cgroup", busy)
        #expect(refused.status == 255 && refused.err.contains("takes no processes"), "\(refused)")
      }
      // A process that has gone elsewhere altogether says nothing of the container's groups.
      let tree = FileSystem.parent(of: group)
      try FileSystem.writeKernelFile(tree + "/cgroup.procs", "\(pid)")
      let refused = try place()
      #expect(refused.status == 255 && refused.err.contains("takes no processes"), "\(refused)")
      try bundle.ok("delete", "--force", "a")
      #expect(!FileManager.default.fileExists(atPath: group))
    }
  }

  @Test func descriptorsAreKeptWhenAskedFor() throws {
    try OCIBundle.with { (bundle) throws in
      bundle.shell("cat <&3; ls /proc/self/fd | tr '\\n' ' '")
      try JSONSerialization.data(withJSONObject: bundle.config).write(
        to: URL(fileURLWithPath: bundle.folder + "/config.json"))
      try "kept".write(toFile: bundle.folder + "/three", atomically: false, encoding: .utf8)
      let script = "exec 3<\(bundle.folder)/three 4</dev/null; \"$@\" run --bundle \(bundle.folder)"
      let kept = try bundle.command([]).through("\(script) --preserve-fds 1 a").run()
      #expect(kept.text == "kept0 1 2 3 4", "ls itself opens 4: \(kept)")
      let none = try bundle.command([]).through("\(script) a").run()
      #expect(!none.out.contains("kept") && none.err.contains("3:"), "\(none)")
    }
  }

  /// The stage is held up where it has made the process, which goes on meanwhile.
  @Test(arguments: [false, true]) func theProcessMayBeFasterThanWhoTellsOfIt(hooks: Bool) throws {
    try OCIBundle.with { (bundle) throws in
      if hooks { bundle["hooks"] = ["createRuntime": [["path": "/bin/true"]]] }
      bundle.shell("echo ran")
      var command = try bundle.prepared()
      command.argv =
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=clone3:delay_exit=300000", "--"] + command.argv
      let outcome = try command.run()
      #expect(outcome.status == 0 && outcome.text == "ran", "\(outcome)")
    }
  }

  @Test func anOrdinaryUsersContainer() throws {
    try OCIBundle.with(.ordinaryUser) { (bundle) throws in
      #expect(
        try bundle.printed("id -u; echo x > /dev/null && echo written; touch /x 2>&1; true").hasPrefix("0\nwritten\n"))
      bundle["process.args"] = ["sleep", "1000"]
      try bundle.create()
      #expect(try bundle.status() == "created")
      try bundle.ok("start", "a")
      let outcome = try bundle.ok("exec", "a", "sh", "-c", "id -u; hostname; cat /proc/1/cmdline | tr '\\0' ' '")
      #expect(outcome.lines == ["0", "zone", "sleep 1000 "], "\(outcome)")
      try bundle.ok("kill", "a", "KILL")
      #expect(try eventually { try bundle.status() == "stopped" })
      try bundle.ok("delete", "a")
      bundle["linux.resources"] = ["memory": ["limit": 64 << 20]]
      #expect(try bundle.start().err.contains("cgroup"), "limits that nobody delegated are refused")
    }
  }

  @Test func shortageOfMemoryIsTold() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["linux.resources.memory"] = ["limit": 16 << 20, "swap": 16 << 20]
      bundle["root.readonly"] = false
      bundle.shell("while :; do test -e /tmp/go && { rm /tmp/go; tail /dev/zero; }; sleep 0.05; done")
      try bundle.create()
      try bundle.ok("start", "a")
      let events = try bundle.command(["events", "--interval", "600", "a"]).start()
      #expect(events.readUntil { $0.contains("\"stats\"") })
      #expect(try isTold(events, of: 1, in: bundle) && isTold(events, of: 2, in: bundle), "\(events.output)")
      try bundle.ok("kill", "a", "KILL")
      let outcome = try events.finish()
      #expect(outcome.status == 0 && outcome.lines.filter { $0.contains("oom") }.count == 2, "\(outcome)")
    }
  }

  private func isTold(_ events: Running, of number: Int, in bundle: OCIBundle) throws -> Bool {
    try "".write(toFile: bundle.folder + "/rootfs/tmp/go", atomically: false, encoding: .utf8)
    return events.readUntil {
      $0.components(separatedBy: "{\"type\":\"oom\",\"id\":\"a\"}\n").count == number + 1
    }
  }

  @Test func withoutSystemdItsGroupsAreRefused() throws {
    try OCIBundle.with { (bundle) throws in
      for option in [["--systemd-cgroup"], ["--cgroup-manager", "systemd"]] {
        bundle.options = option
        // As on a machine that has another init.
        let outcome = try bundle.prepared().through(
          "unshare -m sh -c 'mkdir -p /run/systemd && mount -t tmpfs none /run/systemd && exec \"$@\"' sh \"$@\""
        ).run()
        #expect(
          outcome.status == 1 && outcome.err.hasPrefix("zone-oci: cannot make a control group: systemd does not run"),
          "\(outcome)")
        #expect(outcome.err.split(separator: "\n").count == 1)
        #expect(try bundle.left().isEmpty)
      }
    }
  }

  @Test func limitsAreChanged() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["process.args"] = ["sleep", "1000"]
      bundle["linux.cgroupsPath"] = "/zones-test-oci/\(getpid())"
      bundle["linux.resources.memory"] = ["limit": 64 << 20]
      defer {
        for tree in (try? FileManager.default.contentsOfDirectory(atPath: "/sys/fs/cgroup")) ?? [] {
          rmdir("/sys/fs/cgroup/\(tree)/zones-test-oci")
        }
        rmdir("/sys/fs/cgroup/zones-test-oci")
      }
      try bundle.create()
      try bundle.ok("start", "a")
      let limit = { (v1: String, v2: String) throws -> String in
        try bundle.ok("exec", "a", "sh", "-c", "cat /sys/fs/cgroup/\(v1) /sys/fs/cgroup/\(v2) 2>/dev/null; true").text
      }
      #expect(try limit("memory/memory.limit_in_bytes", "memory.max") == "\(64 << 20)")
      try bundle.ok("update", "--memory", "\(128 << 20)", "--pids-limit", "77", "a")
      #expect(try limit("memory/memory.limit_in_bytes", "memory.max") == "\(128 << 20)")
      #expect(try limit("pids/pids.max", "pids.max") == "77")
      // As Podman sends it: with the rules of devices, which stay as they are.
      let all = "{\"devices\":[{\"allow\":true,\"access\":\"rwm\"}],\"pids\":{\"limit\":88}}"
      let sent = try bundle.command(["update", "--resources", "-", "a"]).with(input: all).run()
      #expect(try sent.status == 0 && limit("pids/pids.max", "pids.max") == "88", "\(sent)")
      let stats = try bundle.ok("events", "--stats", "a").text
      #expect(stats.hasPrefix("{\"type\":\"stats\",\"id\":\"a\"") && stats.contains("\(128 << 20)"))
      try bundle.ok("delete", "--force", "a")
    }
  }

  /// What the kernel or the specification takes together is two options here, and engines give the one that changes.
  @Test func oneLimitIsChangedAtATime() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["process.args"] = ["sleep", "1000"]
      bundle["linux.resources.memory"] = ["limit": 64 << 20, "swap": 64 << 20]
      bundle["linux.resources.cpu"] = ["quota": 50_000, "period": 100_000]
      try bundle.create()
      try bundle.ok("start", "a")
      let isV2 = FileManager.default.fileExists(atPath: "/sys/fs/cgroup/cgroup.controllers")
      let files =
        isV2
        ? "cpu.max memory.max memory.swap.max"
        : "cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes"
      /// Without swap in the kernel the last one is not there.
      func expect(_ wanted: Int..., sourceLocation: SourceLocation = #_sourceLocation) throws {
        let seen = try bundle.ok("exec", "a", "sh", "-c", "cd /sys/fs/cgroup; cat \(files) 2>/dev/null; true").text
        let numbers = seen.split(whereSeparator: \.isWhitespace).map { Int($0) ?? -1 }
        var wanted = wanted
        if isV2 { wanted[3] -= wanted[2] }
        #expect(
          numbers.count >= 3 && numbers == Array(wanted.prefix(numbers.count)), "\(seen)",
          sourceLocation: sourceLocation)
      }
      let (m16, m32, m48, m64) = (16 << 20, 32 << 20, 48 << 20, 64 << 20)
      try expect(50_000, 100_000, m64, m64)
      try bundle.ok("update", "--cpu-period", "50000", "a")
      try expect(50_000, 50_000, m64, m64)
      try bundle.ok("update", "--cpu-quota", "20000", "a")
      try expect(20_000, 50_000, m64, m64)
      try bundle.ok("update", "--memory-swap", "\(m64 + m16)", "a")
      try expect(20_000, 50_000, m64, m64 + m16)
      try bundle.ok("update", "--memory", "128M", "--memory-swap", "0.125g", "a")
      try expect(20_000, 50_000, 2 * m64, 2 * m64)
      try bundle.ok("update", "--memory", "32m", "--memory-swap", "48MiB", "a")
      try expect(20_000, 50_000, m32, m48)
      let small = try bundle.run("update", "--memory-swap", "16M", "a")
      #expect(small.status == 1 && small.err.contains("less than the memory, \(m32)"), "\(small)")
      let wrong = try bundle.run("update", "--memory", "5X", "a")
      #expect(wrong.status == 2 && wrong.err.contains("update: --memory '5X': wants a number"), "\(wrong)")
      try bundle.ok("update", "--memory", "-1", "--memory-swap", "-1", "a")
      let none = try bundle.run("update", "--memory-swap", "64M", "a")
      #expect(none.status == 1 && none.err.contains("there is no limit of memory"), "\(none)")
      try bundle.ok("update", "--memory", "64M", "a")
    }
  }
}
