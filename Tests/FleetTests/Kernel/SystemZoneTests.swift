import Foundation
import Glibc
import LinuxNS
import Testing
import ZoneRuntime

/// Zones with an init system of their own.
@Suite(.serialized, .enabled(if: geteuid() == 0, "files of others are root's to make"), .ends(within: 20))
struct SystemZoneTests {
  /// A place with a zone `a` whose init is busybox's, with cron and syslog, and users of its own.
  final class Stand {
    let stand: ImageStand

    init(user: String? = nil, options: [String] = []) throws {
      stand = try ImageStand(user: user, layouts: false)
      try stand.sh(
        """
        mkdir -p root/bin root/sbin root/etc root/proc root/sys root/dev root/run root/tmp root/root root/home/me
        mkdir -p root/var/log root/var/spool/cron/crontabs root/usr/sbin && cd root
        cp "$(command -v busybox)" bin/busybox
        for name in sh cat sleep mkdir rmdir ls echo id grep mount touch su logger poweroff reboot halt; do
          ln -s busybox bin/$name; done
        ln -s ../bin/busybox sbin/init; ln -s ../bin/busybox sbin/syslogd; ln -s ../../bin/busybox usr/sbin/crond
        printf 'root::0:0:root:/root:/bin/sh\\nme::1000:1000:me:/home/me:/bin/sh\\n' >etc/passwd
        printf 'root:x:0:\\nme:x:1000:\\n' >etc/group; chown 1000:1000 home/me
        printf '* * * * * echo cron >>/var/log/cron\\n' >var/spool/cron/crontabs/root
        cat >etc/inittab <<'END'
        ::sysinit:/etc/rc
        ::respawn:/sbin/syslogd -n -O /var/log/messages
        ::respawn:/usr/sbin/crond -f
        ::shutdown:/bin/sh -c 'echo down >>/var/log/ends'
        END
        printf '#!/bin/sh\\necho up >>/var/log/boots\\n' >etc/rc; chmod 755 etc/rc
        echo stale >run/stale
        tar -cf ../root.tar .; cd ..; rm -rf root
        """)
      try stand.ok("image", "import", "\(stand.folder)/root.tar", "localhost/machine:v1")
      let outcome = try stand.zonectl(
        ["create", "--image", "oci:localhost/machine:v1", "--network", "none"] + options + ["a", "--", "/sbin/init"])
      try #require(outcome.status == 0, "\(outcome)")
    }

    deinit { _ = try? stand.zonectl(["delete", "--force", "--yes", "a"]) }

    func inside(_ script: String) throws -> String {
      let outcome = try stand.zonectl(["exec", "a", "--", "/bin/sh", "-c", script])
      return outcome.output + outcome.errors
    }

    var state: String? {
      try? stand.ok("list", "-o", "json").firstMatch(of: /"state" ?: ?"([a-z_]+)"/).map { String($0.1) }
    }

    /// How often its own init has begun, as its files say.
    func hasBegun(_ times: Int) -> Bool {
      eventually(20) { (try? inside("cat /var/log/boots")) == String(repeating: "up\n", count: times) }
    }
  }

  @Test(arguments: [nil, "zonestest"]) func anInitRunsItsMachine(user: String?) throws {
    let machine = try Stand(user: user)
    let stand = machine.stand
    try stand.ok("start", "a")
    try #require(machine.hasBegun(1))
    #expect(try machine.inside("cat /proc/1/comm; ls /run; grep -c ' /run tmpfs' /proc/mounts") == "init\nlock\n1\n")
    _ = try machine.inside("logger of the machine")
    #expect(eventually(10) { (try? machine.inside("cat /var/log/messages"))?.contains("of the machine") == true })
    #expect(try machine.inside("su -c id me").contains("uid=1000"))
    try stand.ok("audit", "a")

    // It restarts itself, and ends itself.
    _ = try machine.inside("reboot")
    try #require(machine.hasBegun(2))
    #expect(try machine.inside("cat /var/log/ends") == "down\n")
    #expect(machine.state == "running")
    _ = try machine.inside("poweroff")
    #expect(eventually(20) { machine.state == "installed" })

    // As does stop, in its own way.
    try stand.ok("start", "a")
    try #require(machine.hasBegun(3))
    try stand.ok("stop", "a", "--timeout", "60")
    try stand.ok("start", "a")
    try #require(machine.hasBegun(4))
    #expect(try machine.inside("cat /var/log/ends") == "down\ndown\ndown\n")
    try stand.ok("halt", "a")
  }

  /// Its control groups are its own, and its limits are not.
  @Test func anInitHasGroupsOfItsOwn() throws {
    let machine = try Stand(options: ["--memory", "96M", "--pids", "100"])
    let stand = machine.stand
    try stand.ok("start", "a")
    try #require(machine.hasBegun(1))
    #expect(try machine.inside("cat /proc/1/cgroup | grep '^0:'") == "0::/\n")
    #expect(
      try machine.inside(
        """
        cd /sys/fs/cgroup && mkdir own && echo 1 >own/cgroup.procs && cat own/cgroup.procs | grep -x 1
        for file in cgroup.freeze cgroup.max.descendants memory.max pids.max; do
          if [ -e $file ] && { echo 1 >$file; } 2>/dev/null; then echo "$file was written"; fi; done
        grep '^0:' /proc/1/cgroup
        """) == "1\n0::/own\n")
    // What a zone makes is bounded, and goes with it: also what has no name that is text, or a long way to it.
    #expect(
      try machine.inside(
        """
        cd /sys/fs/cgroup && mkdir "$(printf '\\377')"; d=0; n=$(printf '%0250d' 7)
        while mkdir $n 2>/dev/null; do cd $n; d=$((d + 1)); done; echo $d
        """) == "11\n")
    let made = try machine.inside(
      "cd /sys/fs/cgroup; n=0; while mkdir own/$n 2>/dev/null; do n=$((n + 1)); done; echo $n")
    let count = try #require(Int(made.trimmingCharacters(in: .whitespacesAndNewlines)))
    #expect((1000...4096).contains(count))
    // Executed, paused and ended as others are.
    #expect(try machine.inside("echo in") == "in\n")
    try stand.ok("pause", "a")
    try stand.ok("resume", "a")
    try stand.ok("stop", "a", "--timeout", "60")
    #expect(machine.state == "installed")
    try stand.ok("start", "a")
    try stand.ok("delete", "--force", "--yes", "a")
  }

  /// Without a word of it the command is a zone's ordinary one.
  @Test func whatIsNoInitIsNone() throws {
    let machine = try Stand()
    let stand = machine.stand
    try stand.ok(
      "create", "--image", "oci:localhost/machine:v1", "--network", "none", "b", "--", "/bin/sleep", "infinity")
    defer { _ = try? stand.zonectl(["delete", "--force", "--yes", "b"]) }
    try stand.ok("start", "b")
    #expect(try stand.ok("exec", "b", "--", "cat", "/run/stale") == "stale\n")
    let outcome = try stand.zonectl(["exec", "b", "--", "mkdir", "/sys/fs/cgroup/own"])
    #expect(outcome.status != 0, "\(outcome)")
  }
}
