internal import ZoneRuntime

/// Whether a zone whose spec is right must be brought back, and how.
///
/// Restarting after an end is the keeper's; this is for zones whose keeper is gone or gave up, that were never
/// started, or that run without working.
struct Mending {
  var zone: DesiredZone
  var there: ObservedZone
  var record: ZoneRecord?
  var health: Health?
  var restingSince: UInt64?
  var now: UInt64

  /// A keeper waits up to 10 s before it restarts a zone that keeps ending. Who rests for longer has no keeper that will.
  static let patience: Double = 15

  init(zone: DesiredZone, there: ObservedZone, record: ZoneRecord?, in observed: Observation, now: UInt64) {
    self.zone = zone
    self.there = there
    self.record = record
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
    let neverStarted = record?.everStarted != true && there.startId == nil && there.exit == nil
    switch there.state {
    case .unavailable:
      guard zone.spec.restart != .no else { return nil }
      return (.start, .start(zone, haltFirst: true), "it is unavailable: \(there.why ?? "its keeper is gone")")
    case .installed, .down:
      if neverStarted { return (.start, .start(zone, haltFirst: false), "it was never started") }
      // A living keeper is about to act on its policy.
      guard there.keeper == nil, let restingSince, now >= restingSince + UInt64(Self.patience * 1e9) else { return nil }
      return wantsRestart
        ? (
          .start, .start(zone, haltFirst: false),
          "it ended\(there.exit.map { " (\($0.why))" } ?? "") and its policy is \(zone.spec.restart.text)"
        ) : nil
    case .running:
      guard zone.spec.restart != .no, health?.state == .unhealthy else { return nil }
      return (.restart, .restart(zone), "it is unhealthy: \(health?.why ?? "its check fails")")
    case .ready, .frozen, .shuttingDown, .configured, .incomplete: return nil
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
