import Testing

@testable import Orchestrator

/// What becomes of a machine's tree where the machine becomes a zone.
struct MachinePlanTests {
  /// Files by their paths; folders are those that something is in.
  private struct Tree: MachineTree {
    var files: [String: String]

    func names(_ path: String) -> [String] {
      let prefix = path + "/"
      return Set(
        files.keys.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count).prefix { $0 != "/" }) }
      ).sorted()
    }
    func isThere(_ path: String) -> Bool { files[path] != nil || !names(path).isEmpty }
    func text(_ path: String) -> String? { files[path] }
  }

  @Test func aMachineLeavesItsHardwareBehind() throws {
    let plan = try MachinePlan(
      Tree(files: [
        "boot/vmlinuz-6.12.0-1-amd64": "", "boot/initrd.img-6.12.0-1-amd64": "", "boot/grub/grub.cfg": "",
        "boot/notes": "", "vmlinuz": "", "usr/lib/modules/6.12.0-1-amd64/modules.dep": "",
        "etc/udev/rules.d/70-net.rules": "", "etc/fstab": "# disks\nUUID=1 / ext4 defaults 0 1\n",
        "etc/crypttab": "# none\n", "etc/network/interfaces": "auto eth0\niface eth0 inet dhcp\n",
        "etc/network/interfaces.d/more": "", "etc/netplan/50.yaml": "", "etc/hostname": " web1\n",
        "etc/systemd/system/srv.mount": "", "etc/systemd/system/own.service": "",
        "usr/lib/systemd/system/systemd-udevd.service": "", "usr/lib/systemd/system/ssh.service": "",
        "etc/systemd/system/multi-user.target.wants/ssh.service": "",
        "etc/systemd/system/multi-user.target.wants/networking.service": "",
        "etc/systemd/system/timers.target.wants/apt.timer": "",
        "etc/systemd/system/local-fs.target.wants/srv.mount": "",
      ]))
    #expect(
      plan.changes == [
        .remove("boot/grub"), .remove("boot/initrd.img-6.12.0-1-amd64"), .remove("boot/vmlinuz-6.12.0-1-amd64"),
        .remove("vmlinuz"), .remove("usr/lib/modules/6.12.0-1-amd64"), .remove("etc/udev/rules.d/70-net.rules"),
        .replace("etc/fstab", with: "# disks\n#UUID=1 / ext4 defaults 0 1\n"),
        .remove("etc/systemd/system/srv.mount"),
        .replace(
          "etc/network/interfaces",
          with: "# The zone's network is made by its host.\nauto lo\niface lo inet loopback\n"),
        .remove("etc/network/interfaces.d/more"), .remove("etc/netplan/50.yaml"),
        .mask("systemd-udevd.service"),
      ])
    #expect(
      plan.services == [
        .init(name: "apt.timer", isKept: true), .init(name: "networking.service", isKept: false),
        .init(name: "ssh.service", isKept: true),
      ])
    #expect(plan.hostname == "web1")
  }

  @Test func aMachineWithoutSystemdHasScripts() throws {
    let plan = try MachinePlan(Tree(files: ["etc/rc2.d/S01cron": "", "etc/rc2.d/K01ssh": "", "etc/rc2.d/README": ""]))
    #expect(plan.services == [.init(name: "cron", isKept: true)])
    #expect(plan.changes.isEmpty && plan.hostname == nil)
  }

  /// A second time there is nothing left to be changed.
  @Test func whatHasBecomeAZoneStaysAsItIs() throws {
    let loopback = "# The zone's network is made by its host.\nauto lo\niface lo inet loopback\n"
    let plan = try MachinePlan(Tree(files: ["etc/fstab": "#UUID=1 /\n", "etc/network/interfaces": loopback]))
    #expect(plan.changes.isEmpty)
  }
}
