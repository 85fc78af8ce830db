internal import CLinuxNS
internal import Glibc
public import LinuxNS
internal import ResourceControl
internal import VirtualNet

/// How a container is to be made.
public struct ContainerRequest: Sendable {
  public var bundle: String
  /// A socket that is sent the terminal's master (runc's console.sock protocol).
  public var consoleSocket: String?
  public var pidFile: String?
  public var noPivot = false
  public var noNewKeyring = false
  /// The process keeps this many descriptors of the caller's, from 3 on.
  public var preservedDescriptors = 0

  public init(bundle: String) { self.bundle = bundle }
}

/// What was made, with all that is known of it.
struct MadeContainer: ~Copyable {
  let process: ContainerProcess
  let files: ContainerFiles
  let record: ContainerRecord
  let config: BundleConfig
}

/// What has come about of a container that is being made, for whoever has to undo it.
struct MadeSoFar: ~Copyable {
  var record: ContainerRecord
  /// Network devices that are the container's from here on.
  var devices: DeviceMove?
  /// Its hooks have begun to run: what they made is theirs to take away again, as poststop.
  var hooksBegun = false

  init(_ record: ContainerRecord) { self.record = record }
}

/// A container's process that waits for its start, or one that was executed in a container; a child of ours.
public struct ContainerProcess: ~Copyable {
  public let pid: Int32
  public let process: Pidfd
  /// The terminal, where it has one and nobody else was sent it.
  public var terminal: OwnedFD?
  let control: OwnedFD
  /// The gate was open: it goes on by itself, and what it has said of that so far.
  var through: [StageWord]? = nil

  /// What a foreground runtime passes on to the process: held before it begins, or one that comes early ends the runtime.
  public static func heldSignals() throws(ZoneError) -> SignalFD {
    try attempt("hold signals") { () throws(SyscallError) in
      try SignalFD([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH, SIGALRM, SIGTSTP])
    }
  }
}

/// What a stage has said, with the descriptors that came along, for who hears it later.
struct StageWord {
  var message: StageMessage?
  var fds: [CInt]
}

extension Containers {
  /// none -> created. The process waits at the container's gate for `start`, or, in the foreground, for us.
  /// - Throws: nothing is left then.
  func make(_ id: String, _ request: ContainerRequest, foreground: Bool) throws(ZoneError) -> MadeContainer {
    let files = try files(id)
    let bundle = try Self.real(request.bundle, "bundle")
    let text = try attempt("read the bundle's configuration") { () throws(SyscallError) in
      try FileSystem.read("\(bundle)/config.json", limit: 64 << 20)
    }
    // Early, for the namespaces are to be made while we read on and plan. Where that fails it ends as its socket closes.
    let stage = try attempt("make container \(id)") { () throws(SyscallError) in
      try StageProcess.begin(.container, name: id)
    }
    let node = try BundleNode.parse(text, name: "\(bundle)/config.json")
    let ahead = try Self.namespacesAhead(node)
    if !ahead.isEmpty {
      try attempt("make container \(id)") { () throws(SyscallError) in try stage.make(ahead: ahead.rawValue) }
    }
    let config = try BundleConfig(node)
    try check(config, request, foreground: foreground)
    return try make(files, bundle, text, config, request, stage, foreground: foreground)
  }

  /// Those that can be made before there is a plan.
  private static func namespacesAhead(_ node: BundleNode) throws(ZoneError) -> NamespaceFlags {
    guard let linux = try node.object("linux") else { return [] }
    let wanted = try BundleLinux.namespaces(linux)
    // In a user namespace they are to be that one's, which there is none of yet.
    if wanted.contains(where: { $0.flag == .user }) { return [] }
    let early: [NamespaceFlags] = [.mount, .net, .ipc, .uts]
    var flags: NamespaceFlags = []
    for namespace in wanted where namespace.path == nil && early.contains(namespace.flag) {
      flags.insert(namespace.flag)
    }
    return flags
  }

  private func make(
    _ files: ContainerFiles, _ bundle: String, _ text: [UInt8], _ config: BundleConfig, _ request: ContainerRequest,
    _ stage: consuming StageProcess, foreground: Bool
  ) throws(ZoneError) -> MadeContainer {
    let id = files.id
    let rootPath = config.root?.path ?? ""
    let rootfs = try Self.real(rootPath.hasPrefix("/") ? rootPath : "\(bundle)/\(rootPath)", "root")

    try attempt("make the runtime's directory") { () throws(SyscallError) in
      try FileSystem.makeDirectories(root, mode: 0o700)
    }
    try checkTrust()
    guard mkdir(files.directory, 0o700) == 0 else {
      let error = errno
      if error == EEXIST { throw .refused("container with id exists already: '\(id)' (delete it, or take another id)") }
      throw .call("make the container's directory", SyscallError(call: "mkdir", errno: error, path: files.directory))
    }
    var made = MadeSoFar(
      ContainerRecord(
        id: id, bundle: bundle, rootfs: rootfs, bootId: "", owner: geteuid(), newKeyring: !request.noNewKeyring))
    // Held until it is made: who deletes it meanwhile waits.
    let lock = try lock(files)
    defer { withExtendedLifetime(lock) {} }
    do throws(ZoneError) {
      made.record.bootId = try attempt("read the boot id") { () throws(SyscallError) in try RunRecord.bootId() }
      let now = Clock.realtimeNanoseconds()
      made.record.createdSeconds = Int64(now / 1_000_000_000)
      made.record.createdNanoseconds = Int64(now % 1_000_000_000)
      try attempt("save \(files.config)") { () throws(SyscallError) in try FileSystem.replace(files.config, with: text)
      }
      let process = try launch(files, config, request, stage, &made, foreground: foreground)
      return MadeContainer(process: process, files: files, record: made.record, config: config)
    } catch {
      undo(files, made.record)
      if made.hooksBegun { runPoststop(config, made.record) }
      throw error
    }
  }

  /// Best effort: the error that led here is the one to report.
  private func undo(_ files: ContainerFiles, _ record: ContainerRecord) {
    try? end(record)
    if !record.cgroup.paths.isEmpty { try? record.cgroup.group.kill() }
    try? removeGroups(record)
    _ = try? TreeRemoval.remove(files.directory)
  }

  static func real(_ path: String, _ what: String) throws(ZoneError) -> String {
    guard let resolved = realpath(path, nil) else {
      throw .call("find the \(what)", SyscallError(call: "realpath", errno: errno, path: path))
    }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  private func check(_ config: BundleConfig, _ request: ContainerRequest, foreground: Bool) throws(ZoneError) {
    guard config.root != nil else { throw .refused("config.json: root: is missing") }
    guard let process = config.process else { throw .refused("config.json: process: is missing") }
    if process.arguments.isEmpty { throw .refused("config.json: process.args: is empty") }
    if process.terminal, request.consoleSocket == nil, !foreground {
      throw .refused(
        "cannot allocate a terminal: config.json asks for one (process.terminal), and there is no --console-socket to send it to"
      )
    }
    if !process.terminal, request.consoleSocket != nil {
      throw .refused("--console-socket is given, and config.json asks for no terminal (process.terminal)")
    }
    guard (0...40).contains(request.preservedDescriptors) else {
      throw .usage("--preserve-fds '\(request.preservedDescriptors)': 0 to 40")
    }
    if request.noPivot {
      throw .refused(
        "--no-pivot is not supported: a root that cannot be pivoted into would leave the host's mounts in reach")
    }
    if !config.linux.networkDevices.isEmpty, geteuid() != 0 {
      throw .refused("config.json: linux.netDevices: the host's network devices are root's to give")
    }
  }

  private func launch(
    _ files: ContainerFiles, _ config: BundleConfig, _ request: ContainerRequest, _ process: consuming StageProcess,
    _ made: inout MadeSoFar, foreground: Bool
  ) throws(ZoneError) -> ContainerProcess {
    let trees: CgroupTrees
    do throws(CgroupError) { trees = try CgroupTrees.detect() } catch { throw .refused("\(error)") }
    let deviceRules = try makeGroups(config, trees, for: process.pid, files, &made.record)
    // Written before anything runs: whoever cleans up finds the groups.
    try files.writeRecord(made.record)

    let facts = try facts(config, trees, made.record)
    let plan = try ContainerPlanner.plan(config, facts)
    var stage = try stagePlan(config, plan, facts)
    let sources = try ContainerSources(plan)
    let spaces = try NamespaceFiles(config, isRoot: facts.isRoot)
    stage.descriptors.sources = sources.numbers
    stage.descriptors.joinNamespaces = spaces.numbers
    stage.descriptors.cgroupNamespace = spaces.cgroup
    stage.descriptors.preserved = (0..<request.preservedDescriptors).map { CInt(3 + $0) }
    let group = try openGroups(made.record)
    stage.descriptors.cgroup = group.directory
    stage.descriptors.tasks = group.tasks.raw
    let gate: CInt = foreground ? -1 : try listen(files)
    defer { if gate >= 0 { close(gate) } }
    stage.descriptors.gate = gate
    // Who answers it (`map`) would take the word for the process.
    let mapsItself = config.linux.isNew(.user) && stage.uidMap == nil
    stage.openGate =
      foreground && !stage.terminal && !stage.outerHooks && config.hooks.isEmptyUntilStarted && !mapsItself
    if !(config.process?.terminal ?? false) {
      (stage.descriptors.standardInput, stage.descriptors.standardOutput, stage.descriptors.standardError) = (0, 1, 2)
    }
    do throws(SyscallError) { try process.send(stage) } catch {
      // One that does not listen any more has said why.
      guard error.errno == EPIPE else { throw .call("make container \(made.record.id)", error) }
    }
    do throws(CgroupError) { try made.record.cgroup.attach(deviceRules) } catch { throw .refused("\(error)") }
    do throws(ZoneError) {
      var ready = try awaitReady(process, config, plan, files, &made, through: stage.openGate)
      if let socket = request.consoleSocket { try Self.send(&ready, to: socket) }
      if let path = request.pidFile { try Self.write(ready.pid, to: path) }
      return ready
    } catch {
      if var devices = made.devices.take() { for failure in devices.giveBack() { warn("\(failure)") } }
      throw error
    }
  }

  /// Those of a container, for its making and for every process that comes in later.
  func facts(_ config: BundleConfig, _ trees: CgroupTrees, _ record: ContainerRecord) throws(ZoneError)
    -> ContainerFacts
  {
    let capabilities = Self.heldCapabilities()
    return ContainerFacts(
      isRoot: geteuid() == 0 && capabilities.contains(.sysAdmin),
      isHostRoot: Self.isHostRoot && capabilities.contains(.sysAdmin), groupsAreKept: Self.groupsAreKept,
      root: record.rootfs, trees: trees,
      cgroup: record.cgroup, hasSELinux: FileSystem.exists("/sys/fs/selinux/enforce"), hasAppArmor: Self.hasAppArmor(),
      // In a user namespace that is not the caller's every capability is there to give.
      capabilities: config.linux.has(.user) ? CapabilitySet(rawValue: ~0) : capabilities,
      filter: try filter(config), newKeyring: record.newKeyring)
  }

  private func filter(_ config: BundleConfig) throws(ZoneError) -> [UInt8]? {
    guard let seccomp = config.linux.seccomp else { return nil }
    return try BundleFilter.program(seccomp, cache: "\(root)/=filters")
  }

  private static func heldCapabilities() -> CapabilitySet {
    var (effective, permitted, inheritable): (UInt64, UInt64, UInt64) = (0, 0, 0)
    _ = zns_capget(&effective, &permitted, &inheritable)
    return CapabilitySet(rawValue: permitted)
  }

  static func hasAppArmor() -> Bool {
    (try? FileSystem.readLine("/sys/module/apparmor/parameters/enabled")) == "Y"
  }

  private func stagePlan(_ config: BundleConfig, _ plan: ContainerPlan, _ facts: ContainerFacts) throws(ZoneError)
    -> StagePlan
  {
    var stage = StagePlan(mode: .container, tier: .host)
    stage.before = plan.before.map { $0.op }
    stage.tree = plan.tree.map { $0.op }
    stage.zone = plan.zone.map { $0.op }
    stage.process = plan.process.map { $0.op }
    stage.zoneFlags = plan.namespaces.rawValue
    stage.lateFlags = plan.late.rawValue
    stage.builder = plan.builder
    stage.timeOffsets = config.linux.timeOffsets
    if config.linux.isNew(.user) {
      // More than the caller's own id is newuidmap's to map for an ordinary user.
      let isOwn = { (maps: [IdMap], own: UInt32) in maps.count == 1 && maps[0].count == 1 && maps[0].outside == own }
      let single = isOwn(config.linux.uidMappings, geteuid()) && isOwn(config.linux.gidMappings, getegid())
      if geteuid() == 0 || single {
        stage.uidMap = NamespaceMaps.text(config.linux.uidMappings)
        stage.gidMap = NamespaceMaps.text(config.linux.gidMappings)
        stage.denySetgroups = geteuid() != 0
      }
    } else if config.linux.has(.user) {
      stage.joinsUser = true
      stage.denySetgroups = facts.keepsGroups(config.linux)
    }
    let process = config.process
    stage.terminal = process?.terminal ?? false
    stage.arguments = process?.arguments ?? []
    if let environment = plan.environment {
      stage.environment = environment.variables
      stage.searchPath = environment.searchPath
    }
    stage.outerHooks = !config.hooks.isEmptyUntilCreated || !config.linux.networkDevices.isEmpty
    stage.createHooks = config.hooks.createContainer.map { $0.stageHook }
    stage.startHooks = config.hooks.startContainer.map { $0.stageHook }
    return stage
  }

  // MARK: the stage's words

  /// - Parameter through: the process may go on as soon as it is known, and is all that is waited for.
  private func awaitReady(
    _ stage: consuming StageProcess, _ config: BundleConfig, _ plan: ContainerPlan, _ files: ContainerFiles,
    _ made: inout MadeSoFar, through: Bool
  ) throws(ZoneError) -> ContainerProcess {
    let link = try attempt("make container \(made.record.id)") { () throws(SyscallError) in
      try stage.control.duplicate()
    }
    let helper = stage.split { (process, _) in process }
    var pid: Int32 = 0
    var process: Pidfd?
    // The process may be faster than the stage, which tells us who it is.
    var held: [StageWord] = []
    while true {
      var fds: [CInt] = []
      let message: StageMessage?
      if pid != 0, through {
        _ = try? helper.reap()  // it ends by itself
        guard let process = process.take() else {
          throw .refused("cannot make container \(made.record.id): it has no process")
        }
        return ContainerProcess(pid: pid, process: process, terminal: nil, control: link, through: held)
      }
      if pid != 0, !held.isEmpty {
        let early = held.removeFirst()
        (message, fds) = (early.message, early.fds)
      } else {
        message = try attempt("make container \(made.record.id)") { () throws(SyscallError) in
          try KeeperLink.receive(from: link, timeout: -1, descriptors: &fds)
        }
      }
      switch message {
      case .mounted where pid == 0, .ready where pid == 0, .started where pid == 0, .descriptors where pid == 0:
        held.append(StageWord(message: message, fds: fds))
      case .process(let number):
        // A child of ours that nobody has waited for: the number is its own.
        pid = number
        process = try attempt("look at the container's process") { () throws(SyscallError) in try Pidfd.open(number) }
        made.record.process = try attempt("look at the container's process") { () throws(SyscallError) in
          try ProcessIdentity.of(number)
        }
        try files.writeRecord(made.record)
        if through {
          do throws(SyscallError) { try Self.say(.go, to: link) } catch {
            // One that has failed already does not hear it, and has said why.
            guard error.errno == EPIPE else { throw .call("start container \(made.record.id)", error) }
          }
        }
      case .map(let number):
        try attempt("map the ids of container \(made.record.id)") { () throws(SyscallError) in
          try UserIdMaps(uids: config.linux.uidMappings, gids: config.linux.gidMappings).write(to: number)
          try Self.say(StageRequest.mapped, to: link)
        }
      case .mounted:
        try moveNetworkDevices(config, to: pid, &made.devices)
        made.hooksBegun = !config.hooks.isEmptyUntilCreated
        try runCreateHooks(config, files, made.record)
        try say(go: link, state: .creating, config, files, made.record)
      case .ready:
        _ = try? helper.reap()  // it ends by itself
        guard let process = process.take() else {
          throw .refused("cannot make container \(made.record.id): it has no process")
        }
        return ContainerProcess(
          pid: pid, process: process, terminal: fds.first.map { OwnedFD(raw: $0) }, control: link)
      case .failed(let section, let step, let number):
        if let process = process.take() {
          try? process.signal(SIGKILL)  // best effort: it is about to end by itself
          _ = try? process.waitUntilEnd(timeout: 5000)
          _ = try? process.reap()
          made.record.process = nil
        }
        throw failure(config, plan, section, step, number)
      case nil:
        throw .refused("cannot make container \(made.record.id): its process was killed")
      default: continue
      }
    }
  }

  func say(
    go link: borrowing OwnedFD, state: ContainerState, _ config: BundleConfig, _ files: ContainerFiles,
    _ record: ContainerRecord
  ) throws(ZoneError) {
    let memory = try stateFile(state, config, record)
    let word = StageRequest.go.bytes
    _ = try attempt("start container \(record.id)") { () throws(SyscallError) in
      try LinuxNS.check(zns_send_fds(link.raw, word, word.count, [memory.raw], 1), "sendmsg")
    }
  }

  static func say(_ request: StageRequest, to link: borrowing OwnedFD) throws(SyscallError) {
    let bytes = request.bytes
    try LinuxNS.check(zns_send_fds(link.raw, bytes, bytes.count, nil, 0), "sendmsg")
  }

  /// The words of a failure; a command that is not there has runc's, which engines look for.
  func failure(_ config: BundleConfig, _ plan: ContainerPlan, _ section: Int, _ step: Int, _ number: CInt) -> ZoneError
  {
    // Steps count through tree, zone, process and before.
    let ops = plan.tree + plan.zone + plan.process + plan.before
    let command = config.process?.arguments.first ?? ""
    if ops.indices.contains(step), ops[step].op.code == .find { return Self.notFound(command, number) }
    if step == Int(STAGE_STEP_EXECUTE.rawValue) { return Self.notFound(command, number) }
    let hooks = config.hooks.createContainer + config.hooks.startContainer
    let hook = step - Int(STAGE_STEP_HOOK.rawValue)
    if hooks.indices.contains(hook) {
      let kind = hook < config.hooks.createContainer.count ? "createContainer" : "startContainer"
      return .refused("cannot run the \(kind) hook \(hooks[hook].path): \(Self.hookEnd(number, hooks[hook]))")
    }
    let words = ops.indices.contains(step) ? ops[step].words : StepWords.words(step)
    return .refused("cannot make the container: cannot \(words): \(StepWords.reason(step, number))")
  }

  /// runc's words, by which engines know 127 from 126.
  static func notFound(_ command: String, _ number: CInt) -> ZoneError {
    let why =
      number == ENOENT
      ? (command.utf8.contains(UInt8(ascii: "/")) ? "no such file or directory" : "executable file not found in $PATH")
      : number == EACCES ? "permission denied" : SyscallError.describe(number)
    return .refused("unable to start container process: exec: \"\(command)\": \(why)")
  }

  static func hookEnd(_ number: CInt, _ hook: BundleHook) -> String {
    if number >= CInt(STAGE_HOOK_KILLED) { return "killed by signal \(number - CInt(STAGE_HOOK_KILLED))" }
    if number >= CInt(STAGE_HOOK_EXITED) { return "exit status \(number - CInt(STAGE_HOOK_EXITED))" }
    if number == ETIMEDOUT { return "it ran longer than its \(hook.timeout ?? 0) s, and was killed" }
    return SyscallError.describe(number)
  }

  // MARK: files of others

  /// The console socket's protocol: one message with the terminal's name and its master.
  static func send(_ made: inout ContainerProcess, to path: String) throws(ZoneError) {
    guard let terminal = made.terminal.take() else { return }
    _ = try attempt("send the terminal to \(path)") { () throws(SyscallError) in
      let socket = try UnixSocket.connect(path, SocketType.stream)
      let name = Array("/dev/ptmx".utf8)
      try LinuxNS.check(zns_send_fds(socket.raw, name, name.count, [terminal.raw], 1), "sendmsg", path)
    }
  }

  static func write(_ pid: Int32, to path: String) throws(ZoneError) {
    try attempt("write \(path)") { () throws(SyscallError) in
      try FileSystem.replace(path, with: Array("\(pid)".utf8), mode: 0o644)
    }
  }

  private func listen(_ files: ContainerFiles) throws(ZoneError) -> CInt {
    try attempt("make the container's gate") { () throws(SyscallError) in
      try UnixSocket.listen(files.directory, "gate.sock").take()
    }
  }
}

extension BundleHook {
  var stageHook: StagePlan.Hook {
    StagePlan.Hook(path: path, arguments: arguments, environment: environment, timeout: timeout ?? 0)
  }
}
