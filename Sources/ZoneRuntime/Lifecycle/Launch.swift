internal import CLinuxNS
internal import Glibc
internal import LinuxNS
internal import ResourceControl
internal import VirtualNet

/// Where the command's input and output go.
public enum ZoneStreams: Sendable {
  /// To the log; input is empty.
  case log
  /// The keeper copies: to the log, and to the launcher, who relays (`run`).
  case relay(input: Bool)
  /// The launcher's own descriptors, given away as they are: nothing is copied or logged; -1 is /dev/null. Never a
  /// terminal: a zone that holds one can read what is typed there. A directory is refused by the stage.
  case direct(input: CInt, output: CInt, error: CInt)

  /// The launcher does.
  var somebodyStays: Bool {
    switch self {
    case .log: false
    case .relay, .direct: true
    }
  }
}

/// A zone that was just made ready or started, seen by the one who launched it.
struct LaunchedZone: ~Copyable {
  let keeper: Pidfd
  let link: KeeperLink
  fileprivate(set) var initPid: Int32
  /// The gate was open: the command runs.
  fileprivate(set) var isThrough = false
  /// What it made, as it is on disk.
  fileprivate(set) var record: RunRecord
  /// For the words of a step that fails behind the gate.
  let plan: LaunchPlan
  /// Of a sandbox that may reach hosts by name.
  fileprivate(set) var egress: SandboxEgress?
  /// Of a sandbox that somebody looks at.
  fileprivate(set) var watch: SandboxWatch?
}

extension ZoneSpec {
  /// Host root's zones have ranges of ids, and mounts of the host's; a sandbox is its caller, whoever that is.
  var isByHost: Bool { geteuid() == 0 && sandbox == nil }
}

extension ZoneSpec {
  /// A sandbox ends with its pid namespace, and the number of an ordinary user's processes is a matter of rlimits.
  private var limitsInSandboxWantGroup: Bool {
    // Without namespaces all of them are.
    if sandbox?.bare != nil { return false }
    var others = limits
    if geteuid() != 0 { others.pids = nil }
    return !others.isEmpty
  }

  /// A start makes a control group for it.
  var wantsGroup: Bool { sandbox == nil || limitsInSandboxWantGroup }
}

/// What a start is asked for, beside the zone's spec, and what the root of a zone of an image is made of.
private struct LaunchWish {
  let root: RootRecord?
  let streams: ZoneStreams
  let terminalSize: WindowSize?
  let restarts: Int
  let openGate: Bool
}

extension NetworkChoice {
  /// Nothing of the network is made while the zone waits at its gate.
  var needsNoGate: Bool {
    switch self {
    case .none, .host: true
    case .named: false
    }
  }
}

extension Zones {
  /// Makes an installed zone ready: everything stands, the first process waits at the gate; or, `through`, running.
  /// The zone's lock is held.
  ///
  /// What fails is undone: the record names each thing before it is made, and `cleanUp` takes away what is named.
  /// - Parameter stage: one that was begun ahead.
  func launch(
    _ files: ZoneFiles, _ spec: ZoneSpec, stage: consuming StageProcess, streams: ZoneStreams,
    terminalSize: WindowSize? = nil,
    restarts: Int = 0, through: Bool
  ) throws(ZoneError) -> LaunchedZone {
    do throws(ZoneError) {
      let root = try startRoot(of: spec, files)
      try enforceQuota(files, spec)
      let spec = spec.completed(by: root?.use)
      let wish = LaunchWish(
        root: root, streams: streams, terminalSize: terminalSize, restarts: restarts,
        openGate: through && spec.network.needsNoGate)
      var watch: SandboxWatch?
      var zone = try make(files, spec, stage, wish, &watch)
      zone.watch = watch.take()
      do throws(ZoneError) {
        if let allowed = spec.sandbox?.allowed, !allowed.isEmpty {
          zone.egress = try SandboxEgress.start(
            allowed, network: networkNamespace(of: zone.initPid), zonectl: zonectl)
        }
        if through, !zone.isThrough { try Self.go(zone.link, spec, zone.plan) }
        note(through ? .started : .ready, spec.name) { if restarts > 0 { $0.restarts = restarts } }
      } catch {
        try? zone.keeper.signal(SIGKILL)  // best effort: it ends by itself now, and the first error is told
        _ = try? zone.keeper.waitUntilEnd(timeout: 5000)
        throw error
      }
      return zone
    } catch {
      do throws(ZoneError) {
        if spec.ephemeral || FileSystem.exists(files.run) { try cleanUp(files) }
      } catch let second { notice("clean-up after the failed start of \(files.name) failed too: \(second)") }
      throw explained(error, files, spec)
    }
  }

  /// overlayfs says no more than EINVAL of a layer that is read-only, and is read-only itself over one without room.
  private func explained(_ error: ZoneError, _ files: ZoneFiles, _ spec: ZoneSpec) -> ZoneError {
    guard case .launch(let zone, let step, let number, _) = error else { return error }
    if [EINVAL, EROFS, EDQUOT, ENOSPC].contains(number), quotaUse(of: spec, files)?.isFull == true {
      let hint = "all that it may write is written (zonectl set \(zone) quota=SIZE)"
      return .launch(zone: zone, step: step, errno: number, hint: hint)
    }
    guard number == EINVAL || number == EROFS else { return error }
    var information = statvfs()
    guard statvfs(files.data, &information) == 0 else { return error }
    let hint: String
    if information.f_flag & 1 != 0 {  // ST_RDONLY
      hint = "\(files.data) is mounted read-only (mount -o remount,rw)"
    } else if number == EROFS, information.f_bavail == 0 || information.f_favail == 0 {
      hint = "make room in \(files.data) (df tells of bytes, df -i of files)"
    } else {
      return error
    }
    return .launch(zone: zone, step: step, errno: number, hint: hint)
  }

  /// Begins the process that will keep a zone: early, so that host root's namespaces are made while we plan.
  /// - Parameter staying: the caller stays with the zone. Otherwise it is not to end with the caller's control group.
  func beginKeeper(_ spec: ZoneSpec, staying: Bool) throws(ZoneError) -> StageProcess {
    var tries = 16
    while true {
      let group = staying ? KeeperGroup() : try keeperGroup()
      do throws(SyscallError) {
        let stage = try StageProcess.begin(.keeper, name: spec.name, group: group.directory)
        if spec.isByHost {
          try stage.begin(
            zoneFlags: LaunchPlanner.namespaces(spec, .root).rawValue, tellNetwork: !spec.network.needsNoGate)
        }
        return stage
      } catch {
        // The last keeper of others has taken the group away since.
        guard error.errno == ENOENT || error.errno == ENODEV, tries > 0 else {
          throw .call("start the keeper of zone \(spec.name)", error)
        }
        tries -= 1
      }
    }
  }

  /// What host root's keeper can go on with is sent as soon as it is known: ids and groups, and last the plan.
  private func make(
    _ files: ZoneFiles, _ spec: ZoneSpec, _ stage: consuming StageProcess, _ wish: LaunchWish,
    _ watch: inout SandboxWatch?
  ) throws(ZoneError) -> LaunchedZone {
    let plan: LaunchPlan
    var record: RunRecord
    var locks = VolumeLocks()
    do throws(ZoneError) {
      try attempt("make the zone's run directory") { () throws(SyscallError) in
        try FileSystem.makeDirectories(files.run, mode: 0o700)
      }
      locks = try useVolumes(of: spec)
      let ids = try ids(for: spec)
      let namespaces = LaunchPlanner.namespaces(spec, ids.tier)
      let ground = try ground(for: spec, ids)
      record = RunRecord(
        bootId: try attempt("read the boot id") { () throws(SyscallError) in try RunRecord.bootId() }, tier: ids.tier,
        uids: ids.uids, gids: ids.gids, namespaces: namespaces.rawValue, restarts: wish.restarts,
        capabilities: ground.capabilities)
      let owner = spec.isSystem ? CgroupOwner(ids) : nil
      let groupPlan = spec.wantsGroup ? try cgroupPlan(files.name, spec.limits, owner) : nil
      record.cgroup = groupPlan?.record
      if spec.brand == .sparse, !ground.etcTemplate.isEmpty { record.etcTemplate = ground.etcTemplate }
      if case .named(let network) = spec.network { record.network = network }
      try files.writeRecord(record)
      let group = try makeCgroup(groupPlan)
      if ids.tier == .root {
        let run = try open(files.run, O_RDONLY | O_DIRECTORY)
        try attempt("begin the first process of zone \(files.name)") { () throws(SyscallError) in
          try group.lend(to: stage, run, uidMap: NamespaceMaps.text(ids.uids), gidMap: NamespaceMaps.text(ids.gids))
        }
      }
      // What the first process need not wait for.
      if spec.ephemeral, !files.isEphemeral { try files.writeSpec(spec) }

      var facts = try facts(for: spec, on: ground, root: wish.root, terminalSize: wish.terminalSize)
      facts.hasGroups = record.cgroup?.isDelegated == true
      plan = LaunchPlanner.plan(spec, facts)
      try writeNameFiles(files, spec, facts)
      var way: CInt = -1
      defer { if way >= 0 { close(way) } }
      if spec.sandbox?.watch != nil { watch = try SandboxWatch.start(spec, filter: facts.seccomp, zonectl, &way) }
      try sendPlan(to: stage, files, spec, plan, group, wish, watch: way)
    } catch {
      // A stage that does not listen any more has said why.
      var said: StageMessage?
      repeat { said = (try? KeeperLink.receive(from: stage.control, timeout: 0)) ?? nil } while said == .network
      stage.abandon()
      if case .failed(_, let step, let number)? = said {
        throw .launch(
          zone: spec.name, step: "cannot \(StepWords.words(step))", errno: number, hint: StepWords.hint(step, number))
      }
      throw error
    }
    let zone = try awaitReady(stage, plan, spec, files, record)
    withExtendedLifetime(locks) {}
    return zone
  }

  private func writeNameFiles(_ files: ZoneFiles, _ spec: ZoneSpec, _ facts: HostFacts) throws(ZoneError) {
    guard spec.brand.isForeignTree, spec.network != .none else { return }
    try attempt("write the zone's hosts and resolv.conf") { () throws(SyscallError) in
      for (name, content) in [("hosts", facts.hosts), ("resolv.conf", facts.resolvConf)] {
        try FileSystem.replace("\(files.run)/\(name)", with: Array(content.utf8), mode: 0o644)
      }
    }
  }

  // MARK: the stage

  private func sendPlan(
    to process: borrowing StageProcess, _ files: ZoneFiles, _ spec: ZoneSpec, _ plan: LaunchPlan,
    _ group: borrowing ZoneGroup, _ wish: LaunchWish, watch: CInt
  ) throws(ZoneError) {
    var stage = StagePlan(mode: .launch, tier: plan.tier == .root ? .host : plan.tier == .bare ? .bare : .user)
    stage.tree = plan.tree.map { $0.op }
    stage.zone = plan.zone.map { $0.op }
    stage.process = plan.process.map { $0.op }
    stage.before = plan.before.map { $0.op }
    let nested = plan.tier != .root
    if nested { stage.joinerFlags = NamespaceFlags.user.rawValue | NamespaceFlags.mount.rawValue }
    stage.zoneFlags = plan.namespaces.rawValue
    let (uids, gids) = try Self.maps(plan)
    if plan.tier != .subordinate {
      stage.uidMap = NamespaceMaps.text(uids.first)
      stage.gidMap = NamespaceMaps.text(gids.first)
    }
    stage.denySetgroups = plan.tier == .single
    if nested {
      stage.nestedUidMap = NamespaceMaps.text(uids.zone)
      stage.nestedGidMap = NamespaceMaps.text(gids.zone)
    }
    stage.endsWithLauncher = spec.sandbox != nil
    stage.ownInit = plan.ownInit
    stage.terminal = plan.terminal
    // Into a zone without namespaces nobody is let: there is nothing to join.
    stage.keepNamespaces = nested && plan.tier != .bare
    stage.openGate = wish.openGate && !nested
    // Where nobody stays with it, a launcher on its way out would still be told the end, and clean nothing up.
    stage.handOver = spec.restart != .no || !wish.streams.somebodyStays
    stage.arguments = plan.arguments
    stage.environment = plan.environment
    stage.searchPath = plan.searchPath
    stage.zonectl = zonectl
    stage.zonectlArguments =
      ["zonectl"] + (directories.root.map { ["--root", $0] } ?? []) + ["zone-ended", files.name]
    stage.zonectlEnvironment = ["HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "PATH"].compactMap {
      (name: String) -> String? in
      getenv(name).map { "\(name)=" + String(cString: $0) }
    }
    stage.logLimit = 10 << 20
    stage.zoneRootUID = plan.uids.outside(of: 0) ?? plan.uids.first?.outside ?? 0
    stage.zoneRootGID = plan.gids.outside(of: 0) ?? plan.gids.first?.outside ?? 0
    stage.ownerUID = geteuid()

    // Everything the stage needs of the host is open before anything runs.
    let opened = try OpenSources(plan, byHost: plan.tier == .root)
    stage.descriptors.sources = opened.numbers
    let run = try open(files.run, O_RDONLY | O_DIRECTORY)
    let log = try open(spec.ephemeral ? files.run : files.data, O_RDONLY | O_DIRECTORY)
    let executable = try open(zonectl, O_PATH)
    let null = try open("/dev/null", O_RDWR)
    stage.descriptors.run = run.raw
    stage.descriptors.log = log.raw
    stage.descriptors.zonectl = executable.raw
    stage.descriptors.watch = watch
    group.lend(to: &stage.descriptors, joining: nested)
    stage.descriptors.oom = group.openCounter()
    defer { if stage.descriptors.oom >= 0 { close(stage.descriptors.oom) } }
    switch wish.streams {
    case .log: stage.descriptors.standardInput = null.raw
    case .relay(let input): stage.descriptors.standardInput = input ? -1 : null.raw
    case .direct(let input, let output, let error):
      stage.direct = true
      stage.descriptors.standardInput = input < 0 ? null.raw : input
      stage.descriptors.standardOutput = output < 0 ? null.raw : output
      stage.descriptors.standardError = error < 0 ? null.raw : error
    }

    do throws(SyscallError) { try process.send(stage) } catch {
      throw .call("start the keeper of zone \(files.name)", error)
    }
    // Lent by number until here.
    withExtendedLifetime(opened) {}
    withExtendedLifetime(run) {}
    withExtendedLifetime(log) {}
    withExtendedLifetime(executable) {}
    withExtendedLifetime(null) {}
  }

  /// Hears the stage until its gate stands, and puts the zone on its network: host root's meanwhile, as soon as there is
  /// a namespace, since a link and its rules take as long as the zone's root and mounts do.
  private func awaitReady(
    _ process: consuming StageProcess, _ plan: LaunchPlan, _ spec: ZoneSpec, _ files: ZoneFiles, _ record: RunRecord
  ) throws(ZoneError) -> LaunchedZone {
    var zone = process.split { LaunchedZone(keeper: $0, link: KeeperLink($1), initPid: 0, record: record, plan: plan) }
    do throws(ZoneError) { try hear(&zone, plan, spec, files) } catch {
      // The zone dies with its keeper, which has told all it knows. It may be about to hand over, and would wait for the
      // lock that we hold.
      try? zone.keeper.signal(SIGKILL)
      _ = try? zone.keeper.reap()
      throw error
    }
    return zone
  }

  private func hear(
    _ zone: inout LaunchedZone, _ plan: LaunchPlan, _ spec: ZoneSpec, _ files: ZoneFiles
  ) throws(ZoneError) {
    while true {
      var descriptors: [CInt] = []
      defer { for descriptor in descriptors { close(descriptor) } }
      let message: StageMessage?
      do throws(SyscallError) { message = try zone.link.receive(timeout: -1, descriptors: &descriptors) } catch {
        throw .call("start zone \(plan.name)", error)
      }
      switch message {
      case .network:
        guard let number = descriptors.popLast() else { continue }
        try attach(spec, OwnedFD(raw: number), files, &zone.record)
      case .map(let pid):
        try mapIds(pid, plan)
        try attempt("start zone \(plan.name)") { () throws(SyscallError) in try zone.link.send(.mapped) }
      case .ready(let pid):
        zone.initPid = pid
        if zone.record.network != nil, zone.record.attachment == nil {
          try attach(spec, networkNamespace(of: pid), files, &zone.record)
        }
        return
      case .started:
        zone.isThrough = true
        return
      case .failed(_, let step, let number):
        if step == Int(STAGE_STEP_EXECUTE.rawValue) {
          throw .notExecuted(command: spec.command.first ?? "", errno: number)
        }
        throw Self.failure(plan, step, number)
      case nil: throw .refused("cannot start zone \(plan.name): its keeper ended without a word")
      default: continue
      }
    }
  }

  /// Opens the gate, and waits until the command was executed.
  /// - Parameter plan: nil where the zone was made ready by an earlier command.
  static func go(_ link: borrowing KeeperLink, _ spec: ZoneSpec, _ plan: LaunchPlan? = nil) throws(ZoneError) {
    try attempt("start zone \(spec.name)") { () throws(SyscallError) in try link.send(.go) }
    while true {
      let message = try attempt("start zone \(spec.name)") { () throws(SyscallError) in try link.receive() }
      switch message {
      case .started: return
      case .failed(_, let step, let number):
        if step == Int(STAGE_STEP_EXECUTE.rawValue) {
          throw .notExecuted(command: spec.command.first ?? "", errno: number)
        }
        if let plan { throw failure(plan, step, number) }
        throw .launch(
          zone: spec.name, step: "cannot \(StepWords.words(step))", errno: number, hint: StepWords.hint(step, number))
      case .no(let number): throw .refused("cannot start zone \(spec.name): \(SyscallError.describe(number))")
      case .ended: throw .refused("cannot start zone \(spec.name): it ended before its command was executed")
      case nil: throw .refused("cannot start zone \(spec.name): its keeper ended")
      default: continue
      }
    }
  }

  static func failure(_ plan: LaunchPlan, _ step: Int, _ number: CInt) -> ZoneError {
    let ops = plan.tree + plan.zone + plan.process + plan.before
    let words = ops.indices.contains(step) ? ops[step].words : StepWords.words(step)
    let hint = ops.indices.contains(step) ? ops[step].hint(number) : nil
    return .launch(
      zone: plan.name, step: "cannot \(words)", errno: number, hint: hint ?? StepWords.hint(step, number))
  }

  private func open(_ path: String, _ flags: CInt) throws(ZoneError) -> OwnedFD {
    try attempt("open \(path)") { () throws(SyscallError) in try OwnedFD.open(path, flags) }
  }

  private static func maps(_ plan: LaunchPlan) throws(ZoneError) -> (uids: NamespaceMaps, gids: NamespaceMaps) {
    do throws(SyntaxError) { return (try NamespaceMaps(plan.uids), try NamespaceMaps(plan.gids)) } catch {
      throw .syntax(error)
    }
  }

  /// Ids of an ordinary user's range are mapped by the distribution's setuid helpers, who check /etc/subuid and
  /// /etc/subgid; we ship none.
  private func mapIds(_ pid: Int32, _ plan: LaunchPlan) throws(ZoneError) {
    let (uids, gids) = try Self.maps(plan)
    for (program, maps) in [("newuidmap", uids.first), ("newgidmap", gids.first)] {
      let path = "/usr/bin/\(program)"
      let status = try attempt("run \(path)") { () throws(SyscallError) -> ExitStatus in
        let started = try spawn(
          ProgramStart(
            path: path, arguments: [program, String(pid)] + UserIdMaps.helperArguments(maps), fds: [0, 1, 2]))
        return try Pidfd(OwnedFD(raw: started.pidfd)).reap()
      }
      guard status == .exited(0) else {
        throw .refused(
          "cannot map the ids of zone \(plan.name): \(program) refused (it says why above; look at /etc/subuid and /etc/subgid)"
        )
      }
    }
  }

  // MARK: the network

  /// A zone whose launcher was killed between its gate and its network still waits for it.
  func attachIfCut(_ files: ZoneFiles, _ spec: ZoneSpec) throws(ZoneError) {
    guard var record = try files.readRecord(), record.network != nil, record.attachment == nil,
      let keeper = try files.readKeeper()
    else { return }
    try attach(spec, networkNamespace(of: keeper.`init`), files, &record)
  }

  private func networkNamespace(of pid: Int32) throws(ZoneError) -> OwnedFD {
    try open("/proc/\(pid)/ns/net", O_RDONLY)
  }

  private func attach(
    _ spec: ZoneSpec, _ namespace: consuming OwnedFD, _ files: ZoneFiles, _ record: inout RunRecord
  ) throws(ZoneError) {
    guard case .named(let network) = spec.network else { return }
    let request = AttachRequest(zone: spec.name, network: network, aliases: spec.aliases, ports: spec.publish)
    do throws(NetworkError) {
      record.attachment = try networks().attach(request, netns: namespace)
    } catch { throw .refused("\(error)") }
    try files.writeRecord(record)
  }
}

/// A plan's sources, opened: for host root as detached copies that no later change of a path can redirect.
struct OpenSources: ~Copyable {
  private(set) var numbers: [CInt] = []

  init(_ plan: LaunchPlan, byHost: Bool) throws(ZoneError) {
    for source in plan.sources {
      do throws(SyscallError) {
        switch source {
        case .tree(let path, let recursive):
          numbers.append(try HostTree.open(path, recursive: recursive, .private).take())
        case .disk(let path): numbers.append(try DiskFile.mount(path).take())
        case .content(let path):
          let file = try OwnedFD.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
          var status = stat()
          guard fstat(file.raw, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size <= 1 << 20 else {
            throw SyscallError(
              call: "open", errno: EINVAL, path: path, step: "use what is no regular file of at most 1 MiB")
          }
          numbers.append(file.take())
        }
      } catch { throw .call("use \(source.path) for zone \(plan.name)", error) }
    }
  }

  deinit { for number in numbers { close(number) } }
}
