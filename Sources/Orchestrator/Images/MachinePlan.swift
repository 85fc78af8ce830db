/// A tree that is only looked at, by paths below its root. Through links nothing is seen.
protocol MachineTree {
  /// Names in a folder, sorted; none where it is no folder.
  func names(_ path: String) throws -> [String]
  func isThere(_ path: String) throws -> Bool
  /// Of a file that can be a person's; nil otherwise.
  func text(_ path: String) throws -> String?
}

/// What a machine's tree has of its hardware, and what becomes of it where the machine becomes a zone: the kernel is the
/// host's, and so are disks, devices and the network's links. A pure function of the tree.
struct MachinePlan: Equatable {
  enum Change: Equatable {
    case remove(String)
    case replace(String, with: String)
    /// A unit of systemd's is not started, whoever wants it (systemctl(1), mask).
    case mask(String)
  }

  struct Service: Equatable {
    /// The unit, or the script of init.d.
    var name: String
    /// False: it is the hardware's, and masked.
    var isKept: Bool
  }

  private(set) var changes: [Change] = []
  /// What was started with the machine, in the order of names.
  private(set) var services: [Service] = []
  /// As the machine calls itself.
  private(set) var hostname: String?

  static let units = "etc/systemd/system"

  init(_ tree: some MachineTree) throws {
    try leaveKernelOut(tree)
    try leaveDisksOut(tree)
    try leaveNetworkOut(tree)
    try maskUnits(tree)
    try listServices(tree)
    let name = try tree.text("etc/hostname")?.split(separator: "\n").first.map(String.init)
    hostname = name.map { $0.filter { !$0.isWhitespace } }.flatMap { $0.isEmpty ? nil : $0 }
  }

  // MARK: what goes

  private mutating func leaveKernelOut(_ tree: some MachineTree) throws {
    let prefixes = ["vmlinuz", "vmlinux", "initrd", "initramfs", "System.map-", "config-"]
    let loaders: Set<String> = ["grub", "efi", "EFI", "loader", "extlinux", "syslinux"]
    for name in try tree.names("boot") where loaders.contains(name) || prefixes.contains(where: name.hasPrefix) {
      changes.append(.remove("boot/\(name)"))
    }
    for name in ["vmlinuz", "vmlinuz.old", "initrd.img", "initrd.img.old"] where try tree.isThere(name) {
      changes.append(.remove(name))
    }
    for folder in ["lib/modules", "usr/lib/modules", "etc/udev/rules.d"] {
      for name in try tree.names(folder) { changes.append(.remove("\(folder)/\(name)")) }
    }
  }

  private mutating func leaveDisksOut(_ tree: some MachineTree) throws {
    for table in ["etc/fstab", "etc/crypttab"] {
      guard let text = try tree.text(table) else { continue }
      let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
        line.isEmpty || line.hasPrefix("#") ? String(line) : "#\(line)"
      }
      let new = lines.joined(separator: "\n")
      if new != text { changes.append(.replace(table, with: new)) }
    }
    for name in try tree.names(Self.units) where [".mount", ".automount", ".swap"].contains(where: name.hasSuffix) {
      changes.append(.remove("\(Self.units)/\(name)"))
    }
  }

  private mutating func leaveNetworkOut(_ tree: some MachineTree) throws {
    let interfaces = "etc/network/interfaces"
    let loopback = "# The zone's network is made by its host.\nauto lo\niface lo inet loopback\n"
    if let text = try tree.text(interfaces), text != loopback { changes.append(.replace(interfaces, with: loopback)) }
    let folders = [
      "etc/network/interfaces.d", "etc/netplan", "etc/systemd/network", "etc/NetworkManager/system-connections",
    ]
    for folder in folders {
      for name in try tree.names(folder) { changes.append(.remove("\(folder)/\(name)")) }
    }
  }

  // MARK: what is not started

  /// Of units that wait for hardware, change the kernel, or bring links up. Those that systemd leaves out by itself in a
  /// container are not among them.
  static let masked: Set<String> = [
    "NetworkManager-wait-online.service", "NetworkManager.service", "acpid.service", "apparmor.service",
    "blk-availability.service", "chrony.service", "console-setup.service", "dm-event.socket", "e2scrub_all.timer",
    "e2scrub_reap.service", "fstrim.timer", "grub-common.service", "grub-initrd-fallback.service", "hwclock.service",
    "ifup@.service", "ifupdown-pre.service", "ifupdown-wait-online.service", "irqbalance.service",
    "kdump-tools.service",
    "keyboard-setup.service", "kmod-static-nodes.service", "lm-sensors.service", "lvm2-lvmpolld.socket",
    "lvm2-monitor.service", "mdadm-shutdown.service", "mdmonitor.service", "multipathd.service", "multipathd.socket",
    "networking.service", "ntp.service", "ntpsec.service", "open-iscsi.service", "qemu-guest-agent.service",
    "smartmontools.service", "systemd-fsck-root.service", "systemd-hwdb-update.service", "systemd-modules-load.service",
    "systemd-networkd-wait-online.service", "systemd-networkd.service", "systemd-networkd.socket",
    "systemd-random-seed.service", "systemd-remount-fs.service", "systemd-rfkill.service", "systemd-rfkill.socket",
    "systemd-sysctl.service", "systemd-timesyncd.service", "systemd-udev-settle.service",
    "systemd-udev-trigger.service",
    "systemd-udevd-control.socket", "systemd-udevd-kernel.socket", "systemd-udevd.service", "udev.service",
    "watchdog.service", "zfs-mount.service", "zfs-zed.service",
  ]

  private mutating func maskUnits(_ tree: some MachineTree) throws {
    var there: Set<String> = []
    for folder in ["lib/systemd/system", "usr/lib/systemd/system", Self.units] {
      there.formUnion(try tree.names(folder))
    }
    changes += Self.masked.intersection(there).sorted().map { .mask($0) }
  }

  private mutating func listServices(_ tree: some MachineTree) throws {
    var names: Set<String> = []
    for folder in try tree.names(Self.units) where folder.hasSuffix(".wants") {
      names.formUnion(
        try tree.names("\(Self.units)/\(folder)").filter { name in
          [".service", ".socket", ".timer"].contains(where: name.hasSuffix)
        })
    }
    // Of a machine without systemd: init.d's, in its usual runlevel (S20ssh).
    if names.isEmpty {
      for name in try tree.names("etc/rc2.d") where name.hasPrefix("S") && name.count > 3 {
        names.insert(String(name.dropFirst(3)))
      }
    }
    services = names.sorted().map { Service(name: $0, isKept: !Self.masked.contains($0)) }
  }
}
