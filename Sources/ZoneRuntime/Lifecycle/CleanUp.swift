internal import Glibc
internal import LinuxNS
internal import ResourceControl
internal import VirtualNet

/// Taking away what a run has made: after its end, after a failed start, and after a kill at any point of either. One
/// routine, by the record that was written before each thing was made; doing it twice does no harm.
extension Zones {
  /// The zone's lock is held. Its keeper is gone or about to go.
  func cleanUp(_ files: ZoneFiles) throws(ZoneError) {
    guard let record = try files.readRecord() else {
      try removeRun(files, hasLease: true)
      return
    }
    if let exit = try files.readKeeper()?.exit, FileSystem.exists(files.data) { try files.writeExit(exit) }
    let boot = try attempt("read the boot id") { () throws(SyscallError) in try RunRecord.bootId() }
    if record.bootId == boot { try endProcesses(record) }
    try detach(files, record)
    try removeRun(files, hasLease: record.network != nil)
  }

  /// As above, by the one who made the zone in this boot and remembers what he wrote down. There is nothing to keep.
  func cleanUp(ephemeral files: ZoneFiles, _ record: RunRecord) throws(ZoneError) {
    try endProcesses(record)
    try detach(files, record)
    try giveBack(files, hasLease: record.network != nil)
    // What most zones have, by name; whatever else there is, by a look.
    for path in [files.keeperRecord, files.socket, files.ephemeralSpec, files.record] { unlink(path) }
    if rmdir(files.run) == 0 { return }
    try attempt("clean up after zone \(files.name)") { () throws(SyscallError) in try FileSystem.removeTree(files.run) }
  }

  private func endProcesses(_ record: RunRecord) throws(ZoneError) {
    if let group = record.cgroup { try removeCgroup(group) }
  }

  private func detach(_ files: ZoneFiles, _ record: RunRecord) throws(ZoneError) {
    if let network = record.network {
      do { try networks().detach(zone: files.name, network: network) } catch { throw .refused("\(error)") }
    }
  }

  private func giveBack(_ files: ZoneFiles, hasLease: Bool) throws(ZoneError) {
    if hasLease { do { try networks().release(zone: files.name) } catch { throw .refused("\(error)") } }
    // An ordinary user's zones share his range.
    guard geteuid() == 0 else { return }
    do { try IdRangeLeases(directory: directories.shared).release(files.name) } catch { throw .refused("\(error)") }
  }

  /// - Parameter hasLease: whether it may hold an address.
  private func removeRun(_ files: ZoneFiles, hasLease: Bool) throws(ZoneError) {
    let ephemeral = files.isEphemeral
    if ephemeral { try giveBack(files, hasLease: hasLease) }
    try attempt("clean up after zone \(files.name)") { () throws(SyscallError) in
      // The record goes last but for the directory: a clean-up cut in between is found and done again.
      guard FileSystem.exists(files.run) else { return }
      for name in try FileSystem.list(files.run) where name != "state.json" { try FileSystem.removeTree("\(files.run)/\(name)") }
      try FileSystem.removeTree(files.run)
    }
  }
}
