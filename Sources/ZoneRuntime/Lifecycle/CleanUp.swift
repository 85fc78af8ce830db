internal import Glibc
internal import LinuxNS
internal import ResourceControl
internal import VirtualNet

/// Taking away what a run has made: after its end, after a failed start, and after a kill at any point of either. One
/// routine, by the record that was written before each thing was made; doing it twice does no harm.
extension Zones {
  /// The zone's lock is held. Its keeper is gone or about to go.
  func cleanUp(_ files: ZoneFiles) throws(ZoneError) {
    guard let record = try recordOrPresumed(files) else {
      try removeRun(files, nil)
      return
    }
    do throws(ZoneError) {
      let keeper = try files.readKeeper()
      var exit = keeper?.exit
      exit?.oomKills = oomKills(record)
      if let exit, FileSystem.exists(files.data) { try files.writeExit(exit) }
      // One that was not executed yet has failed to start.
      if let keeper, keeper.phase != .ready { note(.ended, files.name) { $0.exit = exit } }
    } catch { notice("how zone \(files.name) ended is not known: \(error)") }
    let boot = try attempt("read the boot id") { () throws(SyscallError) in try RunRecord.bootId() }
    if record.bootId == boot { try endProcesses(record) }
    try detach(files, record)
    try removeRun(files, record)
  }

  /// The record; where it cannot be read, one of all that a run of that zone can have made. nil where there is none.
  func recordOrPresumed(_ files: ZoneFiles) throws(ZoneError) -> RunRecord? {
    do throws(ZoneError) { return try files.readRecord() } catch {
      notice("what zone \(files.name) has made is looked for by its name: \(error)")
      return try presumedRecord(files)
    }
  }

  /// As above for an ephemeral zone, by the one who made it in this boot and remembers what he wrote down, in two steps:
  /// the first while its keeper still writes. There is nothing to keep.
  func cleanUpKernel(_ files: ZoneFiles, _ record: RunRecord) throws(ZoneError) {
    try endProcesses(record)
    try detach(files, record)
    try giveBackIds(files, record.uids)
    if record.network != nil { try giveBackAddress(files) }
  }

  /// The second step, once the keeper has ended.
  func cleanUpFiles(_ files: ZoneFiles) throws(ZoneError) {
    // What most zones have, by name; whatever else there is, by a look.
    for path in [files.keeperRecord, files.socket, files.ephemeralSpec, files.record] { unlink(path) }
    if rmdir(files.run) == 0 { return }
    try MountPoints(directories).remove(of: files.name)
    try attempt("clean up after zone \(files.name)") { () throws(SyscallError) in try TreeRemoval.remove(files.run) }
  }

  private func endProcesses(_ record: RunRecord) throws(ZoneError) {
    if let group = record.cgroup { try removeCgroup(group) }
    try endInit(record)
  }

  private func detach(_ files: ZoneFiles, _ record: RunRecord) throws(ZoneError) {
    guard let network = record.network else { return }
    do { try networks().detach(zone: files.name, network: network) } catch { try bear(error) }
  }

  /// The ids of a run; where they are not known, whatever is in the zone's name.
  func giveBackIds(_ files: ZoneFiles, _ uids: [IdMap]?) throws(ZoneError) {
    // A range of one is a sandbox's, its caller's own id.
    guard geteuid() == 0, uids?.first?.count != 1 else { return }
    let range = uids?.first.flatMap { IdRange(start: $0.outside, count: $0.count) }
    do { try IdRangeLeases(directory: directories.sharedRun).release(files.name, range) } catch {
      throw .refused("\(error)")
    }
  }

  /// A zone keeps its address from run to run.
  func giveBackAddress(_ files: ZoneFiles) throws(ZoneError) {
    do { try networks().release(zone: files.name) } catch { try bear(error) }
  }

  /// A file of all zones of a network that cannot be read must not keep one zone from ending: it says what to do, and
  /// until that was done no zone is attached by it.
  private func bear(_ error: NetworkError) throws(ZoneError) {
    switch error {
    case .damaged, .conflict: notice("\(error)")
    default: throw .refused("\(error)")
    }
  }

  private func removeRun(_ files: ZoneFiles, _ record: RunRecord?) throws(ZoneError) {
    try giveBackIds(files, record?.uids)
    if files.isEphemeral, record == nil || record?.network != nil { try giveBackAddress(files) }
    try MountPoints(directories).remove(of: files.name)
    try attempt("clean up after zone \(files.name)") { () throws(SyscallError) in
      // The record goes last but for the directory: a clean-up cut in between is found and done again.
      for name in try files.names(in: files.run) where name != "state.json" {
        try TreeRemoval.remove("\(files.run)/\(name)")
      }
      try TreeRemoval.remove(files.run)
    }
  }
}
