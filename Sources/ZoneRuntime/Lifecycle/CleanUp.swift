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
    if record.bootId == boot {
      if let group = record.cgroup { try removeCgroup(group) }
      try endPasta(record)
    }
    if let network = record.network, geteuid() == 0 {
      do { try networks().detach(zone: files.name, network: network) } catch { throw .refused("\(error)") }
    }
    try removeRun(files, hasLease: record.network != nil)
  }

  /// - Parameter hasLease: whether it may hold an address.
  private func removeRun(_ files: ZoneFiles, hasLease: Bool) throws(ZoneError) {
    let ephemeral = files.isEphemeral
    if ephemeral, geteuid() == 0 {
      if hasLease { do { try networks().release(zone: files.name) } catch { throw .refused("\(error)") } }
      do { try IdRangeLeases(directory: directories.shared).release(files.name) } catch { throw .refused("\(error)") }
    }
    try attempt("clean up after zone \(files.name)") { () throws(SyscallError) in
      // The record goes last but for the directory: a clean-up cut in between is found and done again.
      guard FileSystem.exists(files.run) else { return }
      for name in try FileSystem.list(files.run) where name != "state.json" { try FileSystem.removeTree("\(files.run)/\(name)") }
      try FileSystem.removeTree(files.run)
    }
  }
}
