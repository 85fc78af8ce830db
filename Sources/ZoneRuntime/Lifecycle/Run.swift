internal import Glibc
public import LinuxNS
internal import VirtualNet

/// A zone in the foreground: what `run` and a start with `--attach` hold while the command runs.
public struct RunningZone: ~Copyable {
  public let name: String
  /// Messages of stage_plan.h: the terminal client relays on it.
  public var socket: CInt { launched.link.socket.raw }
  let launched: LaunchedZone
  let zones: Zones
  let spec: ZoneSpec
  /// Held from before the command's first instruction: one that comes early is the command's, and ends no launcher.
  let signals: SignalFD

  /// Reads until the zone has ended, without relaying (its streams were given directly).
  public borrowing func waitForEnd() throws(ZoneError) -> ZoneExit {
    while true {
      let message = try attempt("wait for zone \(name)") { () throws(SyscallError) in try launched.link.receive() }
      switch message {
      case .ended(let code, let signal, let oom):
        return ZoneExit(
          code: signal == 0 ? Int(code) : nil, signal: signal == 0 ? nil : Int(signal),
          oomKilled: ZoneExit.isOOM(signal: Int(signal), kills: oom),
          at: Clock.realtimeNanoseconds())
      case nil: throw .refused("zone \(name) was lost: its keeper was killed")
      default: continue
      }
    }
  }

  public borrowing func signal(_ number: CInt) throws(ZoneError) {
    try attempt("signal zone \(name)") { () throws(SyscallError) in try launched.link.send(.signal(number)) }
  }

  /// Ends it, and takes away what the run made. Best effort: there is another error to be told.
  public consuming func giveUp() {
    try? launched.keeper.signal(SIGKILL)
    _ = try? launched.keeper.waitUntilEnd(timeout: 5000)
    if spec.leavesOrphans { try? Orphans.end() }
    guard let files = try? zones.files(name), let lock = try? Self.lock(files) else { return }
    let held = LockedZone(files: files, lock: lock)
    try? zones.cleanUp(held.files)
  }

  /// Ends a sandbox's proxy.
  /// - Returns: what it has refused; nothing where there is none.
  public borrowing func endEgress() -> [Denial] {
    switch launched.egress {
    case .some(let egress): egress.end()
    case .none: []
    }
  }

  /// Ends a sandbox's watcher.
  /// - Returns: what it has seen; nothing where nobody looked.
  public borrowing func endWatch() -> WatchNotes {
    switch launched.watch {
    case .some(let watch): watch.end()
    case .none: WatchNotes()
    }
  }

  /// Waits until the keeper has gone, so that getrusage(2) tells what the zone took.
  public borrowing func awaitKeeper() { _ = try? launched.keeper.reap() }

  /// After the end: takes away what the run made, unless the keeper restarts the zone.
  public consuming func finish(_ status: ExitStatus, oomKilled: Bool) throws(ZoneError) {
    guard spec.restart == .no else { return }
    // Of one that stays the clean-up tells it.
    if spec.ephemeral { zones.note(.ended, name) { $0.exit = ZoneExit(status, oomKilled: oomKilled, at: $0.at) } }
    if spec.leavesOrphans {
      _ = try? launched.keeper.waitUntilEnd(timeout: 5000)
      try Orphans.end()
    }
    guard let files = try? zones.files(name), let lock = try Self.lock(files) else { return }
    let held = LockedZone(files: files, lock: lock)
    do throws(ZoneError) { try takeAway(held.files) } catch {
      // Once more and by the record, as the next command would: for a zone that is to be gone none comes by.
      _ = try? launched.keeper.waitUntilEnd(timeout: 5000)
      if spec.ephemeral { try? zones.cleanUp(held.files) }
      throw error
    }
  }

  /// Asked for twice: without it nothing can be taken away.
  private static func lock(_ files: ZoneFiles) throws(ZoneError) -> FileLock? {
    do throws(ZoneError) { if let lock = try files.lock() { return lock } } catch { return try files.lock() }
    return try files.lock()
  }

  private borrowing func takeAway(_ files: ZoneFiles) throws(ZoneError) {
    if spec.ephemeral { try zones.cleanUpKernel(files, launched.record) }
    // What is left to its keeper when it has told the end is to write it down; then it closes our socket.
    do throws(SyscallError) {
      while try launched.link.receive(timeout: 10_000) != nil {}
    } catch {
      if error.errno == ETIMEDOUT { throw .timedOut("the keeper of \(name) does not end") }
      throw .call("wait for the keeper of \(name)", error)
    }
    if spec.ephemeral { try zones.cleanUpFiles(files) } else { try zones.cleanUp(files) }
  }
}

extension Zones {
  /// none -> running: makes the zone, starts it, and stays with it.
  /// - Parameter found: what the zone is made of, where that was looked up already.
  public func run(
    _ spec: ZoneSpec, of found: consuming FoundRoot? = nil, streams: ZoneStreams, terminalSize: WindowSize? = nil
  ) throws(ZoneError) -> RunningZone {
    if spec.leavesOrphans { try Orphans.adopt() }
    let stage = try beginKeeper(spec, staying: streams.somebodyStays)
    let zone: LockedZone
    do throws(ZoneError) {
      if spec.ephemeral {
        try createEphemeral(spec, of: found)
      } else {
        try create(spec, of: found)
      }
      do throws(ZoneError) { zone = try locked(spec.name) } catch {
        // An ephemeral one is an empty directory yet, and nothing that is not goes with it.
        if spec.ephemeral { rmdir(directories.run(of: spec.name)) }
        throw error
      }
    } catch {
      stage.abandon()
      throw error
    }
    do throws(ZoneError) {
      let signals = try attempt("hold signals") { () throws(SyscallError) in try SignalFD(Relay.signals) }
      if let sandbox = spec.sandbox {
        try MountPoints(directories).make(sandbox.protected, for: spec.name)
        try BareHome(directories).make(sandbox)
      }
      let launched = try launch(
        zone.files, spec, stage: stage, streams: streams, terminalSize: terminalSize, through: true)
      rememberInit(zone.files, launched)
      return RunningZone(name: spec.name, launched: launched, zones: self, spec: spec, signals: signals)
    } catch {
      // A zone that was made for this command and never ran it is not left behind.
      if spec.ephemeral { try? cleanUp(zone.files) }
      if FileSystem.exists(zone.files.data) { try? remove(zone.files) }
      throw error
    }
  }

  /// As `run`, without staying: the zone goes on with its keeper.
  public func runDetached(_ spec: ZoneSpec, of found: consuming FoundRoot? = nil) throws(ZoneError) {
    _ = try run(spec, of: found, streams: .log)
  }

  /// An ephemeral zone is a run directory with a spec in it, which the launch writes: until then it is `incomplete`.
  private func createEphemeral(_ spec: ZoneSpec, of found: consuming FoundRoot?) throws(ZoneError) {
    try checked(spec)
    try directories.make()
    let files = try files(spec.name)
    if FileSystem.exists(files.data) { throw .exists(spec.name) }
    let made = mkdir(files.run, 0o700)
    let error = errno
    guard made == 0 else {
      if error == EEXIST { throw .exists(spec.name) }
      throw .call("make zone \(spec.name)", SyscallError(call: "mkdir", errno: error, path: files.run))
    }
    guard case .image(let name) = spec.brand else { return }
    do throws(ZoneError) {
      let found = try requireRoot(name, found)
      try found.root.write(in: files.run)
      found.done()
    } catch {
      rmdir(files.run)
      throw error
    }
  }

  /// Every zone with autostart, as at machine start. One that fails does not keep the others down.
  /// - Returns: the zones that could not be started, and why.
  public func bootAll(progress: (String) -> Void) throws(ZoneError) -> [(zone: String, error: ZoneError)] {
    var failed: [(zone: String, error: ZoneError)] = []
    forgetAddresses()
    for zone in try list() {
      // Whether it was to be started is not known, which somebody has to hear.
      do throws(ZoneError) { _ = try files(zone.name).readSpec() } catch { failed.append((zone.name, error)) }
      guard zone.spec.autostart else { continue }
      switch zone.state {
      case .installed, .down, .ready, .unavailable: break
      default: continue
      }
      progress(zone.name)
      do throws(ZoneError) { try start(zone.name) } catch { failed.append((zone.name, error)) }
    }
    return failed
  }

  /// A zone that was to go with its end (`run --rm`) went with the machine: its address, which is kept on disk, did not.
  private func forgetAddresses() {
    guard FileSystem.exists("\(directories.shared)/networks") else { return }
    do throws(NetworkError) {
      try networks().release { name in
        guard let files = try? files(name) else { return false }
        return !FileSystem.exists(files.data) && !FileSystem.exists(files.run)
      }
    } catch { notice("addresses of zones that are gone are kept: \(error)") }
  }
}
