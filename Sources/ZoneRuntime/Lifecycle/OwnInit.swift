internal import Glibc
internal import LinuxNS

/// A zone with an init of its own dies with its keeper by a death signal (prctl(2), PR_SET_PDEATHSIG), which that init can
/// take back. Where the zone has a control group, clean-up ends it there. An ordinary user without one has to know the
/// process itself.
extension Zones {
  /// Writes down who the zone's pid 1 is, where nothing else would find it. The zone's lock is held.
  func rememberInit(_ files: ZoneFiles, _ zone: borrowing LaunchedZone) {
    guard zone.plan.ownInit else { return }
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

  /// What asks the zone's own init for the end of the machine; nil where it is none that we know.
  func powerOff(_ files: ZoneFiles) -> CInt? {
    guard let keeper = try? files.readKeeper(), keeper.`init` > 0,
      let program = try? FileSystem.readLink("/proc/\(keeper.`init`)/exe")
    else { return nil }
    // Its file may have been replaced: then it is told as "systemd (deleted)".
    switch program.split(separator: "/").last?.split(separator: " ").first {
    case "systemd": return 34 + 3  // SIGRTMIN+3 as glibc counts (systemd(1), "Signals")
    case "busybox": return SIGUSR2
    default: return nil
    }
  }
}

extension ZoneSpec {
  /// Its first process is an init system, and finds what one wants: control groups of its own, /run and /tmp that are
  /// empty, the power to end or restart the zone.
  var isSystem: Bool { ownInit && command.first.map(Self.isInitSystem) ?? false }

  /// As Podman knows one (podman-run(1), --systemd).
  static func isInitSystem(_ program: String) -> Bool {
    ["/sbin/init", "/usr/sbin/init", "/usr/local/sbin/init"].contains(program)
      || program.split(separator: "/").last == "systemd"
  }

  /// Before those that were asked for.
  var defaultCapabilities: CapabilitySet { isSystem ? .systemDefault : .zoneDefault }
}
