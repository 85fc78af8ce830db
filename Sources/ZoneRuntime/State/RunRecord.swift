internal import LinuxNS
internal import ResourceControl
internal import VirtualNet

/// `run/NAME/state.json`: what a start has made or is about to make, written before it is made, so that whoever comes
/// after a kill knows what to take away.
struct RunRecord: Sendable {
  static let currentVersion = 1
  var version = RunRecord.currentVersion
  /// /proc/sys/kernel/random/boot_id: a record of an earlier boot describes nothing that lives.
  var bootId: String
  var tier: WallTier
  var uids: [IdMap]
  var gids: [IdMap]
  var namespaces: UInt32
  var cgroup: CgroupRecord?
  /// The network it is, or will be, attached to.
  var network: String?
  var attachment: Attachment?
  var restarts = 0
  /// The zone's pid 1 where no group holds it (`OwnInit`).
  var initProcess: ProcessIdentity?
  /// Why the last try to start it again failed; the keeper goes on trying.
  var startFailure: String?
  /// The copy of /etc that its overlay lies on.
  var etcTemplate: String?
  /// The capabilities and the filter's profile, for `exec`.
  var capabilities: CapabilitySet

  static func bootId() throws(SyscallError) -> String {
    try BootId.current()
  }
}

/// `run/NAME/keeper.json`: the keeper's own account (Stage/record.c writes it).
struct KeeperRecord: Sendable {
  enum Phase: String, Sendable {
    case ready, running
    case shuttingDown = "shutting_down"
    case ended
  }
  static let currentVersion = 1
  var version: Int
  var phase: Phase
  var keeper: Int32
  /// Pid 1 of the zone, and the command, as the host sees them.
  var `init`: Int32
  var process: Int32
  /// Nanoseconds since 1970; 0 while the gate is closed.
  var started: UInt64
  var ended: UInt64?
  var code: Int?
  var signal: Int?
  var oom: Bool?
  /// Somebody asked for the end: no restart.
  var asked: Bool?
  /// The zone's own init wants it started anew (reboot(2)).
  var reboot: Bool?

  var exit: ZoneExit? {
    guard phase == .ended, let ended else { return nil }
    let signal = signal.flatMap { $0 == 0 ? nil : $0 }
    return ZoneExit(
      code: signal == nil ? code : nil, signal: signal,
      // Who was asked to end was killed by us.
      oomKilled: ZoneExit.isOOM(signal: signal, kills: oom == true && asked != true), at: ended)
  }
}
