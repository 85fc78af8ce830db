internal import ResourceControl
internal import VirtualNet
internal import ZoneRuntime

/// One line of `ps`.
public struct ZoneRow: Codable, Equatable, Sendable {
  public var fleet: String
  public var service: String
  public var name: String
  /// The zone's state; `none` where it is wanted and not there.
  public var state: String
  /// Why it is unavailable.
  public var why: String?
  public var health: Health.State
  /// Why its last check failed.
  public var healthWhy: String?
  public var restarts: Int
  public var addresses: [String]
  /// `8080->80/tcp`; shared among replicas where a balancer has it.
  public var ports: [String]
  /// Nanoseconds since 1970.
  public var started: UInt64?
  public var exit: ObservedZone.Exit?
  public var pid: Int32?
}

/// Looking from outside.
extension Conductor {
  public var names: [String] { fleets.keys.sorted() }

  public func rows(fleet wanted: String?) async throws(FleetError) -> [ZoneRow] {
    if let wanted, fleets[wanted] == nil {
      throw .notFound("there is no fleet '\(wanted)'\(hint(for: wanted, in: fleets.keys))")
    }
    try await observe()
    var rows: [ZoneRow] = []
    for (name, fleet) in fleets.sorted(by: { $0.key < $1.key }) where wanted == nil || wanted == name {
      guard fleet.record.wanted != .volumesOnly else { continue }
      let spec = fleet.record.spec
      for (service, declared) in spec.services.sorted(by: { $0.key < $1.key }) {
        for ordinal in 0..<declared.replicas { rows.append(row(spec, service, spec.zoneName(service, ordinal + 1))) }
      }
      // Zones on their way out are shown until they are gone.
      let listed = Set(rows.map(\.name))
      for zone in zones.values.sorted(by: { $0.name < $1.name })
      where zone.spec.fleet == name && !listed.contains(zone.name) {
        rows.append(row(spec, zone.spec.labels[FleetSpec.serviceLabel] ?? "", zone.name))
      }
    }
    return rows
  }

  private func row(_ spec: FleetSpec, _ service: String, _ name: String) -> ZoneRow {
    let zone = zones[name]
    let state = zone.map(\.state.rawValue) ?? "none"
    let checked = health[name] ?? Health(spec.services[service]?.health == nil ? .unchecked : .starting)
    let own = zone?.spec.publish.filter { port in
      !(port.hostAddress == "127.0.0.1"
        && fleets[spec.name]?.record.loopbackPorts[name]?[port.zonePort] == port.hostPort)
    }
    let shared = spec.balancer(of: service)?.listeners.map { text($0.hostAddress, $0.hostPort, $0.zonePort, "tcp") }
    return ZoneRow(
      fleet: spec.name, service: service, name: name, state: state, why: zone?.why,
      health: zone?.state == .running ? checked.state : .unchecked, healthWhy: checked.why,
      restarts: zone?.restarts ?? 0,
      addresses: zone?.addresses ?? [],
      ports: (own ?? []).map { text($0.hostAddress, $0.hostPort, $0.zonePort, $0.transport.rawValue) } + (shared ?? []),
      started: zone?.isLive == true ? zone?.started : nil, exit: zone?.exit, pid: zone?.pid)
  }

  private func text(_ address: String?, _ host: UInt16, _ zone: UInt16, _ transport: String) -> String {
    let place = address.map { Endpoint(host: $0, port: host).description } ?? String(host)
    return "\(place)->\(zone)/\(transport)"
  }

  public func eventStream(following: Bool) async throws(FleetError) -> AsyncStream<FleetEvent> {
    try await events.stream(following: following)
  }

  /// The zones whose logs are asked for: of one fleet or all, of some services or all.
  public func logFiles(fleet: String?, services: [String]) throws(FleetError) -> [(zone: String, path: String)] {
    if let fleet, fleets[fleet] == nil {
      throw .notFound("there is no fleet '\(fleet)'\(hint(for: fleet, in: fleets.keys))")
    }
    let chosen = fleets.values.filter { fleet == nil || $0.record.spec.name == fleet }
    let known = Set(chosen.flatMap { $0.record.spec.services.keys })
    for service in services where !known.contains(service) {
      throw .notFound("there is no service '\(service)'\(hint(for: service, in: known))")
    }
    return zoneRecords.values
      .filter { (fleet == nil || $0.fleet == fleet) && (services.isEmpty || services.contains($0.service)) }
      .sorted { ($0.fleet, $0.service, $0.ordinal) < ($1.fleet, $1.service, $1.ordinal) }
      .map { ($0.name, node.driver.logPath($0.name)) }
  }
}
