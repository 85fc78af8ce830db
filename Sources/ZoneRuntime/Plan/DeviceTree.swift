internal import LinuxNS

/// /dev: a tmpfs of the zone's own with the devices the OCI runtime spec asks for (config-linux.md, default devices).
extension LaunchPlanner {
  static let devices: [(name: String, major: UInt64, minor: UInt64)] = [
    ("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0),
  ]
  static let deviceLinks: [(name: String, target: String)] = [
    ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"), ("ptmx", "pts/ptmx"),
  ]

  mutating func planDevices() {
    let owner = byHost ? ",uid=\(rootUID),gid=\(rootGID)" : ""
    // The host's mounter makes the nodes: in a tmpfs of a user namespace they would be dead.
    plan.tree.append(
      .mount(
        "tmpfs", on: "/dev", flags: MountFlag.noSuid | MountFlag.noExec, options: "mode=755,size=64k\(owner)",
        make: true))
    for device in Self.devices {
      if byHost {
        plan.tree.append(.device("/dev/\(device.name)", major: device.major, minor: device.minor))
      } else {
        let source = tree("/dev/\(device.name)", attributes: MountFlag.noSuid | MountFlag.noExec)
        plan.tree.append(.attach(source, on: "/dev/\(device.name)", flags: .make))
      }
    }
    for link in Self.deviceLinks { plan.tree.append(.link("/dev/\(link.name)", to: link.target, fresh: false)) }
    for name in ["pts", "shm", "mqueue"] { plan.tree.append(.directory("/dev/\(name)", fresh: false)) }
  }
}
