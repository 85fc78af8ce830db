internal import LinuxNS
internal import NIOCore
internal import NIOPosix
internal import ZoneRuntime

public struct ApplyOptions: Codable, Equatable, Sendable {
  /// Wait until everything is up.
  public var wait = true
  /// Seconds for all of it.
  public var timeout: Double = 120

  public init() {}
}

/// What `plan` answers, and what `apply` begins with.
public struct PlanReply: Codable, Equatable, Sendable {
  public var fleet: String
  public var changes: [ChangeSummary]
}

/// The commands that change what is wanted.
extension Conductor {
  /// What `apply` would do. Changes nothing.
  public func plan(_ manifest: Manifest) async throws(FleetError) -> PlanReply {
    try await observe()
    let (record, previous) = try await candidate(manifest)
    return PlanReply(
      fleet: record.spec.name, changes: try await plan(for: record, previous: previous?.spec, isAsked: true).summary)
  }

  /// Writes down what is wanted, does what the plan says, and waits until it is so.
  /// - Parameter shown: is given the plan before anything is done.
  public func apply(
    _ manifest: Manifest, _ options: ApplyOptions, shown: @escaping @Sendable (PlanReply) async -> Void,
    progress: @escaping ProgressReport
  ) async throws(FleetError) {
    let name = manifest.fleet.name
    let deadline = Clock.monotonicNanoseconds() + UInt64(options.timeout * 1e9)
    try await locks.with(name) { () async throws(FleetError) in
      try await self.applyLocked(manifest, options, deadline, shown, progress)
    }
    guard options.wait else { return }
    try await settle(manifest.fleet, deadline: deadline, progress: progress)
  }

  private func applyLocked(
    _ manifest: Manifest, _ options: ApplyOptions, _ deadline: UInt64,
    _ shown: @Sendable (PlanReply) async -> Void, _ progress: @escaping ProgressReport
  ) async throws(FleetError) {
    let name = manifest.fleet.name
    if fleets[name]?.record.wanted == .down { try await finishDown(name, progress) }
    try await observe()
    let (record, previous) = try await candidate(manifest)
    let plan = try await plan(for: record, previous: previous?.spec, isAsked: true)
    await shown(PlanReply(fleet: name, changes: plan.summary))
    if record != previous || !plan.changes.isEmpty || fleets[name]?.hasSecrets != true {
      let revision = try await records.put(record, secrets: manifest.secrets, after: fleets[name]?.revision)
      fleets[name] = Fleet(record: record, revision: revision)
      failures[name] = nil
      try writeSecrets(name, manifest.secrets)
      await events.add(
        "fleet.applied", fleet: name, plan.changes.isEmpty ? "nothing to change" : "\(plan.changes.count) changes")
    }
    let undone = try await carryOut(plan, for: record.spec, deadline: deadline, progress: progress)
    for zone in record.spec.services.keys.flatMap({ record.spec.zones(of: $0, on: placement(of: record)) }) {
      try await adopt(zone)
    }
    try undone.check()
  }

  /// A zone of this fleet that is as it should be, but of which the state knows nothing (it was lost), is ours again.
  private func adopt(_ zone: DesiredZone) async throws(FleetError) {
    guard zoneRecords[zone.spec.name] == nil, let there = zones[zone.spec.name] else { return }
    var record = ZoneRecord(zone)
    record.startId = there.startId
    record.everStarted = there.startId != nil
    zoneRecords[zone.spec.name] = record
    try await records.put(record)
    await events.add("zone.adopted", fleet: record.fleet, zone: record.name, "it was there without a record")
  }

  /// The record that applying this manifest would write, and the one that is there.
  private func candidate(_ manifest: Manifest) async throws(FleetError) -> (record: FleetRecord, previous: FleetRecord?)
  {
    let spec = manifest.fleet
    let previous = fleets[spec.name]?.record
    var record = FleetRecord(spec: spec, appliedAt: Clock.realtimeNanoseconds())
    record.secretDigests = manifest.secrets.reduce(into: [:]) { digests, secret in
      digests[secret.key] = records.box.digest(secret.value, name: "\(spec.name)/\(secret.key)")
    }
    let declared = spec.volumes.filter { !$0.value.external }.keys.map { spec.volumeName($0) }
    record.volumes = Set(declared).union(previous?.volumes ?? []).sorted()
    try FleetClashes(spec, among: fleets.values.map(\.record)).check()
    if !node.driver.zonesAreReachable {
      for port in spec.neededLoopbackPorts() {
        let known = previous?.loopbackPorts[port.zone]?[port.zonePort]
        let free = if let known { known } else { try await freePort(record) }
        record.loopbackPorts[port.zone, default: [:]][port.zonePort] = free
      }
    }
    guard let previous, previous.wanted == .running else { return (record, nil) }
    record.generation = previous.generation
    record.appliedAt = previous.appliedAt
    if record != previous {
      record.generation += 1
      record.appliedAt = Clock.realtimeNanoseconds()
    }
    return (record, previous)
  }

  /// A loopback port that is free now and given to no zone of ours.
  private func freePort(_ record: FleetRecord) async throws(FleetError) -> UInt16 {
    let taken = Set((fleets.values.map(\.record) + [record]).flatMap { $0.loopbackPorts.values.flatMap(\.values) })
    for _ in 0..<64 {
      do {
        let channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup).bind(
          host: "127.0.0.1", port: 0
        ).get()
        let port = channel.localAddress?.port.flatMap { UInt16(exactly: $0) }
        try await channel.close().get()
        if let port, !taken.contains(port) { return port }
      } catch { throw .failed("cannot find a free port on the loopback address: \(Probe.reason(error))") }
    }
    throw .failed("cannot find a free port on the loopback address")
  }

  // MARK: down

  /// Takes a fleet down: its zones, balancers and secrets; its volumes only where asked.
  public func down(_ name: String, volumes: Bool, progress: @escaping ProgressReport) async throws(FleetError) {
    try await locks.with(name) { () async throws(FleetError) in
      guard var fleet = await self.fleets[name] else {
        if await self.setAside.contains(name) {
          throw .failed("cannot take '\(name)' down: its record could not be read (apply its manifest again first)")
        }
        throw .notFound("there is no fleet '\(name)'\(hint(for: name, in: await self.fleets.keys))")
      }
      if fleet.record.wanted == .volumesOnly, !volumes {
        throw .notFound("the fleet '\(name)' is down already; its volumes are left (--volumes)")
      }
      fleet.record.wanted = .down
      fleet.record.removeVolumes = volumes
      try await self.store(fleet)
      await self.events.add("fleet.down", fleet: name, volumes ? "with its volumes" : "volumes are kept")
      try await self.finishDown(name, progress)
    }
  }

  private func store(_ fleet: Fleet) async throws(FleetError) {
    var fleet = fleet
    fleet.revision = try await records.put(fleet.record, secrets: nil, after: fleet.revision)
    fleets[fleet.record.spec.name] = fleet
  }

  /// What is still to be done of a `down`, also one that a killed daemon began.
  func finishDown(_ name: String, _ progress: @escaping ProgressReport) async throws(FleetError) {
    guard var fleet = fleets[name] else { return }
    let control = balancers
    try await node.call { _ in try control.stopAll(name) }
    try await observe()
    var nothing = fleet.record.spec
    nothing.services = [:]
    var empty = fleet.record
    empty.spec = nothing
    // Asked for, whoever does it: what is left out of the plan would be taken for gone.
    let plan = try await plan(for: empty, previous: fleet.record.spec, isAsked: true)
    try await carryOut(plan, for: nothing, deadline: nil, progress: progress).check()
    try SecretFiles(directories: directories).remove(name)

    let there = Set(try await node.call { try $0.volumes() })
    var left = fleet.record.volumes.filter(there.contains)
    if fleet.record.removeVolumes {
      for volume in left {
        try await node.call { try $0.removeVolume(volume) }
        await progress(Progress(name: volume, text: "volume removed"))
      }
      left = []
    }
    failures[name] = nil
    if left.isEmpty {
      try await records.remove(fleet: name)
      fleets[name] = nil
      setAside.remove(name)
    } else {
      fleet.record.wanted = .volumesOnly
      fleet.record.volumes = left
      fleet.record.secretDigests = [:]
      try await store(fleet)
    }
    for record in zoneRecords.values where record.fleet == name {
      zoneRecords[record.name] = nil
      healing[record.name] = nil
      failedWith[record.name] = nil
      try await records.remove(record)
    }
    await events.add(
      "fleet.removed", fleet: name,
      left.isEmpty ? "nothing of it is left" : "left: the volumes \(left.joined(separator: ", "))")
  }
}
