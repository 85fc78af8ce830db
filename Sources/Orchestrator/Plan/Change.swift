internal import ZoneRuntime

/// One step of a plan.
public struct Change: Equatable, Sendable {
  /// How deep it cuts.
  public enum Effect: String, Codable, Sendable, CaseIterable { case create, start, live, restart, recreate, remove }

  public enum Action: Equatable, Sendable {
    case create(DesiredZone)
    /// Halts what is left of it first where the state is `unavailable`.
    case start(DesiredZone, haltFirst: Bool)
    case set(DesiredZone)
    case restart(DesiredZone)
    case recreate(DesiredZone)
    case remove(zone: String)
    case startBalancer(Balancer)
    case stopBalancer(Balancer)
    /// Only what the orchestrator itself does differs: a healthcheck, say. Storing the manifest is all.
    case adopt(service: String)
  }

  public var effect: Effect
  public var action: Action
  public var service: String
  public var reasons: [String]
  /// Seconds that the service is away at most; 0 where it goes on serving.
  public var downtime: Double
  /// What must hold before it is done.
  public var waits: [Wait] = []
  /// It brings back what does not serve, so nothing is taken away by it.
  public var heals = false
  /// Changes of one wave are done side by side, waves one after the other.
  public var wave = 0

  /// The name of what is changed: a zone's, `SERVICE (balancer)`, or a service's.
  public var name: String {
    switch action {
    case .create(let zone), .start(let zone, _), .set(let zone), .restart(let zone), .recreate(let zone): zone.spec.name
    case .remove(let zone): zone
    case .startBalancer(let balancer), .stopBalancer(let balancer): Self.name(of: balancer)
    case .adopt(let service): service
    }
  }

  static func name(of balancer: Balancer) -> String { "\(balancer.name) (balancer)" }

  /// As the zone is to be; nil where it is about no zone, or about its end.
  var zone: DesiredZone? {
    switch action {
    case .create(let zone), .start(let zone, _), .set(let zone), .restart(let zone), .recreate(let zone): zone
    case .remove, .startBalancer, .stopBalancer, .adopt: nil
    }
  }
}

/// A condition on another service, or on another replica of the same.
public enum Wait: Equatable, Sendable {
  case service(String, DependencyCondition)
  /// The zone serves: it runs and, where it has a check, is healthy; or its work is done.
  case zone(String)

  /// As in `waiting for …`.
  var words: String {
    switch self {
    case .zone(let name): "\(name) to serve again"
    case .service(let service, .started): "\(service) to start"
    case .service(let service, .healthy): "\(service) to be healthy"
    case .service(let service, .completed): "\(service) to complete"
    }
  }
}

/// A change in the words of the API and the table that `plan` prints.
public struct ChangeSummary: Codable, Equatable, Sendable {
  public var effect: Change.Effect
  public var name: String
  public var service: String
  public var reasons: [String]
  public var downtime: Double

  init(_ change: Change) {
    effect = change.effect
    name = change.name
    service = change.service
    reasons = change.reasons
    downtime = change.downtime
  }
}

/// What is to be done, in order. Empty: the fleet is as it should be.
public struct Plan: Equatable, Sendable {
  public var fleet: String
  public var changes: [Change] = []

  public var waves: [[Change]] {
    Dictionary(grouping: changes, by: \.wave).sorted { $0.key < $1.key }.map(\.value)
  }
  public var summary: [ChangeSummary] { changes.map(ChangeSummary.init) }
}
