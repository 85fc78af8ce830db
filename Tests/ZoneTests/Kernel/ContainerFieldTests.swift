import Foundation
import Glibc
import LinuxNS
import Testing

/// Each field of config.json does what it says, seen from inside (docs/OCI.md names these cases).
@Suite(.serialized, .machine, .needs(.root, .program("busybox")), .ends(within: 10))
struct ContainerFieldTests {
  // MARK: process

  @Test func user() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["process.user"] = ["uid": 1000, "gid": 1001, "umask": 0o27, "additionalGids": [5, 6]]
      #expect(
        try bundle.printed("id -u; id -g; id -G; umask").split(separator: "\n") == ["1000", "1001", "1001 5 6", "0027"])
    }
  }

  @Test func inputAndOutputBelongToTheUser() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["process.user"] = ["uid": 1000, "gid": 1000]
      #expect(try bundle.printed("echo again > /proc/self/fd/1") == "again")
    }
  }

  @Test func environmentAndDirectory() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["process.env"] = ["PATH=/bin", "A=1", "B=x y"]
      bundle["process.cwd"] = "/made/here"
      bundle["root.readonly"] = false
      #expect(try bundle.printed("echo $A; echo \"$B\"; echo $HOME; pwd") == "1\nx y\n/root\n/made/here")
    }
  }

  @Test func homeIsTheUsersOwn() throws {
    try OCIBundle.with { (bundle) throws in
      let passwd = bundle.folder + "/rootfs/etc/passwd"
      let long = String(repeating: "x", count: 5000)
      try """
      root:x:0:0:root:/home/of/root:/bin/sh
      short:x:1000:1000:/home/short
      negative:x:-1000:1000::/home/negative:/bin/sh
      large:x:4294968296:1000::/home/large:/bin/sh
      \(long):x:1001:1001:\(long):/home/one:/bin/sh
      node:x:1000:1000::/home/node:/bin/sh
      again:x:1000:1000::/home/again:/bin/sh
      relative:x:1002:1002::home:/bin/sh
      endless:x:1003:1003::/\(long):/bin/sh
      none:x:1004:1004:::/bin/sh
      last:x:1005:1005::/home/last:/bin/sh
      """.write(toFile: passwd, atomically: false, encoding: .utf8)
      func home(_ uid: Int) throws -> String {
        bundle["process.user"] = ["uid": uid, "gid": uid]
        return try bundle.printed("echo $HOME")
      }
      for (uid, expected) in [
        (0, "/home/of/root"), (1000, "/home/node"), (1001, "/home/one"), (1002, "/"), (1003, "/"), (1004, "/"),
        (1005, "/home/last"), (1006, "/"),
      ] {
        #expect(try home(uid) == expected, "uid \(uid)")
      }
      let environment = bundle["process.env"] as? [String] ?? []
      bundle["process.env"] = environment + ["HOME=/said", "HOME="]
      #expect(try home(1000) == "/home/node", "empty is as good as none")
      bundle["process.env"] = environment + ["HOME=/before", "HOME=/said"]
      #expect(try home(1000) == "/said")
      bundle["process.env"] = environment
      // What is mounted there counts, as engines mount a file of their own; and nothing there is waited for.
      try "mine:x:1000:1000::/home/mine:/bin/sh\n".write(
        toFile: bundle.folder + "/passwd", atomically: false, encoding: .utf8)
      let mounts = bundle["mounts"]
      bundle.add(
        "mounts",
        ["destination": "/etc/passwd", "type": "bind", "source": bundle.folder + "/passwd", "options": ["bind"]])
      #expect(try home(1000) == "/home/mine")
      bundle["process.args"] = ["sleep", "1000"]
      try bundle.create()
      try bundle.ok("start", "a")
      #expect(try bundle.ok("exec", "a", "sh", "-c", "echo $HOME").text == "/home/mine")
      #expect(try bundle.ok("exec", "--user", "5", "a", "sh", "-c", "echo $HOME").text == "/")
      #expect(try bundle.ok("exec", "--env", "HOME=/said", "a", "sh", "-c", "echo $HOME").text == "/said")
      try bundle.ok("exec", "--env", "TERM=other", "a", "sh", "-c", "test $TERM = other")
      try bundle.ok("delete", "--force", "a")
      bundle["mounts"] = mounts
      unlink(passwd)
      #expect(try home(1000) == "/")
      mkfifo(passwd, 0o644)
      #expect(try home(1000) == "/")
      unlink(passwd)
      symlink("/proc/self/fd/0", passwd)
      #expect(try home(1000) == "/")
    }
  }

  @Test func aRelativeCommandIsFoundFromItsDirectory() throws {
    try OCIBundle.with { (bundle) throws in
      let root = bundle.folder + "/rootfs"
      func command(_ path: String) throws {
        try FileManager.default.createDirectory(
          atPath: FileSystem.parent(of: root + path), withIntermediateDirectories: true)
        try "#!/bin/sh\necho \(path) in $(pwd)\n".write(toFile: root + path, atomically: false, encoding: .utf8)
        chmod(root + path, 0o755)
      }
      try command("/app/server")
      try command("/app/sub/tool")
      try command("/other")
      symlink("/app", root + "/link")
      bundle["process.env"] = ["PATH=/bin:sub"]
      for (directory, words, printed) in [
        ("/app", "./server", "/app/server in /app"), ("/app", "sub/tool", "/app/sub/tool in /app"),
        ("/app", "tool", "/app/sub/tool in /app"), ("/app/sub", "../server", "/app/server in /app/sub"),
        ("/link", "./server", "/app/server in /app"),
      ] {
        bundle["process.cwd"] = directory
        bundle["process.args"] = [words]
        let outcome = try bundle.start()
        #expect(outcome.status == 0 && outcome.text == printed, "\(directory) \(words): \(outcome)")
      }
      // What has its name elsewhere is not meant.
      bundle["process.cwd"] = "/app"
      bundle["process.args"] = ["./other"]
      #expect(try bundle.refusal().contains("exec: \"./other\": no such file or directory"))
      // A directory that is made when the process enters it is empty.
      bundle["root.readonly"] = false
      bundle["process.cwd"] = "/new"
      #expect(try bundle.refusal().contains("exec: \"./other\": no such file or directory"))
    }
  }

  @Test func capabilities() throws {
    try OCIBundle.with { (bundle) throws in
      let sets = { (names: [String]) in
        ["bounding", "effective", "permitted", "inheritable", "ambient"].reduce(into: [String: Any]()) {
          $0[$1] = names
        }
      }
      bundle["process.capabilities"] = sets(["CAP_KILL", "CAP_CHOWN"])
      bundle["process.user"] = ["uid": 1000, "gid": 1000]
      let lines = try bundle.printed("grep Cap /proc/self/status").split(separator: "\n")
      #expect(lines.count == 5 && lines.allSatisfy { $0.hasSuffix("0000000000000021") }, "\(lines)")
      bundle["process.capabilities"] = [String: Any]()
      bundle["process.user"] = ["uid": 0, "gid": 0]
      let none = try bundle.printed("grep Cap /proc/self/status").split(separator: "\n")
      #expect(none.allSatisfy { $0.hasSuffix("0000000000000000") }, "\(none)")
      bundle["process.capabilities"] = nil
      for id in [0, 1000] {
        bundle["process.user"] = ["uid": id, "gid": id]
        let unsaid = try bundle.printed("grep Cap /proc/self/status").split(separator: "\n")
        #expect(unsaid == none, "uid \(id): \(unsaid)")
      }
    }
  }

  @Test func rlimits() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["process.rlimits"] = [
        ["type": "RLIMIT_NOFILE", "soft": 100, "hard": 200], ["type": "RLIMIT_CORE", "soft": 0, "hard": 0],
        ["type": "RLIMIT_STACK", "soft": 1 << 20, "hard": NSNumber(value: UInt64.max)],
      ]
      #expect(
        try bundle.printed("ulimit -Sn; ulimit -Hn; ulimit -c; ulimit -Ss; ulimit -Hs")
          == "100\n200\n0\n1024\nunlimited")
      bundle["process.rlimits"] = [["type": "RLIMIT_NOFILE", "soft": 2, "hard": 1]]
      #expect(try bundle.refusal().contains("process.rlimits[0].soft"))
    }
  }

  @Test func noNewPrivilegesAndOOMScore() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["process.oomScoreAdj"] = 333
      #expect(
        try bundle.printed("grep NoNewPrivs /proc/self/status; cat /proc/self/oom_score_adj") == "NoNewPrivs:\t1\n333")
      bundle["process.noNewPrivileges"] = false
      #expect(try bundle.printed("grep NoNewPrivs /proc/self/status") == "NoNewPrivs:\t0")
    }
  }

  @Test func schedulerPriorityAndPersonality() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["process.scheduler"] = ["policy": "SCHED_BATCH", "nice": 5]
      bundle["process.ioPriority"] = ["class": "IOPRIO_CLASS_IDLE", "priority": 0]
      bundle["linux.personality"] = ["domain": "LINUX32"]
      let lines = try bundle.printed("cut -d' ' -f19,41 /proc/self/stat; ionice -p $$; uname -m").split(separator: "\n")
      #expect(lines.first == "5 3" && lines.dropFirst().first?.hasPrefix("idle") == true, "\(lines)")
      #expect(["i686", "armv8l"].contains(lines.last), "\(lines)")
    }
  }

  @Test(arguments: [
    ("process.apparmorProfile", "nosuch" as any Sendable), ("process.selinuxLabel", "system_u:x:y:s0"),
  ])
  func labelsNeedTheirModule(field: String, value: any Sendable) throws {
    // Where the module is there, it has no profile of that name: the kernel refuses to be told it.
    let module = field.hasSuffix("Profile") ? "attr/apparmor/exec" : "attr/exec"
    let isThere =
      field.hasSuffix("Profile")
      ? contents("/sys/module/apparmor/parameters/enabled") == "Y\n"
      : FileManager.default.fileExists(atPath: "/sys/fs/selinux/enforce")
    try OCIBundle.with { (bundle) throws in
      bundle[field] = value
      let line = try bundle.refusal()
      #expect(line.contains(isThere ? module : field), "\(line)")
    }
  }

  @Test func terminal() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["process.terminal"] = true
      bundle["process.consoleSize"] = ["height": 33, "width": 99]
      bundle.shell("test -t 0 && test -t 2 && tty && stty size && ls -l /dev/console | cut -c1")
      let outcome = try bundle.start()
      #expect(
        outcome.text.components(separatedBy: "\r\n") == ["/dev/pts/0", "33 99", "c"],
        "\(outcome)")
    }
  }

  // MARK: names and namespaces

  @Test func names() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["hostname"] = "thisone"
      bundle["domainname"] = "of.mine"
      #expect(try bundle.printed("hostname; cat /proc/sys/kernel/domainname") == "thisone\nof.mine")
      bundle["linux.namespaces"] = (bundle["linux.namespaces"] as? [[String: Any]])?.filter {
        $0["type"] as? String != "uts"
      }
      #expect(try bundle.refusal().contains("hostname"))
    }
  }

  @Test(arguments: [false, true]) func namespacesByPath(ofAUser: Bool) throws {
    try OCIBundle.with { (bundle) throws in
      bundle["process.args"] = ["sleep", "1000"]
      if ofAUser {
        bundle.add("linux.namespaces", ["type": "user"])
        for key in ["uidMappings", "gidMappings"] {
          bundle["linux.\(key)"] = [["containerID": 0, "hostID": 300_000, "size": 65536]]
        }
        // The way to the root is host root's alone, as engines have it.
        chmod(bundle.folder, 0o700)
      }
      try bundle.create("first")
      try bundle.ok("start", "first")
      let pid = try #require(try bundle.state("first")?["pid"] as? Int)
      let shared = ["network": "net", "ipc": "ipc", "uts": "uts", "pid": "pid", "cgroup": "cgroup", "user": "user"]
      bundle["hostname"] = nil
      bundle["linux.namespaces"] = (bundle["linux.namespaces"] as? [[String: Any]])?.map { namespace in
        guard let type = namespace["type"] as? String, let file = shared[type] else { return namespace }
        return ["type": type, "path": "/proc/\(pid)/ns/\(file)"]
      }
      let printed = try bundle.printed(
        "for n in net ipc uts pid cgroup user mnt; do readlink /proc/self/ns/$n; done; id -u; touch /dev/mine && stat -c %u /dev/mine /dev; ps | grep -c 'sleep 1000'"
      )
      let lines = printed.split(separator: "\n").map(String.init)
      for (at, file) in ["net", "ipc", "uts", "pid", "cgroup", "user"].enumerated() {
        let its = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/ns/\(file)")
        #expect(lines[at] == its, "\(file)")
      }
      #expect(lines[6] != (try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/ns/mnt")))
      #expect(lines.dropFirst(7).prefix(3) == ["0", "0", "0"], "\(lines)")
      #expect(lines.last != "0")
      for key in ["uidMappings", "gidMappings"] { bundle["linux.\(key)"] = nil }
      bundle["linux.namespaces"] = [["type": "mount"], ["type": "network", "path": "/proc/\(pid)/ns/ipc"]]
      #expect(try bundle.start("b").err.contains("network namespace"))
    }
  }

  @Test func userNamespace() throws {
    try OCIBundle.with { (bundle) throws in
      bundle.add("linux.namespaces", ["type": "user"])
      bundle["linux.uidMappings"] = [["containerID": 0, "hostID": 300_000, "size": 65536]]
      bundle["linux.gidMappings"] = [["containerID": 0, "hostID": 400_000, "size": 65536]]
      bundle.add(
        "mounts", ["destination": "/mine", "type": "tmpfs", "source": "tmpfs", "options": ["uid=7", "mode=700"]])
      mkdir(bundle.folder + "/rootfs/mine", 0o755)
      let lines = try bundle.printed(
        "cat /proc/self/uid_map; stat -c '%u %g' /dev/null; stat -c %u /mine; echo x > /dev/null && echo written; id -u"
      )
      #expect(
        lines.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") } == [
          "0 300000 65536", "0 0", "7", "written", "0",
        ])
    }
  }

  @Test func aReadOnlyBindIsLockedInAUserNamespace() throws {
    try OCIBundle.with { (bundle) throws in
      mkdir(bundle.folder + "/shared", 0o777)
      chmod(bundle.folder + "/shared", 0o777)
      bundle.add("linux.namespaces", ["type": "user"])
      for key in ["uidMappings", "gidMappings"] {
        bundle["linux.\(key)"] = [["containerID": 0, "hostID": 300_000, "size": 65536]]
      }
      let all = ["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"]
      bundle["process.capabilities"] = ["bounding": all, "effective": all, "permitted": all]
      bundle["root.readonly"] = false
      bundle.add(
        "mounts",
        ["destination": "/shared", "type": "bind", "source": bundle.folder + "/shared", "options": ["bind", "ro"]])
      mkdir(bundle.folder + "/rootfs/shared", 0o755)
      bundle.shell(
        "mount -o remount,bind,rw /shared; echo x > /shared/written; umount /shared; test -e /shared/written")
      #expect(try bundle.start().status != 0)
      #expect(!FileManager.default.fileExists(atPath: bundle.folder + "/shared/written"))
    }
  }

  @Test func timeOffsets() throws {
    try OCIBundle.with { (bundle) throws in
      bundle.add("linux.namespaces", ["type": "time"])
      bundle["linux.timeOffsets"] = ["boottime": ["secs": 1_000_000, "nanosecs": 5], "monotonic": ["secs": 7]]
      let up = try #require(Double(try bundle.printed("cut -d' ' -f1 /proc/uptime")))
      #expect(up > 1_000_000)
      let offsets = try bundle.printed("cat /proc/self/timens_offsets").split(whereSeparator: \.isWhitespace)
      #expect(offsets == ["monotonic", "7", "0", "boottime", "1000000", "5"])
    }
  }

  // MARK: mounts

  @Test func bindsAndTheirAttributes() throws {
    try OCIBundle.with { (bundle) throws in
      for name in ["data", "data/below", "file"] { mkdir(bundle.folder + "/" + name, 0o755) }
      rmdir(bundle.folder + "/file")
      try "content".write(toFile: bundle.folder + "/file", atomically: false, encoding: .utf8)
      bundle["root.readonly"] = false
      bundle.add(
        "mounts",
        [
          "destination": "/deep/in/data", "source": bundle.folder + "/data",
          "options": ["rbind", "ro", "nosuid", "noexec"],
        ],
        [
          "destination": "/etc/one/file", "type": "bind", "source": bundle.folder + "/file",
          "options": ["bind", "rro"],
        ],
        ["destination": "/scratch", "type": "tmpfs", "source": "tmp", "options": ["size=64k", "mode=1770", "nodev"]])
      let printed = try bundle.printed(
        """
        touch /deep/in/data/x 2>&1; cat /etc/one/file; echo; echo y > /etc/one/file; grep -E '/deep/in/data|/scratch' /proc/mounts \
        | cut -d' ' -f2,4; stat -c %a /scratch; dd if=/dev/zero of=/scratch/big bs=1k count=100 2>&1 | grep -c 'No space'
        """)
      let lines = printed.split(separator: "\n")
      #expect(lines.first?.contains("Read-only") == true && lines.dropFirst().first == "content", "\(printed)")
      #expect(lines.contains { $0.hasPrefix("/deep/in/data ro,nosuid,noexec") }, "\(printed)")
      #expect(lines.contains { $0.hasPrefix("/scratch rw,nodev") && $0.contains("size=64k") }, "\(printed)")
      #expect(lines.suffix(2) == ["1770", "1"], "\(printed)")
    }
  }

  @Test func aTmpfsBeginsWithWhatWasThere() throws {
    try OCIBundle.with { (bundle) throws in
      let there = bundle.folder + "/rootfs/there"
      mkdir(there, 0o751)
      mkdir(there + "/sub", 0o700)
      try "text".write(toFile: there + "/sub/file", atomically: false, encoding: .utf8)
      chmod(there + "/sub/file", 0o644)
      chown(there + "/sub/file", 12, 34)
      symlink("/etc/passwd", there + "/link")
      bundle.add(
        "mounts", ["destination": "/there", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "ro"]])
      let printed = try bundle.printed(
        "cat /there/sub/file; echo; stat -c '%a %u %g' /there/sub/file; stat -c %a /there/sub; readlink /there/link; touch /there/x 2>&1; true"
      )
      let lines = printed.split(separator: "\n")
      #expect(
        Array(lines.prefix(4)) == ["text", "644 12 34", "700", "/etc/passwd"]
          && lines.last?.contains("Read-only") == true, "\(printed)")
    }
  }

  @Test(arguments: [false, true]) func aTmpfsHasTheModeOfWhatItCovers(ofAUser: Bool) throws {
    try OCIBundle.with { (bundle) throws in
      let first: UInt32 = ofAUser ? 300_000 : 0
      if ofAUser {
        bundle.add("linux.namespaces", ["type": "user"])
        for key in ["uidMappings", "gidMappings"] {
          bundle["linux.\(key)"] = [["containerID": 0, "hostID": first, "size": 65536]]
        }
      }
      func directory(_ name: String, _ mode: UInt32, uid: UInt32, gid: UInt32) {
        mkdir(bundle.folder + "/rootfs/" + name, mode)
        chmod(bundle.folder + "/rootfs/" + name, mode)
        chown(bundle.folder + "/rootfs/" + name, first + uid, first + gid)
      }
      directory("plain", 0o710, uid: 5, gid: 6)
      directory("shared", 0o1777, uid: 0, gid: 0)
      directory("said", 0o710, uid: 5, gid: 6)
      directory("copied", 0o3751, uid: 12, gid: 34)
      directory("ofroot", 0o755, uid: 0, gid: 34)
      directory("given", 0o755, uid: 12, gid: 34)
      bundle["root.readonly"] = false
      for (place, options) in [
        ("plain", ["size=64k"]), ("shared", ["ro"]), ("said", ["mode=700"]), ("made", []),
        ("copied", ["tmpcopyup", "ro"]),
        ("ofroot", ["tmpcopyup"]), ("given", ["tmpcopyup", "uid=7"]),
      ] {
        bundle.add("mounts", ["destination": "/\(place)", "type": "tmpfs", "source": "tmpfs", "options": options])
      }
      let printed = try bundle.printed(
        "cd /; stat -c '%n %a %u %g' plain shared said made copied ofroot given; grep -c 'size=64k' /proc/mounts; touch shared/x copied/x 2>&1; true"
      )
      let lines = printed.split(separator: "\n").map(String.init)
      #expect(
        lines.prefix(8) == [
          "plain 710 0 0", "shared 1777 0 0", "said 700 0 0", "made 1777 0 0", "copied 3751 12 34", "ofroot 755 0 34",
          "given 755 7 0", "1",
        ], "\(printed)")
      #expect(lines.suffix(2).allSatisfy { $0.contains("Read-only") }, "\(printed)")
    }
  }

  @Test func aLinkInTheRootLeadsNoMountOut() throws {
    try OCIBundle.with { (bundle) throws in
      mkdir(bundle.folder + "/outside", 0o755)
      symlink("../../../../../../..\(bundle.folder)/outside", bundle.folder + "/rootfs/out")
      bundle["root.readonly"] = false
      bundle.add("mounts", ["destination": "/out/made", "type": "tmpfs", "source": "tmpfs"])
      bundle["linux.maskedPaths"] = ["/out"]
      #expect(try bundle.refusal().contains("/out/made"), "there is no such place in the root")
      #expect(try FileManager.default.contentsOfDirectory(atPath: bundle.folder + "/outside").isEmpty)
      let inside = bundle.folder + "/rootfs" + bundle.folder + "/outside"
      try FileManager.default.createDirectory(atPath: inside, withIntermediateDirectories: true)
      _ = try bundle.printed("true")
      #expect(try FileManager.default.contentsOfDirectory(atPath: bundle.folder + "/outside").isEmpty)
      #expect(FileManager.default.fileExists(atPath: inside + "/made"))
    }
  }

  /// The kernel says EAGAIN of a path with `..` while anything on the machine is renamed (openat2(2)).
  @Test func othersRenamesFailNoStart() throws {
    try OCIBundle.with { (bundle) throws in
      let root = bundle.folder + "/rootfs"
      mkdir(root + "/made", 0o755)
      symlink("var/../../../var/../../var/../var/../made", root + "/out")
      bundle.add("mounts", ["destination": "/out", "type": "tmpfs", "source": "tmpfs"])
      let (one, other) = (bundle.folder + "/one", bundle.folder + "/other")
      mkdir(root + "/var", 0o755)
      for file in [one, other] { try "".write(toFile: file, atomically: false, encoding: .utf8) }
      try racing(one, other, helpers: bundle.folder + "/helpers") {
        for _ in 0..<20 { #expect(try bundle.printed("stat -f -c %T /made") == "tmpfs") }
        let root = try RootFD.open(root)
        for _ in 0..<1000 { _ = try root.open("/out", O_PATH) }
      }
    }
  }

  @Test func idMappedMounts() throws {
    try OCIBundle.with { (bundle) throws in
      mkdir(bundle.folder + "/data", 0o755)
      try "x".write(toFile: bundle.folder + "/data/file", atomically: false, encoding: .utf8)
      chown(bundle.folder + "/data/file", 5, 6)
      bundle.add(
        "mounts",
        [
          "destination": "/mnt", "source": bundle.folder + "/data", "options": ["bind"],
          "uidMappings": [["containerID": 5, "hostID": 1005, "size": 1]],
          "gidMappings": [["containerID": 6, "hostID": 1006, "size": 1]],
        ])
      mkdir(bundle.folder + "/rootfs/mnt", 0o755)
      #expect(try bundle.printed("stat -c '%u %g' /mnt/file") == "1005 1006")
    }
  }

  @Test func propagation() throws {
    try OCIBundle.with { (bundle) throws in
      mkdir(bundle.folder + "/data", 0o755)
      mkdir(bundle.folder + "/rootfs/mnt", 0o755)
      bundle.add("mounts", ["destination": "/mnt", "source": bundle.folder + "/data", "options": ["bind", "rshared"]])
      #expect(try bundle.printed("grep ' /mnt ' /proc/self/mountinfo").contains("shared:"))
      #expect(!(try bundle.printed("grep ' / / ' /proc/self/mountinfo; true").contains("shared:")))
      bundle["linux.rootfsPropagation"] = "shared"
      #expect(try bundle.printed("grep ' / ' /proc/self/mountinfo").contains("shared:"))
    }
  }

  @Test func rootAndCoveredPaths() throws {
    try OCIBundle.with { (bundle) throws in
      try "secret".write(toFile: bundle.folder + "/rootfs/etc/hidden", atomically: false, encoding: .utf8)
      mkdir(bundle.folder + "/rootfs/var/dir", 0o755)
      try "in".write(toFile: bundle.folder + "/rootfs/var/dir/x", atomically: false, encoding: .utf8)
      bundle.add("linux.maskedPaths", "/etc/hidden", "/var/dir", "/not/there")
      bundle.add("linux.readonlyPaths", "/tmp", "/not/there/either")
      #expect(try bundle.printed("touch /x 2>&1; true").contains("Read-only"))
      bundle["root.readonly"] = false
      let printed = try bundle.printed(
        "cat /etc/hidden; ls /var/dir; touch /tmp/x 2>&1; touch /x; echo k > /proc/sys/kernel/hostname; cat /proc/kcore | wc -c"
      )
      #expect(printed.contains("Read-only") && !printed.contains("secret") && printed.hasSuffix("\n0"), "\(printed)")
    }
  }

  @Test func sysctls() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["linux.sysctl"] = ["net.ipv4.ip_forward": "1", "kernel.msgmax": "4242"]
      #expect(try bundle.printed("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax") == "1\n4242")
      bundle["linux.sysctl"] = ["kernel.panic": "1"]
      #expect(try bundle.refusal().contains("kernel.panic"))
    }
  }

  @Test func devices() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["linux.devices"] = [
        ["type": "c", "path": "/dev/mine", "major": 1, "minor": 5, "fileMode": 0o644, "uid": 3, "gid": 4],
        ["type": "p", "path": "/dev/sub/pipe", "fileMode": 0o600],
      ]
      bundle.add("linux.resources.devices", ["allow": true, "type": "c", "major": 1, "minor": 5, "access": "r"])
      let printed = try bundle.printed(
        "stat -c '%F %a %u %g %t:%T' /dev/mine /dev/sub/pipe; head -c 3 /dev/mine | wc -c; ls /dev | grep -c -E '^(null|zero|full|random|urandom|tty)$'"
      )
      #expect(printed == "character special file 644 3 4 1:5\nfifo 600 0 0 0:0\n3\n6", "\(printed)")
    }
  }

  @Test func deviceRules() throws {
    try OCIBundle.with { (bundle) throws in
      // The kernel's log, opened to be written to: what asks for no capability.
      bundle["linux.devices"] = [["type": "c", "path": "/dev/log2", "major": 1, "minor": 11, "fileMode": 0o666]]
      let refused = try bundle.printed("(: > /dev/log2) 2>&1; echo > /dev/null && echo fine")
      #expect(refused.contains("not permitted") && refused.hasSuffix("fine"), "\(refused)")
      bundle.add("linux.resources.devices", ["allow": true, "type": "c", "major": 1, "minor": 11, "access": "w"])
      #expect(try bundle.printed("(: > /dev/log2) 2>&1 && echo opened") == "opened")
      // Without a rule: what the bundle has made, and no other.
      bundle["linux.resources"] = nil
      bundle["linux.devices"] = [["type": "c", "path": "/dev/fuse2", "major": 10, "minor": 229, "fileMode": 0o666]]
      try Command.text("mknod", "-m", "666", bundle.folder + "/rootfs/log3", "c", "1", "11")
      let made = try bundle.printed("(: < /dev/fuse2) 2>&1 && echo opened; (: > /log3) 2>&1; true")
      #expect(made.hasPrefix("opened") && made.contains("not permitted"), "\(made)")
    }
  }

  // MARK: seccomp

  @Test func seccomp() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["linux.seccomp"] = [
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": [
          ["names": ["mkdir", "mkdirat", "nosuchcall"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77],
          [
            "names": ["kill"], "action": "SCMP_ACT_ERRNO",
            "args": [["index": 1, "value": 10, "op": "SCMP_CMP_EQ"]],
          ],
        ],
      ]
      for noNew in [true, false] {
        bundle["process.noNewPrivileges"] = noNew
        bundle["process.capabilities.bounding"] = ["CAP_SYS_ADMIN"]
        let printed = try bundle.printed(
          "mkdir /tmp/x 2>&1; kill -10 1 2>&1; kill -0 1 && echo alive; grep Seccomp: /proc/self/status")
        #expect(printed.contains("File descriptor in bad state") || printed.contains("77"), "\(printed)")
        #expect(printed.contains("not permitted") && printed.contains("alive") && printed.hasSuffix("2"), "\(printed)")
      }
      #expect(
        try FileManager.default.contentsOfDirectory(atPath: bundle.folder + "/state/=filters").count == 1,
        "compiled once")
    }
  }

  // MARK: groups

  @Test func resources() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["linux.resources"] = [
        "memory": ["limit": 64 << 20, "swap": 64 << 20], "pids": ["limit": 33],
        "cpu": ["shares": 512, "quota": 20000, "period": 100_000, "cpus": "0"],
      ]
      let printed = try bundle.printed(
        """
        cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes pids/pids.max cpu/cpu.shares cpu/cpu.cfs_quota_us cpuset/cpuset.cpus 2>/dev/null \
        || cat memory.max pids.max cpu.weight cpu.max cpuset.cpus
        """)
      #expect(
        ["\(64 << 20)\n33\n512\n20000\n0", "\(64 << 20)\n33\n20\n20000 100000\n0"].contains(printed), "\(printed)")
      bundle["linux.resources"] = ["memory": ["limit": 10, "swap": 5]]
      #expect(try bundle.refusal().contains("linux.resources.memory.swap"))
    }
  }

  @Test func blockIO() throws {
    let disks = try FileManager.default.contentsOfDirectory(atPath: "/sys/block").filter { !$0.hasPrefix("loop") }
    let disk = try #require(disks.first, "there is no block device")
    let number = try #require(contents("/sys/block/\(disk)/dev")).trimmingCharacters(in: .whitespacesAndNewlines)
    let parts = number.split(separator: ":").compactMap { Int($0) }
    try OCIBundle.with { (bundle) throws in
      for (key, rate) in [("ReadBps", 1 << 20), ("WriteBps", 2 << 20), ("ReadIOPS", 33), ("WriteIOPS", 44)] {
        bundle["linux.resources.blockIO.throttle\(key)Device"] = [["major": parts[0], "minor": parts[1], "rate": rate]]
      }
      let printed = try bundle.printed(
        """
        cd /sys/fs/cgroup; cat io.max 2>/dev/null && exit; cd blkio
        cat blkio.throttle.read_bps_device blkio.throttle.write_bps_device blkio.throttle.read_iops_device \
          blkio.throttle.write_iops_device
        """)
      let values = [1 << 20, 2 << 20, 33, 44]
      #expect(
        [
          "\(number) rbps=\(values[0]) wbps=\(values[1]) riops=33 wiops=44",
          values.map { "\(number) \($0)" }.joined(separator: "\n"),
        ].contains(printed), "\(printed)")
    }
  }

  @Test func aGroupsPathDoesNotClimb() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["linux.cgroupsPath"] = "../../up"
      #expect(try bundle.refusal().contains("linux.cgroupsPath"))
    }
  }

  @Test func aGroupWithProcessesIsRefused() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["linux.cgroupsPath"] = "zones-test-\(getpid())"
      bundle["process.args"] = ["sleep", "1000"]
      try bundle.create()
      try bundle.ok("start", "a")
      let second = try bundle.start("b")
      #expect(second.status == 1 && second.err.contains("has processes"), "\(second)")
      #expect(try bundle.status() == "running", "nothing is taken away from the first")
      try bundle.ok("delete", "--force", "a")
      // The group above, too: `.machine` looks for the other trees'.
      for tree in ["unified/", ""] { #expect(access("/sys/fs/cgroup/\(tree)zone-oci", F_OK) != 0) }
    }
  }
}
