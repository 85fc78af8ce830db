internal import CLinuxNS
internal import Glibc
internal import LinuxNS
internal import ResourceControl

/// What `exec` takes beside a process of its own: each replaces what the container's process has.
public struct ContainerExecRequest: Sendable {
  /// `--process`: the text of a process as config.json has it; nil: the container's, with what follows.
  public var process: [UInt8]?
  public var arguments: [String] = []
  public var environment: [String] = []
  public var cwd: String?
  public var uid: UInt32?
  public var gid: UInt32?
  public var additionalGids: [UInt32] = []
  public var capabilities: [String] = []
  public var terminal = false
  public var noNewPrivileges: Bool?
  public var apparmorProfile: String?
  public var selinuxLabel: String?
  public var consoleSocket: String?
  public var pidFile: String?
  public var preservedDescriptors = 0
  /// A v2 group below the container's.
  public var cgroup: String?
  public var foreground = true
  /// Also where its processes are frozen: then it waits until they are let go.
  public var ignorePaused = false

  public init() {}
}

extension Containers {
  /// Executes a process in a container. It is our child, and of whoever waits above us when we end.
  public func execute(_ id: String, _ request: ContainerExecRequest) throws(ZoneError) -> ContainerProcess {
    let (files, record) = try running(id, verb: "exec in")
    let state = try state(files, record)
    if state == .paused, !request.ignorePaused { throw .refused("cannot exec in a paused container") }
    guard let target = try living(record) else { throw .refused("cannot exec in a container that has stopped") }
    let config = try files.readConfig()
    let process = try process(config, request)
    guard !process.arguments.isEmpty else { throw .usage("exec wants a command, or --process with args") }
    if process.terminal, request.consoleSocket == nil, !request.foreground {
      throw .refused("cannot allocate a terminal: there is no --console-socket to send it to")
    }
    guard (0...40).contains(request.preservedDescriptors) else {
      throw .usage("--preserve-fds '\(request.preservedDescriptors)': 0 to 40")
    }

    let facts = try facts(config, CgroupTrees(unified: nil, unifiedControllers: [], v1: []), record)
    var plan = ContainerPlan()
    // The labels for its execve too: here /proc is the host's, in there it is what the container made of it
    // (CVE-2019-16884), and a child inherits them.
    plan.before = ContainerPlanner.before(process) + (try ContainerPlanner.labels(process, facts))
    if let mask = process.initialCPUs { plan.before.append(.affinity(mask)) }
    let environment = ContainerEnvironment(process.environment)
    plan.process = try ContainerPlanner.process(process, environment, config, facts)
    // Before the filter, which need not allow it.
    if let mask = process.finalCPUs { plan.process.insert(.affinity(mask), at: 0) }
    if process.terminal {
      let size = process.consoleSize ?? WindowSize(rows: 0, columns: 0)
      plan.zone = [.terminal(rows: UInt64(size.rows), columns: UInt64(size.columns))]
    }

    var stage = StagePlan(mode: .enter, tier: .host)
    stage.before = plan.before.map { $0.op }
    stage.zone = plan.zone.map { $0.op }
    stage.process = plan.process.map { $0.op }
    stage.zoneFlags = config.linux.namespaces.reduce(into: NamespaceFlags()) { $0.formUnion($1.flag) }.rawValue
    stage.denySetgroups = facts.keepsGroups(config.linux)
    stage.terminal = process.terminal
    stage.arguments = process.arguments
    stage.environment = environment.variables
    stage.searchPath = environment.searchPath
    stage.descriptors.join = target.fd.raw
    stage.descriptors.preserved = (0..<request.preservedDescriptors).map { CInt(3 + $0) }
    if !process.terminal {
      (stage.descriptors.standardInput, stage.descriptors.standardOutput, stage.descriptors.standardError) = (0, 1, 2)
    }
    var groups = record
    if let below = request.cgroup { groups.unified = try Self.group(below, in: record) }
    // Its first process may move on between our look and the attempt.
    for _ in 0..<5 {
      let group = try openGroups(groups)
      stage.descriptors.cgroup = group.directory
      stage.descriptors.tasks = group.tasks.raw
      let started = try attempt("execute in container \(id)") { () throws(SyscallError) -> StageProcess in
        try StageProcess.begin(.container, name: id)
      }
      try joinUnit(record, started.pid)
      try attempt("execute in container \(id)") { () throws(SyscallError) in try started.send(stage) }
      if var made = try awaitEntered(started, process, plan, record, config) {
        if let socket = request.consoleSocket { try Self.send(&made, to: socket) }
        if let path = request.pidFile { try Self.write(made.pid, to: path) }
        withExtendedLifetime(target) {}
        return made
      }
      guard request.cgroup == nil, let other = try Self.groupOfFirst(record) else { break }
      groups.unified = other
    }
    throw .refused(
      "cannot execute in container \(id): its group \(groups.unified ?? "") takes no processes: it has groups below it, or has gone (name one below the container's with --cgroup)"
    )
  }

  /// Where a container's first process is by now. One that makes groups of its own, as systemd and engines do, moves itself
  /// into one of them: a group that controls others takes no processes (cgroup-v2.rst, "No Internal Process Constraint").
  /// - Returns: nil where that is no group of the container's.
  private static func groupOfFirst(_ record: ContainerRecord) throws(ZoneError) -> String? {
    guard let own = record.unified, let first = record.process else { return nil }
    let group = try wrap { () throws(CgroupError) in try ContainerCgroup.unified(of: first.pid) }
    return group.flatMap { $0 == own || $0.hasPrefix("\(own)/") ? $0 : nil }
  }

  private static func group(_ below: String, in record: ContainerRecord) throws(ZoneError) -> String {
    guard let unified = record.unified else { throw .refused("--cgroup: the container has no v2 group") }
    let parts = below.split(separator: "/")
    guard !parts.contains(where: { $0 == ".." }) else {
      throw .usage("--cgroup '\(below)': it may not lead out of the container's group")
    }
    return ([unified] + parts.map(String.init)).joined(separator: "/")
  }

  private func process(_ config: BundleConfig, _ request: ContainerExecRequest) throws(ZoneError) -> BundleProcess {
    guard var process = config.process else { throw .refused("config.json: process: is missing") }
    if let text = request.process {
      var asked = try BundleProcess(BundleNode.parse(text, name: "process.json"))
      asked.keepWalls(of: process)
      return asked
    }
    process.arguments = request.arguments
    process.environment += request.environment
    process.terminal = request.terminal
    process.consoleSize = nil
    if let cwd = request.cwd {
      guard cwd.hasPrefix("/") else { throw .usage("--cwd '\(cwd)': not an absolute path") }
      process.cwd = cwd
    }
    if let uid = request.uid {
      process.uid = uid
      process.gid = request.gid ?? 0
      process.additionalGids = []
    }
    process.additionalGids += request.additionalGids
    if let profile = request.apparmorProfile { process.apparmorProfile = profile }
    if let label = request.selinuxLabel { process.selinuxLabel = label }
    if let value = request.noNewPrivileges { process.noNewPrivileges = value }
    if !request.capabilities.isEmpty {
      var added = CapabilitySet()
      for name in request.capabilities {
        do throws(SyntaxError) { added.formUnion(CapabilitySet([try Capability(parsing: name)])) } catch {
          throw .syntax(error)
        }
      }
      var sets = process.capabilities ?? .init()
      sets.bounding.formUnion(added)
      sets.effective.formUnion(added)
      sets.permitted.formUnion(added)
      process.capabilities = sets
    }
    return process
  }

  /// - Returns: nil where the group takes no processes.
  private func awaitEntered(
    _ stage: consuming StageProcess, _ process: BundleProcess, _ plan: ContainerPlan, _ record: ContainerRecord,
    _ config: BundleConfig
  ) throws(ZoneError) -> ContainerProcess? {
    let link = try attempt("execute in container \(record.id)") { () throws(SyscallError) in
      try stage.control.duplicate()
    }
    let helper = stage.split { (process, _) in process }
    var terminal: OwnedFD?
    var made: Pidfd?
    var pid: Int32 = 0
    var started = false
    while true {
      var fds: [CInt] = []
      let message = try attempt("execute in container \(record.id)") { () throws(SyscallError) in
        try KeeperLink.receive(from: link, timeout: -1, descriptors: &fds)
      }
      switch message {
      case .process(let number):
        pid = number
        made = try attempt("look at the process") { () throws(SyscallError) in try Pidfd.open(number) }
        _ = try? helper.reap()  // it ends by itself
        try attempt("execute in container \(record.id)") { () throws(SyscallError) in
          try Self.say(StageRequest.go, to: link)
        }
      // Its terminal comes before it is made, a seccomp listener after.
      case .descriptors where pid == 0: terminal = fds.first.map { OwnedFD(raw: $0) }
      case .descriptors:
        guard let first = fds.first else { continue }
        let listener = OwnedFD(raw: first)
        try tellListener(listener.raw, of: pid, config, record)
      case .started: started = true
      case .failed(_, let step, let number):
        if let made = made.take() { _ = try? made.reap() }
        // ENODEV: it was removed after it was opened.
        if step == Int(STAGE_STEP_CGROUP.rawValue), number == EBUSY || number == ENODEV {
          _ = try? helper.reap()  // it ends by itself
          return nil
        }
        let ops = plan.tree + plan.zone + plan.process + plan.before
        if step == Int(STAGE_STEP_EXECUTE.rawValue) { throw Self.notFound(process.arguments[0], number) }
        let words = ops.indices.contains(step) ? ops[step].words : StepWords.words(step)
        throw .refused("cannot execute in container \(record.id): cannot \(words): \(StepWords.reason(step, number))")
      case nil:
        guard started, let process = made.take() else {
          throw .refused("cannot execute in container \(record.id): killed on the way")
        }
        return ContainerProcess(pid: pid, process: process, terminal: terminal.take(), control: link)
      default: continue
      }
    }
  }
}
