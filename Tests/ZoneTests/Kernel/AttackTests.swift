import Foundation
import Glibc
import Testing

/// Each rule of the security bar that the launch keeps, with its attack carried out by the root of a zone.
@Suite(.serialized, .machine, .needs(.root, .ordinaryUser, .program("gcc")), .ends(within: 5))
struct AttackTests {
  static let everybody: [Zonectl.Who] = [.root, .ordinaryUser, .userOfOneId]

  /// The zone's root clears a read-only flag, or unmounts a cover.
  @Test(arguments: everybody) func mountsAreRefused(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      let report = try zones.attack("mounts")
      #expect(report.done.isEmpty, "\(report.done)")
      #expect(report.refusal("create in /usr") == "EROFS")
      #expect(access("/usr/zones-was-here", F_OK) != 0)
    }
  }

  /// The same with every capability in the zone's user namespace and no filter in the way: only the locks hold, since
  /// the mounts were made in a mount namespace of the host and copied into the zone's (mount_namespaces(7)).
  @Test(arguments: everybody) func mountsAreLockedToo(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      let report = try zones.attack("mounts", options: ["--cap-add", "ALL", "--nesting"])
      // What a nested zone needs, and what acts on the zone only: its covers over proc and sysfs are then its own, and
      // what lies beneath is refused by the kernel to a user namespace that is not the first.
      let allowed = [
        "fresh ", "fsopen:", "bind ", "pivot_root:", "umount /proc", "umount /sys", "umount /dev", "remount /proc",
        "remount /sys", "setattr /proc", "setattr /sys",
      ]
      let bad = report.done.filter { line in !allowed.contains { line.hasPrefix($0) } }
      #expect(bad.isEmpty, "\(bad)")
      #expect(report.refusal("create in /usr") == "EROFS")
      let options = ["--cap-add", "ALL", "--nesting"] + (try zones.attacks("mounts", "kernelfiles"))
      let beneath = try zones.ok(
        ["run", "--rm", "--network", "none"] + options
          + [
            "--", "sh", "-c",
            "for f in $(cut -d' ' -f5 /proc/self/mountinfo | grep ^/proc/); do umount $f; done; /attacks/kernelfiles",
          ])
      let written = beneath.lines.filter { $0.hasPrefix("write ") && $0.hasSuffix("DONE") }
      // Its own namespace's values.
      let own = ["/proc/sys/user/max_user_namespaces", "/proc/sys/kernel/ns_last_pid", "/proc/sys/kernel/domainname"]
      #expect(written.filter { line in !own.contains { line.contains($0) } } == [])
      #expect(access("/usr/zones-was-here", F_OK) != 0)
    }
  }

  @Test(arguments: everybody) func theKernelsFilesAreRefused(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      let report = try zones.attack("kernelfiles")
      #expect(report.done.isEmpty, "\(report.done)")
      let all = try zones.attack("kernelfiles", options: ["--cap-add", "ALL"])
      #expect(all.done.isEmpty, "with all capabilities: \(all.done)")
    }
  }

  @Test(arguments: everybody) func callsAreRefused(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      let report = try zones.attack("calls")
      #expect(report.done.isEmpty, "\(report.done)")
      // Its flags lie in memory, where no filter can look: libraries are told to use clone instead.
      #expect(report.refusal("clone3") == "ENOSYS")
      #expect(report.refusal("unshare user namespace") == "EPERM")
      #expect(report.refusal("keyctl") == "EPERM")
    }
  }

  /// A thread of an ordinary kind still works: the filter does not refuse every clone.
  @Test func clonesWithoutNamespacesWork() throws {
    try Zonectl.with { zones in
      let outcome = try zones.ok(
        "run", "--rm", "--network", "none", "--", "sh", "-c", "(echo child); seq 3 | sort -n --parallel=4")
      #expect(outcome.lines == ["child", "1", "2", "3"])
    }
  }

  /// CVE-2022-29162, CVE-2022-27650: nothing inheritable, in the first process and by exec.
  @Test(arguments: everybody) func powersAreTheListedOnes(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      try zones.make("a", "running", ["--network", "none"] + (try zones.attacks("powers")))
      let first = try zones.attack("powers").lines
      let exec = try zones.ok("exec", "a", "/attacks/powers").lines
      #expect(first == exec)
      #expect(first.contains("inheritable 0000000000000000"))
      #expect(first.contains("ambient 0"))
      #expect(first.contains("bounding 12"), "Docker's fourteen less NET_RAW and MKNOD: \(first)")
      #expect(first.contains("no_new_privs 1"))
      #expect(first.contains("raise all capabilities: refused EPERM"))
      if who == .root { #expect(first.contains("groups") || first.contains("groups 0"), "\(first)") }
    }
  }

  @Test func capabilitiesAreGivenAndTaken() throws {
    try Zonectl.with { zones in
      let some = try zones.attack(
        "powers", options: ["--cap-drop", "ALL", "--cap-add", "CAP_CHOWN", "--cap-add", "kill"]
      ).lines
      #expect(some.contains("bounding 2") && some.contains("effective 0000000000000021"), "\(some)")
      let none = try zones.attack("powers", options: ["--cap-drop", "ALL"]).lines
      #expect(none.contains("effective 0000000000000000"), "\(none)")
      let user = try zones.attack("powers", options: ["-u", "1000"]).lines
      #expect(user.contains("effective 0000000000000000"), "another user has none: \(user)")
    }
  }

  /// Supplementary groups of the caller: emptied, not kept.
  @Test func theCallersGroupsAreNotKept() throws {
    try Zonectl.with { zones in
      var command = zones.command([
        "run", "--rm", "--network", "none", "--", "sh", "-c", "grep ^Groups: /proc/self/status; id -G",
      ])
      command.argv = ["setpriv", "--groups", "4,27,100", "--"] + command.argv
      let outcome = try command.run()
      let groups = outcome.lines.first?.split(whereSeparator: \.isWhitespace).dropFirst() ?? []
      #expect(groups.allSatisfy { $0 == "0" } && outcome.lines.last == "0", "\(outcome)")
    }
  }

  /// CVE-2024-21626, CVE-2016-9962: no descriptor but the three, in the first process and by exec, and a folder that
  /// `getcwd` knows.
  @Test(arguments: everybody) func noDescriptorLeaks(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      let options = try zones.attacks("descriptors")
      try zones.make("a", "running", ["--network", "none"] + options)
      for words in [
        ["run", "--rm", "--network", "none"] + options + ["--"], ["exec", "a", "--"],
        ["exec", "-w", "/usr", "a", "--"],
      ] {
        // The caller itself has one open without close-on-exec.
        var command = zones.command(words + ["/attacks/descriptors"])
        command.argv = ["sh", "-c", "exec 7</ 8</etc/passwd; exec \"$@\"", "sh"] + command.argv
        let outcome = try command.run()
        #expect(outcome.status == 0, "\(outcome)")
        #expect(outcome.lines.filter { $0.hasPrefix("inherited") || $0.contains("DONE") } == [], "\(words)")
        #expect(outcome.lines.contains { $0.hasPrefix("getcwd: /") }, "\(outcome)")
      }
    }
  }

  /// CVE-2024-21626: a working directory that is a descriptor's name leads to the host's folders.
  @Test(arguments: everybody) func aWorkdirOfADescriptorIsRefused(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      try zones.make("a")
      for number in 3..<16 {
        for words in [
          ["run", "--rm", "--network", "none", "-w", "/proc/self/fd/\(number)", "--"],
          ["exec", "-w", "/proc/self/fd/\(number)", "a"],
        ] {
          let outcome = try zones.command(words + ["sh", "-c", "pwd; ls ../../../../../../../..\(zones.folder)"]).run()
          #expect(outcome.status != 0 && !outcome.out.contains("zonectl"), "\(outcome)")
        }
      }
    }
  }

  @Test(arguments: everybody) func thereIsNoWayOutOfTheRoot(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      let marker = zones.folder + "/zonectl"
      for options in [[], ["--cap-add", "ALL"]] {
        let report = try zones.attack("escape", [marker], options: options)
        #expect(report.done.isEmpty, "with \(options): \(report.done)")
      }
    }
  }

  /// One that we may run on: the first of `Cpus_allowed_list: 0-1,4`.
  static let aProcessor: String = {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") } ?? ""
    return String(line.drop { !$0.isNumber }.prefix { $0.isNumber })
  }()

  /// The command of a foreground zone begins while its init still waits for the host's root to be gone. On one processor,
  /// where either of them may be kept waiting, and on all.
  @Test(arguments: [[], ["taskset", "-c", aProcessor]]) func theHostsRootIsOutOfSightFromTheFirstInstruction(
    _ pinned: [String]
  )
    throws
  {
    try Zonectl.with(.root) { zones in
      let options = try zones.attacks("early")
      let words = ["run", "--rm", "--network", "none"] + options + ["--", "/attacks/early", zones.folder + "/zonectl"]
      for turn in 0..<60 {
        var command = zones.command(words)
        command.argv = pinned + command.argv
        let outcome = try command.run()
        #expect(outcome.status == 0 && outcome.lines.count == 2, "turn \(turn): \(outcome)")
        #expect(!outcome.out.contains("DONE"), "turn \(turn): \(outcome)")
      }
    }
  }

  /// CVE-2017-5226: keystrokes pushed into the terminal of whoever started the zone.
  @Test(arguments: everybody) func keystrokesAreNotPushed(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      let options = try zones.attacks("terminal")
      let terminal = try zones.terminal(
        arguments: ["run", "--rm", "-it", "--network", "none"] + options + ["--", "/attacks/terminal"])
      #expect(terminal.wait() == 0, "\(terminal.screen)")
      let screen = terminal.screen
      #expect(screen.contains("TIOCSTI: refused") && screen.contains("TIOCSTI with high bits: refused"), "\(screen)")
      #expect(
        screen.contains("end") && !screen.contains("STI: DONE") && !screen.contains("TIOCLINUX: DONE"), "\(screen)")
      #expect(
        !screen.contains("bits: DONE") && !screen.contains("console: DONE") && !screen.contains("tty: DONE"),
        "\(screen)")
    }
  }

  /// Without a terminal of the zone's own the caller's must not be in its session.
  @Test func theCallersTerminalIsNotTheZones() throws {
    try Zonectl.with { zones in
      let options = try zones.attacks("terminal")
      let terminal = try zones.terminal(
        arguments: ["run", "--rm", "-i", "--network", "none"] + options + ["--", "/attacks/terminal"])
      #expect(terminal.wait() == 0, "\(terminal.screen)")
      #expect(!terminal.screen.contains("DONE"), "\(terminal.screen)")
    }
  }

  /// Nothing of ours has power that its caller has not.
  @Test func nothingOfOursIsSetUid() throws {
    var status = stat()
    try #require(stat(Zonectl.program, &status) == 0)
    #expect(status.st_mode & (S_ISUID | S_ISGID) == 0)
  }
}
