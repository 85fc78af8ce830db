internal import Glibc
internal import LinuxNS

/// What the keeper executes at a zone's end: clean-up, and by the policy a new start, in the process that was the keeper.
/// It waits, and after a start that failed it waits again: nobody else restarts a zone.
extension Zones {
  public func zoneEnded(_ name: String) throws(ZoneError) {
    let files = try files(name)
    guard let keeper = try files.readKeeper(), keeper.keeper == getpid(), let exit = keeper.exit else { return }
    guard let spec = try files.readSpec(), let record = try files.readRecord() else { return }
    guard keeper.asked != true, spec.restart.wants(keeper, exit, restarts: record.restarts) else {
      try cleanUpAfter(keeper, files)
      return leaveKeeperGroup()
    }
    // Who ran for a while starts anew; who fails at once waits longer each time.
    let ran = keeper.started == 0 ? 0 : exit.at - min(exit.at, keeper.started)
    var failures = ran > 10_000_000_000 ? 0 : record.restarts
    var restarts = record.restarts
    while true {
      try pauseUnlessChanged(files, keeper, nanoseconds: RestartPolicy.delay(failures: failures))
      restarts += 1
      failures += 1
      guard try restart(files, keeper, exit, restarts: restarts) else { return leaveKeeperGroup() }
      // A machine that wanted to be restarted and cannot be is down, unless its policy says otherwise.
      if keeper.reboot == true, failures > 8, !spec.restart.wants(exit, restarts: restarts) {
        try cleanUpAfter(keeper, files)
        return leaveKeeperGroup()
      }
    }
  }

  private func cleanUpAfter(_ keeper: KeeperRecord, _ files: ZoneFiles) throws(ZoneError) {
    guard let lock = try files.lock() else { return }
    let held = LockedZone(files: files, lock: lock)
    if try isStill(keeper, held.files) { try cleanUp(held.files) }
  }

  /// One try.
  /// - Returns: whether another is to follow.
  private func restart(_ files: ZoneFiles, _ keeper: KeeperRecord, _ exit: ZoneExit, restarts: Int) throws(ZoneError)
    -> Bool
  {
    guard let lock = try files.lock() else { return false }
    let held = LockedZone(files: files, lock: lock)
    // `set` may have given it another policy meanwhile.
    guard try isStill(keeper, held.files), let spec = try held.files.readSpec(),
      let before = try held.files.readRecord()
    else {
      return false
    }
    guard spec.restart.wants(keeper, exit, restarts: restarts - 1) else {
      try cleanUp(held.files)
      return false
    }
    do throws(ZoneError) {
      if spec.ephemeral {
        try cleanUpKeepingSpec(held.files)
      } else {
        try cleanUp(held.files)
      }
      try start(held.files, spec, restarts: restarts)
      return false
    } catch {
      // What it is told as until the next try, and what ends the tries where it is taken away (stop, halt, delete).
      try remember("\(error)", held.files, spec, before, keeper, restarts: restarts)
      return true
    }
  }

  private func remember(
    _ failure: String, _ files: ZoneFiles, _ spec: ZoneSpec, _ before: RunRecord, _ keeper: KeeperRecord, restarts: Int
  ) throws(ZoneError) {
    try attempt("keep zone \(files.name) for its next start") { () throws(SyscallError) in
      try FileSystem.makeDirectories(files.run, mode: 0o700)
    }
    if spec.ephemeral { try files.writeSpec(spec) }
    // A clean-up that failed as well has left the record of what is still there.
    var record =
      try files.readRecord()
      ?? RunRecord(
        bootId: before.bootId, tier: before.tier, uids: before.uids, gids: before.gids, namespaces: before.namespaces,
        capabilities: before.capabilities)
    record.restarts = restarts
    record.startFailure = failure
    try files.writeRecord(record)
    try files.writeKeeper(keeper)
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
    let root = try layeredRoot(of: spec, files)
    try cleanUp(files)
    try attempt("restart zone \(spec.name)") { () throws(SyscallError) in
      try FileSystem.makeDirectories(files.run, mode: 0o700)
    }
    try files.writeSpec(spec)
    try root?.write(in: files.run)
  }
}

extension RestartPolicy {
  /// Before the next start: 0.1 s, doubling up to 10 s while it keeps failing. Nanoseconds.
  static func delay(failures: Int) -> UInt64 { min(100_000_000 << UInt64(min(failures, 8)), 10_000_000_000) }

  /// An init that restarts its machine is not asked for the policy.
  func wants(_ keeper: KeeperRecord, _ exit: ZoneExit, restarts: Int) -> Bool {
    keeper.reboot == true || wants(exit, restarts: restarts)
  }

  /// - Parameter restarts: how often it was started again since the last `start`.
  func wants(_ exit: ZoneExit, restarts: Int) -> Bool {
    switch self {
    case .no: false
    case .always, .unlessStopped: true
    case .onFailure(let limit): exit.shellCode != 0 && limit.map { restarts < $0 } ?? true
    }
  }
}
