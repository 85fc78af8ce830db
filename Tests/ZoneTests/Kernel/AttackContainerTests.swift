import Foundation
import Glibc
import Testing

/// What broke other OCI runtimes, tried against `zone-oci`: hostile trees, hostile configurations, foreign code on our way.
@Suite(.serialized, .machine, .needs(.root, .program("busybox"), .program("gcc")), .ends(within: 5))
struct AttackContainerTests {
  /// CVE-2019-19921: the image's /proc is a link.
  @Test(arguments: ["proc", "sys"]) func aLinkForAKernelViewIsRefused(name: String) throws {
    try OCIBundle.with { (bundle) throws in
      rmdir(bundle.folder + "/rootfs/" + name)
      symlink("/tmp", bundle.folder + "/rootfs/" + name)
      #expect(try bundle.refusal().contains("/" + name))
    }
  }

  /// CVE-2019-16884, CVE-2025-52881: what is to be written to the kernel lands in a file of the tree's.
  @Test func aFalseProcIsNotWrittenTo() throws {
    try OCIBundle.with { (bundle) throws in
      let place = bundle.folder + "/rootfs/proc/sys/net/ipv4"
      try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
      try "0".write(toFile: place + "/ip_forward", atomically: false, encoding: .utf8)
      bundle["mounts"] = (bundle["mounts"] as? [[String: Any]])?.filter { $0["destination"] as? String != "/proc" }
      bundle["linux.maskedPaths"] = [String]()
      bundle["linux.readonlyPaths"] = [String]()
      bundle["linux.sysctl"] = ["net.ipv4.ip_forward": "1"]
      #expect(try bundle.refusal().contains("ip_forward"))
      #expect(contents(place + "/ip_forward") == "0")
    }
  }

  /// CVE-2019-5736: the process is to be the runtime's own executable, to be written over from inside.
  @Test func theHostsExecutableIsNotInReach() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["process.args"] = ["/proc/self/exe", "--version"]
      let outcome = try bundle.start()
      #expect(outcome.status == 125 && outcome.out.isEmpty, "\(outcome)")
      // A script whose interpreter it is.
      try "#!/proc/self/exe\n".write(toFile: bundle.folder + "/rootfs/bin/script", atomically: false, encoding: .utf8)
      chmod(bundle.folder + "/rootfs/bin/script", 0o755)
      bundle["process.args"] = ["/bin/script"]
      #expect(try bundle.start().status == 125)
      let before = try FileManager.default.attributesOfItem(atPath: bundle.folder + "/zone-oci")[.size] as? Int
      bundle["process.args"] = ["sleep", "1000"]
      try bundle.create()
      try bundle.ok("start", "a")
      // While processes of the runtime come in, somebody inside opens what they are.
      let catcher = try bundle.command([
        "exec", "a", "sh", "-c",
        "echo looking; until [ -e /stop ]; do for p in /proc/[0-9]*; do case $p in */1|*/$$) ;; *) echo seen; (: >> $p/exe) 2>/dev/null && echo caught $p $(readlink $p/exe); esac; done; done; echo end",
      ]).start()
      #expect(catcher.readUntil { $0.contains("looking") })
      for _ in 0..<30 { _ = try bundle.run("exec", "a", "true") }
      // Until somebody came by: how fast they pass is the machine's affair.
      #expect(
        catcher.readUntil { text in
          if text.contains("seen") { return true }
          _ = try? bundle.run("exec", "a", "true")
          return false
        })
      try "".write(toFile: bundle.folder + "/rootfs/stop", atomically: false, encoding: .utf8)
      let caught = try catcher.finish(timeout: 60)
      #expect(caught.text.hasSuffix("end"), "\(caught)")
      #expect(!caught.lines.contains { $0.contains("zone-oci") || $0.contains("zonectl") }, "\(caught)")
      #expect(try FileManager.default.attributesOfItem(atPath: bundle.folder + "/zone-oci")[.size] as? Int == before)
    }
  }

  /// CVE-2024-21626: the working directory is a descriptor of the runtime's that leads to the host.
  @Test func noDescriptorIsAWayOut() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["process.args"] = ["cat", "../../../../../../../../etc/hostname"]
      for number in 3..<64 {
        bundle["process.cwd"] = "/proc/self/fd/\(number)"
        let outcome = try bundle.start()
        #expect(outcome.status != 0 && outcome.out.isEmpty, "\(number): \(outcome)")
      }
      bundle["process.cwd"] = "/"
      bundle["process.args"] = ["sleep", "1000"]
      try bundle.create()
      try bundle.ok("start", "a")
      for number in 3..<64 {
        let outcome = try bundle.run(
          "exec", "--cwd", "/proc/self/fd/\(number)", "a", "cat", "../../../../../../../etc/hostname")
        #expect(outcome.status != 0 && outcome.out.isEmpty, "\(number): \(outcome)")
      }
      // The same by the path of the command.
      for number in 3..<64 {
        bundle["process.args"] = ["/proc/self/fd/\(number)/../../../../../../../bin/true"]
        #expect(try bundle.start("b").status != 0)
      }
    }
  }

  /// What the image has in the place of a terminal is not opened.
  @Test func aPlantedTerminalIsRefused() throws {
    try OCIBundle.with { (bundle) throws in
      mkdir(bundle.folder + "/rootfs/dev/pts", 0o755)
      try Command.text("mknod", "-m", "666", bundle.folder + "/rootfs/dev/pts/ptmx", "c", "5", "2")
      bundle["mounts"] = (bundle["mounts"] as? [[String: Any]])?.filter {
        !($0["destination"] as? String ?? "").hasPrefix("/dev")
      }
      bundle["process.terminal"] = true
      #expect(try bundle.refusal().contains("terminal"))
    }
  }

  /// A startContainer hook is a program of the image's: it has the process's ids and powers, and no more.
  @Test func aHookInsideHasTheProcessesPowers() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["process.user"] = ["uid": 1000, "gid": 1000]
      let none = [String]()
      bundle["process.capabilities"] = ["bounding": none, "effective": none, "permitted": none]
      bundle["linux.seccomp"] = [
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [["names": ["mkdir", "mkdirat", "clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38]],
      ]
      bundle.add(
        "mounts", ["destination": "/log", "type": "bind", "source": bundle.folder + "/log", "options": ["bind"]])
      mkdir(bundle.folder + "/rootfs/log", 0o755)
      mkdir(bundle.folder + "/log", 0o777)
      chmod(bundle.folder + "/log", 0o777)
      let script =
        "{ id -u; grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status; mkdir /log/x; ls /proc/self/fd; cat; } > /log/said 2>&1; true"
      bundle["hooks"] = [
        "startContainer": [["path": "/bin/busybox", "args": ["busybox", "sh", "-c", script], "env": ["PATH=/bin"]]]
      ]
      _ = try bundle.printed("true")
      let said = contents(bundle.folder + "/log/said") ?? ""
      #expect(
        said.hasPrefix("1000\n") && said.contains("CapEff:\t0000000000000000") && said.contains("NoNewPrivs:\t1"),
        "\(said)")
      #expect(said.contains("CapBnd:\t0000000000000000") && said.contains("Seccomp:\t2"), "\(said)")
      #expect(!FileManager.default.fileExists(atPath: bundle.folder + "/log/x"), "the filter stands")
      #expect(said.contains("\"status\":\"created\""), "\(said)")
    }
  }

  /// A masked path may be a link of the image's: nothing outside of the root is covered, and nothing is left uncovered.
  @Test func aLinkedMaskCoversWhatItLeadsTo() throws {
    try OCIBundle.with { (bundle) throws in
      try "secret".write(toFile: bundle.folder + "/rootfs/etc/real", atomically: false, encoding: .utf8)
      symlink("/etc/real", bundle.folder + "/rootfs/etc/linked")
      bundle.add("linux.maskedPaths", "/etc/linked")
      #expect(try bundle.printed("cat /etc/real /etc/linked; echo end") == "end")
    }
  }

  /// Neither the process's nor that of one who comes in later: the caller's session keyring is his.
  @Test func theCallersSessionKeyringIsNotTheContainers() throws {
    try OCIBundle.with { (bundle) throws in
      _ = try Attack.build("keyring", into: bundle.folder + "/rootfs/attacks")
      let helper = try Attack.build("withkey", into: bundle.folder + "/helpers")
      let withKeys = { (command: Command) throws -> Report in
        var command = command
        command.argv.insert(helper, at: 0)
        let outcome = try command.run()
        try #require(outcome.status == 0, "\(outcome)")
        try #require(outcome.lines.contains("own: read"), "the attack itself is wrong: \(outcome)")
        return Report(lines: outcome.lines)
      }
      // Attacks run nowhere but in a user namespace.
      bundle.add("linux.namespaces", ["type": "user"])
      for key in ["uidMappings", "gidMappings"] {
        bundle["linux.\(key)"] = [["containerID": 0, "hostID": 300_000, "size": 65536]]
      }
      // The key's number is told by the helper in the words of the command.
      bundle["process.args"] = ["sleep", "1000"]
      try bundle.create()
      try bundle.ok("start", "a")
      let seen = try withKeys(bundle.command(["exec", "a", "/attacks/keyring", "@key@"]))
      #expect(seen.refusal("search session") != nil && seen.refusal("read") != nil, "\(seen)")
      bundle["process.args"] = ["/attacks/keyring", "0"]
      let first = try withKeys(bundle.prepared("b"))
      #expect(first.refusal("search session") != nil, "\(first)")
    }
  }

  /// Also where `exec --process` names none of them.
  @Test func whatIsExecutedHasTheContainersWalls() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["process.rlimits"] = [["type": "RLIMIT_NOFILE", "soft": 100, "hard": 200]]
      bundle["process.oomScoreAdj"] = 333
      bundle["process.scheduler"] = ["policy": "SCHED_BATCH", "nice": 5]
      bundle["process.ioPriority"] = ["class": "IOPRIO_CLASS_BE", "priority": 6]
      bundle["process.args"] = ["sleep", "1000"]
      try bundle.create()
      try bundle.ok("start", "a")
      let script =
        "grep Cap /proc/self/status; ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj; cut -d' ' -f19,41 /proc/self/stat; ionice -p $$"
      func seen(_ user: Int, _ more: [String: Any] = [:]) throws -> [String] {
        let least: [String: Any] = [
          "args": ["sh", "-c", script], "cwd": "/", "user": ["uid": user, "gid": user], "env": ["PATH=/bin"],
        ]
        let file = bundle.folder + "/process.json"
        try JSONSerialization.data(withJSONObject: least.merging(more) { $1 }).write(to: URL(fileURLWithPath: file))
        return try bundle.ok("exec", "--process", file, "a").lines
      }
      let own = try bundle.ok("exec", "a", "sh", "-c", script).lines
      #expect(own.suffix(5) == ["100", "200", "333", "5 3", "best-effort: prio 6"], "\(own)")
      #expect(own.filter { $0.hasPrefix("Cap") && $0.hasSuffix("0000000020000420") }.count == 3, "\(own)")
      #expect(try seen(0) == own)
      // A user's effective set is empty after the execve, what he could gain is bounded all the same.
      let user = try seen(77)
      #expect(user.contains("CapBnd:\t0000000020000420") && user.suffix(5) == own.suffix(5), "\(user)")
      let said = try seen(0, ["capabilities": ["bounding": ["CAP_KILL"]], "oomScoreAdj": 444])
      #expect(said.contains("CapBnd:\t0000000000000020") && said.contains("444") && said.contains("100"), "\(said)")
    }
  }

  /// Where no place is named: in /tmp somebody else can be there first, with a container whose hooks the caller would run.
  @Test(.needs(.ordinaryUser)) func aPlaceOfSomebodyElsesIsNotUsed() throws {
    let user = try #require(OrdinaryUser.found)
    try OCIBundle.with(.ordinaryUser) { (bundle) throws in
      let ran = bundle.folder + "/ran"
      bundle["hooks"] = ["poststop": [["path": "/bin/touch", "args": ["touch", ran]]]]
      bundle["process.args"] = ["sleep", "1000"]
      try bundle.create()
      try bundle.ok("kill", "a", "KILL")
      #expect(try eventually { try bundle.status() == "stopped" })
      let place = "/tmp/zone-oci-\(user.uid)"
      func seen(_ words: [String], owner: UInt32, mode: String) throws -> Outcome {
        let plant =
          "mount -t tmpfs -o mode=1777 none /tmp && mkdir \(place) && cp -r \(bundle.folder)/state/a \(place)"
          + " && chown -R \(owner) \(place) && chmod -R \(mode) \(place) && exec \"$@\""
        var command = Command(
          ["unshare", "-m", "sh", "-c", plant, "sh"] + OrdinaryUser.prefix + [bundle.program] + words)
        command.directory = bundle.folder
        return try command.run()
      }
      let verbs = [
        ["delete", "a"], ["delete", "--force", "a"], ["state", "a"], ["list"], ["start", "a"], ["kill", "a"],
        ["exec", "a", "true"], ["create", "--bundle", bundle.folder, "b"],
      ]
      for words in verbs {
        let others = try seen(words, owner: 65534, mode: "777")
        #expect(others.status == (words[0] == "exec" ? 255 : 1), "\(others)")
        #expect(others.err.contains("cannot keep containers in \(place): \(place) belongs to uid 65534"), "\(others)")
        let open = try seen(words, owner: user.uid, mode: "777")
        #expect(open.err.contains("others may write to \(place) (chmod go-w \(place))"), "\(open)")
      }
      #expect(!FileManager.default.fileExists(atPath: ran))
      let own = try seen(["delete", "a"], owner: user.uid, mode: "700")
      #expect(own.status == 0 && FileManager.default.fileExists(atPath: ran), "the same container of his own: \(own)")
    }
  }

  /// What the caller was set to is not the container's.
  @Test func nothingOfTheCallersIsPassedOn() throws {
    try OCIBundle.with { (bundle) throws in
      bundle.shell("env; umask; grep SigIgn /proc/self/status; ls /proc/self/fd | tr '\\n' ' '")
      var command = try bundle.prepared()
      command.environment["SECRET"] = "leaks"
      let outcome = try command.through(
        "umask 077; trap '' HUP USR1; exec 5</etc/passwd 6</; exec \"$@\""
      ).run()
      #expect(outcome.status == 0 && !outcome.out.contains("leaks"), "\(outcome)")
      #expect(outcome.out.contains("0022") && outcome.out.contains("SigIgn:\t0000000000000000"), "\(outcome)")
      #expect(outcome.text.hasSuffix("0 1 2 3"), "\(outcome)")
    }
  }
}
