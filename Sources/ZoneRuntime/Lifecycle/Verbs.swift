internal import Glibc
internal import LinuxNS
internal import ResourceControl

/// The verbs that make a zone live, end it, or speak to it while it lives.
extension Zones {
  /// installed -> ready.
  public func ready(_ name: String) throws(ZoneError) {
    let zone = try locked(name)
    let spec = try atRest(zone.files, verb: "ready")
    let launched = try launch(zone.files, spec, stage: beginKeeper(spec, staying: false), streams: .log, through: false)
    rememberInit(zone.files, launched)
  }

  /// installed or ready -> running. Returns when the command was executed.
  public func start(_ name: String) throws(ZoneError) {
    let zone = try locked(name)
    if try state(of: zone.files) == .ready {
      guard let link = try KeeperLink.connect(zone.files), let spec = try zone.files.readSpec() else {
        throw .notFound(name)
      }
      try attachIfCut(zone.files, spec)
      try Self.go(link, spec)
      return note(.started, name)
    }
    let spec = try atRest(zone.files, verb: "start")
    try start(zone.files, spec, restarts: 0)
  }

  /// The zone's lock is held.
  func start(_ files: ZoneFiles, _ spec: ZoneSpec, restarts: Int) throws(ZoneError) {
    let launched = try launch(
      files, spec, stage: beginKeeper(spec, staying: false), streams: .log, restarts: restarts, through: true)
    rememberInit(files, launched)
  }

  /// The spec of a zone that can be started now; what an earlier run left is taken away first.
  private func atRest(_ files: ZoneFiles, verb: String) throws(ZoneError) -> ZoneSpec {
    let state = try state(of: files)
    switch state {
    case .installed, .down, .unavailable: break
    case .configured: throw .state(zone: files.name, state: state, verb: verb, hint: "create it first")
    case .incomplete: throw .state(zone: files.name, state: state, verb: verb, hint: "its creation was cut; delete it")
    case .ready where verb == "ready": throw .state(zone: files.name, state: state, verb: verb, hint: "")
    default: throw .state(zone: files.name, state: state, verb: verb, hint: "")
    }
    guard let spec = try files.readSpec() else { throw .notFound(files.name) }
    for place in directories.otherRuns {
      var session = directories
      session.run = place
      let other = Zones(session, zonectl: zonectl)
      guard try other.state(of: other.files(files.name)).isLive else { continue }
      // Two of one root would write over each other.
      throw .refused(
        "cannot \(verb) zone \(files.name): it lives in another session of yours (XDG_RUNTIME_DIR=\(FileSystem.parent(of: place)) zonectl …)"
      )
    }
    if FileSystem.exists(files.record) { try cleanUp(files) }
    return spec
  }

  /// live -> shutting_down -> down -> installed: the stop signal, the grace, the kill. An installed zone stays so.
  /// - Parameter grace: seconds; nil is the spec's.
  /// - Parameter waiting: told the seconds that are left, about once a second.
  public func stop(_ name: String, grace: Double? = nil, waiting: (Double) -> Void = { _ in }) throws(ZoneError) {
    let files = try files(name)
    guard files.exists, let spec = try files.readSpec() else { throw .notFound(name) }
    let state = try state(of: files)
    switch state {
    case .installed: return  // what was asked for is so
    case .ready, .running, .frozen, .shuttingDown, .down: break
    case .unavailable: throw .state(zone: name, state: state, verb: "stop", hint: "halt it")
    case .configured, .incomplete: throw .state(zone: name, state: state, verb: "stop", hint: "it never ran")
    }
    let whole = try completed(spec, files)
    var signal = try Self.signal(whole.stopSignal)
    // Where nobody has said which, it is the one that the init takes for the end.
    if whole.isSystem, whole.stopSignal == ZoneSpec(name: name).stopSignal { signal = powerOff(files) ?? signal }
    try end(files, signal: signal, grace: grace ?? spec.stopGrace, waiting: waiting)
    removeKeeperGroup()
  }

  /// any live state -> down -> installed, at once. Also the way out of `unavailable` and of what a kill has left.
  public func halt(_ name: String) throws(ZoneError) {
    let files = try files(name)
    guard files.exists else { throw .notFound(name) }
    try end(files, signal: nil, grace: 0) { _ in }
    removeKeeperGroup()
  }

  private func end(_ files: ZoneFiles, signal: CInt?, grace: Double, waiting: (Double) -> Void) throws(ZoneError) {
    // Between a keeper's end and our lock somebody may start the zone again: then it is asked again. One whose places are
    // all fought for may not get to hear us: then it is killed, and takes the zone along.
    for turn in 0..<20 {
      if let link = try link(to: files) {
        if turn >= 10 {
          try killKeeper(link, files)
        } else {
          try askToEnd(link, files, signal: signal, grace: grace, waiting: waiting)
        }
      }
      guard let lock = try files.lock() else { return }  // ephemeral, and gone
      let held = LockedZone(files: files, lock: lock)
      // Only under the lock is it certain that no keeper lives, and only then may anything be taken away.
      if try self.link(to: held.files) != nil { continue }
      if FileSystem.exists(held.files.run) {
        try killLeftovers(held.files)
        try cleanUp(held.files)
      }
      if let why = try held.files.setAsideLastExit() {
        notice("the last end of zone \(files.name) is not known: \(why)")
      }
      return
    }
    throw .refused("cannot end zone \(files.name): it is started again each time (stop who does that)")
  }

  /// The process that listens is the keeper (unix(7), SO_PEERCRED). That it still does when its pidfd is open is the
  /// proof that the pid was not another's meanwhile.
  private func killKeeper(_ link: borrowing KeeperLink, _ files: ZoneFiles) throws(ZoneError) {
    do throws(SyscallError) {
      let keeper = try Pidfd.open(try link.peer())
      guard let again = try? KeeperLink.connect(files), try again.peer() == link.peer() else { return }
      try keeper.signal(SIGKILL)
      _ = try keeper.waitUntilEnd(timeout: 5000)
    } catch {
      guard error.errno == ESRCH || error.errno == ECONNRESET else {
        throw .call("end the keeper of zone \(files.name)", error)
      }
    }
  }

  private func askToEnd(
    _ link: borrowing KeeperLink, _ files: ZoneFiles, signal: CInt?, grace: Double, waiting: (Double) -> Void
  ) throws(ZoneError) {
    do throws(SyscallError) {
      try link.send(.stopping)
      try thaw(files)
      if let signal { try link.send(.signal(signal)) }
      var ended = false
      if signal != nil {
        ended = try waitForEnd(link, seconds: grace) { left in
          // Who has frozen it after our look did not see that it is to end. Best effort: the kill needs no thaw.
          try? thaw(files)
          waiting(left)
        }
      }
      if !ended {
        try link.send(.signal(SIGKILL))
        guard try waitForEnd(link, seconds: 30, waiting: { _ in }) else {
          throw SyscallError(call: "wait", errno: ETIMEDOUT, path: files.name)
        }
      }
    } catch {
      // A keeper that has just ended is what we want.
      guard error.errno == EPIPE || error.errno == ECONNRESET else {
        try? takeBack(link)  // best effort: the first error is told
        throw .call("stop zone \(files.name)", error)
      }
    }
  }

  /// The zone could not be asked to end, and nothing shall say that it was.
  private func takeBack(_ link: borrowing KeeperLink) throws(SyscallError) {
    try link.send(.goingOn)
    while let answer = try link.receive(timeout: 1000), answer != .goingOn {}
  }

  /// - Returns: false where the time ran out.
  private func waitForEnd(_ link: borrowing KeeperLink, seconds: Double, waiting: (Double) -> Void) throws(SyscallError)
    -> Bool
  {
    let end = Clock.monotonicNanoseconds() + UInt64(seconds * 1e9)
    while true {
      let now = Clock.monotonicNanoseconds()
      let left = now < end ? end - now : 0
      do throws(SyscallError) {
        switch try link.receive(timeout: CInt(min(left / 1_000_000, 1000))) {
        case .ended, nil: return true
        case .no(let number) where number == EUSERS:
          throw SyscallError(
            call: "connect", errno: EUSERS, path: "the keeper's socket",
            step: "speak to a keeper that serves as many as it can")
        default: continue
        }
      } catch {
        guard error.errno == ETIMEDOUT else { throw error }
        if left == 0 { return false }
        waiting(Double(left) / 1e9)
      }
    }
  }

  /// running <-> frozen (cgroup freezer).
  public func pause(_ name: String) throws(ZoneError) { try setFrozen(name, true, from: .running, verb: "pause") }
  public func resume(_ name: String) throws(ZoneError) { try setFrozen(name, false, from: .frozen, verb: "resume") }

  private func setFrozen(_ name: String, _ frozen: Bool, from: ZoneState, verb: String) throws(ZoneError) {
    let zone = try locked(name)
    let state = try state(of: zone.files)
    guard state == from else {
      throw .state(zone: name, state: state, verb: verb, hint: "only a \(from.rawValue) zone can be")
    }
    guard let record = try zone.files.readRecord() else { throw .notFound(name) }
    try freeze(record, name, frozen)
    note(frozen ? .paused : .resumed, name)
  }

  /// Sends a signal to the command (kill(2)).
  public func kill(_ name: String, signal: CInt) throws(ZoneError) {
    let files = try files(name)
    guard files.exists else { throw .notFound(name) }
    let state = try state(of: files)
    guard state.isLive, let link = try KeeperLink.connect(files) else {
      throw .state(zone: name, state: state, verb: "kill", hint: "it has no process")
    }
    try attempt("signal zone \(name)") { () throws(SyscallError) in try link.send(.signal(signal)) }
  }

  /// Waits until the zone has ended, and tells how. For a zone at rest: how it ended last.
  /// - Parameter timeout: seconds; nil waits for ever.
  /// - Returns: nil where the time ran out, or it never ran.
  public func wait(_ name: String, timeout: Double? = nil) throws(ZoneError) -> ZoneExit? {
    let files = try files(name)
    guard files.exists else { throw .notFound(name) }
    if let link = try KeeperLink.connect(files) {
      let end = timeout.map { Clock.monotonicNanoseconds() + UInt64($0 * 1e9) }
      while true {
        var left: CInt = -1
        if let end {
          let now = Clock.monotonicNanoseconds()
          left = now < end ? CInt((end - now) / 1_000_000) : 0
        }
        let message: StageMessage?
        do throws(SyscallError) { message = try link.receive(timeout: left) } catch {
          if error.errno == ETIMEDOUT { return nil }
          throw .call("wait for zone \(name)", error)
        }
        switch message {
        case .ended(let code, let signal, let oom):
          return ZoneExit(
            code: signal == 0 ? Int(code) : nil, signal: signal == 0 ? nil : Int(signal),
            oomKilled: ZoneExit.isOOM(signal: Int(signal), kills: oom),
            at: Clock.realtimeNanoseconds())
        case nil: return try status(name).exit
        default: continue
        }
      }
    }
    return try status(name).exit
  }

  /// The zone's log: what its command wrote, as it was written; `log.1` holds the part before it.
  public func logPath(_ name: String) -> String {
    let files = ZoneFiles(directories, name)
    return files.isEphemeral ? "\(files.run)/log" : "\(files.data)/log"
  }

  static func signal(_ text: String) throws(ZoneError) -> CInt {
    do { return try Signals.number(parsing: text) } catch { throw .syntax(error) }
  }
}
