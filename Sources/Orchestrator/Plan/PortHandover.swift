internal import VirtualNet
internal import ZoneRuntime

/// How published ports change hands: who is to lose one that somebody else is to have drops it, and directly afterwards
/// whoever can takes his. So two may swap theirs, and a port does not wait for a stop, a start or a rollout.
struct PortHandover {
  /// Balancers that end, and zones that drop what others are to have: also zones that are to be restarted or removed later.
  private(set) var drops: [Change] = []
  /// Zones that are changed while they run, and balancers of services whose replicas run already.
  private(set) var takes: [Change] = []
  /// Balancers that need a replica first, by service.
  private(set) var later: [String: Change] = [:]

  private let planner: Planner
  /// Who is to have a port that he has not yet: a zone's name, or a balancer's.
  private var takers: [(name: String, port: PublishedPort)] = []

  /// - Parameters:
  ///   - changes: of each service's zones.
  ///   - gone: the zones that are to be removed.
  init(_ planner: Planner, _ changes: [String: [Change]], gone: [ObservedZone]) {
    self.planner = planner
    let services = planner.fleet.servicesInOrder
    let zones = services.flatMap { changes[$0] ?? [] }
    for change in zones {
      let held = there(change)?.spec.publish ?? []
      takers += (change.zone?.spec.publish ?? []).filter { !held.contains($0) }.map { (change.name, $0) }
    }
    let starts = services.compactMap { balancerToStart($0) }
    for start in starts {
      guard case .startBalancer(let balancer) = start.action else { continue }
      takers += balancer.ports.map { (start.name, $0) }
    }

    drops = balancersToStop()
    for change in zones { add(change) }
    for zone in gone {
      if let drop = drop(zone, zone.spec.publish, service: zone.spec.labels[FleetSpec.serviceLabel] ?? "") {
        drops.append(drop)
      }
    }
    for start in starts {
      let hasReplica = planner.fleet.zones(of: start.service, on: planner.placement).contains {
        planner.observed.zones[$0.spec.name]?.isLive == true
      }
      if hasReplica { takes.append(start) } else { later[start.service] = start }
    }
  }

  private func there(_ change: Change) -> ObservedZone? {
    planner.observed.zones[change.name].flatMap { $0.isLive ? $0 : nil }
  }

  private mutating func add(_ change: Change) {
    let going = (there(change)?.spec.publish ?? []).filter { change.zone?.spec.publish.contains($0) == false }
    let drop = there(change).flatMap { self.drop($0, going, service: change.service) }
    guard change.effect == .live else {
      if let drop { drops.append(drop) }
      return
    }
    guard let drop else { return takes.append(change) }
    // One that takes nothing is done with it; for the other the rest follows.
    if takers.contains(where: { $0.name == change.name }) {
      drops.append(drop)
      takes.append(change)
    } else {
      var whole = change
      whole.downtime = drop.downtime
      drops.append(whole)
    }
  }

  /// - Returns: nil where nobody else is to have any of the ports.
  private func drop(_ zone: ObservedZone, _ ports: [PublishedPort], service: String) -> Change? {
    let wanted = takers.filter { taker in taker.name != zone.name && ports.contains { $0.clashes(with: taker.port) } }
    guard !wanted.isEmpty else { return nil }
    let record = planner.observed.records[zone.name]
    var less = DesiredZone(
      spec: zone.spec, service: service, ordinal: record?.ordinal ?? 0, secretsDigest: record?.secretsDigest ?? "")
    less.spec.publish.removeAll { port in
      ports.contains(port) && wanted.contains { $0.port.clashes(with: port) }
    }
    let own = Set(planner.fleet.zones(of: service, on: planner.placement).map(\.spec.name) + [balancerName(service)])
    return Change(
      effect: .live, action: .set(less), service: service, reasons: ["ports"],
      downtime: wanted.contains { own.contains($0.name) } ? 1 : 0)
  }

  private func balancerName(_ service: String) -> String {
    Change.name(of: Balancer(fleet: planner.fleet.name, service: service, listeners: []))
  }

  private func balancersToStop() -> [Change] {
    planner.observed.balancers.sorted { $0.key < $1.key }.compactMap { service, running in
      let wanted = planner.fleet.balancer(of: service)
      guard wanted != running else { return nil }
      let isTaken = takers.contains { taker in running.ports.contains { $0.clashes(with: taker.port) } }
      let stop = Change(
        effect: wanted == nil ? .remove : .restart, action: .stopBalancer(running), service: service,
        reasons: [wanted == nil ? "no port is shared by replicas" : "ports"],
        downtime: wanted != nil || isTaken ? 1 : 0)
      return planner.isDue(stop.name) ? stop : nil
    }
  }

  private func balancerToStart(_ service: String) -> Change? {
    guard let wanted = planner.fleet.balancer(of: service), planner.observed.balancers[service] != wanted else {
      return nil
    }
    let ports = wanted.listeners.map { String($0.hostPort) }.joined(separator: ", ")
    let start = Change(
      effect: .create, action: .startBalancer(wanted), service: service,
      reasons: ["port \(ports) is shared by its replicas"], downtime: 0)
    return planner.isDue(start.name) ? start : nil
  }
}

extension Balancer {
  fileprivate var ports: [PublishedPort] {
    listeners.map { PublishedPort(hostAddress: $0.hostAddress, hostPort: $0.hostPort, zonePort: $0.zonePort) }
  }
}

extension PublishedPort {
  /// As ports of a manifest do.
  fileprivate func clashes(with other: PublishedPort) -> Bool { servicePort.clashes(with: other.servicePort) }

  private var servicePort: ServicePort {
    ServicePort(
      hostAddress: hostAddress, host: hostPort...hostPort, zone: zonePort...zonePort, transport: transport)
  }
}
