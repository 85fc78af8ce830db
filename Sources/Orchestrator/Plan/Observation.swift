internal import ZoneRuntime

/// What the store remembers of a zone that a fleet owns.
public struct ZoneRecord: Codable, Equatable, Sendable {
  public static let currentVersion = 1
  public var version = ZoneRecord.currentVersion
  public var name: String
  public var fleet: String
  public var service: String
  public var ordinal: Int
  public var secretsDigest: String
  /// The start that was last seen; another one is a restart by the keeper.
  public var startId: String?
  /// The first process ran at least once.
  public var everStarted = false
  /// When the end was that it had had before we last started it, nanoseconds since 1970; 0: it had had none. An end of that
  /// very time says nothing of what we started. nil in what earlier releases kept.
  public var endBefore: UInt64?
  /// We make it, or take it down, to start it, and have not done so yet: owed whatever its policy says. nil: no, and in what
  /// earlier releases kept.
  public var owesStart: Bool?

  public init(_ zone: DesiredZone) {
    name = zone.spec.name
    fleet = zone.spec.fleet ?? ""
    service = zone.service
    ordinal = zone.ordinal
    secretsDigest = zone.secretsDigest
  }
}

/// What the checks of a zone say.
public struct Health: Codable, Equatable, Sendable {
  public enum State: String, Codable, Sendable {
    /// There is no check.
    case unchecked = "none"
    case starting, healthy, unhealthy
  }
  public var state: State
  /// Failures in a row.
  public var failures = 0
  /// Why the last failed check failed.
  public var why: String?
  /// In `starting`: it served before anybody looked at it with this check, and goes on until a failure counts.
  public var servedBefore: Bool?

  public init(_ state: State, failures: Int = 0, why: String? = nil) {
    self.state = state
    self.failures = failures
    self.why = why
  }

  /// Clients are led to it.
  var serves: Bool {
    switch state {
    case .unchecked, .healthy: true
    case .starting: servedBefore == true
    case .unhealthy: false
    }
  }
}

/// How often a zone was brought back by us, or a change failed, and when last.
public struct Healing: Equatable, Sendable {
  public var attempts: Int
  /// As `Planner.now`.
  public var last: UInt64

  public init(attempts: Int, last: UInt64) {
    self.attempts = attempts
    self.last = last
  }

  /// 1, 2, 4 … seconds, at most 60, after each attempt; seconds.
  public var delay: Double { min(60, Double(1 << min(6, max(0, attempts - 1)))) }
  public func isDue(at now: UInt64) -> Bool { now >= last &+ UInt64(delay * 1e9) }
}

/// The machine as the planner sees it.
public struct Observation: Sendable {
  /// Every zone of the machine, of whatever fleet or none, by name.
  public var zones: [String: ObservedZone] = [:]
  public var records: [String: ZoneRecord] = [:]
  /// The living balancers of the fleet, by service.
  public var balancers: [String: Balancer] = [:]
  public var health: [String: Health] = [:]
  public var healing: [String: Healing] = [:]
  /// Since when a zone has been seen at rest without a break; as `Planner.now`.
  public var restingSince: [String: UInt64] = [:]

  public init() {}
}
