import Foundation
import Glibc
import Testing

/// What a spec may name that is not what it should be.
@Suite(.serialized, .machine, .needs(.root, .ordinaryUser, .program("busybox")), .ends(within: 5))
struct SpecEdgeTests {
  static let everybody: [Zonectl.Who] = [.root, .ordinaryUser]

  @Test(arguments: everybody, ["fifo", "folder", "link", "missing", "/dev/zero"])
  func aSecretThatIsNoFileIsRefused(who: Zonectl.Who, kind: String) throws {
    try Zonectl.with(who) { zones in
      zones.timeout = 10
      mkfifo(zones.folder + "/fifo", 0o666)
      mkdir(zones.folder + "/folder", 0o755)
      try "sesame".write(toFile: zones.folder + "/file", atomically: false, encoding: .utf8)
      symlink(zones.folder + "/file", zones.folder + "/link")
      let secret = kind.hasPrefix("/") ? kind : "\(zones.folder)/\(kind)"
      let options = ["--network", "none", "--secret", "key=\(secret)"]
      let line = try zones.refused(["run", "--rm"] + options + ["--", "true"], status: 125)
      #expect(line.contains(secret))
      // One that was a file when the zone was made.
      let later = zones.folder + "/later"
      try "sesame".write(toFile: later, atomically: false, encoding: .utf8)
      try zones.make("a", "installed", ["--network", "none", "--secret", "key=\(later)"])
      unlink(later)
      if kind == "fifo" { mkfifo(later, 0o666) } else if kind != "missing" { symlink(secret, later) }
      try zones.refused("start", "a")
      #expect(try zones.state("a") == "installed")
    }
  }

  @Test(arguments: everybody) func aNumberThatPasswdDoesNotHaveIsAUser(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      let root = zones.folder + "/rootfs"
      try BusyboxRoot.make(at: root)
      for name in ["passwd", "group"] { unlink("\(root)/etc/\(name)") }
      let options = ["--network", "none", "--image", "dir:\(root)"]
      let words = ["/bin/sh", "-c", "id -u; id -g; id -G; echo $HOME; grep ^CapEff /proc/self/status"]
      let expected = ["4242", "0", "0", "/", "CapEff:\t0000000000000000"]
      #expect(try zones.ok(["run", "--rm", "--user", "4242"] + options + ["--"] + words).lines == expected)
      try zones.make("a", "running", options + ["--user", "4242:77"], command: ["/bin/sleep", "infinity"])
      #expect(try zones.ok(["exec", "--user", "4242", "a"] + words).lines == expected)
      #expect(try zones.ok(["exec", "a"] + words).lines == ["4242", "77", "77"] + expected.suffix(2))
      // A name has nowhere to be found.
      try zones.refused(["exec", "--user", "nobody", "a"] + words, status: 125)
    }
  }

  @Test(arguments: everybody) func aWorkdirThatIsNotThereIsMade(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      try zones.make("a")
      #expect(try zones.ok("exec", "--workdir", "/srv/not/there", "a", "pwd").text == "/srv/not/there")
      #expect(try zones.ok("exec", "a", "stat", "-c", "%U %a", "/srv/not").text == "root 755")
      for wrong in ["/etc/passwd", "/etc/passwd/x", "/usr/not-there"] {
        let line = try zones.refused(["exec", "--workdir", wrong, "a", "pwd"], status: 125)
        #expect(line.contains(wrong))
      }
      // As for a zone's own, a relative one is relative to nothing.
      for wrong in ["srv", "", "../.."] { try zones.refused(["exec", "--workdir", wrong, "a", "pwd"], status: 125) }
      #expect(try zones.ok("exec", "a", "ls", "/").lines.contains("rv") == false)
    }
  }

  @Test(arguments: everybody) func aReadOnlyRootIsReadOnlyWhereverItLies(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      let script = """
        for d in / /etc /etc/apt /usr /usr/bin /usr/local /usr/local/bin /var /var/lib /var/log /var/tmp /opt /home /root /srv /mnt; do
          [ -d $d ] || continue
          ( : > $d/zones-was-here ) 2>/dev/null && echo wrote in $d
          mkdir $d/zones-was-there 2>/dev/null && echo made in $d
        done
        for f in /etc/passwd /etc/hosts /etc/hostname /etc/resolv.conf; do ( : >> $f ) 2>/dev/null && echo wrote $f; done
        touch / /etc 2>/dev/null && echo touched
        for d in /tmp /run /dev/shm; do ( : > $d/own ) && mkdir $d/owned && echo $d; done
        """
      let words = ["--", "sh", "-c", script]
      let run = try zones.ok(["run", "--rm", "--network", "none", "--read-only"] + words)
      #expect(run.lines == ["/tmp", "/run", "/dev/shm"], "\(run)")
      try zones.make("a", "running", ["--network", "none", "--read-only"])
      let exec = try zones.ok(["exec", "a"] + words.dropFirst())
      #expect(exec.lines == ["/tmp", "/run", "/dev/shm"], "\(exec)")
      // With every power of its own as well.
      let all = try zones.ok(
        [
          "run", "--rm", "--network", "none", "--read-only", "--cap-add", "ALL", "--nesting", "--", "sh", "-c",
          "for d in / /etc /usr/local /var; do mount -o remount,rw,bind $d 2>/dev/null; done; " + script,
        ])
      #expect(all.lines == ["/tmp", "/run", "/dev/shm"], "\(all)")
    }
  }
}
