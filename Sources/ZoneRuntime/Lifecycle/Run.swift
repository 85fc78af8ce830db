internal import Glibc
public import LinuxNS

/// A zone in the foreground: what `run` and a start with `--attach` hold while the command runs.
public struct RunningZone: ~Copyable {
  public let name: String
  /// Messages of stage_plan.h: the terminal client relays on it.
  public var socket: CInt { launched.link.socket.raw }
  let launched: LaunchedZone
  let zones: Zones
  let spec: ZoneSpec

  /// Reads until the zone has ended, without relaying (its streams were given directly).
  public borrowing func waitForEnd() throws(ZoneError) -> ZoneExit {
    while true {
      let message = try attempt("wait for zone \(name)") { () throws(SyscallError) in try launched.link.receive() }
      switch message {
      case .ended(let code, let signal, let oom):
        return ZoneExit(
          code: signal == 0 ? Int(code) : nil, signal: signal == 0 ? nil : Int(signal), oomKilled: oom,
          at: Clock.realtimeNanoseconds())
      case nil: throw .refused("zone \(name) was lost: its keeper was killed")
      default: continue
      }
    }
  }

  public borrowing func signal(_ number: CInt) throws(ZoneError) {
    try attempt("signal zone \(name)") { () throws(SyscallError) in try launched.link.send(.signal(number)) }
  }

  /// After the end: takes away what the run made, unless the keeper restarts the zone.
  public consuming func finish() throws(ZoneError) {
    guard spec.restart == .no else { return }
    guard let files = try? zones.files(name), let lock = try files.lock() else { return }
    let held = LockedZone(files: files, lock: lock)
    if spec.ephemeral {
      try zones.cleanUp(ephemeral: held.files, launched.record)
    } else {
      try zones.cleanUp(held.files)
    }
    // It had nothing left to do when it told the end.
    let ended = try attempt("wait for the keeper of \(name)") { () throws(SyscallError) in
      try launched.keeper.waitUntilEnd(timeout: 10_000)
    }
    guard ended else { throw .timedOut("the keeper of \(name) does not end") }
  }
}

extension Zones {
  /// none -> running: makes the zone, starts it, and stays with it.
  public func run(
    _ spec: ZoneSpec, streams: ZoneStreams, terminalSize: WindowSize? = nil
  ) throws(ZoneError) -> RunningZone {
    if spec.ephemeral {
      try createEphemeral(spec)
    } else {
      try create(spec)
    }
    let zone = try locked(spec.name)
    do throws(ZoneError) {
      let launched = try launch(zone.files, spec, streams: streams, terminalSize: terminalSize, through: true)
      return RunningZone(name: spec.name, launched: launched, zones: self, spec: spec)
    } catch {
      // A zone that was made for this command and never ran it is not left behind.
      if FileSystem.exists(zone.files.data) { try? remove(zone.files) }
      throw error
    }
  }

  /// As `run`, without staying: the zone goes on with its keeper.
  public func runDetached(_ spec: ZoneSpec) throws(ZoneError) {
    _ = try run(spec, streams: .log)
  }

  /// An ephemeral zone is a run directory with a spec in it.
  private func createEphemeral(_ spec: ZoneSpec) throws(ZoneError) {
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
    try files.writeSpec(spec)
  }

  // MARK: what the keeper executes

  /// The end of a zone, in the process that was its keeper: clean-up, and by its policy a new start.
  public func zoneEnded(_ name: String) throws(ZoneError) {
    let files = try files(name)
    guard let keeper = try files.readKeeper(), keeper.keeper == getpid(), let exit = keeper.exit else { return }
    guard let spec = try files.readSpec(), let record = try files.readRecord() else { return }
    guard keeper.asked != true, spec.restart.wants(exit, restarts: record.restarts) else {
      guard let lock = try files.lock() else { return }
      let held = LockedZone(files: files, lock: lock)
      guard try isStill(keeper, held.files) else { return }
      return try cleanUp(held.files)
    }
    // Who ran for a while starts anew; who fails at once waits longer each time.
    let ran = keeper.started == 0 ? 0 : exit.at - min(exit.at, keeper.started)
    let restarts = ran > 10_000_000_000 ? 0 : record.restarts
    let delay = min(100_000_000 << UInt64(min(restarts, 8)), 10_000_000_000)
    try pauseUnlessChanged(files, keeper, nanoseconds: UInt64(delay))
    guard let lock = try files.lock() else { return }
    let held = LockedZone(files: files, lock: lock)
    guard try isStill(keeper, held.files) else { return }
    if spec.ephemeral {
      try cleanUpKeepingSpec(held.files)
    } else {
      try cleanUp(held.files)
    }
    try start(held.files, spec, restarts: record.restarts + 1)
  }

  /// Nobody else has cleaned up or started it meanwhile.
  private func isStill(_ keeper: KeeperRecord, _ files: ZoneFiles) throws(ZoneError) -> Bool {
    guard let now = try files.readKeeper() else { return false }
    return now.keeper == keeper.keeper && now.started == keeper.started && now.phase == .ended
  }

  /// Waits for the restart's time; ends early where a `stop` or `halt` has taken the run away.
  private func pauseUnlessChanged(_ files: ZoneFiles, _ keeper: KeeperRecord, nanoseconds: UInt64) throws(ZoneError) {
    let end = Clock.monotonicNanoseconds() + nanoseconds
    while Clock.monotonicNanoseconds() < end {
      guard try isStill(keeper, files) else { return }
      var time = timespec(tv_sec: 0, tv_nsec: 50_000_000)
      nanosleep(&time, nil)
    }
  }

  private func cleanUpKeepingSpec(_ files: ZoneFiles) throws(ZoneError) {
    guard let spec = try files.readSpec() else { return }
    try cleanUp(files)
    try attempt("restart zone \(spec.name)") { () throws(SyscallError) in
      try FileSystem.makeDirectories(files.run, mode: 0o700)
    }
    try files.writeSpec(spec)
  }

  /// Every zone with autostart, as at machine start. One that fails does not keep the others down.
  /// - Returns: the zones that could not be started, and why.
  public func bootAll(progress: (String) -> Void) throws(ZoneError) -> [(zone: String, error: ZoneError)] {
    var failed: [(zone: String, error: ZoneError)] = []
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
}

extension RestartPolicy {
  /// - Parameter restarts: how often it was started again since the last `start`.
  func wants(_ exit: ZoneExit, restarts: Int) -> Bool {
    switch self {
    case .no: false
    case .always, .unlessStopped: true
    case .onFailure(let limit): exit.shellCode != 0 && limit.map { restarts < $0 } ?? true
    }
  }
}
