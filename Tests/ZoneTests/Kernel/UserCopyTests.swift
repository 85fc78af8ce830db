import Foundation
import Glibc
import Testing

/// `cp` both ways, and against a zone whose tree is hostile: every path in it may be a link, a FIFO or a race.
@Suite(.serialized, .machine, .needs(.root), .ends(within: 5)) struct UserCopyTests {
  @Test func bytesComeAndGo() throws {
    try Zonectl.with { zones in
      try zones.make("a")
      let bytes = Data((0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) })
      let file = zones.folder + "/file"
      try bytes.write(to: URL(fileURLWithPath: file))
      chmod(file, 0o750)
      try zones.ok("cp", file, "a:/tmp/inside")
      #expect(try zones.ok("exec", "a", "stat", "-c", "%a %s %u", "/tmp/inside").text == "750 3000000 0")
      try zones.ok("cp", "a:/tmp/inside", file + ".back")
      #expect(try Data(contentsOf: URL(fileURLWithPath: file + ".back")) == bytes)
    }
  }

  @Test func directoriesWithAllTheyHold() throws {
    try Zonectl.with { zones in
      try zones.make("a")
      let tree = zones.folder + "/tree"
      try Command.text(
        "sh", "-c",
        "mkdir -p \(tree)/sub/empty; echo one > \(tree)/one; echo two > '\(tree)/sub/with blank'; ln -s one \(tree)/link; ln -s /etc/shadow \(tree)/out"
      )
      try zones.ok("cp", tree, "a:/srv")
      let inside = try zones.ok(
        "exec", "a", "sh", "-c", "cd /srv/tree && find . | sort; readlink link out; cat 'sub/with blank'")
      #expect(
        inside.lines == [
          ".", "./link", "./one", "./out", "./sub", "./sub/empty", "./sub/with blank", "one", "/etc/shadow", "two",
        ])
      try zones.ok("cp", "a:/srv/tree", zones.folder + "/back")
      #expect(try Command("diff", "-r", "--no-dereference", tree, zones.folder + "/back").run().status == 0)
    }
  }

  @Test func aLinkInTheZoneDoesNotLeadOut() throws {
    try Zonectl.with { zones in
      let host = zones.folder + "/host"
      mkdir(host, 0o777)
      chmod(host, 0o777)
      try "of the host".write(toFile: host + "/file", atomically: false, encoding: .utf8)
      try zones.make("a")
      try zones.ok(
        "exec", "a", "sh", "-c",
        """
        ln -s \(host)/file /tmp/link; ln -s \(host) /tmp/dir; ln -s ../../../../../../../..\(host) /tmp/up
        ln -s /proc/1/root\(host) /tmp/magic; ln -s /proc/self/root /tmp/self; mkdir -p /tmp/tree; ln -s \(host)/file /tmp/tree/link
        ln -s /etc/shadow /tmp/shadow
        """)
      // Out: the link's target is looked for in the zone, or the link itself is copied; the host's file is neither.
      let target = zones.folder + "/got"
      for path in [
        "/tmp/link", "/tmp/dir/file", "/tmp/up/file", "/tmp/magic/file", "/tmp/self\(host)/file", "/tmp/shadow",
      ] {
        _ = try zones.run("cp", "a:\(path)", target)
        let isLink = (try? FileManager.default.destinationOfSymbolicLink(atPath: target)) != nil
        if !isLink, let got = contents(target) {
          #expect(got != "of the host" && got != contents("/etc/shadow"), "\(path)")
        }
        unlink(target)
      }
      // In: nothing is made or changed on the host.
      let file = zones.folder + "/mine"
      try "overwritten".write(toFile: file, atomically: false, encoding: .utf8)
      for path in ["/tmp/link", "/tmp/dir/new", "/tmp/dir/", "/tmp/up/new", "/tmp/magic/new", "/tmp/self\(host)/new"] {
        _ = try zones.run("cp", file, "a:\(path)")
        #expect(contents(host + "/file") == "of the host", "\(path)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: host) == ["file"], "\(path)")
      }
    }
  }

  @Test func aLinkOnTheHostIsNotWrittenThrough() throws {
    try Zonectl.with { zones in
      // The zone sends a tree with a link, then a file below the link's name: `tree/d -> /elsewhere`, `tree/d/new`.
      let victim = zones.folder + "/victim"
      mkdir(victim, 0o777)
      try zones.make("a")
      try zones.ok(
        "exec", "a", "sh", "-c",
        "mkdir -p /tmp/tree; ln -s \(victim) /tmp/tree/d; mkdir -p /tmp/second/tree/d; echo x > /tmp/second/tree/d/new")
      try zones.ok("cp", "a:/tmp/tree", zones.folder + "/out")
      _ = try zones.run("cp", "a:/tmp/second/tree", zones.folder + "/out")
      #expect(try FileManager.default.contentsOfDirectory(atPath: victim) == [])
    }
  }

  @Test func aFifoOrADeviceDoesNotHang() throws {
    try Zonectl.with { zones in
      zones.timeout = 10
      try zones.make("a")
      try zones.ok("exec", "a", "mkfifo", "/tmp/fifo")
      let out = try zones.run("cp", "a:/tmp/fifo", zones.folder + "/got")
      #expect(!out.timedOut, "\(out)")
      let file = zones.folder + "/mine"
      try "x".write(toFile: file, atomically: false, encoding: .utf8)
      #expect(!(try zones.run("cp", file, "a:/tmp/fifo").timedOut))
    }
  }

  @Test func setuidDoesNotComeOut() throws {
    try Zonectl.with { zones in
      try zones.make("a")
      try zones.ok("exec", "a", "sh", "-c", "cp /usr/bin/id /tmp/id && chmod 6755 /tmp/id")
      try zones.ok("cp", "a:/tmp/id", zones.folder + "/id")
      var status = stat()
      #expect(lstat(zones.folder + "/id", &status) == 0)
      #expect(status.st_mode & 0o6000 == 0, "a zone's setuid bit on the host is a way to the copier's power")
    }
  }

  @Test func whatIsNotThereIsTold() throws {
    try Zonectl.with { zones in
      try zones.make("a")
      #expect(try zones.refused("cp", "a:/no/such", zones.folder).contains("/no/such"))
      #expect(try zones.refused("cp", zones.folder + "/no-such", "a:/tmp").contains("no-such"))
      #expect(try zones.refused("cp", "b:/etc/hosts", zones.folder).contains("b"))
    }
  }
}
