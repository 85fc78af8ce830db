internal import ZoneRuntime

/// From what is to be and what is to what must be done. Pure: the same input gives the same plan, and a plan that
/// was carried out leaves nothing to plan.
public struct Planner: Sendable {
  public var fleet: FleetSpec
  /// As it was applied before; nil on the first time.
  public var previous: FleetSpec?
  public var placement: Placement
  public var observed: Observation
  /// Nanoseconds by a clock that nobody sets (CLOCK_MONOTONIC): what is counted from it ends with the daemon.
  public var now: UInt64
  /// A person asks: what was tried just now is tried again at once, and what rests is started. Otherwise it has its time.
  public var isAsked = false

  public init(fleet: FleetSpec, previous: FleetSpec?, placement: Placement, observed: Observation, now: UInt64) {
    self.fleet = fleet
    self.previous = previous
    self.placement = placement
    self.observed = observed
    self.now = now
  }

  /// - Throws: `conflict` where a name is taken by a zone that is not this fleet's.
  public func plan() throws(FleetError) -> Plan {
    var plan = Plan(fleet: fleet.name)
    var wave = 0
    func add(_ changes: [Change]) {
      plan.changes += changes.map { change in
        var change = change
        change.wave = wave
        return change
      }
      if !changes.isEmpty { wave += 1 }
    }

    var desired: [String: [DesiredZone]] = [:]
    for service in fleet.services.keys { desired[service] = fleet.zones(of: service, on: placement) }
    try refuseForeign(desired)

    var changes: [String: [Change]] = [:]
    for service in fleet.servicesInOrder { changes[service] = changed(desired[service] ?? []) }
    let gone = gone(desired)
    // Before anything is stopped, made or removed: a port that goes from one to another is away for a moment.
    let handover = PortHandover(self, changes, gone: gone)
    add(handover.drops)
    add(handover.takes + fleet.servicesInOrder.flatMap { policyChange($0) })
    for group in removals(gone, desired) { add(group) }

    for service in fleet.servicesInOrder {
      let waits = fleet.services[service]!.dependsOn.sorted { $0.key < $1.key }.map { Wait.service($0.key, $0.value) }
      let deep = changes[service]!.filter { $0.effect != .live }.map { change in
        var change = change
        change.waits = waits
        return change
      }
      add(deep.filter { $0.effect == .create || $0.effect == .start })
      // One replica after the other, each only when all others serve but those whose turn has not come. That counts those
      // which an earlier plan changed: where one came to nothing no other follows, whoever plans next.
      let turns = deep.filter { $0.effect == .restart || $0.effect == .recreate }
      let waiting = Set(turns.map(\.name))
      var others = (desired[service] ?? []).map(\.spec.name).filter { !waiting.contains($0) }
      for var change in turns {
        if !change.heals { change.waits += others.map(Wait.zone) }
        others.append(change.name)
        add([change])
      }
      if let balancer = handover.later[service] { add([balancer]) }
    }
    return plan
  }

  private func refuseForeign(_ desired: [String: [DesiredZone]]) throws(FleetError) {
    for zone in desired.values.joined().sorted(by: { $0.spec.name < $1.spec.name }) {
      guard let there = observed.zones[zone.spec.name], there.spec.fleet != fleet.name else { continue }
      let owner = there.spec.fleet.map { "the fleet '\($0)'" } ?? "nobody's fleet"
      throw .conflict(
        "cannot make the zone \(zone.spec.name): it exists already and is of \(owner) (rename the fleet or delete that zone)"
      )
    }
  }

  // MARK: what goes

  private func gone(_ desired: [String: [DesiredZone]]) -> [ObservedZone] {
    let kept = Set(desired.values.joined().map(\.spec.name))
    return observed.zones.values.filter {
      $0.spec.fleet == fleet.name && !kept.contains($0.name) && isDue($0.name)
    }.sorted { $0.name < $1.name }
  }

  private func removals(_ gone: [ObservedZone], _ desired: [String: [DesiredZone]]) -> [[Change]] {
    let byService = Dictionary(grouping: gone) { $0.spec.labels[FleetSpec.serviceLabel] ?? "" }
    // Users go before what they use.
    let order = (previous ?? fleet).servicesInOrder.reversed() + byService.keys.sorted()
    var done: Set<String> = []
    return order.compactMap { service in
      guard done.insert(service).inserted, let zones = byService[service] else { return nil }
      let isKept = fleet.services[service] != nil
      return zones.map { zone in
        Change(
          effect: .remove, action: .remove(zone: zone.name), service: service,
          reasons: [
            isKept ? "\(desired[service]?.count ?? 0) replicas are wanted" : "the service is no longer in the manifest"
          ],
          downtime: isKept && !(desired[service] ?? []).isEmpty ? 0 : zone.spec.stopGrace)
      }
    }
  }

  // MARK: what differs

  private func changed(_ zones: [DesiredZone]) -> [Change] {
    zones.compactMap { zone in
      guard isDue(zone.spec.name) else { return nil }
      guard let there = observed.zones[zone.spec.name] else {
        return Change(
          effect: .create, action: .create(zone), service: zone.service, reasons: ["it is not there"], downtime: 0)
      }
      if there.state == .incomplete || there.state == .configured {
        return deep(.recreate, ["its creation was cut short"], zone, there)
      }
      let record = observed.records[zone.spec.name]
      var differences = SpecDifference.between(there.spec, zone.spec)
      if let record, record.secretsDigest != zone.secretsDigest, !differences.contains(where: { $0.field == "secrets" })
      {
        differences.append(SpecDifference(field: "secrets", effect: .restart))
      }
      let reasons = differences.map(\.field)
      if differences.contains(where: { $0.effect == .recreate }) {
        return deep(.recreate, reasons, zone, there)
      }
      if differences.contains(where: { $0.effect == .restart }) {
        return deep(.restart, reasons, zone, there)
      }
      // A zone that must be started anyway is given its spec on the way.
      if let start = Mending(zone: zone, there: there, in: observed, now: now, isAsked: isAsked).change() {
        return start
      }
      return differences.isEmpty
        ? nil : Change(effect: .live, action: .set(zone), service: zone.service, reasons: reasons, downtime: 0)
    }
  }

  /// - Parameter name: a change's.
  func isDue(_ name: String) -> Bool { isAsked || observed.healing[name]?.isDue(at: now) ?? true }

  /// A change that stops a zone: where others serve meanwhile, the service is not away.
  private func deep(_ effect: Change.Effect, _ reasons: [String], _ zone: DesiredZone, _ there: ObservedZone) -> Change
  {
    let hasOthers = (fleet.services[zone.service]?.replicas ?? 0) > 1
    return Change(
      effect: effect, action: effect == .recreate ? .recreate(zone) : .restart(zone), service: zone.service,
      reasons: reasons, downtime: hasOthers ? 0 : zone.spec.stopGrace + 1, heals: isMissedByNobody(there))
  }

  /// Whether a zone serves nobody, so that no other has to serve in its place. Unasked, only one that was left halfway: any
  /// other may be back in a moment, by its keeper and as it was.
  private func isMissedByNobody(_ there: ObservedZone) -> Bool {
    if isAsked { return !there.isLive || observed.health[there.name]?.state == .unhealthy }
    return there.state == .incomplete || there.state == .configured || !there.isLive && observed.owesStart(there.name)
  }

  /// What only the orchestrator acts on.
  private func policyChange(_ service: String) -> [Change] {
    guard let new = fleet.services[service], let old = previous?.services[service] else { return [] }
    var reasons: [String] = []
    if new.health != old.health { reasons.append("healthcheck") }
    if new.dependsOn != old.dependsOn { reasons.append("depends_on") }
    guard !reasons.isEmpty else { return [] }
    return [Change(effect: .live, action: .adopt(service: service), service: service, reasons: reasons, downtime: 0)]
  }
}

extension Planner {
  /// The plan of a place where no fleet was applied yet, made without a daemon and without writing anything.
  public static func first(_ manifest: Manifest, on driver: any ZoneDriver, _ directories: FleetDirectories)
    throws(FleetError) -> PlanReply
  {
    var observed = Observation()
    do {
      observed.zones = Dictionary(uniqueKeysWithValues: try driver.list().map { ($0.name, $0) })
    } catch { throw .failed(error.description) }
    let placement = Placement(
      zonesAreReachable: driver.zonesAreReachable, secretsDirectory: directories.secrets(manifest.fleet.name))
    let planner = Planner(fleet: manifest.fleet, previous: nil, placement: placement, observed: observed, now: 0)
    return PlanReply(fleet: manifest.fleet.name, changes: try planner.plan().summary)
  }
}
