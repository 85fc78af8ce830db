import Foundation
import LinuxNS
import Logging
import Testing
import ZoneRuntime

@testable import Orchestrator

/// A daemon's mind over simulated zones and a real store; `again` is what a killed daemon's successor has.
struct Stand: Sendable {
  let folder = Folder()
  let driver = SimulatedDriver()

  var directories: FleetDirectories { FleetDirectories(data: "\(folder.path)/data", run: "\(folder.path)/run") }

  func conductor() async throws -> Conductor {
    try directories.make()
    let conductor = try await Conductor(
      ConductorSetup(
        directories: directories, driver: driver, store: try SQLiteStore(path: directories.database),
        box: try SecretBox(keyFile: directories.key), executable: "/nonexistent",
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }))
    try await conductor.load()
    return conductor
  }
}

extension Conductor {
  func apply(_ text: String, wait: Bool = true, timeout: Double = 10) async throws {
    var options = ApplyOptions()
    options.wait = wait
    options.timeout = timeout
    try await apply(try read(text), options, shown: { _ in }, progress: { _ in })
  }

  func allEvents() async throws -> [FleetEvent] {
    var events: [FleetEvent] = []
    for await event in try await eventStream(following: false) { events.append(event) }
    return events
  }

  /// Looks again and again until it is so, or 10 s have gone by.
  func tick(until isSo: () async throws -> Bool) async throws -> Bool {
    try await eventually(10) {
      await turn()
      return try await isSo()
    }
  }

  /// A tick, and what it began.
  func turn() async {
    await tick()
    await mendsEnded()
  }
}

private let two =
  WrongManifest.header + """
      services:
        db: {restart: always, healthcheck: {test: [CMD, ok], interval: 50ms, retries: 2}}
        web: {restart: always, depends_on: {db: {condition: service_healthy}}, deploy: {replicas: 2}, volumes: ["data:/d"]}
      volumes: {data: }
    """

@Suite struct ConductorTests {
  let stand = Stand()

  @Test func applyTwiceChangesNothing() async throws {
    let conductor = try await stand.conductor()
    try await conductor.apply(two)
    let calls = stand.driver.calls
    #expect(calls.first == "create f-db-1")
    #expect(calls.firstIndex(of: "start f-db-1")! < calls.firstIndex(of: "create f-web-1")!)
    try await conductor.apply(two)
    #expect(stand.driver.calls == calls)
    #expect(try await conductor.plan(try read(two)).changes.isEmpty)
    let rows = try await conductor.rows(fleet: "f")
    #expect(
      rows.map { "\($0.name) \($0.state) \($0.health.rawValue)" } == [
        "f-db-1 running healthy", "f-web-1 running none", "f-web-2 running none",
      ])
  }

  @Test func planChangesNothing() async throws {
    let conductor = try await stand.conductor()
    #expect(try await conductor.plan(try read(two)).changes.map(\.name) == ["f-db-1", "f-web-1", "f-web-2"])
    #expect(stand.driver.calls.isEmpty)
    #expect(await conductor.isEmpty)
  }

  @Test func aNewDaemonAdoptsAndStartsNothingTwice() async throws {
    try await stand.conductor().apply(two)
    let calls = stand.driver.calls
    let next = try await stand.conductor()
    for _ in 0..<5 { await next.turn() }
    try await next.apply(two)
    #expect(stand.driver.calls == calls)
    #expect(try await next.allEvents().filter { $0.kind == "zone.adopted" }.count == 3)
  }

  @Test func aZoneThatTheKeeperRestartedIsTold() async throws {
    let conductor = try await stand.conductor()
    try await conductor.apply(two)
    stand.driver.restartByKeeper("f-web-1")
    await conductor.turn()
    await conductor.turn()
    let told = try await conductor.allEvents().filter { $0.kind == "zone.restarted" }
    #expect(told.map(\.zone) == ["f-web-1"])
    #expect(told.first?.text.contains("signal KILL") == true)
    #expect(stand.driver.starts("f-web-1") == 2)
  }

  @Test func aLostKeeperIsMendedOnce() async throws {
    let conductor = try await stand.conductor()
    try await conductor.apply(two)
    stand.driver.loseKeeper("f-web-2")
    for _ in 0..<5 { await conductor.turn() }
    #expect(stand.driver.starts("f-web-2") == 2)
    #expect(stand.driver.calls.suffix(2) == ["halt f-web-2", "start f-web-2"])
  }

  @Test func aSickZoneIsRestartedAndSaysWhy() async throws {
    let conductor = try await stand.conductor()
    try await conductor.apply(two)
    stand.driver.look { _ = $0.sick.insert("f-db-1") }
    #expect(try await conductor.tick { self.stand.driver.starts("f-db-1") == 2 })
    let told = try await conductor.allEvents()
    #expect(told.contains { $0.kind == "zone.unhealthy" && $0.text == "ok ended with 1: it is sick" })
  }

  @Test func whatADaemonThatWasKilledLeftIsDoneByTheNext() async throws {
    let first = try await stand.conductor()
    stand.driver.look { $0.failing = ["start f-web-1"] }
    await #expect(throws: FleetError.self) { try await first.apply(two) }
    #expect(stand.driver.starts("f-web-1") == 0)
    stand.driver.look { $0.failing = [] }
    let next = try await stand.conductor()
    #expect(try await next.tick { self.stand.driver.starts("f-web-1") == 1 })
    #expect(stand.driver.starts("f-db-1") == 1)
    #expect(try await next.plan(try read(two)).changes.isEmpty)
  }

  private func checked(_ interval: String, ports: String = "") -> String {
    WrongManifest.header + """
        services:
          web: {deploy: {replicas: 2}, healthcheck: {test: [CMD, ok], interval: \(interval), retries: 1000}\(ports)}

      """
  }
  private let shared = Balancer(fleet: "f", service: "web", listeners: [.init(hostPort: 18096, zonePort: 80)])
  private func sicken() { stand.driver.look { $0.sick = ["f-web-1", "f-web-2"] } }

  @Test func anotherCheckTakesNobodyOutOfTheBalancer() async throws {
    let conductor = try await stand.conductor()
    try await conductor.apply(checked("1m"))
    #expect(await conductor.backends(of: shared)[0].count == 2)
    // No check succeeds any more, and for a minute no failure counts.
    sicken()
    try await conductor.apply(checked("2m"), wait: false)
    #expect(await conductor.backends(of: shared)[0].count == 2)
    #expect(await conductor.observed.isUp("f-web-1") == false, "apply waits for the new check")
    try await conductor.apply(checked("50ms"), wait: false)
    #expect(try await conductor.tick { await conductor.backends(of: self.shared)[0].isEmpty })
  }

  @Test func anotherDaemonTakesNobodyOutOfTheBalancer() async throws {
    let first = try await stand.conductor()
    // Its balancer is no program; the rest is there.
    await #expect(throws: FleetError.self) { try await first.apply(checked("1m", ports: ", ports: [\"18096:80\"]")) }
    #expect(["f-web-1", "f-web-2"].map(stand.driver.starts) == [1, 1])
    sicken()
    let addresses = stand.driver.look { state in ["f-web-1", "f-web-2"].compactMap { state.zones[$0]?.addresses.first }
    }
    for folder in ["\(stand.directories.runDirectory)/balance", stand.directories.balancers("f")] {
      try FleetDirectories.makePrivate(folder)
    }
    try BalancerFile(balancer: shared, backends: [addresses.map { Endpoint(host: $0, port: 80) }]).write(
      "\(stand.directories.balancers("f"))/web.json")
    // One was started again while no daemon lived: nobody knows of it yet.
    stand.driver.restartByKeeper("f-web-2")
    let next = try await stand.conductor()
    #expect(await next.backends(of: shared) == [[Endpoint(host: addresses[0], port: 80)]])
  }

  @Test func whoCannotStartKeepsNobodyElseFromIt() async throws {
    let text =
      WrongManifest.header + """
          services:
            backup: {restart: always}
            db: {restart: always}
            report: {restart: always, depends_on: [backup]}
            web: {restart: always}

        """
    let conductor = try await stand.conductor()
    stand.driver.look { $0.failing = ["start f-backup-1"] }
    await #expect(throws: FleetError.failed("cannot create f-backup-1: cannot start f-backup-1: told to fail")) {
      try await conductor.apply(text)
    }
    #expect(["f-db-1", "f-web-1"].map(stand.driver.starts) == [1, 1])
    #expect(!stand.driver.calls.contains("create f-report-1"), "what needs it was made")
    stand.driver.loseKeeper("f-web-1")
    await conductor.turn()
    #expect(stand.driver.starts("f-web-1") == 2, "mended though another cannot be")
    // A daemon that finds it so.
    stand.driver.loseKeeper("f-db-1")
    await (try await stand.conductor()).turn()
    #expect(stand.driver.starts("f-db-1") == 2)
    #expect(stand.driver.starts("f-backup-1") == 0 && stand.driver.starts("f-report-1") == 0)
    let tries = { stand.driver.calls.filter { $0 == "start f-backup-1" }.count }
    let before = tries()
    #expect(try await conductor.tick { tries() > before + 1 })
    let told = try await conductor.allEvents().filter { $0.text.hasPrefix("cannot start f-backup-1") }
    #expect(told.count == 1, "what it was told it need not be told again: \(told)")
  }

  @Test func whatWasTakenDownAndNotStartedIsStartedLater() async throws {
    func text(_ command: String) -> String {
      WrongManifest.header + "  services: {web: {command: [\(command)]}}\n"
    }
    let conductor = try await stand.conductor()
    try await conductor.apply(text("one"))
    stand.driver.look { $0.failing = ["start f-web-1"] }
    await #expect(throws: FleetError.self) { try await conductor.apply(text("two")) }
    stand.driver.look { $0.failing = [] }
    try await conductor.apply(text("two"))
    #expect(stand.driver.starts("f-web-1") == 2, "by who asks again")

    stand.driver.look { $0.failing = ["start f-web-1"] }
    await #expect(throws: FleetError.self) { try await conductor.apply(text("three")) }
    stand.driver.look { $0.failing = [] }
    let next = try await stand.conductor()
    await next.turn()
    #expect(stand.driver.starts("f-web-1") == 3, "by the next daemon")
    stand.driver.finish("f-web-1", code: 1)
    for _ in 0..<3 { await next.turn() }
    #expect(stand.driver.starts("f-web-1") == 3, "what ended by itself has its policy")
  }

  @Test func aZoneThatWasMadeAnewHalfwayIsStartedByTheNext() async throws {
    let conductor = try await stand.conductor()
    try await conductor.apply(WrongManifest.header + "  services: {web: {}}\n")
    stand.driver.look { $0.failing = ["start f-web-1"] }
    let other = WrongManifest.header + "  services: {web: {image: \"dir:/t\"}}\n"
    await #expect(throws: FleetError.self) { try await conductor.apply(other) }
    stand.driver.look { $0.failing = [] }
    let next = try await stand.conductor()
    await next.turn()
    #expect(stand.driver.starts("f-web-1") == 2)
    #expect(try await next.plan(try read(other)).changes.isEmpty)
  }

  @Test func patienceIsCountedByAClockThatNobodySets() async throws {
    let conductor = try await stand.conductor()
    stand.driver.look { $0.failing = ["create f-b-1"] }
    await #expect(throws: FleetError.self) {
      try await conductor.apply(WrongManifest.header + "  services: {a: {restart: always}, b: {}}\n")
    }
    stand.driver.finish("f-a-1", code: 1)
    await conductor.turn()
    let (rest, healing) = (await conductor.restingSince, await conductor.healing)
    #expect(rest.keys.contains("f-a-1") && healing.keys.contains("f-b-1"))
    let times = Array(rest.values) + healing.values.map(\.last)
    #expect(times.allSatisfy { $0 <= Clock.monotonicNanoseconds() }, "\(times)")
    #expect(await conductor.now <= Clock.monotonicNanoseconds())
  }

  @Test(.ends(within: 1)) func aZoneThatTakesLongToStopHoldsUpItsOwnFleetAlone() async throws {
    let conductor = try await stand.conductor()
    let g =
      WrongManifest.header.replacingOccurrences(of: "name: f", with: "name: g") + "  services: {b: {restart: always}}\n"
    try await conductor.apply(two)
    try await conductor.apply(g)
    stand.driver.look {
      $0.stubborn = ["f-db-1"]
      $0.sick = ["f-db-1"]
    }
    let driver = stand.driver
    #expect(
      try await eventually(10) {
        await conductor.tick()
        return driver.calls.contains("stop f-db-1")
      })
    driver.loseKeeper("g-b-1")
    #expect(
      try await eventually(10) {
        await conductor.tick()
        return driver.starts("g-b-1") == 2
      })
    #expect(driver.look { $0.zones["f-db-1"]?.isLive } == true, "it was waited for")
    driver.look { $0.stubborn = [] }
    await conductor.mendsEnded()
    #expect(driver.starts("f-db-1") == 2)
  }

  @Test(.ends(within: 1)) func manyThatTakeLongToStopHinderNobodyFromLookingAndApplying() async throws {
    let conductor = try await stand.conductor()
    try await conductor.apply(WrongManifest.header + "  services: {a: {deploy: {replicas: 20}}}\n")
    let names = (1...20).map { "f-a-\($0)" }
    stand.driver.look { $0.stubborn = Set(names) }
    async let down: Void = conductor.down("f", volumes: true) { _ in }
    let driver = stand.driver
    #expect(try await eventually(10) { () async in driver.calls.filter { $0.hasPrefix("stop f-a-") }.count >= 8 })
    #expect(try await conductor.rows(fleet: "f").count == 20)
    try await conductor.apply(
      WrongManifest.header.replacingOccurrences(of: "name: f", with: "name: g") + "  services: {b: {}}\n")
    #expect(driver.starts("g-b-1") == 1)
    #expect(names.allSatisfy { name in driver.look { $0.zones[name]?.isLive } == true }, "they were waited for")
    driver.look { $0.stubborn = [] }
    try await down
    #expect(driver.look { $0.zones.count } == 1)
  }

  private func three(_ command: String) -> String {
    WrongManifest.header
      + "  services: {web: {restart: always, command: [\(command)], deploy: {replicas: 3}}}\n"
  }

  @Test func aRolloutThatFailedIsNotFinishedByTheDaemon() async throws {
    let conductor = try await stand.conductor()
    try await conductor.apply(three("right"))
    stand.driver.look { $0.failing = ["start f-web-1"] }
    await #expect(throws: FleetError.self) { try await conductor.apply(three("wrong")) }
    for _ in 0..<5 { await conductor.turn() }
    let next = try await stand.conductor()
    for _ in 0..<5 { await next.turn() }
    #expect(stand.driver.starts("f-web-2") == 1 && stand.driver.starts("f-web-3") == 1)
    stand.driver.look { $0.failing = [] }
    try await next.apply(three("mended"))
    #expect(["f-web-1", "f-web-2", "f-web-3"].map(stand.driver.starts) == [2, 2, 2])
  }

  @Test func aJobThatCouldNotBeStartedAgainIsNotDone() async throws {
    func text(_ command: String) -> String {
      WrongManifest.header + """
          services:
            migrate: {restart: no, command: [\(command)]}
            app: {restart: always, command: [\(command)], depends_on: {migrate: {condition: service_completed_successfully}}}

        """
    }
    let conductor = try await stand.conductor()
    async let applied: Void = conductor.apply(text("one"))
    let driver = stand.driver
    #expect(try await eventually(5) { () async in driver.starts("f-migrate-1") > 0 })
    driver.finish("f-migrate-1", code: 0)
    try await applied
    driver.look { $0.failing = ["start f-migrate-1"] }
    await #expect(throws: FleetError.self) { try await conductor.apply(text("two")) }
    for _ in 0..<5 { await conductor.turn() }
    #expect(driver.starts("f-app-1") == 1, "rolled out without the migration")
  }

  @Test func downGoesInReverseAndKeepsVolumes() async throws {
    let conductor = try await stand.conductor()
    try await conductor.apply(two)
    try await conductor.down("f", volumes: false) { _ in }
    #expect(stand.driver.look { $0.zones.isEmpty })
    #expect(stand.driver.look { $0.volumes } == ["f-data"])
    #expect(await conductor.isIdle)
    #expect(await !conductor.isEmpty)
    let calls = stand.driver.calls
    #expect(calls.firstIndex(of: "delete f-web-2")! < calls.firstIndex(of: "stop f-db-1")!)
    try await conductor.down("f", volumes: true) { _ in }
    #expect(stand.driver.look { $0.volumes.isEmpty })
    #expect(await conductor.isEmpty)
  }

  @Test func aDownThatWasCutIsFinishedByTheNextDaemon() async throws {
    let first = try await stand.conductor()
    try await first.apply(two)
    stand.driver.look { $0.failing = ["delete f-db-1"] }
    await #expect(throws: FleetError.self) { try await first.down("f", volumes: true) { _ in } }
    stand.driver.look { $0.failing = [] }
    let next = try await stand.conductor()
    #expect(try await next.tick { await next.isEmpty })
    #expect(stand.driver.look { $0.zones.isEmpty && $0.volumes.isEmpty })
  }

  @Test func twoFleetsShareNoPort() async throws {
    let conductor = try await stand.conductor()
    try await conductor.apply(WrongManifest.header + "  services: {a: {ports: [\"80:80\"]}}\n")
    let other = WrongManifest.header.replacingOccurrences(of: "name: f", with: "name: g")
    await #expect(throws: FleetError.conflict("cannot publish port 80 for b: the fleet 'f' has it")) {
      try await conductor.apply(other + "  services: {b: {ports: [\"80:81\"]}}\n")
    }
    #expect(stand.driver.starts("g-b-1") == 0)
    try await conductor.apply(other + "  services: {b: {ports: [\"81:81\"]}}\n")
    #expect(try await conductor.rows(fleet: nil).map(\.name) == ["f-a-1", "g-b-1"])
  }

  @Test func twoFleetsShareNoVolumeByAccident() async throws {
    let conductor = try await stand.conductor()
    func text(_ name: String, _ volume: String) -> String {
      WrongManifest.header.replacingOccurrences(of: "name: f", with: "name: \(name)")
        + "  services: {a: {network_mode: none, volumes: [\"\(volume):/d\"]}}\n  volumes: {\(volume): }\n"
    }
    try await conductor.apply(text("f", "db-data"))
    try await conductor.down("f", volumes: false) { _ in }
    await #expect(throws: FleetError.self) { try await conductor.apply(text("f-db", "data")) }
    #expect(stand.driver.starts("f-db-a-1") == 0)
    try await conductor.down("f", volumes: true) { _ in }
    try await conductor.apply(text("f-db", "data"))
    #expect(stand.driver.starts("f-db-a-1") == 1)
  }

  @Test func whoDidItsWorkIsNotStartedAgain() async throws {
    let conductor = try await stand.conductor()
    let text =
      WrongManifest.header
      + "  services: {job: {restart: no}, after: {restart: always, depends_on: {job: {condition: service_completed_successfully}}}}\n"
    async let applied: Void = conductor.apply(text)
    let driver = stand.driver
    #expect(try await eventually(5) { () async in driver.starts("f-job-1") > 0 })
    #expect(stand.driver.starts("f-after-1") == 0)
    stand.driver.finish("f-job-1", code: 0)
    try await applied
    for _ in 0..<3 { await conductor.turn() }
    #expect(stand.driver.starts("f-job-1") == 1)
    #expect(stand.driver.starts("f-after-1") == 1)
  }

  private let secretive =
    WrongManifest.header + """
        services: {a: {restart: always, secrets: [k]}}
        secrets: {k: {environment: K}}

      """
  private let plain =
    WrongManifest.header.replacingOccurrences(of: "name: f", with: "name: g") + "  services: {b: {restart: always}}\n"

  private func applySecretive(_ conductor: Conductor) async throws {
    try await conductor.apply(
      try read(secretive, environment: ["K": "unusual-4711"]), ApplyOptions(), shown: { _ in }, progress: { _ in })
  }

  @Test func secretsThatCannotBeOpenedFailTheirFleetAlone() async throws {
    let first = try await stand.conductor()
    try await applySecretive(first)
    try await first.apply(plain)
    try FileManager.default.removeItem(atPath: stand.directories.key)
    for zone in ["f-a-1", "g-b-1"] { stand.driver.loseKeeper(zone) }
    let next = try await stand.conductor()
    for _ in 0..<3 { await next.turn() }
    #expect(stand.driver.starts("g-b-1") == 2, "the other fleet is mended")
    #expect(stand.driver.starts("f-a-1") == 1, "started without its secrets")
    let told = try await next.allEvents().filter { $0.kind == "fleet.failed" }
    #expect(told.map(\.fleet) == ["f"] && told[0].text.contains("apply the manifest again"), "\(told)")
    // What it says helps.
    try await applySecretive(next)
    #expect(stand.driver.starts("f-a-1") == 2)
    let last = try await stand.conductor()
    await last.turn()
    #expect(try await last.allEvents().filter { $0.kind == "fleet.failed" }.count == 1)
    try FileManager.default.removeItem(atPath: stand.directories.key)
    try await (try await stand.conductor()).down("f", volumes: true) { _ in }
    #expect(stand.driver.look { $0.zones["f-a-1"] == nil })
  }

  @Test func aRecordThatCannotBeReadIsSetAside() async throws {
    let first = try await stand.conductor()
    try await first.apply(two)
    try await first.apply(plain)
    let store = try SQLiteStore(path: stand.directories.database)
    for key in ["fleets/f", "zones/f/f-web-1", "events/99999999999999999999"] {
      try await store.commit([.put(key, [0])])
    }
    let next = try await stand.conductor()
    #expect(await next.names == ["g"])
    let told = try await next.allEvents().filter { $0.kind == "fleet.failed" }
    #expect(
      told.map(\.fleet) == ["f", "f"] && told[0].text.hasPrefix("cannot read fleets/f from the state: "), "\(told)")
    #expect(try await store.list("aside/").map(\.key).contains("aside/fleets/f"))
    await #expect(throws: FleetError.self) { try await next.down("f", volumes: false) { _ in } }
    let calls = stand.driver.calls
    try await next.apply(two)
    #expect(stand.driver.calls == calls, "its zones were there all the time")
    try await next.down("g", volumes: true) { _ in }
    #expect(await !next.isEmpty)
    try await next.down("f", volumes: true) { _ in }
    #expect(await next.isEmpty)
    #expect(try await store.list("aside/").map(\.key) == ["aside/events/99999999999999999999"])
  }

  @Test func secretsAreFilesOfTheOwnerInMemoryAndGoWithTheFleet() async throws {
    let conductor = try await stand.conductor()
    let text = WrongManifest.header + "  services: {a: {secrets: [k]}}\n  secrets: {k: {environment: K}}\n"
    try await conductor.apply(
      try read(text, environment: ["K": "unusual-4711"]), ApplyOptions(), shown: { _ in }, progress: { _ in })
    let path = try #require(stand.driver.look { $0.zones["f-a-1"]?.spec.secrets.first?.file })
    #expect(try String(contentsOfFile: path, encoding: .utf8) == "unusual-4711")
    #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o400)
    #expect(path.hasPrefix("/dev/shm/") || path.hasPrefix("/run/"))
    // Another content restarts; the same does not.
    try await conductor.apply(
      try read(text, environment: ["K": "unusual-4712"]), ApplyOptions(), shown: { _ in }, progress: { _ in })
    #expect(stand.driver.starts("f-a-1") == 2)
    let all = try await conductor.allEvents()
    #expect(!all.isEmpty && !all.contains { $0.text.contains("unusual") })
    try await conductor.down("f", volumes: true) { _ in }
    #expect(!FileManager.default.fileExists(atPath: path))
  }
}
