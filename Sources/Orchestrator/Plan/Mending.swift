internal import ZoneRuntime

/// Whether a zone whose spec is right must be brought back, and how.
///
/// Restarting after an end is the keeper's; this is for zones whose keeper is gone or gave up, that were never
/// started, that we took down and did not start again, or that run without working.
struct Mending {
  var zone: DesiredZone
  var there: ObservedZone
  var record: ZoneRecord?
  var health: Health?
  var restingSince: UInt64?
  var now: UInt64
  /// By a person.
  var isAsked: Bool
  /// How it ended since our last start of it.
  var end: ObservedZone.Exit?
  var owesStart: Bool

  /// A keeper waits up to 10 s before it restarts a zone that keeps ending. Who rests for longer has no keeper that will.
  static let patience: Double = 15

  init(zone: DesiredZone, there: ObservedZone, in observed: Observation, now: UInt64, isAsked: Bool) {
    self.zone = zone
    self.there = there
    self.isAsked = isAsked
    self.record = observed.records[there.name]
    self.end = observed.end(of: there.name)
    self.owesStart = observed.owesStart(there.name)
    self.health = observed.health[there.name]
    self.restingSince = observed.restingSince[there.name]
    self.now = now
  }

  func change() -> Change? {
    guard let (effect, action, reason) = need() else { return nil }
    return Change(
      effect: effect, action: action, service: zone.service, reasons: [reason], downtime: 0, heals: true)
  }

  private func need() -> (Change.Effect, Change.Action, String)? {
    switch there.state {
    case .unavailable:
      guard zone.spec.restart != .no || owesStart || isAsked else { return nil }
      return (.start, .start(zone, haltFirst: true), "it is unavailable: \(there.why ?? "its keeper is gone")")
    case .installed, .down: return whyStart.map { (.start, .start(zone, haltFirst: false), $0) }
    case .running:
      guard zone.spec.restart != .no, health?.state == .unhealthy else { return nil }
      return (.restart, .restart(zone), "it is unhealthy: \(health?.why ?? "its check fails")")
    case .ready, .frozen, .shuttingDown, .configured, .incomplete: return nil
    }
  }

  /// Why a zone at rest is to be started; nil where it is not.
  private var whyStart: String? {
    if record?.everStarted != true, there.startId == nil, there.exit == nil { return "it was never started" }
    if owesStart { return "it was taken down to be started again" }
    // A living keeper is about to act on its policy.
    guard there.keeper == nil else { return nil }
    let ended = "it ended\(there.exit.map { " (\($0.why))" } ?? "")"
    // As with Compose's `up`: who asks for a fleet wants what has stopped, but for work that is done.
    if isAsked { return isDone ? nil : end == nil ? "it does not run" : ended }
    guard let restingSince, now >= restingSince + UInt64(Self.patience * 1e9), wantsRestart else { return nil }
    return "\(ended) and its policy is \(zone.spec.restart.text)"
  }

  private var isDone: Bool {
    switch zone.spec.restart {
    case .no, .onFailure: end?.shellCode == 0
    case .always, .unlessStopped: false
    }
  }

  private var wantsRestart: Bool {
    switch zone.spec.restart {
    case .no: false
    case .always, .unlessStopped: true
    case .onFailure(let limit):
      there.exit.map { $0.shellCode != 0 && limit.map { there.restarts < $0 } ?? true } ?? true
    }
  }
}
