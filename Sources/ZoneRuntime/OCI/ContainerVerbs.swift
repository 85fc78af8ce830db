internal import CLinuxNS
internal import Glibc
public import LinuxNS
internal import ResourceControl

extension Containers {
  /// none -> created.
  public func create(_ id: String, _ request: ContainerRequest) throws(ZoneError) {
    _ = try make(id, request, foreground: false)
  }

  /// none -> running -> stopped, and none again unless it is to be kept.
  /// - Parameter wait: stays with the process until it has been reaped; its status. What it passes on is held from before
  ///   the process's first instruction.
  public func run(
    _ id: String, _ request: ContainerRequest, keep: Bool,
    _ wait: (consuming ContainerProcess, borrowing SignalFD) throws(ZoneError) -> Int32
  ) throws(ZoneError) -> Int32 {
    let signals = try ContainerProcess.heldSignals()
    let made = try make(id, request, foreground: true)
    let (files, record, config) = (made.files, made.record, made.config)
    let process = made.process
    let status: Int32
    do throws(ZoneError) {
      if let words = process.through {
        if let failed = try hearExecuted(process.control, config, record, words) { throw failed }
      } else {
        try go(process.control, config, files, record)
      }
      status = try wait(process, signals)
    } catch {
      try? end(record)  // nobody stays with it: the first error is told
      try? takeAway(files, record, config)
      throw error
    }
    if !keep { try takeAway(files, record, config) }
    return status
  }

  /// created -> running.
  public func start(_ id: String) throws(ZoneError) {
    let files = try files(id)
    let lock = try lock(files)
    let record = try record(files)
    let state = try state(files, record)
    guard state == .created else {
      throw .refused(
        state == .running || state == .paused
          ? "cannot start an already running container" : "cannot start a container that has stopped")
    }
    let config = try files.readConfig()
    let link: OwnedFD
    do throws(SyscallError) { link = try UnixSocket.connect(files.gate, SocketType.packets) } catch {
      throw .call("start container \(id)", error)
    }
    try go(link, config, files, record)
    withExtendedLifetime(lock) {}
  }

  /// Says that it is to start, and hears whether it has: nothing more is said where the process was executed.
  private func go(
    _ link: borrowing OwnedFD, _ config: BundleConfig, _ files: ContainerFiles, _ record: ContainerRecord
  ) throws(ZoneError) {
    try say(go: link, state: .created, config, files, record)
    let failed = try hearExecuted(link, config, record)
    if let failed {
      // What could not be executed has ended; it is not started again.
      unlink(files.gate)
      throw failed
    }
    unlink(files.gate)  // its end: `state` says running from here on
    do throws(ZoneError) { try run(config.hooks.poststart, "poststart", .running, config, record) } catch {
      // config.md, "Poststart": the container is stopped.
      if let process = try? living(record) { try? process.signal(SIGKILL) }  // the hook's error is told
      throw error
    }
  }

  /// - Parameter words: those that were said already.
  /// - Returns: nil: it was executed, for the socket closed with it.
  private func hearExecuted(
    _ link: borrowing OwnedFD, _ config: BundleConfig, _ record: ContainerRecord, _ words: [StageWord] = []
  ) throws(ZoneError) -> ZoneError? {
    var said = false
    var words = words
    while true {
      var fds: [CInt] = []
      let message: StageMessage?
      if words.isEmpty {
        message = try attempt("start container \(record.id)") { () throws(SyscallError) in
          try KeeperLink.receive(from: link, timeout: -1, descriptors: &fds)
        }
      } else {
        let early = words.removeFirst()
        (message, fds) = (early.message, early.fds)
      }
      switch message {
      case .started: said = true
      case .descriptors:
        guard let first = fds.first else { continue }
        let listener = OwnedFD(raw: first)
        try tellListener(listener.raw, of: record.process?.pid ?? 0, config, record)
      case .failed(let section, let step, let number):
        // The same facts make the same plan: it is made again for its words.
        let trees = (try? CgroupTrees.detect()) ?? CgroupTrees(unified: nil, unifiedControllers: [], v1: [])
        var plan = ContainerPlan()
        if let facts = try? facts(config, trees, record), let again = try? ContainerPlanner.plan(config, facts) {
          plan = again
        }
        return failure(config, plan, section, step, number)
      case nil: return said ? nil : .refused("cannot start container \(record.id): its process was killed on the way")
      default: continue
      }
    }
  }

  /// seccomp notification: the listener, and who it listens for, to the socket that the bundle names (config-linux.md,
  /// "The Container Process State").
  /// - Parameter pid: the process that loaded the filter.
  func tellListener(_ listener: CInt, of pid: Int32, _ config: BundleConfig, _ record: ContainerRecord)
    throws(ZoneError)
  {
    guard let wish = config.linux.seccomp, let path = wish.listenerPath else { return }
    let state = ContainerStatus(
      id: record.id, state: .created, pid: record.process?.pid ?? 0, bundle: record.bundle, rootfs: "", created: "",
      owner: "", annotations: config.annotations)
    let form = ListenerState(metadata: wish.listenerMetadata, pid: pid, state: state)
    let bytes: [UInt8]
    do throws(JSONError) { bytes = try JSON.encode(form, name: "container process state") } catch { throw .json(error) }
    _ = try attempt("hand the seccomp listener to \(path)") { () throws(SyscallError) in
      let socket = try UnixSocket.connect(path, SocketType.stream)
      try LinuxNS.check(zns_send_fds(socket.raw, bytes, bytes.count, [listener], 1), "sendmsg", path)
    }
  }

  /// - Parameter all: every process of its groups, as far as there are any, and not only the first.
  public func kill(_ id: String, signal: CInt, all: Bool) throws(ZoneError) {
    let files = try files(id)
    let record = try record(files)
    guard let process = try living(record) else {
      if all, signal == SIGKILL { return try killGroups(record) }
      throw .refused("container not running")
    }
    if all {
      if signal == SIGKILL { return try killGroups(record) }
      do throws(CgroupError) { return try record.cgroup.group.signal(signal) } catch { throw .refused("\(error)") }
    }
    // Looked at before: once the signal is sent, nothing is said to have failed.
    var isPaused = false
    if signal == SIGKILL { isPaused = try state(files, record) == .paused }
    try attempt("signal container \(id)") { () throws(SyscallError) in try process.signal(signal) }
    // A frozen process cannot die: its groups are let go for the signal that asks it to.
    if isPaused { try? record.cgroup.group.thaw() }
  }

  private func killGroups(_ record: ContainerRecord) throws(ZoneError) {
    do throws(CgroupError) { try record.cgroup.group.kill() } catch { throw .refused("\(error)") }
  }

  /// stopped -> none; with force from any state.
  public func delete(_ id: String, force: Bool) throws(ZoneError) {
    let files = try files(id)
    guard FileSystem.exists(files.directory) else {
      if force { return }
      throw .refused("container '\(id)' does not exist")
    }
    // Whoever is making it has the lock until it is made.
    let lock = try lock(files)
    defer { withExtendedLifetime(lock) {} }
    try checkTrust()
    let record: ContainerRecord
    do throws(ZoneError) {
      guard let found = try files.readRecord() else { return try takeAwayUnwritten(files) }
      record = found
    } catch {
      // What cannot be read now may be read later; what is damaged is not mended by waiting.
      if case .call = error { throw error }
      guard force else { throw error }
      return try takeAway(files, presumedRecord(files), try? files.readConfig())
    }
    let state = try state(files, record)
    switch state {
    // Being made, and nobody makes it any more: we have the lock.
    case .stopped, .creating: break
    case .created:
      // A container that was never started is ended without --force, as runc does.
      try end(record)
    default:
      guard force else { throw .refused("cannot delete container \(id) that is not stopped: \(state.rawValue)") }
      try end(record)
    }
    try takeAway(files, record, try? files.readConfig())
  }

  /// Of a create that was killed before it wrote what it makes: nothing runs, and its groups are known by name alone.
  private func takeAwayUnwritten(_ files: ContainerFiles) throws(ZoneError) {
    let record = presumedRecord(files)
    let isNamed = (try? files.readConfig())?.linux.cgroupsPath != nil
    // A name of ours is nobody else's; a path that the bundle names may have been there before.
    if !isNamed { return try takeAway(files, record, nil) }
    try? removeGroups(record)
    try remove(files)
  }

  /// What is left of one whose process has ended.
  /// - Parameter config: nil where it cannot be read any more.
  private func takeAway(_ files: ContainerFiles, _ record: ContainerRecord, _ config: BundleConfig?) throws(ZoneError) {
    // A new pid namespace ends with its first process. In another one there may be more of them; and one that was made
    // when its maker was killed is known by its groups alone.
    let ended = record.process != nil && config?.linux.isNew(.pid) ?? false
    if !ended, !record.cgroup.paths.isEmpty { try killGroups(record) }
    try removeGroups(record)
    try remove(files)
    if let config { runPoststop(config, record) }
  }

  func end(_ record: ContainerRecord) throws(ZoneError) {
    guard let process = try living(record) else { return }
    let ended = try attempt("end container \(record.id)") { () throws(SyscallError) -> Bool in
      try process.signal(SIGKILL)
      // A frozen process dies when it is let go.
      try? record.cgroup.group.thaw()
      return try process.waitUntilEnd(timeout: 10_000)
    }
    guard ended else { throw .timedOut("cannot end container \(record.id): its process does not die") }
  }

  private func remove(_ files: ContainerFiles) throws(ZoneError) {
    // Most often that is all there is.
    unlink(files.record)
    unlink(files.config)
    if rmdir(files.directory) == 0 { return }
    try attempt("remove \(files.directory)") { () throws(SyscallError) in try TreeRemoval.remove(files.directory) }
  }

  /// One verb at a time for a container.
  func lock(_ files: ContainerFiles) throws(ZoneError) -> FileLock {
    do throws(SyscallError) { return try FileLock(files.directory) } catch {
      if error.errno == ENOENT { throw .refused("container '\(files.id)' does not exist") }
      throw .call("lock container \(files.id)", error)
    }
  }

  // MARK: living containers

  func running(_ id: String, verb: String) throws(ZoneError) -> (ContainerFiles, ContainerRecord) {
    let files = try files(id)
    let record = try record(files)
    let state = try state(files, record)
    guard state == .running || state == .created || state == .paused else {
      throw .refused("cannot \(verb) a container that has \(state == .stopped ? "stopped" : "not been made yet")")
    }
    return (files, record)
  }

  /// running -> paused.
  public func pause(_ id: String) throws(ZoneError) {
    let (_, record) = try running(id, verb: "pause")
    do throws(CgroupError) { try record.cgroup.group.freeze() } catch { throw .refused("\(error)") }
  }

  /// paused -> running.
  public func resume(_ id: String) throws(ZoneError) {
    let (_, record) = try running(id, verb: "resume")
    do throws(CgroupError) { try record.cgroup.group.thaw() } catch { throw .refused("\(error)") }
  }

  /// The host's numbers of its processes.
  public func processes(_ id: String) throws(ZoneError) -> [Int32] {
    let (_, record) = try running(id, verb: "list the processes of")
    do throws(CgroupError) { return try record.cgroup.group.processes().sorted() } catch { throw .refused("\(error)") }
  }

  /// Changes limits.
  /// - Parameter text: `linux.resources` as JSON.
  public func update(_ id: String, _ text: [UInt8]) throws(ZoneError) {
    let (files, record) = try running(id, verb: "update")
    // What is read now is written again.
    let lock = try lock(files)
    defer { withExtendedLifetime(lock) {} }
    let present = try Self.wrap { () throws(CgroupError) in try record.cgroup.presentLimits() }
    var resources = try BundleResources(BundleNode.parse(text, name: "resources"), over: present)
    // Podman sends those that it once asked for; they stay as they are, with runc too.
    resources.devices = []
    let trees: CgroupTrees
    do throws(CgroupError) {
      trees = try CgroupTrees.detect()
      let wanted = try Self.asCgroupError { () throws(ZoneError) in try limits(resources, trees) }
      if let limit = resources.checkedLimit, let used = try record.cgroup.group.statistics().memory,
        used > UInt64(limit)
      {
        throw .inUse(limit: "memory", value: limit, used: Int64(clamping: used))
      }
      try updateUnit(record, wanted)
      if record.unit != nil, let group = record.unified {
        _ = try ContainerCgroup.adopt(trees, group, limits: wanted)
      } else {
        try record.cgroup.write(wanted, trees)
      }
    } catch { throw .refused("\(error)") }
  }

  static func asCgroupError<Result>(_ body: () throws(ZoneError) -> Result) throws(CgroupError) -> Result {
    do { return try body() } catch { throw .unavailable(why: "\(error)") }
  }
}

/// What a seccomp listener is told.
private struct ListenerState: JSONValue {
  var metadata: String
  var pid: Int32
  var state: ContainerStatus

  init(metadata: String, pid: Int32, state: ContainerStatus) {
    (self.metadata, self.pid, self.state) = (metadata, pid, state)
  }

  init(json: JSONNode) throws(JSONError) { throw JSONError(why: "it is only written") }

  func write(to json: inout JSONWriter) throws(JSONError) {
    json.open("{")
    try json.member("ociVersion", Containers.specification)
    try json.member("fds", ["seccompFd"])
    try json.member("pid", Int(pid))
    try json.member("metadata", metadata)
    try json.member("state", ContainerStatus.Form(status: state, forHooks: true))
    json.close("}")
  }
}
