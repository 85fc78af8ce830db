import Foundation
import Glibc
import Testing

/// Users and volumes: uid N inside is N on disk, so two zones can share a folder, and ids are parsed strictly.
@Suite(.serialized, .machine, .needs(.root), .ends(within: 5)) struct UserVolumeTests {
  private func owner(_ path: String) -> UInt32? {
    var status = stat()
    return lstat(path, &status) == 0 ? status.st_uid : nil
  }

  @Test func twoZonesShareAFolderByNumber() throws {
    try Zonectl.with { zones in
      let folder = zones.folder + "/shared"
      mkdir(folder, 0o777)
      chmod(folder, 0o777)
      let options = ["--network", "none", "-v", "\(folder):/shared"]
      try zones.make("a", "running", options)
      try zones.make("b", "running", options)
      try zones.ok(
        "exec", "-u", "1234:1234", "a", "--", "sh", "-c", "echo from-a > /shared/file; chmod 600 /shared/file")
      #expect(owner(folder + "/file") == 1234)
      #expect(try zones.ok("exec", "b", "stat", "-c", "%u:%g", "/shared/file").text == "1234:1234")
      #expect(try zones.ok("exec", "-u", "1234", "b", "cat", "/shared/file").text == "from-a")
      #expect(try zones.run("exec", "-u", "1235", "b", "cat", "/shared/file").status != 0)
      try zones.ok("exec", "b", "touch", "/shared/of-root")
      #expect(owner(folder + "/of-root") == 0)
    }
  }

  @Test func aNamedVolumeOutlivesItsZones() throws {
    try Zonectl.with { zones in
      let run = ["run", "--rm", "--network", "none", "-v", "data:/data", "--"]
      try zones.ok(run + ["sh", "-c", "echo kept > /data/file; chown 55:66 /data/file"])
      #expect(try zones.ok(run + ["sh", "-c", "cat /data/file; stat -c %u:%g /data/file"]).lines == ["kept", "55:66"])
      #expect(owner(zones.root + "/data/.shared/volumes/data/file") == 55)
    }
  }

  @Test func readOnlyIsReadOnlyAlsoForTheZonesRoot() throws {
    try Zonectl.with { zones in
      let folder = zones.folder + "/shared"
      mkdir(folder, 0o777)
      let outcome = try zones.run(
        "run", "--rm", "--network", "none", "-v", "\(folder):/shared:ro", "--", "sh", "-c",
        "touch /shared/x; mount -o remount,rw,bind /shared; touch /shared/y; umount /shared; ls -A /shared")
      #expect(outcome.out.isEmpty, "\(outcome)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
    }
  }

  @Test func aFileCanBeAVolume() throws {
    try Zonectl.with { zones in
      let file = zones.folder + "/file"
      try "content".write(toFile: file, atomically: false, encoding: .utf8)
      #expect(
        try zones.ok(
          "run", "--rm", "--network", "none", "-v", "\(file):/etc/some/file:ro", "--", "cat", "/etc/some/file"
        ).text
          == "content")
    }
  }

  @Test func tmpfsHasItsSize() throws {
    try Zonectl.with { zones in
      let outcome = try zones.run(
        "run", "--rm", "--network", "none", "--tmpfs", "/scratch:1M", "--", "sh", "-c",
        "head -c 2M /dev/zero > /scratch/x; stat -c %s /scratch/x")
      #expect(outcome.text == "1048576", "\(outcome)")
    }
  }

  @Test(arguments: [
    ("1", "1:1"), ("1:2", "1:2"), ("0", "0:0"), ("65534", "65534:65534"), ("nobody", "65534:65534"), ("root", "0:0"),
  ])
  func aUserIsWhoItSays(user: String, ids: String) throws {
    try Zonectl.with { zones in
      let outcome = try zones.ok(
        "run", "--rm", "--network", "none", "-u", user, "--", "sh", "-c", "echo $(id -u):$(id -g)")
      // A number that passwd does not know has no group but the one that was given, or root's as Docker has it.
      #expect(outcome.text == ids || (user == "1" && outcome.text == "1:0"), "\(outcome)")
    }
  }

  /// Everything that a lax parser takes for a number, and most often for 0.
  @Test(arguments: [
    "-1", "1x", "0x10", " 1", "1 ", "4294967295", "4294967296", "18446744073709551616", "", ":", "1:", ":1", "1:x",
    "+1",
    "1:2:3", "65536", "no-such-user", "root:no-such-group",
  ])
  func aUserThatIsNoneIsRefused(user: String) throws {
    try Zonectl.with { zones in
      let outcome = try zones.run("run", "--rm", "--network", "none", "-u", user, "--", "id", "-u")
      #expect([125, 2].contains(outcome.status), "\(outcome)")
      #expect(outcome.out.isEmpty)
      #expect(try zones.list().isEmpty)
    }
  }

  /// CVE-2026-30892: a number must never be looked up as a name, nor a name be taken for a number.
  @Test func aNumberIsNoNameThatAHostilePasswdGives() throws {
    try Zonectl.with { zones in
      let root = zones.folder + "/rootfs"
      try BusyboxRoot.make(at: root)
      try "root:x:0:0::/:/bin/sh\n1:x:0:0::/:/bin/sh\nhuge:x:4294967296:0::/:/bin/sh\nminus:x:-1:0::/:/bin/sh\n".write(
        toFile: root + "/etc/passwd", atomically: false, encoding: .utf8)
      let run = ["run", "--rm", "--network", "none", "--image", "dir:\(root)"]
      #expect(try zones.ok(run + ["-u", "1", "--", "/bin/id", "-u"]).text == "1")
      for name in ["huge", "minus"] {
        let outcome = try zones.command(run + ["-u", name, "--", "/bin/id", "-u"]).run()
        #expect(outcome.status == 125 && outcome.out.isEmpty, "\(outcome)")
      }
    }
  }

  @Test(.needs(.ordinaryUser)) func rangesOfZonesDoNotMeet() throws {
    try Zonectl.with { zones in
      var ranges: [ClosedRange<Int>] = []
      for name in ["a", "b", "c"] {
        try zones.make(name)
        let pid = try #require(try zones.status(name)?.pid)
        let map = (contents("/proc/\(pid)/uid_map") ?? "").split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        try #require(map.count == 3)
        #expect(map[0] == 0 && map[2] == 65536)
        ranges.append(map[1]...(map[1] + map[2] - 1))
      }
      for (index, range) in ranges.enumerated() {
        for other in ranges[(index + 1)...] { #expect(!range.overlaps(other)) }
        // Nor those that the host's users have.
        for line in (contents("/etc/subuid") ?? "").split(separator: "\n") {
          let fields = line.split(separator: ":").compactMap { Int($0) }
          if fields.count == 2 { #expect(!range.overlaps(fields[0]...(fields[0] + fields[1] - 1)), "\(line)") }
        }
      }
    }
  }

  @Test(.needs(.ordinaryUser)) func anotherUserCannotObeyOrRead() throws {
    try Zonectl.with { zones in
      try zones.make("a", "running", ["--network", "none", "-e", "PASSWORD=hidden"])
      for words in [
        ["list"], ["show", "a"], ["exec", "a", "id"], ["halt", "a"], ["delete", "--force", "--yes", "a"],
      ] {
        var command = zones.command(words)
        command.argv =
          OrdinaryUser.prefix + command.argv
        let outcome = try command.run()
        #expect(outcome.status != 0 || outcome.lines.count <= 1, "\(outcome)")
        #expect(!outcome.out.contains("hidden") && !outcome.out.contains("uid=0"))
      }
      #expect(try zones.state("a") == "running")
    }
  }

  @Test func aSecretIsAFileInMemoryAndNowhereElse() throws {
    try Zonectl.with { zones in
      let file = zones.folder + "/secret"
      try "s3cr3t-content".write(toFile: file, atomically: false, encoding: .utf8)
      let options = ["--network", "none", "--secret", "key=\(file)", "--secret", "other=\(file),uid=77"]
      try zones.make("a", "running", options)
      let seen = try zones.ok(
        "exec", "a", "sh", "-c",
        "cat /run/secrets/key; echo; stat -c '%a %u' /run/secrets/key /run/secrets/other; stat -f -c %T /run/secrets")
      #expect(seen.lines == ["s3cr3t-content", "400 0", "400 77", "tmpfs"], "\(seen)")
      for words in [
        ["show", "a"], ["show", "-o", "json", "a"], ["explain", "a"], ["list", "-o", "json"], ["logs", "a"],
      ] {
        #expect(!(try zones.ok(words).out.contains("s3cr3t")), "\(words)")
      }
      let onDisk = try Command("grep", "-rl", "s3cr3t", zones.root).run()
      #expect(onDisk.text.isEmpty, "\(onDisk)")
    }
  }
}
