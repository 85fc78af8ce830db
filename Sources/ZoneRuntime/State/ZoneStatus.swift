internal import LinuxNS

/// The states of zoneadm (VOCABULARY.md).
public enum ZoneState: String, Sendable, CaseIterable {
  case configured, incomplete, installed, ready, running, frozen
  case shuttingDown = "shutting_down"
  case down, unavailable

  /// A keeper lives, or should.
  public var isLive: Bool {
    switch self {
    case .ready, .running, .frozen, .shuttingDown: true
    default: false
    }
  }

  /// It has a root that nobody has mounted, for sure.
  public var isAtRest: Bool { self == .installed || self == .down }
}

/// How a zone's last run ended, as its keeper recorded it.
public struct ZoneExit: Equatable, Sendable {
  /// The command's exit code; nil where a signal ended it.
  public var code: Int?
  public var signal: Int?
  /// The kernel's OOM killer ended the command (memory.events, oom_kill, and SIGKILL). One that ended a child of the
  /// command's only is counted in `oomKills`.
  public var oomKilled: Bool
  /// How many of the zone's processes it ended; nil where nothing counted them.
  public var oomKills: UInt64?
  /// Nanoseconds since 1970.
  public var at: UInt64

  public init(code: Int?, signal: Int?, oomKilled: Bool, at: UInt64) {
    self.code = code
    self.signal = signal
    self.oomKilled = oomKilled
    self.at = at
  }

  init(_ status: ExitStatus, oomKilled: Bool, at: UInt64) {
    switch status {
    case .exited(let code): self.init(code: Int(code), signal: nil, oomKilled: oomKilled, at: at)
    case .signaled(let signal): self.init(code: nil, signal: Int(signal), oomKilled: oomKilled, at: at)
    }
  }

  /// Whether an end is told as the OOM killer's: it sends SIGKILL, so an end by itself or by another signal is none.
  /// - Parameter kills: whether it has ended any process of the zone's.
  static func isOOM(signal: Int?, kills: Bool) -> Bool { kills && signal == 9 }

  /// The code, or 128 + the signal's number.
  public var shellCode: Int { signal.map { 128 + $0 } ?? code ?? 0 }
}

/// A zone as `list` and `show` tell it.
public struct ZoneStatus: Sendable {
  public var name: String
  public var state: ZoneState
  /// For `unavailable`: what does not fit.
  public var why: String?
  /// The command's pid as the host sees it.
  public var pid: Int32?
  public var keeper: Int32?
  /// Nanoseconds since 1970.
  public var started: UInt64?
  /// How often the keeper started it again since the last `start`.
  public var restarts: Int
  /// The last end.
  public var exit: ZoneExit?
  /// As `ZoneExit.oomKills`, of the present run where the zone lives.
  public var oomKills: UInt64?
  public var addresses: [String]
  /// Another one after each start.
  public var startId: String?
  /// Of one that has a quota.
  public var quota: QuotaUse?
  /// Where somebody asked for it (`Zones.addUse`).
  public var use: ZoneUse?
  public var spec: ZoneSpec
}

/// What a zone has written of what it may, in bytes.
public struct QuotaUse: Equatable, Sendable {
  /// As far as the file system has written it down.
  public var bytes: Int64
  public var limit: Int64

  /// Less is left than a write takes that a program makes at once, or a hundredth, or no file more: they fail by now, or soon.
  public var isFull: Bool

  public init(bytes: Int64, limit: Int64) {
    self.bytes = bytes
    self.limit = limit
    isFull = bytes >= limit - min(max(17 << 16, limit / 100), limit / 8)
  }
}

/// What a zone is to who looks for what nobody needs any more.
public struct ZoneUse: Equatable, Sendable {
  /// On the disk: what it has written, and its log.
  public var bytes: Int64 = 0
  /// Something of it cannot be looked at.
  public var isPartial = false
  /// Nanoseconds since 1970; nil where it has no root yet.
  public var made: UInt64?
  public var owner: UInt32 = 0
  /// When it lived last; now where it lives; nil: never.
  public var used: UInt64?
}
