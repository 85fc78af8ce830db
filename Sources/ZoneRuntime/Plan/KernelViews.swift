internal import LinuxNS

/// What of the kernel a zone sees: fresh proc, sysfs and the rest, with the parts that tell or change the host covered.
extension Tree {
  /// A view of the kernel's own: read-only, and nothing in it may be executed or opened as a device.
  static let kernelView = MountFlag.readOnly | MountFlag.noSuid | MountFlag.noDev | MountFlag.noExec
}

extension LaunchPlanner {
  /// The OCI defaults (runc spec, moby's daemon), and SECURITY.md's additions.
  public static let maskedPaths = [
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
  ]
  public static let maskedSysPaths = ["/sys/devices/virtual/powercap", "/sys/firmware"]
  public static let readOnlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]

  mutating func planZone() {
    let closed = MountFlag.noSuid | MountFlag.noDev | MountFlag.noExec
    plan.zone.append(.simple(.enterRoot, "copy the root's mounts to pivot into"))
    plan.zone.append(.mount("proc", on: "/proc", flags: closed, make: true))
    // Group 5 is tty on every distribution; it has to be mapped to be given.
    let tty = facts.gids.outside(of: 5) == nil ? "" : ",gid=5"
    plan.zone.append(
      .mount(
        "devpts", on: "/dev/pts", flags: MountFlag.noSuid | MountFlag.noExec,
        options: "newinstance,ptmxmode=0666,mode=0620\(tty)"))
    plan.zone.append(.mount("tmpfs", on: "/dev/shm", flags: closed, options: "mode=1777,size=64m"))
    plan.zone.append(.mount("mqueue", on: "/dev/mqueue", flags: closed))
    if !spec.nesting {
      plan.zone.append(.write("/proc/sys/user/max_user_namespaces", "0"))
    }
    plan.zone.append(.hostname(spec.hostname ?? spec.name))
    for path in Self.maskedPaths { plan.zone.append(.mask(path)) }
    if plan.namespaces.contains(.net) { planNetworkViews(closed) } else if facts.hasGroups { planGroups(closed) }
    if spec.nesting { planViewsForNesting(closed) }
    for path in Self.readOnlyPaths { plan.zone.append(.readOnlyPath(path)) }
    plan.zone.append(.simple(.pivot, "pivot into the root and let the host's go"))
    if spec.terminal {
      let size = facts.terminalSize ?? WindowSize(rows: 24, columns: 80)
      plan.zone.append(.terminal(rows: UInt64(size.rows), columns: UInt64(size.columns)))
      if spec.isSystem { plan.zone.append(.console) }
    }
  }

  /// Who makes a zone in this one wants a procfs and a sysfs of its own, and the kernel gives none to who sees only ones
  /// with something covered (mount_too_revealing of fs/namespace.c).
  private mutating func planViewsForNesting(_ closed: UInt64) {
    plan.zone.append(.mount("proc", on: "/dev/.nesting/proc", flags: closed, make: true))
    if plan.namespaces.contains(.net) {
      plan.zone.append(.mount("sysfs", on: "/dev/.nesting/sys", flags: closed | MountFlag.readOnly, make: true))
    }
  }

  /// A sysfs shows the network of who mounts it. Last, since host root's zones have theirs made meanwhile.
  private mutating func planNetworkViews(_ closed: UInt64) {
    plan.zone.append(
      byHost ? .simple(.network, "enter the network namespace, lo is up in it") : .simple(.loopback, "bring lo up"))
    plan.zone.append(.mount("sysfs", on: "/sys", flags: closed | MountFlag.readOnly, make: true))
    planGroups(closed)
    for path in Self.maskedSysPaths { plan.zone.append(.mask(path)) }
  }

  /// Those that the zone may make are made there; the values of its own are above, and not to be seen.
  private mutating func planGroups(_ closed: UInt64) {
    plan.zone.append(
      .mount("cgroup2", on: "/sys/fs/cgroup", flags: facts.hasGroups ? closed : closed | MountFlag.readOnly))
  }
}
