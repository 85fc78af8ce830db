internal import Glibc
internal import LinuxNS
internal import ResourceControl

/// One look at a zone: what is read is handed to pure comparisons.
struct AuditLook {
  let zones: Zones
  let spec: ZoneSpec
  let plan: LaunchPlan
  let keeper: Int32
  let first: Int32
  /// nil where the command is the first process, or there is none.
  let command: Int32?
  let firstStatus: ProcessStatus
  let commandStatus: ProcessStatus?
  let keeperStatus: ProcessStatus
  /// The zone's namespaces, or for root its first process, as the keeper hands them out.
  let way: [CInt]
  let byHost: Bool

  init(
    _ zones: Zones, _ spec: ZoneSpec, _ record: RunRecord, _ told: KeeperRecord, _ keeper: Int32, _ way: [CInt]
  ) throws(ZoneError) {
    // Root's range is the one that this run was given: asking for one would lease another.
    let ids =
      spec.isByHost ? ZoneIds(tier: .root, uids: record.uids, gids: record.gids) : try zones.ids(for: spec)
    let root = try zones.layeredRoot(of: spec, zones.files(spec.name))
    let spec = spec.completed(by: root?.use)
    var ground = try zones.ground(for: spec, ids)
    // The host's /etc may have changed since: this is a fact of the start, and no wish.
    if let template = record.etcTemplate { ground.etcTemplate = template }
    var facts = try zones.facts(for: spec, on: ground, root: root)
    facts.hasGroups = record.cgroup?.isDelegated == true
    let plan = LaunchPlanner.plan(spec, facts)
    let byHost = plan.tier == .root
    var first = told.`init`
    if byHost {
      let pidfd = way.first ?? -1
      guard
        let pid = try attempt(
          "ask which process is the first of zone \(spec.name)",
          { () throws(SyscallError) in
            try KernelView.process(of: pidfd)
          })
      else { throw .refused("cannot audit zone \(spec.name): its first process has ended") }
      first = pid
    }
    let command = told.process == first || told.process == 0 ? nil : told.process
    self.zones = zones
    self.spec = spec
    self.plan = plan
    self.keeper = keeper
    self.first = first
    self.command = command
    self.way = way
    self.byHost = byHost
    firstStatus = try ProcessStatus.read(first)
    commandStatus = try command.map { (pid) throws(ZoneError) in try ProcessStatus.read(pid) }
    keeperStatus = try ProcessStatus.read(keeper)
  }

  /// Powers with which what is more than planned may be the zone's own doing.
  private var capabilities: CapabilitySet { ProcessAudit.Wanted(plan).capabilities }
  var mayMount: Bool { spec.nesting || capabilities.contains(.sysAdmin) }
  var mayNetwork: Bool { spec.nesting || capabilities.contains(.netAdmin) }

  func audit() throws(ZoneError) -> ZoneAudit {
    let hierarchy: CgroupHierarchy
    do { hierarchy = try CgroupHierarchy.detect() } catch { throw .refused("\(error)") }
    let owner = spec.isSystem ? CgroupOwner(plan.uids, plan.gids) : nil
    let groups = GroupAudit(hierarchy: hierarchy, plan: try zones.cgroupPlan(spec.name, spec.limits, owner))
    let processes = ProcessAudit(
      wanted: ProcessAudit.Wanted(plan), first: plan.ownInit ? nil : firstStatus,
      command: plan.ownInit ? firstStatus : commandStatus)
    var members = [("init", try GroupAudit.Membership.read(first))]
    if let command { members.append(("command", try GroupAudit.Membership.read(command))) }

    var audit = ZoneAudit(zone: spec.name, findings: [], weaker: weaker(groups.plan != nil))
    audit.findings = [
      family(), try namespaces(), try ids(processes), processes.capabilities(), processes.seccomp(),
      processes.noNewPrivileges(),
    ]
    audit.findings.append(groups.groups(members.map { (who: $0.0, in: $0.1) }))
    audit.findings.append(try groups.limits())
    audit.findings.append(try mounts(group: spec.isSystem ? groups.beginning : members[0].1.unified))
    audit.findings.append(try descriptors(&audit.weaker))
    audit.findings.append(try keeperFinding(groups))
    audit.findings += try network()
    return audit
  }

  // MARK: processes

  /// That the processes are who they are said to be.
  private func family() -> AuditFinding {
    var differences: [AuditDifference] = []
    if firstStatus.parent != keeper {
      differences.append(
        AuditDifference("parent of the init \(first)", wanted: "\(keeper)", found: "\(firstStatus.parent)"))
    }
    if let command, let status = commandStatus, status.parent != first {
      differences.append(
        AuditDifference("parent of the command \(command)", wanted: "\(first)", found: "\(status.parent)"))
    }
    if command == nil, !plan.ownInit, !plan.arguments.isEmpty {
      differences.append(AuditDifference("command", wanted: "a process of its own", found: "none"))
    }
    if firstStatus.pids.last != 1 || firstStatus.pids.count < 2 {
      differences.append(AuditDifference("init \(first)", wanted: "pid 1 of the zone", found: "another"))
    }
    let seen = "keeper \(keeper), init \(first)" + (command.map { ", command \($0)" } ?? "")
    return AuditFinding(name: "processes", seen: seen, differences: differences)
  }

  private func namespaces() throws(ZoneError) -> AuditFinding {
    let byHost = byHost
    let (pid, command) = (first, command)
    let links = try attempt("look at the namespaces of zone \(spec.name)") {
      () throws(SyscallError) -> (NamespaceAudit.Links, NamespaceAudit.Links, NamespaceAudit.Links?) in
      let host = try KernelView.namespaceLinks("self") ?? [:]
      let first =
        try byHost ? KernelView.namespaceLinks("\(pid)") ?? [:] : KernelView.namespaceLinks(of: way)
      var its: NamespaceAudit.Links?
      if let command { its = try KernelView.namespaceLinks("\(command)") }
      return (host, first, its)
    }
    return NamespaceAudit(host: links.0, first: links.1, command: links.2, mayMake: mayMount).compare(plan.namespaces)
  }

  private func ids(_ processes: ProcessAudit) throws(ZoneError) -> AuditFinding {
    let pid = first
    let maps = try attempt("look at the ids of zone \(spec.name)") { () throws(SyscallError) in
      (
        uids: try KernelView.idMap(pid, "uid_map"), gids: try KernelView.idMap(pid, "gid_map"),
        setgroups: try FileSystem.readLine("/proc/\(pid)/setgroups")
      )
    }
    var finding = processes.ids(maps, denied: plan.tier == .single)
    guard byHost else { return finding }
    // Where the lease is lost, the range may be given to another zone.
    let held: [IdRange]
    do { held = try zones.leases(of: spec.name) } catch { throw .refused("\(error)") }
    for map in plan.uids where !held.contains(where: { $0.start == map.outside && $0.count == map.count }) {
      finding.differences.append(
        AuditDifference("lease", wanted: "\(map.outsideRange)", found: "another's, or nobody's"))
    }
    return finding
  }

  private func keeperFinding(_ groups: GroupAudit) throws(ZoneError) -> AuditFinding {
    var differences: [AuditDifference] = []
    let (keeper, first) = (keeper, first)
    for (who, status) in [("keeper", keeperStatus), ("init", firstStatus)] where status.tracer != 0 {
      if who == "init", plan.ownInit { continue }
      differences.append(AuditDifference(who, wanted: "traced by nobody", found: "traced by \(status.tracer)"))
    }
    if keeperStatus.pids.count != 1 {
      differences.append(AuditDifference("keeper", wanted: "a process of the host's", found: "one of the zone's"))
    }
    // Whose files are the init's own belongs to who can trace it. Root's keeper is root's either way.
    if !plan.ownInit {
      let owner = try attempt("look at the init") { () throws(SyscallError) in try KernelView.owner(first) }
      if owner == firstStatus.uids[1] {
        differences.append(AuditDifference("init", wanted: "not dumpable", found: "dumpable"))
      }
    }
    let launcher = try? GroupAudit.Membership.read(keeperStatus.parent)  // it may have gone meanwhile
    let membership = try GroupAudit.Membership.read(keeper)
    if let difference = groups.keeper(membership, launcher: launcher) { differences.append(difference) }
    return AuditFinding(
      name: "keeper", seen: "group \(membership.unified ?? "none"), traced by nobody", differences: differences)
  }

  // MARK: what was asked for, and weakens

  private func weaker(_ hasGroups: Bool) -> [String] {
    var notes: [String] = []
    switch plan.tier {
    case .root: break
    case .subordinate: notes.append("ids: the range is this user's, shared by all of his zones")
    case .bare: notes.append("namespaces: none; Landlock and the filter alone")
    case .single: notes.append("ids: the zone's root has this user's own id on the host, and keeps his groups")
    }
    if spec.nesting { notes.append("--nesting: namespaces and mounts can be made inside") }
    let added = capabilities.subtracting(spec.defaultCapabilities)
    if !added.isEmpty { notes.append("--cap-add: \(added)") }
    if spec.network == .host { notes.append("--network host: the host's network, its services and abstract sockets") }
    if spec.ownInit { notes.append("--init: no_new_privs is off, so that set-uid programs work inside") }
    if spec.isSystem {
      notes.append("a system zone: control groups of its own, CAP_SYS_BOOT")
    }
    if !hasGroups { notes.append("no control group: no limits, no pause; what ends the keeper's group ends the zone") }
    for path in zones.reachedPlaces(spec) {
      notes.append("\(path): other users of the host can reach what the zone leaves there with a set-uid bit")
    }
    return notes
  }
}
