internal import Glibc
internal import LinuxNS
internal import ResourceControl
internal import VirtualNet

/// All zones at one time: their names, and who of their keepers listens.
public struct ZonesLook: Sendable {
  public let names: [String]
  fileprivate let keepers: ListeningSockets
  fileprivate let folders: ZoneFolders?
  fileprivate let zones: Zones

  /// How some of them are. One whose files cannot be read is `unavailable`, and no other is the worse for it.
  /// - Parameter counting: also how many processes the OOM killer ended in each.
  public func statuses(of names: ArraySlice<String>, counting: Bool = true) -> [ZoneStatus] {
    var found: [ZoneStatus] = []
    for name in names {
      do throws(ZoneError) { found.append(try zones.status(name, keepers, folders, counting: counting)) } catch {
        if case .notFound = error { continue }  // deleted meanwhile
        found.append(
          ZoneStatus(
            name: name, state: .unavailable, why: "\(error)", restarts: 0, addresses: [], spec: ZoneSpec(name: name)))
      }
    }
    return found
  }
}

extension Zones {
  public func look() throws(ZoneError) -> ZonesLook {
    mendNetworks()
    // To connect to a keeper wakes it, and there may be a thousand.
    let keepers = (try? ListeningSockets.look()) ?? ListeningSockets()
    return ZonesLook(names: try names(), keepers: keepers, folders: try? ZoneFolders(directories), zones: self)
  }

  /// Every zone, by name.
  public func list() throws(ZoneError) -> [ZoneStatus] {
    let look = try look()
    return look.statuses(of: look.names[...])
  }

  /// Every zone's name, without a look at the zone.
  public func listNames() throws(ZoneError) -> [String] {
    var found: [String] = []
    for name in try names() where try files(name).exists { found.append(name) }
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
    try status(name, ListeningSockets(), nil, counting: true)
  }

  /// - Parameter keepers: who is known to listen; others are asked.
  fileprivate func status(
    _ name: String, _ keepers: ListeningSockets, _ folders: ZoneFolders?, counting: Bool
  ) throws(ZoneError) -> ZoneStatus {
    var files = try files(name)
    files.folders = folders
    var look = ZoneLook(files, whole: true)
    if look.spec == nil, look.why == nil, !files.exists { throw .notFound(name) }
    let state = try state(of: files, &look, keepers)
    // A creation that was cut before the spec was written still shows, and can be deleted.
    var status = ZoneStatus(
      name: name, state: state, why: look.why ?? look.whyOfExit, restarts: look.record?.restarts ?? 0,
      exit: look.keeper?.exit ?? look.exit,
      addresses: [], spec: look.spec ?? ZoneSpec(name: name))
    if state.isLive, let keeper = look.keeper {
      status.keeper = keeper.keeper
      status.pid = keeper.process == 0 ? keeper.`init` : keeper.process
      status.started = keeper.started == 0 ? nil : keeper.started
      status.startId = look.record.map { "\($0.bootId)-\(keeper.keeper)-\(keeper.`init`)-\(keeper.started)" }
    }
    // Counted while the groups stand, and noted when they went.
    if counting {
      status.oomKills =
        (state.isLive || state == .down ? oomKills(look.record) : nil) ?? (state.isLive ? nil : status.exit?.oomKills)
    }
    if let attachment = look.record?.attachment { status.addresses = ["\(attachment.address)"] }
    status.quota = quotaUse(of: status.spec, files)
    return status
  }

  /// - Parameter whole: also by the spec and the last end, as `status` does; for verbs that would take them away. Others
  ///   read the spec themselves, and are refused there.
  /// - Throws: only for what has nothing to do with this zone.
  func state(of files: ZoneFiles, whole: Bool = false) throws(ZoneError) -> ZoneState {
    var look = ZoneLook(files, whole: whole)
    return try state(of: files, &look, ListeningSockets())
  }

  /// What the files say, checked against what answers: a keeper that listens is alive, and nobody else is.
  private func state(of files: ZoneFiles, _ look: inout ZoneLook, _ keepers: ListeningSockets) throws(ZoneError)
    -> ZoneState
  {
    // What is written there cannot be told from what was lost: nothing is guessed.
    if look.why != nil { return .unavailable }
    let settled = { (look: inout ZoneLook) in look.settle(look.whyOfExit == nil ? atRest(files) : .unavailable) }
    guard let record = look.record else { return settled(&look) }
    let boot = try attempt("read the boot id") { () throws(SyscallError) in try RunRecord.bootId() }
    // The machine was started since: nothing of that run is left but its files.
    guard record.bootId == boot else { return settled(&look) }
    // Without a keeper: a start in the making, or one that was cut before its keeper stood.
    guard let keeper = look.keeper else { return settled(&look) }
    if keeper.phase == .ended {
      look.why = record.startFailure.map { "it could not be started again, and the next try follows: \($0)" }
      return .down
    }
    let answers = if files.isHeard(among: keepers) { true } else { try link(to: files) != nil }
    guard answers else {
      // It may have ended between our two looks.
      look = ZoneLook(files, whole: look.whole)
      if look.why != nil { return .unavailable }
      if look.keeper?.phase == .ended { return .down }
      guard look.record != nil else { return settled(&look) }
      look.why = "its keeper (pid \(keeper.keeper)) was killed, and the zone with it"
      return .unavailable
    }
    switch keeper.phase {
    case .ready: return .ready
    case .shuttingDown: return .shuttingDown
    case .running, .ended: return try isFrozen(record) ? .frozen : .running
    }
  }

  /// Of a zone that does not live, by what `create` has left.
  private func atRest(_ files: ZoneFiles) -> ZoneState {
    if FileSystem.exists(files.installed) || files.isEphemeral { return .installed }
    return FileSystem.exists(files.incomplete) || !FileSystem.exists(files.spec) ? .incomplete : .configured
  }

  /// As `KeeperLink.connect`; what is no run directory, or no socket of ours in it, is nobody who listens.
  func link(to files: ZoneFiles) throws(ZoneError) -> KeeperLink? {
    do { return try KeeperLink.connect(files) } catch {
      if case .call(_, let cause) = error, [ENOTDIR, ELOOP, EPROTOTYPE, EACCES].contains(cause.errno) { return nil }
      throw error
    }
  }
}

/// One look at a zone's files. Those that cannot be read are missing, and the first of them says why.
private struct ZoneLook {
  var spec: ZoneSpec?
  var record: RunRecord?
  var keeper: KeeperRecord?
  var exit: ZoneExit?
  /// Why the zone is `unavailable`.
  var why: String?
  /// The last end is of no use to a run: only at rest it makes the zone `unavailable`.
  var whyOfExit: String?

  let whole: Bool

  init(_ files: ZoneFiles, whole: Bool) {
    self.whole = whole
    if whole {
      do throws(ZoneError) { spec = try files.readSpec() } catch { why = "\(error)" }
      do throws(ZoneError) { exit = try files.readExit() } catch { whyOfExit = "\(error)" }
    }
    do throws(ZoneError) { record = try files.readRecord() } catch { why = why ?? "\(error)" }
    do throws(ZoneError) { keeper = try files.readKeeper() } catch { why = why ?? "\(error)" }
  }

  /// The state of a zone that does not live.
  mutating func settle(_ state: ZoneState) -> ZoneState {
    if state == .unavailable { why = whyOfExit }
    return state
  }
}
