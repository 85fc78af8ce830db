import Foundation
import Glibc
import LinuxNS
import ResourceControl
import Testing
import ZoneRuntime

/// `zonectl import --machine`: a Debian machine becomes a zone that runs its services.
@Suite(.serialized, .enabled(if: geteuid() == 0, "files of others are root's to make"), .ends(within: 10))
struct MachineTests {
  static let isGuest = FileSystem.exists("/run/guest")

  /// The guest itself, without what no service needs.
  @Test(.enabled(if: isGuest, "a machine that one works on is large"))
  func thisMachineBecomesAZone() throws {
    let left = [
      "usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/i18n", "usr/share/zoneinfo", "usr/share/perl*",
      "usr/include", "usr/lib/gcc", "usr/lib/python3*", "usr/lib/llvm*", "usr/libexec", "usr/local", "opt",
      "home", "root", "work", "var/lib/containers", "var/lib/docker", "var/cache", "var/tmp", "var/lib/zones", "boot",
      "usr/lib/modules", "usr/lib/x86_64-linux-gnu/*.a", "usr/bin/*gcc*", "usr/bin/podman", "usr/bin/dockerd",
    ]
    let words =
      (["proc", "sys", "dev", "run", "tmp"] + left).map { "--exclude='./\($0)/*'" } + [
        "--exclude='./usr/lib/x86_64-linux-gnu/*.a'", "--exclude='./usr/bin/*gcc*'",
      ]
    try whatIsImportedRuns(
      "tar -C / --one-file-system --numeric-owner --xattrs --xattrs-include='*' \(words.joined(separator: " ")) -cf - ."
    )
  }

  /// - Parameter tree: a command that writes a tar.
  func whatIsImportedRuns(_ tree: String) throws {
    let stand = try ImageStand(layouts: false)
    defer { for name in ["a", "b"] { _ = try? stand.zonectl(["delete", "--force", "--yes", name]) } }
    let told = try stand.sh("\(tree) | '\(Command.zonectl)' --root '\(stand.place)' import --machine - a", timeout: 600)
    #expect(told.contains("IN THE ZONE"), "\(told)")
    let changed = try stand.ok("diff", "a")
    #expect(changed.contains("etc/systemd/system/systemd-remount-fs.service"), "\(changed)")
    #expect(try stand.refusal("import", "--machine", "/etc/hostname", "a").contains("there is a zone 'a' already"))

    try stand.ok("set", "a", "network=none")
    try stand.ok("start", "a")
    let inside = { (zone: String, words: [String]) -> String in
      (try? stand.zonectl(["exec", zone, "--"] + words))?.output ?? ""
    }
    let isRunning = { (zone: String) -> Bool in
      eventually(60) { inside(zone, ["systemctl", "is-system-running"]) == "running\n" }
    }
    #expect(isRunning("a"), "\(inside("a", ["systemctl", "--failed", "--no-legend"]))")
    #expect(inside("a", ["systemctl", "is-active", "dbus.service", "systemd-logind.service"]) == "active\nactive\n")
    _ = inside("a", ["useradd", "-m", "newcomer"])
    #expect(inside("a", ["su", "-l", "newcomer", "-c", "id -un"]) == "newcomer\n")
    _ = inside("a", ["logger", "said-in-the-zone"])
    #expect(eventually(20) { inside("a", ["journalctl", "--no-pager"]).contains("said-in-the-zone") })
    // Control groups of its own, one a service.
    #expect(inside("a", ["ls", "/sys/fs/cgroup/system.slice"]).contains("dbus.service"))
    try stand.ok("audit", "a")

    // It restarts itself; what it has written stays, and what is of one boot goes.
    _ = inside("a", ["touch", "/run/of-this-boot", "/etc/of-this-machine"])
    _ = inside("a", ["systemctl", "--no-block", "reboot"])
    #expect(
      eventually(60) {
        inside("a", ["sh", "-c", "test ! -e /run/of-this-boot && test -e /etc/of-this-machine && echo so"]) == "so\n"
      })
    #expect(isRunning("a"))
    let id = inside("a", ["cat", "/etc/machine-id"])
    try stand.ok("stop", "a", "--timeout", "120")
    #expect(try stand.ok("show", "a", "-o", "json").contains(#""code": 0"#))

    // Two machines, two ids.
    try stand.ok("clone", "a", "b")
    try stand.ok("start", "b")
    #expect(isRunning("b"))
    let other = inside("b", ["cat", "/etc/machine-id"])
    #expect(id.count == 33 && other.count == 33 && id != other, "\(id) \(other)")
    try stand.ok("stop", "b", "--timeout", "120")
  }

  @Test func whatIsNoMachineIsRefused() throws {
    let stand = try ImageStand(layouts: false)
    try stand.sh("mkdir -p tree/etc; echo x >tree/etc/hostname")
    #expect(
      try stand.refusal("import", "--machine", "\(stand.folder)/tree", "a").contains(
        "the tree has no /sbin/init (it is no machine's)"))
    #expect(try stand.ok("list", "-q") == "")
    #expect(try stand.ok("image", "list", "-q") == "")
    #expect(try stand.refusal("import", "--machine", "\(stand.folder)/none", "a").contains("ENOENT"))
    #expect(try stand.refusal("import", "\(stand.folder)/tree", "a").contains("of a machine: --machine"))
  }

  /// With its other disks; what is on none of them is told.
  @Test func aMachineHasAllItsDisks() throws {
    let stand = try ImageStand(layouts: false)
    defer { _ = try? stand.zonectl(["delete", "--force", "--yes", "a"]) }
    // The mounts are nobody else's.
    let said = try stand.sh(
      """
      mkdir -p tree/sbin tree/etc tree/home tree/srv tree/proc tree/run; echo >tree/sbin/init; ln -s tree link
      truncate -s 32M disk; /usr/sbin/mke2fs -q -t ext4 disk
      unshare -m sh -ec "
        mount -o loop disk tree/home; echo kept >tree/home/kept; mkdir tree/home/more
        mount --bind tree/etc tree/home/more; echo kept >tree/etc/kept; mkdir 'tree/srv/m*' tree/srv/me tree/srv/hidden
        mount -t tmpfs none 'tree/srv/m*'; echo lost >'tree/srv/m*/lost'; echo kept >tree/srv/me/kept
        mount -t tmpfs none tree/srv/hidden; mount --bind tree/etc tree/srv/hidden
        mount -t proc none tree/proc; mount -t tmpfs none tree/run; echo lost >tree/run/lost
        '\(Command.zonectl)' --root '\(stand.place)' import --machine link a 2>&1"
      """)
    #expect(said.contains("left out what is in srv/m*: it is on none of the machine's disks (tmpfs)"), "\(said)")
    #expect(said.split(separator: "\n").count { $0.contains("left out") } == 1, "\(said)")
    let found = try stand.sh(
      "find '\(stand.storePath)/layers' -name kept -o -name lost -o -name 'm[*]' | sed 's,.*/root/,,' | LC_ALL=C sort")
    #expect(found == "etc/kept\nhome/kept\nhome/more/kept\nsrv/hidden/kept\nsrv/m*\nsrv/me/kept\n")
  }

  /// What a zone's own programs do for a disk of it they do within its walls, and no longer than somebody waits for it.
  @Test(arguments: [SIGTERM, SIGKILL]) func aDiskIsMadeWithinTheZonesWalls(_ signal: CInt) throws {
    let place = try SnapshotTests.Stand()
    let stand = place.stand
    let apt = "printf '#!/bin/sh\\nexec sleep infinity\\n' >/usr/bin/apt-get; chmod 755 /usr/bin/apt-get"
    try place.write("a", "mkdir -p /etc /usr/bin /var/tmp; echo >/etc/hosts; echo >/etc/resolv.conf; \(apt)")
    let disk = "\(stand.folder)/disk.img"
    #expect(try stand.refusal("export", "--bootable", "a", disk).contains("the zone has no network"))
    for name in ["none", "host"] {
      #expect(
        try stand.refusal("export", "--bootable", "--network", name, "a", disk, status: 2).contains("is no network"))
    }
    #expect(try stand.refusal("export", "--network", "default", "a", disk, status: 2).contains("of export --bootable"))
    #expect(try stand.ok("list", "-q") == "a\n")

    try stand.ok("set", "a", "pids=100", "memory=256M", "cap-drop=NET_BIND_SERVICE")
    let zones = Zones(try Directories.standard(root: stand.place))
    let clone = { try zones.list().first { $0.name.hasPrefix("disk-") } }
    let export = try SideProcess(
      Command.zonectl, ["--root", stand.place, "export", "--bootable", "--network", "default", "a", disk])
    let isWorking = try eventually(30) {
      guard let name = try clone()?.name else { return false }
      return try stand.zonectl(["exec", name, "--", "/bin/busybox", "pidof", "sleep"]).status == 0
    }
    try #require(isWorking)
    let (spec, own) = (try #require(try clone()).spec, try zones.spec(of: "a"))
    #expect(spec.limits == own.limits && spec.capDrop == own.capDrop && spec.limits.pids == 100)
    #expect(spec.network == .named("default") && own.network == .none && spec.expires != nil)
    // However it ends, the zone goes with it.
    try export.kill(signal)
    #expect(try eventually(30) { try stand.ok("list", "-q") == "a\n" })
    #expect(!FileSystem.exists(disk))
  }

  /// The other kinds.
  @Suite(.serialized, .enabled(if: geteuid() == 0, "files of others are root's to make"), .ends(within: 20))
  struct LongMachineTests {
    static let hasMmdebstrap = FileSystem.exists("/usr/bin/mmdebstrap")

    /// Made by mmdebstrap, with cron and syslog.
    @Test(.enabled(if: hasMmdebstrap, "it wants mmdebstrap")) func aDebianMachineBecomesAZone() throws {
      try MachineTests().whatIsImportedRuns(
        """
        mmdebstrap --quiet --variant=minbase --include=systemd-sysv,dbus,cron,rsyslog,passwd --format=tar \
          bookworm - /etc/apt/sources.list.d/debian.sources
        """)
    }

    /// And back: what a zone has become boots, with the same services.
    @Test(
      .enabled(if: hasMmdebstrap && FileSystem.exists("/usr/bin/qemu-system-x86_64"), "it wants mmdebstrap and QEMU"))
    func aZoneBecomesADiskThatBoots() throws {
      let stand = try ImageStand(layouts: false)
      defer { for name in ["a"] { _ = try? stand.zonectl(["delete", "--force", "--yes", name]) } }
      _ = try stand.sh(
        """
        mmdebstrap --quiet --variant=minbase --include=systemd-sysv,dbus,cron,rsyslog,passwd,login,util-linux \
          --format=tar bookworm - /etc/apt/sources.list.d/debian.sources |
          '\(Command.zonectl)' --root '\(stand.place)' import --machine --hostname old - a
        """, timeout: 600)
      try stand.ok("start", "a")
      let outcome = try stand.zonectl(
        ["exec", "a", "--", "sh", "-ec", "echo root:secret | chpasswd; echo kept >/etc/kept; useradd -m somebody"])
      #expect(outcome.status == 0, "\(outcome)")
      let made = try stand.zonectl(["export", "--bootable", "a", "\(stand.folder)/disk.img"], timeout: 900)
      try #require(made.status == 0, "\(made)")
      #expect(try stand.ok("list", "-q") == "a\n" && stand.ok("show", "a").contains("running"))
      let script = "\(Command.root)/Tests/images/boot.py"
      let said = try stand.sh(
        """
        python3 '\(script)' disk.img secret 500 <<'END'
        systemctl is-active cron rsyslog dbus systemd-networkd | tr '\\n' ' '
        systemctl is-system-running --wait
        cat /etc/kept /etc/hostname | tr '\\n' ' '
        id -un somebody
        findmnt -no FSTYPE /
        END
        """, timeout: 560)
      for part in ["active active active active", "running", "kept old", "somebody", "ext4"] {
        #expect(said.contains(part), "\(said)")
      }
    }
  }
}
