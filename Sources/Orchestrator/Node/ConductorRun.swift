internal import LinuxNS
internal import ZoneRuntime

/// Doing: a plan's changes, wave by wave.
extension Conductor {
  /// Does whatever does not wait for what failed: one service that cannot start keeps no other from it.
  /// - Parameter deadline: until when a change waits for what must hold before it (`Clock.monotonicNanoseconds`); nil:
  ///   changes that would have to wait are left for the next look.
  func carryOut(_ plan: Plan, for fleet: FleetSpec, deadline: UInt64?, progress: @escaping ProgressReport)
    async throws(FleetError) -> Undone
  {
    var undone = Undone()
    for wave in plan.waves {
      var ready: [Change] = []
      for change in wave {
        if deadline != nil, let cause = undone.cause(of: change) {
          undone.leave(change)
          await progress(Progress(name: change.name, text: "left as it is, for \(cause) failed"))
          continue
        }
        do throws(FleetError) {
          if try await waitUntilReady(change, fleet, deadline, progress) { ready.append(change) }
        } catch { await note(ChangeFailure(change: change, error: error), fleet, &undone) }
      }
      let failed = await withTaskGroup(of: ChangeFailure?.self) { group in
        for change in ready {
          group.addTask {
            do throws(FleetError) {
              try await self.perform(change, fleet, progress)
              await self.noteDone(change)
              return nil
            } catch {
              return ChangeFailure(
                change: change, error: .failed("cannot \(change.effect.rawValue) \(change.name): \(error)"))
            }
          }
        }
        var failures: [ChangeFailure] = []
        for await failure in group { if let failure { failures.append(failure) } }
        return failures
      }
      for failure in failed.sorted(by: { $0.change.name < $1.change.name }) { await note(failure, fleet, &undone) }
      try await observe()
    }
    return undone
  }

  private func noteDone(_ change: Change) { failedWith[change.name] = nil }

  private func note(_ failure: ChangeFailure, _ fleet: FleetSpec, _ undone: inout Undone) async {
    undone.add(failure)
    // One that heals has been counted when it was tried.
    if !failure.change.heals { noteHealing(failure.change.name) }
    let text = failure.error.description
    guard failedWith.updateValue(text, forKey: failure.change.name) != text else { return }
    await events.add("zone.failed", fleet: fleet.name, zone: failure.change.name, text)
  }

  private func perform(_ change: Change, _ fleet: FleetSpec, _ progress: ProgressReport) async throws(FleetError) {
    let name = change.name
    working.insert(name)
    defer { working.remove(name) }
    if change.heals { noteHealing(name) }
    switch change.action {
    case .create(let zone):
      await progress(Progress(name: name, text: "creating"))
      try await noteStart(of: zone, nil)
      try await node.call { driver in
        try driver.create(zone.spec)
        try driver.start(name)
      }
      try await started(zone, fleet, "zone.created", progress)
    case .start(let zone, let haltFirst):
      await progress(Progress(name: name, text: "starting"))
      try await noteOwed(zone)
      let there = try await node.stop { driver in
        if haltFirst { try driver.halt(name) }
        return try driver.status(name)
      }
      try await noteStart(of: zone, there)
      try await node.call { driver in
        if there?.spec != zone.spec { _ = try driver.set(name, to: zone.spec) }
        do { try driver.start(name) } catch {
          // Its keeper was quicker: it runs, and must not be started twice.
          guard try driver.status(name)?.isLive == true else { throw error }
        }
      }
      try await started(zone, fleet, "zone.started", progress)
    case .set(let zone):
      let late = try await node.call { try $0.set(name, to: zone.spec) }
      if late.isEmpty || zones[name]?.isLive != true {
        await tell("zone.changed", fleet, name, change.reasons.joined(separator: ", "), "changed", progress)
      } else {
        // The runtime knows better than the table of differences; what is wanted comes in force all the same.
        try await restart(zone)
        try await started(zone, fleet, "zone.restarted", progress)
      }
    case .restart(let zone):
      await progress(Progress(name: name, text: "restarting"))
      try await restart(zone)
      try await started(zone, fleet, "zone.restarted", progress)
    case .recreate(let zone):
      await progress(Progress(name: name, text: "recreating"))
      try await noteOwed(zone)
      try await node.stop { driver in
        if try driver.status(name)?.isLive == true { try driver.stop(name) }
        try driver.delete(name)
      }
      try await noteStart(of: zone, nil)
      try await node.call { driver in
        try driver.create(zone.spec)
        try driver.start(name)
      }
      try await started(zone, fleet, "zone.recreated", progress)
    case .remove(let zone):
      await progress(Progress(name: name, text: "stopping"))
      try await remove(zone)
      await tell("zone.removed", fleet, name, change.reasons.joined(separator: ", "), "removed", progress)
    case .startBalancer(let balancer):
      let backends = backends(of: balancer)
      let control = balancers
      try await node.call { _ in try control.start(balancer, backends) }
      healing[name] = nil
      await tell(
        "balancer.started", fleet, nil, "\(balancer.name): \(change.reasons.joined(separator: ", "))", "started",
        progress, name)
    case .stopBalancer(let balancer):
      let control = balancers
      try await node.call { _ in try control.stop(fleet: balancer.fleet, service: balancer.service) }
      await tell(
        "balancer.ended", fleet, nil, "\(balancer.name): \(change.reasons.joined(separator: ", "))", "ended", progress,
        name)
    case .adopt: await progress(Progress(name: name, text: "\(change.reasons.joined(separator: ", ")) changed"))
    }
  }

  private func restart(_ zone: DesiredZone) async throws(FleetError) {
    let name = zone.spec.name
    try await noteOwed(zone)
    let there = try await node.stop { driver in
      let there = try driver.status(name)
      if there?.isLive == true { try driver.stop(name) }
      if there?.state == .unavailable { try driver.halt(name) }
      return try driver.status(name)
    }
    try await noteStart(of: zone, there)
    try await node.call { driver in
      if there?.spec != zone.spec { _ = try driver.set(name, to: zone.spec) }
      try driver.start(name)
    }
  }

  /// Written down before a zone is taken down to be started again: from then on a start is owed, also by the next daemon.
  private func noteOwed(_ zone: DesiredZone) async throws(FleetError) {
    var record = zoneRecords[zone.spec.name] ?? ZoneRecord(zone)
    record.owesStart = true
    record.endBefore = nil
    try await put(record)
  }

  /// Written down before each start of ours, so that an end which is there already is not taken for what came of it.
  /// - Parameter there: the zone at rest; nil: it is made anew.
  private func noteStart(of zone: DesiredZone, _ there: ObservedZone?) async throws(FleetError) {
    var record = (there == nil ? nil : zoneRecords[zone.spec.name]) ?? ZoneRecord(zone)
    record.owesStart = true
    record.endBefore = there?.exit?.at ?? 0
    try await put(record)
  }

  func remove(_ zone: String) async throws(FleetError) {
    try await node.stop { driver in
      guard let there = try driver.status(zone) else { return }
      if there.isLive { try driver.stop(zone) }
      try driver.delete(zone)
    }
    if let record = zoneRecords.removeValue(forKey: zone) { try await records.remove(record) }
    health[zone] = nil
    healing[zone] = nil
  }

  private func put(_ record: ZoneRecord) async throws(FleetError) {
    try await records.put(record)
    zoneRecords[record.name] = record
  }

  /// What we know of a zone after a start of ours.
  private func started(_ zone: DesiredZone, _ fleet: FleetSpec, _ kind: String, _ progress: ProgressReport)
    async throws(FleetError)
  {
    let name = zone.spec.name
    let there = try await node.look { try $0.status(name) }
    var record = ZoneRecord(zone)
    record.startId = there?.startId
    record.everStarted = true
    record.endBefore = zoneRecords[name]?.endBefore
    try await put(record)
    let words = kind == "zone.created" ? "created and started" : "started"
    await tell(kind, fleet, name, words, "started", progress)
  }

  private func tell(
    _ kind: String, _ fleet: FleetSpec, _ zone: String?, _ text: String, _ short: String, _ progress: ProgressReport,
    _ name: String? = nil
  ) async {
    await events.add(kind, fleet: fleet.name, zone: zone, text)
    await progress(Progress(name: zone ?? name ?? fleet.name, text: short))
  }

  private func noteHealing(_ zone: String) {
    healing[zone] = Healing(attempts: (healing[zone]?.attempts ?? 0) + 1, last: now)
  }

  // MARK: waiting

  private func waitUntilReady(
    _ change: Change, _ fleet: FleetSpec, _ deadline: UInt64?, _ progress: ProgressReport
  ) async throws(FleetError) -> Bool {
    let start = Clock.monotonicNanoseconds()
    var told = false
    while true {
      var missing: Wait?
      for wait in change.waits where missing == nil {
        if try !observed.isMet(wait, in: fleet) { missing = wait }
      }
      guard let missing else { return true }
      guard let deadline else { return false }
      let now = Clock.monotonicNanoseconds()
      if now > deadline {
        let waited = Units.text(seconds: Double(now - start) / 1e9)
        throw .timedOut("\(change.name) waited \(waited) in vain for \(missing.words)")
      }
      if !told { await progress(Progress(name: change.name, text: "waiting for \(missing.words)")) }
      told = true
      do { try await Task.sleep(nanoseconds: 100_000_000) } catch { throw .failed("interrupted") }
      try await observe()
    }
  }

  /// Waits until every zone of the fleet is up, or has done its work, and tells of each as it comes.
  func settle(_ fleet: FleetSpec, deadline: UInt64, progress: ProgressReport) async throws(FleetError) {
    var told: Set<String> = []
    // What is up already is no news.
    for name in zones.keys where observed.isUp(name) { told.insert(name) }
    while true {
      try await observe()
      let now = observed
      var missing: [String] = []
      for (service, spec) in fleet.services.sorted(by: { $0.key < $1.key }) {
        for name in (0..<spec.replicas).map({ fleet.zoneName(service, $0 + 1) }) {
          let zone = zones[name]
          if now.isUp(name) {
            if told.insert(name).inserted, spec.health != nil { await progress(Progress(name: name, text: "healthy")) }
          } else if let exit = now.lastEnd(of: name) {
            guard exit.shellCode == 0 else {
              throw .failed("\(name) ended, \(exit.why) (see orchestrator logs \(service))")
            }
            if told.insert(name).inserted { await progress(Progress(name: name, text: "completed")) }
          } else if let state = health[name], state.state == .unhealthy {
            throw .failed("\(name) is unhealthy: \(state.why ?? "its check fails") (see orchestrator logs \(service))")
          } else {
            missing.append(
              "\(name) is \(zone.map { $0.state == .running ? "starting" : $0.state.rawValue } ?? "not there")\(health[name]?.why.map { " (\($0))" } ?? "")"
            )
          }
        }
      }
      guard !missing.isEmpty else { return }
      guard Clock.monotonicNanoseconds() < deadline else {
        throw .timedOut("not everything is up in time: \(missing.joined(separator: ", "))")
      }
      do { try await Task.sleep(nanoseconds: 100_000_000) } catch { throw .failed("interrupted") }
    }
  }
}
