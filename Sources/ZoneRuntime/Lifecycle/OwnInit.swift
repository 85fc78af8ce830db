internal import Glibc
internal import LinuxNS

/// A zone with an init of its own dies with its keeper by a death signal (prctl(2), PR_SET_PDEATHSIG), which that init can
/// take back. Where the zone has a control group, clean-up ends it there. An ordinary user without one has to know the
/// process itself.
extension Zones {
  /// Writes down who the zone's pid 1 is, where nothing else would find it. The zone's lock is held.
  func rememberInit(_ files: ZoneFiles, _ spec: ZoneSpec) {
    guard spec.ownInit else { return }
    do throws(ZoneError) {
      guard var record = try files.readRecord(), record.cgroup == nil, let keeper = try files.readKeeper(),
        keeper.`init` > 0
      else { return }
      record.initProcess = try attempt("learn the init of zone \(files.name)") { () throws(SyscallError) in
        try ProcessIdentity.of(keeper.`init`)
      }
      try files.writeRecord(record)
    } catch { notice("\(error); a kill of its keeper may leave it running") }
  }

  func endInit(_ record: RunRecord) throws(ZoneError) {
    guard let process = record.initProcess else { return }
    try attempt("end the init of the zone, pid \(process.pid)") { () throws(SyscallError) in try process.kill() }
  }
}
