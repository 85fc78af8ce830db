import Foundation
import Glibc
import Testing

/// The zone's file tree is hostile: everything in it may be a link to where it hurts, and what enters is watched.
@Suite(
  .serialized, .machine, .needs(.root, .ordinaryUser, .program("busybox"), .program("gcc")), .ends(within: 5))
struct AttackTreeTests {
  /// A tree whose `path` is a link to the host's `victim`, by several spellings.
  private func hostile(_ zones: Zonectl, _ path: String, to victim: String) throws -> String {
    let root = zones.folder + "/rootfs"
    try? FileManager.default.removeItem(atPath: root)
    try BusyboxRoot.make(at: root)
    let link = root + path
    try? FileManager.default.removeItem(atPath: link)
    try FileManager.default.createDirectory(
      atPath: (link as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: victim)
    return root
  }

  /// A folder of the host with a file in it, which must be as it was.
  private func victim(_ zones: Zonectl) throws -> String {
    let folder = zones.folder + "/victim"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try "untouched".write(toFile: folder + "/file", atomically: false, encoding: .utf8)
    return folder
  }

  private func expectUntouched(_ folder: String, _ what: String) throws {
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["file"], "\(what)")
    #expect(contents(folder + "/file") == "untouched", "\(what)")
    #expect(!(contents("/proc/self/mountinfo") ?? "").contains(folder), "\(what)")
  }

  /// CVE-2021-30465, CVE-2015-1335, CVE-2019-19921, CVE-2024-45310: whatever is mounted, made or written below the root.
  @Test(arguments: [
    "/proc", "/sys", "/dev", "/dev/pts", "/dev/shm", "/etc", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname", "/run",
    "/run/secrets", "/tmp", "/data", "/deep/er/data", "/scratch",
  ])
  func aLinkInTheTreeDoesNotLeadOut(path: String) throws {
    try Zonectl.with { zones in
      let folder = try victim(zones)
      let isFile = path.hasPrefix("/etc/")
      try "key".write(toFile: zones.folder + "/key", atomically: false, encoding: .utf8)
      for target in [
        folder, "../../../../../../../../../.." + folder, "/proc/self/root" + folder, "/proc/1/root" + folder,
      ] {
        let root = try hostile(zones, path, to: isFile ? target + "/file" : target)
        let outcome = try zones.run(
          "run", "--rm", "--image", "dir:\(root)", "-v", "/data", "-v", "/deep/er/data", "--tmpfs", "/scratch",
          "--secret", "key=\(zones.folder)/key", "--", "/bin/sh", "-c",
          "for d in \(path) /data /deep/er/data /scratch /run /etc /tmp; do echo hacked > $d/new; echo hacked > $d/file; done; echo ran"
        )
        // To be refused is right, and so is to be run on a path inside; the host's files are as they were.
        #expect(outcome.text == "ran" || outcome.status == 125, "\(path) -> \(target): \(outcome)")
        try expectUntouched(folder, "\(path) -> \(target)")
        if ["/proc", "/sys"].contains(path) {
          #expect(outcome.status == 125, "\(path) that is a link must be refused: \(outcome)")
        }
      }
    }
  }

  /// A mount target that is swapped for a link while zones start (CVE-2021-30465): 3,000 turns, 50 at each start.
  @Test func aRaceForAMountTargetIsNotWon() throws {
    try Zonectl.with { zones in
      let folder = try victim(zones)
      let root = zones.folder + "/rootfs"
      try BusyboxRoot.make(at: root)
      let targets = (0..<50).map { "/a/data\($0)" }
      for path in ["/a"] + targets { mkdir(root + path, 0o755) }
      symlink(folder, root + "/b")
      let options = ["-v", "/a/data0"] + targets.dropFirst().flatMap { ["--tmpfs", $0] }
      try racing(root + "/a", root + "/b", helpers: zones.folder + "/helpers") {
        for turn in 0..<60 {
          let outcome = try zones.command(
            ["run", "--rm", "--network", "none", "--image", "dir:\(root)"] + options + [
              "--", "/bin/sh", "-c", "for d in /a /a/data*; do echo hacked > $d/new; done",
            ]
          ).run()
          #expect(!outcome.timedOut)
          try expectUntouched(folder, "start \(turn): \(outcome)")
        }
      }
    }
  }

  /// A program of the tree that is a FIFO or a link to /proc/self/exe, and a shell that is none.
  @Test func aHostileProgramIsNotOurs() throws {
    try Zonectl.with { zones in
      zones.timeout = 10
      let root = zones.folder + "/rootfs"
      try BusyboxRoot.make(at: root)
      mkfifo(root + "/bin/fifo", 0o755)
      try FileManager.default.createSymbolicLink(atPath: root + "/bin/self", withDestinationPath: "/proc/self/exe")
      try "#!/proc/self/exe\n".write(toFile: root + "/bin/script", atomically: false, encoding: .utf8)
      chmod(root + "/bin/script", 0o755)
      for program in ["/bin/fifo", "/bin/self", "/proc/self/exe", "/bin/script"] {
        let outcome = try zones.run("run", "--rm", "--network", "none", "--image", "dir:\(root)", "--", program, "list")
        #expect(!outcome.timedOut && outcome.status != 0, "\(outcome)")
        #expect(!outcome.out.contains("NAME"), "our own program runs in the zone: \(outcome)")
      }
    }
  }

  /// Passwd, group and the files that name things are the zone's to write, and ours to read.
  @Test func aHostilePasswdDoesNotHang() throws {
    try Zonectl.with { zones in
      zones.timeout = 10
      let root = zones.folder + "/rootfs"
      try BusyboxRoot.make(at: root)
      unlink(root + "/etc/passwd")
      mkfifo(root + "/etc/passwd", 0o644)
      let run = ["run", "--rm", "--network", "none", "--image", "dir:\(root)", "-u", "nobody", "--", "/bin/true"]
      let fifo = try zones.command(run).run()
      #expect(!fifo.timedOut && fifo.status == 125, "\(fifo)")
      unlink(root + "/etc/passwd")
      try FileManager.default.createSymbolicLink(atPath: root + "/etc/passwd", withDestinationPath: "/dev/zero")
      let endless = try zones.command(run).run()
      #expect(!endless.timedOut && endless.status == 125, "\(endless)")
      unlink(root + "/etc/passwd")
      // A name that only the host's passwd has.
      try FileManager.default.createSymbolicLink(
        atPath: root + "/etc/passwd", withDestinationPath: "../../../../../../../../etc/passwd")
      let outside = try zones.run(
        "run", "--rm", "--network", "none", "--image", "dir:\(root)", "-u", "daemon", "--", "/bin/true")
      #expect(outside.status == 125, "\(outside)")
    }
  }

  /// CVE-2019-5736 and its kind: a zone's root waits for what enters by exec, and grabs it.
  @Test(arguments: AttackTests.everybody) func whatEntersCannotBeCaught(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      let options = try zones.attacks("catcher", "descriptors")
      let before = try Command.text("sha256sum", zones.folder + "/zonectl")
      try zones.make(
        "a", "running", ["--network", "none", "--cap-add", "SYS_PTRACE"] + options,
        command: ["/attacks/catcher", "\(Int(120 * Patience.factor))", zones.folder + "/zonectl"])
      #expect(try eventually { try zones.ok("logs", "a").out.contains("ready") })
      for _ in 0..<40 {
        try zones.ok("exec", "a", "/attacks/descriptors")
        _ = try zones.run("exec", "a", "/proc/self/exe")
      }
      try zones.ok("stop", "a")
      let log = try zones.ok("logs", "a").out
      #expect(log.contains("end") && !log.contains("DONE"), "\(log)")
      #expect(try Command.text("sha256sum", zones.folder + "/zonectl") == before)
    }
  }

  /// CVE-2025-31133, CVE-2025-52565: a /dev of the tree's own, whose null and console lead elsewhere.
  @Test func aDevOfTheTreeIsNotUsed() throws {
    try Zonectl.with { zones in
      let folder = try victim(zones)
      let root = zones.folder + "/rootfs"
      try BusyboxRoot.make(at: root)
      for name in ["null", "console", "ptmx", "tty", "stdout"] {
        try FileManager.default.createSymbolicLink(atPath: "\(root)/dev/\(name)", withDestinationPath: folder + "/file")
      }
      let terminal = try zones.terminal(
        "run", "--rm", "-it", "--network", "none", "--image", "dir:\(root)", "--", "/bin/sh", "-c",
        "ls -l /dev/null /dev/tty; echo hacked > /dev/null; echo hacked > /dev/console; cat /proc/keys /proc/kcore; echo ran-$?"
      )
      #expect(terminal.shows("ran-"), "\(terminal.screen)")
      _ = terminal.wait()
      #expect(terminal.screen.contains("1,   3") || terminal.screen.contains("1, 3"), "\(terminal.screen)")
      try expectUntouched(folder, "dev")
    }
  }

  /// CVE-2022-0492, CVE-2023-25809: no group that can be written, no v1 tree to put a release agent into.
  @Test(arguments: AttackTests.everybody) func noCgroupIsWritten(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      let script = """
        find /sys/fs/cgroup -name release_agent 2>/dev/null
        for f in $(find /sys/fs/cgroup -type f 2>/dev/null); do ( : >> $f ) 2>/dev/null && echo open $f; done
        mkdir /sys/fs/cgroup/zones-was-here 2>/dev/null && echo made
        for d in /sys/fs/cgroup/*/; do mkdir $d/zones-was-here 2>/dev/null && echo made in $d; done
        cut -d: -f3 /proc/self/cgroup | grep -v '^/$'
        """
      // Where no group is delegated a user's limit is refused.
      let limited = who == .root ? [["--memory", "64M", "--cap-add", "SYS_ADMIN"]] : []
      for options in [[], ["--cap-add", "ALL"]] + limited {
        let outcome = try zones.command(["run", "--rm", "--network", "none"] + options + ["--", "sh", "-c", script])
          .run()
        #expect(outcome.out.isEmpty, "with \(options): \(outcome)")
      }
    }
  }
}
