internal import LinuxNS
public import Logging
internal import NIOPosix
internal import ZoneRuntime

/// What a conductor works with.
public struct ConductorSetup: Sendable {
  public var directories: FleetDirectories
  public var driver: any ZoneDriver
  public var store: any Store
  public var box: SecretBox
  /// The `orchestrator` program, for balancers.
  public var executable: String
  public var logger: Logger

  public init(
    directories: FleetDirectories, driver: any ZoneDriver, store: any Store, box: SecretBox, executable: String,
    logger: Logger
  ) {
    self.directories = directories
    self.driver = driver
    self.store = store
    self.box = box
    self.executable = executable
    self.logger = logger
  }
}

/// One line of news for whoever waits for a command: `web-1 started`.
public struct Progress: Codable, Equatable, Sendable {
  public var name: String
  public var text: String

  public init(name: String, text: String) {
    self.name = name
    self.text = text
  }
}
public typealias ProgressReport = @Sendable (Progress) async -> Void

/// The daemon's one mind: knows what is wanted (from the store) and what is (from the driver), and does what the
/// planner says. It keeps nothing that a killed daemon would take with it but the checks' results.
public actor Conductor {
  let node: ZoneNode
  let records: FleetRecords
  let events: EventLog
  let directories: FleetDirectories
  let balancers: BalancerControl
  let locks = FleetLocks()
  let logger: Logger

  struct Fleet {
    var record: FleetRecord
    /// The store's revision of the record.
    var revision: Int64
    /// The files with its secrets were written by this daemon.
    var hasSecrets = false
  }
  var fleets: [String: Fleet] = [:]
  /// Fleets of which a record could not be read and is kept until they are applied and taken down.
  var setAside: Set<String> = []
  var zoneRecords: [String: ZoneRecord] = [:]
  var zones: [String: ObservedZone] = [:]
  var health: [String: Health] = [:]
  /// Of zones, and of other changes' names that failed.
  var healing: [String: Healing] = [:]
  /// What was told of changes that failed, until they are done: the same again is no news.
  var failedWith: [String: String] = [:]
  var restingSince: [String: UInt64] = [:]
  /// Zones that a change of ours is about: what happens to them is no news.
  var working: Set<String> = []
  /// How many looks were begun, and which of them was the last that was noted.
  var looksBegun = 0
  var lastLook = 0
  /// What goes on by itself, by fleet.
  private var mends: [String: Task<Void, Never>] = [:]
  /// A fleet of which nothing could be tried the last time, and what was said about it.
  var failures: [String: (healing: Healing, text: String)] = [:]
  private(set) var checks: HealthKeeper!

  public init(_ setup: ConductorSetup) async throws(FleetError) {
    node = ZoneNode(setup.driver)
    records = FleetRecords(store: setup.store, box: setup.box)
    events = try await EventLog(records, logger: setup.logger)
    directories = setup.directories
    balancers = BalancerControl(directories: setup.directories, executable: setup.executable)
    logger = setup.logger
    checks = HealthKeeper(Probe(node: node, group: MultiThreadedEventLoopGroup.singleton)) { [weak self] zone, health in
      await self?.noteHealth(zone, health)
    }
  }

  /// Reads what is wanted, and takes over the zones and balancers that are there already. What is wrong with one fleet is told
  /// of that fleet, and the daemon is there for it to be applied again or taken down.
  public func load() async throws(FleetError) {
    let (knownFleets, knownZones) = (try await records.fleets(), try await records.zones())
    for (record, revision) in knownFleets.found { fleets[record.spec.name] = Fleet(record: record, revision: revision) }
    for (record, _) in knownZones.found { zoneRecords[record.name] = record }
    setAside = try await records.fleetsSetAside()
    for aside in knownFleets.aside + knownZones.aside {
      await events.add("fleet.failed", fleet: aside.fleet, aside.description)
    }
    for (name, fleet) in fleets.sorted(by: { $0.key < $1.key }) where fleet.record.wanted == .running {
      do { try await giveSecrets(name) } catch { await noteFailure(name, error) }
    }
    let found = try await node.look { try $0.list() }
    for zone in found {
      guard let record = zoneRecords[zone.name], zone.spec.fleet == record.fleet, zone.isLive else { continue }
      if zone.startId == record.startId {
        await events.add("zone.adopted", fleet: record.fleet, zone: zone.name, "it was running all the time")
      }
    }
    adoptServing(found)
    await note(found)
  }

  func writeSecrets(_ fleet: String, _ secrets: [String: [UInt8]]) throws(FleetError) {
    try SecretFiles(directories: directories).write(secrets, of: fleet)
    fleets[fleet]?.hasSecrets = true
  }

  /// Writes the secrets that the state has: their files go with the machine's memory.
  private func giveSecrets(_ fleet: String) async throws(FleetError) {
    try writeSecrets(fleet, try await records.secrets(of: fleet))
  }

  /// One look at everything, and the beginning of one try at whatever is not as it should be. It is not waited for: a zone that
  /// takes long to stop holds up its own fleet alone.
  public func tick() async {
    do { try await observe() } catch {
      logger.error("cannot look at the zones: \(error)")
      return
    }
    for name in fleets.keys.sorted() {
      guard await !locks.isTaken(name), mends[name] == nil else { continue }
      mends[name] = Task { await self.tryMending(name) }
    }
  }

  private func tryMending(_ name: String) async {
    defer { mends[name] = nil }
    do { try await locks.with(name) { () async throws(FleetError) in try await self.mend(name) } } catch {
      await noteFailure(name, error)
    }
  }

  /// Until what the ticks began is done.
  func mendsEnded() async {
    while let mend = mends.values.first { await mend.value }
  }

  private func mend(_ name: String) async throws(FleetError) {
    guard let fleet = fleets[name] else { return }
    if let failure = failures[name], !failure.healing.isDue(at: now) { return }
    switch fleet.record.wanted {
    case .volumesOnly: return
    case .down: try await finishDown(name) { _ in }
    case .running:
      // Without them its zones would be started to find nothing.
      if !fleet.hasSecrets { try await giveSecrets(name) }
      let plan = try await plan(for: fleet.record, previous: fleet.record.spec, isAsked: false)
      // What failed is told and tried again by itself, later each time; the rest of the fleet is looked at as ever.
      if !plan.changes.isEmpty { _ = try await carryOut(plan, for: fleet.record.spec, deadline: nil) { _ in } }
    }
    failures[name] = nil
  }

  private func noteFailure(_ name: String, _ error: FleetError) async {
    let attempts = (failures[name]?.healing.attempts ?? 0) + 1
    let isNews = failures[name]?.text != error.description
    failures[name] = (Healing(attempts: attempts, last: now), error.description)
    if isNews { await events.add("fleet.failed", fleet: name, error.description) }
  }

  /// No fleet runs or is on its way down.
  public var isIdle: Bool { !fleets.values.contains { $0.record.wanted != .volumesOnly } }
  /// Nothing at all is left to remember.
  public var isEmpty: Bool { fleets.isEmpty && setAside.isEmpty }

  /// Ends the streams of those who follow.
  func finishEvents() async { await events.finish() }

  public func shutDown() async {
    await checks.stop()
    await events.finish()
    await node.shutDown()
    await mendsEnded()
  }

  /// What waiting and patience are counted by: a clock that is set back must not stop them. What people read has the date.
  var now: UInt64 { Clock.monotonicNanoseconds() }

  // MARK: planning

  /// - Parameter isAsked: by a person, who is not told to wait.
  func plan(for record: FleetRecord, previous: FleetSpec?, isAsked: Bool) async throws(FleetError) -> Plan {
    var planner = Planner(
      fleet: record.spec, previous: previous, placement: placement(of: record),
      observed: observation(of: record.spec.name), now: now)
    planner.isAsked = isAsked
    return try planner.plan()
  }

  func placement(of record: FleetRecord) -> Placement {
    var ports: [LoopbackPort: UInt16] = [:]
    for (zone, map) in record.loopbackPorts {
      for (zonePort, hostPort) in map { ports[LoopbackPort(zone: zone, zonePort: zonePort)] = hostPort }
    }
    return Placement(
      zonesAreReachable: node.driver.zonesAreReachable, loopbackPorts: ports,
      secretsDirectory: directories.secrets(record.spec.name), secretDigests: record.secretDigests)
  }

  private func observation(of fleet: String) -> Observation {
    var observation = observed
    observation.balancers = balancers.living(fleet)
    return observation
  }

  /// What was seen last of all zones.
  var observed: Observation {
    var observation = Observation()
    observation.zones = zones
    observation.records = zoneRecords
    observation.health = health
    observation.healing = healing
    observation.restingSince = restingSince
    return observation
  }
}
