internal import Glibc
internal import LinuxNS
internal import ResourceControl
internal import VirtualNet

extension Zones {
  /// Every zone, by name.
  public func list() throws(ZoneError) -> [ZoneStatus] {
    mendNetworks()
    var found: [ZoneStatus] = []
    for name in try names() {
      do { found.append(try status(name)) } catch {
        if case .notFound = error { continue }  // deleted meanwhile
        throw error
      }
    }
    return found
  }

  func names() throws(ZoneError) -> [String] {
    var names: Set<String> = []
    for folder in [directories.data, directories.run] {
      guard FileSystem.exists(folder) else { continue }
      let entries = try attempt("list the zones") { () throws(SyscallError) in try FileSystem.list(folder) }
      names.formUnion(entries.filter(isDNSLabel))
    }
    return names.sorted()
  }

  /// - Throws: `.notFound`.
  public func status(_ name: String) throws(ZoneError) -> ZoneStatus {
    let files = try files(name)
    guard files.exists else { throw .notFound(name) }
    let (state, why) = try stateAndReason(of: files)
    // A creation that was cut before the spec was written still shows, and can be deleted.
    let spec = try files.readSpec() ?? ZoneSpec(name: name)
    let record = try files.readRecord()
    let keeper = try files.readKeeper()
    var status = ZoneStatus(
      name: name, state: state, why: why, restarts: record?.restarts ?? 0, exit: keeper?.exit,
      addresses: [], spec: spec)
    if status.exit == nil { status.exit = try files.readExit() }
    if state.isLive, let keeper {
      status.keeper = keeper.keeper
      status.pid = keeper.process == 0 ? keeper.`init` : keeper.process
      status.started = keeper.started == 0 ? nil : keeper.started
      status.startId = record.map { "\($0.bootId)-\(keeper.keeper)-\(keeper.`init`)-\(keeper.started)" }
    }
    if let attachment = record?.attachment { status.addresses = ["\(attachment.address)"] }
    return status
  }

  func state(of files: ZoneFiles) throws(ZoneError) -> ZoneState { try stateAndReason(of: files).state }

  /// What the files say, checked against what answers: a keeper that listens is alive, and nobody else is.
  func stateAndReason(of files: ZoneFiles) throws(ZoneError) -> (state: ZoneState, why: String?) {
    let atRest: ZoneState =
      if FileSystem.exists(files.installed) || files.isEphemeral { .installed }
      else if FileSystem.exists(files.incomplete) || !FileSystem.exists(files.spec) { .incomplete }
      else { .configured }
    guard let record = try files.readRecord() else { return (atRest, nil) }
    let boot = try attempt("read the boot id") { () throws(SyscallError) in try RunRecord.bootId() }
    // The machine was started since: nothing of that run is left but its files.
    guard record.bootId == boot else { return (atRest, nil) }
    guard let keeper = try files.readKeeper() else {
      // A start in the making, or one that was cut before its keeper stood.
      return (atRest, nil)
    }
    if keeper.phase == .ended { return (.down, nil) }
    guard try KeeperLink.connect(files) != nil else {
      // It may have ended between our two looks.
      if let again = try files.readKeeper(), again.phase == .ended { return (.down, nil) }
      guard try files.readRecord() != nil else { return (atRest, nil) }
      return (.unavailable, "its keeper (pid \(keeper.keeper)) was killed, and the zone with it")
    }
    switch keeper.phase {
    case .ready: return (.ready, nil)
    case .shuttingDown: return (.shuttingDown, nil)
    case .running, .ended:
      return (try isFrozen(record) ? .frozen : .running, nil)
    }
  }
}
