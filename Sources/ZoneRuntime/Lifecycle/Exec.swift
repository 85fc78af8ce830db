internal import CLinuxNS
internal import Glibc
public import LinuxNS
internal import ResourceControl

/// What is to be executed in a living zone.
public struct ExecRequest: Sendable {
  public var command: [String]
  public var environment: [String: String] = [:]
  /// As `ZoneSpec.user`; nil is the zone's own.
  public var user: String?
  public var workdir: String?
  /// A terminal of the zone's; the caller gets its other end.
  public var terminal = false
  public var terminalSize: WindowSize?
  /// Descriptors for the command; -1 is /dev/null.
  public var standardInput: CInt = 0
  public var standardOutput: CInt = 1
  public var standardError: CInt = 2
  /// Seconds; then the command is killed and `.timedOut` thrown.
  public var timeout: Double?

  public init(command: [String]) { self.command = command }
}

/// A command that was executed in a zone, and is watched.
public struct Execution: ~Copyable {
  /// The other end of its terminal, if it has one.
  public let terminal: OwnedFD?
  let zone: String
  let watcher: Pidfd
  let link: KeeperLink

  public borrowing func signal(_ number: CInt) throws(ZoneError) {
    try attempt("signal a command in zone \(zone)") { () throws(SyscallError) in try link.send(.signal(number)) }
  }

  /// Readable when the command has ended.
  public var socket: CInt { link.socket.raw }

  /// As poll(2) takes them: at most 24 days.
  static func milliseconds(_ seconds: Double) -> CInt {
    seconds * 1000 < Double(CInt.max) ? CInt(max(0, seconds * 1000)) : .max
  }

  /// - Parameter timeout: seconds; nil waits for ever.
  /// - Returns: nil where the time ran out.
  public borrowing func wait(timeout: Double? = nil) throws(ZoneError) -> ExitStatus? {
    let limit = timeout.map { Self.milliseconds($0) } ?? -1
    do throws(SyscallError) {
      while true {
        switch try link.receive(timeout: limit) {
        case .ended(let code, let signal, _):
          _ = try watcher.reap()
          return signal == 0 ? .exited(code) : .signaled(signal)
        case nil:
          _ = try watcher.reap()
          return .signaled(SIGKILL)
        default: continue
        }
      }
    } catch {
      if error.errno == ETIMEDOUT { return nil }
      throw .call("wait for a command in zone \(zone)", error)
    }
  }
}

/// How a zone's namespaces and groups are entered. The way is the keeper's to give, never a number on disk that may be
/// another process's by now: for root a pidfd of the zone's first process, for an ordinary user the namespaces, which the
/// keeper opened while that process still was ours.
struct WayIn: ~Copyable {
  let descriptors: [CInt]
  let isPidfd: Bool
  let flags: UInt32
  let group: ZoneGroup

  deinit { for fd in descriptors { close(fd) } }

  func lend(to stage: inout StagePlan) {
    group.lend(to: &stage.descriptors)
    if isPidfd {
      stage.descriptors.join = descriptors[0]
      stage.zoneFlags = flags
    } else {
      stage.descriptors.joinNamespaces = descriptors
    }
  }
}

extension Zones {
  /// Executes a command in a living zone and waits for its end.
  public func exec(_ name: String, _ request: ExecRequest) throws(ZoneError) -> ExitStatus {
    let execution = try execute(name, request)
    if let status = try execution.wait(timeout: request.timeout) { return status }
    try execution.signal(SIGKILL)
    _ = try execution.wait(timeout: 5)
    throw .timedOut(
      "cannot finish '\(request.command.first ?? "")' in zone \(name): it ran longer than \(request.timeout ?? 0) s and was killed"
    )
  }

  /// Executes a command in a living zone. Returns when it was executed.
  public func execute(_ name: String, _ request: ExecRequest) throws(ZoneError) -> Execution {
    guard !request.command.isEmpty else { throw .usage("exec wants a command") }
    if let workdir = request.workdir, !workdir.hasPrefix("/") {
      throw .usage("workdir '\(workdir)': not an absolute path")
    }
    let (files, spec, record, keeper) = try living(name, verb: "exec")
    guard let link = try KeeperLink.connect(files) else {
      throw .state(zone: name, state: .down, verb: "exec", hint: "start it first")
    }

    var stage = StagePlan(mode: .exec, tier: record.tier == .root ? .host : .user)
    let facts = try execFacts(spec, record, request)
    stage.process = facts.ops.map { $0.op }
    var environment = spec.environment
    for (name, value) in request.environment { environment[name] = value }
    stage.environment = ProcessWish.environment(environment, user: facts.user, terminal: request.terminal)
    stage.arguments = request.command
    stage.searchPath = request.environment["PATH"] ?? spec.environment["PATH"] ?? LaunchPlanner.searchPath
    stage.denySetgroups = record.tier == .single
    stage.keepIdentity = record.uids.first?.inside != 0
    stage.terminal = request.terminal

    let way = try wayIn(name, record, keeper, link)
    way.lend(to: &stage)

    var master: OwnedFD?
    var terminalEnd: CInt = -1
    defer { if terminalEnd >= 0 { close(terminalEnd) } }
    if request.terminal {
      let given = try descriptors(link, .terminal, name)
      guard let fd = given.first else { throw .refused("zone \(name) gives no terminal") }
      let ours = OwnedFD(raw: fd)
      terminalEnd = try attempt("open a terminal of zone \(name)") { () throws(SyscallError) in
        if let size = request.terminalSize { try Terminal.setSize(ours.raw, size) }
        return try Terminal.peer(of: ours).take()
      }
      master = consume ours
    }
    let null = try attempt("open /dev/null") { () throws(SyscallError) in try OwnedFD.open("/dev/null", O_RDWR) }
    let other = { (fd: CInt) -> CInt in fd < 0 ? null.raw : fd }
    stage.descriptors.standardInput = request.terminal ? terminalEnd : other(request.standardInput)
    stage.descriptors.standardOutput = request.terminal ? terminalEnd : other(request.standardOutput)
    stage.descriptors.standardError = request.terminal ? terminalEnd : other(request.standardError)
    let process = try attempt("execute in zone \(name)") { () throws(SyscallError) -> StageProcess in
      let process = try StageProcess.begin(.execution, name: name)
      try process.send(stage)
      return process
    }
    withExtendedLifetime(way) {}
    withExtendedLifetime(null) {}
    let execution = try awaitExecuted(process, name, request, facts.ops, terminal: master)
    return execution
  }

  func awaitExecuted(
    _ process: consuming StageProcess, _ name: String, _ request: ExecRequest, _ ops: [PlannedOp],
    terminal: consuming OwnedFD?
  ) throws(ZoneError) -> Execution {
    var given: OwnedFD? = consume terminal
    let execution = process.split { Execution(terminal: given.take(), zone: name, watcher: $0, link: KeeperLink($1)) }
    while true {
      let message = try attempt("execute in zone \(name)") { () throws(SyscallError) in try execution.link.receive() }
      switch message {
      case .started: return execution
      case .failed(_, let step, let number):
        _ = try? execution.watcher.reap()  // it has told all it knows
        if step == Int(STAGE_STEP_EXECUTE.rawValue) { throw .notExecuted(command: request.command[0], errno: number) }
        let words = ops.indices.contains(step) ? ops[step].words : StepWords.words(step)
        throw .refused("cannot execute in zone \(name): cannot \(words): \(StepWords.reason(step, number))")
      case .ended(_, let signal, _):
        throw .refused("cannot execute in zone \(name): killed by signal \(signal) on the way")
      case nil: throw .refused("cannot execute in zone \(name): it ended")
      default: continue
      }
    }
  }

  func living(_ name: String, verb: String) throws(ZoneError) -> (ZoneFiles, ZoneSpec, RunRecord, KeeperRecord) {
    let files = try files(name)
    guard files.exists, let spec = try files.readSpec() else { throw .notFound(name) }
    let state = try state(of: files)
    guard state == .running || state == .shuttingDown, let record = try files.readRecord(),
      let keeper = try files.readKeeper()
    else {
      throw .state(zone: name, state: state, verb: verb, hint: state == .frozen ? "resume it first" : "start it first")
    }
    guard record.tier != .bare else {
      throw .refused(
        "cannot \(verb) in \(name): it has no namespaces that could be entered (run another sandbox beside it)")
    }
    return (files, try completed(spec, files), record, keeper)
  }

  func wayIn(
    _ name: String, _ record: RunRecord, _ keeper: KeeperRecord, _ link: borrowing KeeperLink
  ) throws(ZoneError) -> WayIn {
    let group = try openCgroup(record)
    let given = try descriptors(link, .namespaces, name)
    guard !given.isEmpty else {
      throw .refused(
        "the keeper of zone \(name) (pid \(keeper.keeper)) gives no way in: an older zonectl started it (restart the zone)"
      )
    }
    return WayIn(
      descriptors: given, isPidfd: record.tier == .root, flags: record.namespaces | NamespaceFlags.user.rawValue,
      group: group)
  }

  func descriptors(_ link: borrowing KeeperLink, _ request: StageRequest, _ name: String) throws(ZoneError) -> [CInt] {
    var fds: [CInt] = []
    let message = try attempt("ask the keeper of \(name)") { () throws(SyscallError) in
      try link.send(request)
      return try link.receive(timeout: 10_000, descriptors: &fds)
    }
    guard message == .descriptors else {
      for fd in fds { close(fd) }
      if case .no(let number) = message {
        throw .refused("the keeper of \(name) refuses: \(SyscallError.describe(number))")
      }
      throw .refused("the keeper of \(name) gives no answer")
    }
    return fds
  }

  func execFacts(_ spec: ZoneSpec, _ record: RunRecord, _ request: ExecRequest) throws(ZoneError) -> (
    user: ZoneUser, ops: [PlannedOp]
  ) {
    let files = try files(spec.name)
    var facts = HostFacts(
      tier: record.tier, uid: geteuid(), gid: getegid(), uids: record.uids, gids: record.gids, runDirectory: files.run,
      dataDirectory: files.data, dataRoot: directories.data, etcTemplate: "", volumeDirectory: directories.volumes,
      user: ZoneUser(uid: 0, gid: 0, groups: [], name: nil, home: "/", shell: "/bin/sh"),
      capabilities: record.capabilities,
      seccomp: [], resolvConf: "", hosts: "")
    if spec.brand == .sparse {
      facts.etcTemplate = try attempt("look at the host's /etc") { () throws(SyscallError) in
        try EtcTemplate(store: "\(directories.shared)/etc").path()
      }
    }
    try addLayers(layeredRoot(of: spec, files), of: spec, to: &facts)
    var user = try user(request.user ?? spec.user, spec, facts)
    if record.tier == .single { user.groups = [] }
    let filter: [UInt8]
    let profile = try spec.seccompProfile(record.capabilities, record.tier)
    do {
      filter = try SeccompCache(directory: "\(directories.shared)/seccomp").bytes(for: profile)
    } catch { throw .refused("\(error)") }
    let wish = ProcessWish(
      user: user, workdir: request.workdir ?? spec.workdir, home: spec.brand == .sparse,
      capabilities: record.capabilities,
      keepGroups: record.tier == .single, noNewPrivileges: !spec.ownInit, keyring: spec.nesting, seccomp: filter,
      isNarrow: !spec.calls.isEmpty)
    return (user, wish.ops)
  }
}
