import Foundation
import Glibc
import Testing

/// The sparse zone, as root and as an ordinary user: root inside, the host's programs, and nothing else of the host's.
@Suite(.serialized, .machine, .needs(.root, .ordinaryUser), .ends(within: 5)) struct SparseTests {
  /// Runs a script of sh in a throw-away zone.
  private func inside(_ who: Zonectl.Who, _ script: String, _ options: [String] = []) throws -> Outcome {
    try Zonectl.with(who) { zones in
      try zones.command(["run", "--rm", "--network", "none"] + options + ["--", "sh", "-c", script]).run()
    }
  }

  @Test(arguments: [Zonectl.Who.root, .ordinaryUser]) func rootInside(who: Zonectl.Who) throws {
    let outcome = try inside(who, "id -u; id -un; id -G; hostname; echo $HOME; pwd")
    #expect(outcome.status == 0, "\(outcome)")
    #expect(Array(outcome.lines.prefix(3)) == ["0", "root", "0"], "\(outcome)")
    #expect(outcome.lines.last == "/root")
  }

  @Test(arguments: [Zonectl.Who.root, .ordinaryUser]) func nobodyOutside(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      try zones.make("a")
      let pid = try #require(try zones.status("a")?.pid)
      let line = try #require(
        (contents("/proc/\(pid)/status") ?? "").split(separator: "\n").first { $0.hasPrefix("Uid:") })
      let uid = try #require(UInt32(line.split(whereSeparator: \.isWhitespace)[1]))
      #expect(uid != 0)
      if who == .root { #expect(uid >= 65536, "a range of its own, not \(uid)") }
    }
  }

  @Test(arguments: [Zonectl.Who.root, .ordinaryUser]) func usrIsReadOnly(who: Zonectl.Who) throws {
    let outcome = try inside(
      who,
      "touch /usr/x; rm /usr/bin/env; echo more >> /usr/bin/env; mount -o remount,rw,bind /usr; touch /usr/x; ls /usr/bin/env"
    )
    #expect(outcome.err.contains("'/usr/x': Read-only file system"), "\(outcome)")
    #expect(outcome.text == "/usr/bin/env")
    #expect(access("/usr/x", F_OK) != 0)
  }

  @Test(arguments: [Zonectl.Who.root, .ordinaryUser]) func itsOwnPlacesCanBeWritten(who: Zonectl.Who) throws {
    let outcome = try inside(
      who,
      """
      for place in /etc /home /var /var/tmp /tmp /run /root /usr/local /dev/shm; do
        touch $place/zones-was-here && rm $place/zones-was-here || echo $place
      done
      """)
    #expect(outcome.text.isEmpty && outcome.status == 0, "\(outcome)")
    for place in ["/etc", "/home", "/var", "/var/tmp", "/tmp", "/run", "/root", "/usr/local", "/dev/shm"] {
      #expect(access(place + "/zones-was-here", F_OK) != 0)
    }
  }

  @Test(arguments: [Zonectl.Who.root, .ordinaryUser]) func theHostIsOutOfSight(who: Zonectl.Who) throws {
    let home = try #require(OrdinaryUser.found?.home)
    let marker = "/tmp/zones-marker-\(getpid())"
    try "host".write(toFile: marker, atomically: false, encoding: .utf8)
    try "host".write(toFile: home + "/zones-marker", atomically: false, encoding: .utf8)
    defer { for path in [marker, home + "/zones-marker"] { unlink(path) } }
    let outcome = try inside(
      who,
      """
      ls -d \(marker) \(home) /home/* /root/.[a-z]* /root/* /etc/ssh /etc/sudoers* /var/lib/dpkg /var/lib/zones /run/zones \
        /run/user /run/dbus /var/run/docker.sock /boot/* /srv/* /mnt/* /media/* /lost+found 2>/dev/null
      find / -xdev -type s 2>/dev/null
      ps -e -o comm= | grep -vxE 'sh|ps|grep|init|stage|zone-init|memfd:.*|[0-9]+|zonectl'
      test -s /etc/machine-id && echo machine-id
      """)
    #expect(outcome.text.isEmpty, "\(outcome)")
  }

  @Test(arguments: [Zonectl.Who.root, .ordinaryUser]) func noSecretOfTheHostIsInEtc(who: Zonectl.Who) throws {
    // Whatever of the host's /etc an ordinary user could not read must not be in the zone's.
    let hidden = try Command.text("find", "/etc", "-xdev", "-type", "f", "!", "-perm", "-o=r").split(separator: "\n")
    #expect(hidden.contains("/etc/shadow"))
    for path in hidden {
      guard let host = contents(String(path)), !host.isEmpty else { continue }
      let outcome = try inside(who, "cat \(path) 2>/dev/null")
      #expect(outcome.out != host, "\(path) is the host's")
    }
    let names = try inside(who, "cut -d: -f1 /etc/passwd").lines
    #expect(names.contains("root") && !names.contains(OrdinaryUser.name))
  }

  @Test(arguments: [Zonectl.Who.root, .ordinaryUser]) func aShellOnATerminal(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      let terminal = try zones.terminal("run", "--rm", "-it", "--network", "none", rows: 40, columns: 120)
      #expect(terminal.shows { $0.contains("#") || $0.contains("$") }, "no prompt: \(terminal.screen)")
      terminal.type("echo id-$(id -u) size-$(stty size) tty-$(tty)\n")
      #expect(terminal.shows("id-0 size-40 120 tty-/dev/"), "\(terminal.screen)")
      terminal.type("touch /usr/x\n")
      #expect(terminal.shows("Read-only file system"), "\(terminal.screen)")
      terminal.type("exit 9\n")
      #expect(terminal.wait() == 9, "\(terminal.screen)")
      #expect(try zones.list().isEmpty)
    }
  }

  @Test func aUserNeedsNothingSetUp() throws {
    // No XDG_RUNTIME_DIR, no --root, no terminal: what a cron job has.
    let user = try #require(OrdinaryUser.found)
    try Zonectl.with(.ordinaryUser) { zones in
      var command = Command(
        zones.prefix + [zones.folder + "/zonectl", "run", "--rm", "--network", "none", "--", "id", "-u"])
      command.environment["HOME"] = user.home
      let outcome = try command.run()
      #expect(outcome.text == "0", "\(outcome)")
    }
  }

  /// Some machines mount something below /usr: a partition, a driver's libraries.
  @Test(arguments: [Zonectl.Who.root, .ordinaryUser]) func aMountBelowUsrIsNoObstacle(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      zones.privateMounts = "mount -t tmpfs none /usr/share/doc"
      let outcome = try zones.run(
        "run", "--rm", "--network", "none", "--", "sh", "-c", "id -u; touch /usr/share/doc/x /usr/x")
      #expect(outcome.text == "0", "\(outcome)")
    }
  }

  @Test func environmentIsNotTheCallers() throws {
    try Zonectl.with { zones in
      var command = zones.command(["run", "--rm", "--network", "none", "-e", "GIVEN=1", "-e", "TAKEN", "--", "env"])
      command.environment["SECRET_OF_CALLER"] = "x"
      command.environment["TAKEN"] = "2"
      let outcome = try command.run()
      #expect(!outcome.out.contains("SECRET_OF_CALLER"))
      #expect(outcome.lines.contains("GIVEN=1") && outcome.lines.contains("TAKEN=2"))
      #expect(outcome.lines.contains("HOME=/root"))
      #expect(outcome.lines.contains { $0.hasPrefix("PATH=") && $0.contains("/usr/bin") })
    }
  }

  @Test func optReadOnlyMakesAllReadOnlyButVolumesAndScratch() throws {
    let outcome = try inside(
      .root, "touch /etc/x /var/x /x; touch /tmp/x /run/x /dev/shm/x /data/x && echo scratch",
      ["--read-only", "-v", "/data"])
    #expect(outcome.text == "scratch", "\(outcome)")
    #expect(outcome.err.components(separatedBy: "Read-only file system").count == 4, "\(outcome)")
  }
}
