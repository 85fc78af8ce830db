internal import LinuxNS
internal import Logging
internal import VirtualNet
internal import ZoneRuntime

/// Looking: what the zones do, told as events, and what follows from it for checks and balancers.
extension Conductor {
  func observe() async throws(FleetError) {
    looksBegun += 1
    let (look, busy) = (looksBegun, working)
    let found = try await node.look { try $0.list() }
    // One that began before what is known already would tell of the past.
    guard look > lastLook else { return }
    lastLook = look
    await note(found, busy: busy)
  }

  /// - Parameter busy: zones that a change of ours was about when the look began.
  func note(_ found: [ObservedZone], busy: Set<String> = []) async {
    let before = zones
    zones = Dictionary(found.map { ($0.name, $0) }) { first, _ in first }
    for zone in found.sorted(by: { $0.name < $1.name }) {
      guard let record = zoneRecords[zone.name], zone.spec.fleet == record.fleet,
        !working.contains(zone.name), !busy.contains(zone.name)
      else { continue }
      await noteChange(of: zone, before: before[zone.name], record)
    }
    noteRest(now)
    calm(now)
    await keepChecks(before)
    feedBalancers()
  }

  private func noteChange(of zone: ObservedZone, before: ObservedZone?, _ record: ZoneRecord) async {
    if record.owesStart == true, zone.state == .running {
      // Who was to start it was killed, before he could take it down or after he had started it.
      if zone.startId != record.startId {
        await events.add("zone.started", fleet: record.fleet, zone: zone.name, "started by the daemon before this one")
      }
      await remember(zone.name, zone.startId)
    } else if let startId = zone.startId, startId != record.startId {
      let ending = zone.exit.map { ": it had ended, \($0.why)" } ?? ""
      await events.add("zone.restarted", fleet: record.fleet, zone: zone.name, "started again by its policy\(ending)")
      await remember(zone.name, startId)
    }
    guard let before, before.state != zone.state else { return }
    switch zone.state {
    case .unavailable:
      await events.add(
        "zone.unavailable", fleet: record.fleet, zone: zone.name,
        zone.why ?? "what is there does not fit what was recorded")
    case .installed, .down:
      if before.isLive {
        await events.add(
          "zone.ended", fleet: record.fleet, zone: zone.name, zone.exit?.why ?? "its end was not recorded")
      }
    case .frozen: await events.add("zone.paused", fleet: record.fleet, zone: zone.name, "all its processes stand still")
    case .running where before.state == .frozen:
      await events.add("zone.resumed", fleet: record.fleet, zone: zone.name, "its processes go on")
    case .configured, .incomplete, .ready, .running, .shuttingDown: break
    }
  }

  /// Writes down which start of a zone we know of.
  func remember(_ zone: String, _ startId: String?) async {
    // A change that began meanwhile knows better, and notes it itself.
    guard var record = zoneRecords[zone], !working.contains(zone) else { return }
    record.startId = startId
    record.everStarted = true
    record.owesStart = nil
    zoneRecords[zone] = record
    do { try await records.put(record) } catch { logger.error("cannot remember the start of \(zone): \(error)") }
  }

  private func noteRest(_ now: UInt64) {
    let resting = zones.values.filter { ($0.state == .installed || $0.state == .down) && !working.contains($0.name) }
    restingSince = Dictionary(uniqueKeysWithValues: resting.map { ($0.name, restingSince[$0.name] ?? now) })
  }

  /// A zone that has been well for a minute gets its first, short delay back.
  private func calm(_ now: UInt64) {
    for (zone, entry) in healing where now > entry.last &+ 60_000_000_000 {
      if zones[zone]?.state == .running, health[zone]?.state != .unhealthy { healing[zone] = nil }
    }
  }

  // MARK: checks

  func noteHealth(_ zone: String, _ new: Health) async {
    guard let record = zoneRecords[zone] else { return }
    let old = health[zone]
    health[zone] = new
    switch (old?.state, new.state) {
    case (.healthy, .healthy), (.unhealthy, .unhealthy): break
    case (_, .healthy): await events.add("zone.healthy", fleet: record.fleet, zone: zone, "its check succeeds")
    case (_, .unhealthy):
      await events.add("zone.unhealthy", fleet: record.fleet, zone: zone, new.why ?? "its check fails")
    default: break
    }
    if old?.state == .healthy, old?.failures == 0, new.failures == 1 {
      await events.add("zone.check_failed", fleet: record.fleet, zone: zone, new.why ?? "its check fails")
    }
    if old?.serves != new.serves { feedBalancers() }
  }

  /// - Parameter before: the zones as they were seen before this look.
  private func keepChecks(_ before: [String: ObservedZone]) async {
    var subjects: [HealthKeeper.Subject] = []
    var states: [String: Health] = [:]
    var serving: Set<String> = []
    for (name, record) in zoneRecords {
      guard let fleet = fleets[record.fleet]?.record, fleet.wanted == .running,
        let service = fleet.spec.services[record.service], let zone = zones[name]
      else { continue }
      guard let check = service.health else {
        states[name] = Health(.unchecked)
        continue
      }
      guard zone.state == .running else { continue }
      subjects.append(.init(zone: name, startId: zone.startId, check: check, endpoints: endpoints(zone, service)))
      if before[name]?.startId == zone.startId, health[name]?.serves == true { serving.insert(name) }
    }
    await checks.keep(subjects, serving: serving)
    let kept = await checks.health
    for subject in subjects { states[subject.zone] = kept[subject.zone] ?? Health(.starting) }
    health = states
  }

  private func endpoints(_ zone: ObservedZone, _ service: Service) -> [UInt16: Endpoint] {
    (service.health?.ports ?? []).reduce(into: [:]) { $0[$1] = endpoint(zone, $1) }
  }

  /// Where the host reaches a port of a zone, if it does.
  func endpoint(_ zone: ObservedZone, _ port: UInt16) -> Endpoint? {
    if case .host = zone.spec.network { return Endpoint(host: "127.0.0.1", port: port) }
    if node.driver.zonesAreReachable {
      let address = zone.addresses.first { !$0.contains(":") } ?? zone.addresses.first
      return address.map { Endpoint(host: $0, port: port) }
    }
    return zone.spec.publish.first { $0.zonePort == port && $0.hostAddress == "127.0.0.1" && $0.transport == .tcp }
      .map { Endpoint(host: "127.0.0.1", port: $0.hostPort) }
  }

  // MARK: balancers

  /// For each listener the replicas that serve: running, and healthy where there is a check that was made.
  func backends(of balancer: Balancer) -> [[Endpoint]] {
    let replicas = zoneRecords.values.filter { $0.fleet == balancer.fleet && $0.service == balancer.service }
      .sorted { $0.ordinal < $1.ordinal }
    let serving = replicas.compactMap { record -> ObservedZone? in
      guard let zone = zones[record.name], zone.state == .running, health[record.name]?.serves == true else {
        return nil
      }
      return zone
    }
    return balancer.listeners.map { listener in serving.compactMap { endpoint($0, listener.zonePort) } }
  }

  /// What a daemon before this one led clients to goes on serving, as long as it is of the start that it knew.
  func adoptServing(_ found: [ObservedZone]) {
    for (zone, service, spec) in found.compactMap({ owned($0) }) where zone.startId == zoneRecords[zone.name]?.startId {
      guard let balancer = spec.balancer(of: service), let file = balancers.file(of: balancer) else { continue }
      let served = zip(file.balancer.listeners, file.backends).contains { listener, backends in
        endpoint(zone, listener.zonePort).map(backends.contains) ?? false
      }
      guard served else { continue }
      zones[zone.name] = zone
      health[zone.name] = Health(.healthy)
    }
  }

  private func owned(_ zone: ObservedZone) -> (ObservedZone, service: String, FleetSpec)? {
    guard zone.state == .running, let record = zoneRecords[zone.name], zone.spec.fleet == record.fleet,
      let fleet = fleets[record.fleet]?.record, fleet.wanted == .running
    else { return nil }
    return (zone, record.service, fleet.spec)
  }

  func feedBalancers() {
    for fleet in fleets.values where fleet.record.wanted == .running {
      for service in fleet.record.spec.services.keys {
        guard let balancer = fleet.record.spec.balancer(of: service) else { continue }
        do { try balancers.feed(balancer, backends(of: balancer)) } catch { logger.error("\(error)") }
      }
    }
  }
}
