internal import Glibc
internal import LinuxNS

/// What a zone sees and holds of files.
extension AuditLook {
  func mounts(group: String?) throws(ZoneError) -> AuditFinding {
    let wanted = plan.mounts
    let pid = first
    let root = byHost ? first : command ?? first
    let audit = try attempt("look at the mounts of zone \(spec.name)") { () throws(SyscallError) -> MountAudit in
      var audit = MountAudit(
        zone: try MountTable.read("/proc/\(pid)/mountinfo"), host: try MountTable.read("/proc/self/mountinfo"),
        group: group, mayMount: mayMount)
      for mount in wanted {
        switch mount.content {
        case .tree(let path, _): audit.places[path] = try KernelView.place(of: path, in: audit.host)
        case .disk(let path):
          if let device = try DiskFile.device(of: path) { audit.backing[device] = path }
        case .cover, .itself:
          // Proc and sysfs have the same entries in every zone of a kernel.
          if let status = try? FileSystem.status(mount.target) {
            audit.isDirectory[mount.target] = status.st_mode & S_IFMT == S_IFDIR
          }
        default: continue
        }
      }
      // Where a link of the zone's tree is on the way, the kernel is asked where it leads.
      let unseen = wanted.filter { mount in !audit.zone.contains { $0.target == mount.target } }
      if !unseen.isEmpty, let root = try? RootFD.open("/proc/\(root)/root") {
        for mount in unseen { audit.targets[mount.target] = KernelView.mount(of: mount.target, below: root) }
      }
      return audit
    }
    let (seen, differences) = MountAudit.compare(wanted, audit)
    return AuditFinding(name: "mounts", seen: seen, differences: differences)
  }

  func descriptors(_ weaker: inout [String]) throws(ZoneError) -> AuditFinding {
    let (pid, command) = (first, command)
    let (audit, held, its) = try attempt("look at the open files of zone \(spec.name)") {
      () throws(SyscallError) -> (DescriptorAudit, [HeldFile]?, [HeldFile]?) in
      var mounts = Set(try MountTable.read("/proc/\(pid)/mountinfo").map { $0.id })
      if let command { mounts.formUnion(try MountTable.read("/proc/\(command)/mountinfo").map { $0.id }) }
      let audit = DescriptorAudit(
        mounts: mounts, hostSockets: spec.network == .host ? [] : try KernelView.sockets(),
        hostNamespaces: Set((try KernelView.namespaceLinks("self") ?? [:]).filter { isWall($0.key) }.map { $0.value }),
        mayMount: mayMount)
      let held = try KernelView.heldFiles(pid)
      var its: [HeldFile]?
      if let command { its = try KernelView.heldFiles(command) }
      return (audit, held, its)
    }
    var differences: [AuditDifference] = []
    var seen: [String] = []
    // Our own init's third is the gate.
    for (who, files, gate) in [("init", held, plan.ownInit ? nil : "3"), ("command", its, nil)] {
      guard let files else {
        if who == "init" { seen.append("the init's are closed to its owner, too") }
        continue
      }
      let found = audit.judge(plan.ownInit ? "command" : who, files, gate: gate)
      differences += found.differences
      weaker += found.given
      seen.append("\(who) \(files.filter { Int($0.name) != nil }.count), none leads out")
    }
    return AuditFinding(name: "descriptors", seen: seen.joined(separator: ", "), differences: differences)
  }

  /// Whether the zone has a namespace of that kind (by its file) for itself.
  private func isWall(_ file: String) -> Bool {
    file == "user"
      || NamespaceFlags.table.contains { NamespaceAudit.file($0.name) == file && plan.namespaces.contains($0.flag) }
  }
}
