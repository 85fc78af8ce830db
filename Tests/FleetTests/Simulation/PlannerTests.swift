import ResourceControl
import Testing
import VirtualNet
import ZoneRuntime

@testable import Orchestrator

/// A small generator whose seed makes a case repeatable (SplitMix64).
struct Random: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

/// A machine that does what plans say, at once.
struct Machine {
  var observed = Observation()

  mutating func carryOut(_ plan: Plan) {
    for change in plan.changes {
      switch change.action {
      case .create(let zone), .start(let zone, _), .restart(let zone), .recreate(let zone), .set(let zone):
        var there = observed.zones[zone.spec.name] ?? ObservedZone(zone.spec, state: .running)
        there.spec = zone.spec
        there.state = .running
        if case .set = change.action {} else { there.startId = "s\(UInt64.random(in: 0 ... .max))" }
        observed.zones[zone.spec.name] = there
        var record = ZoneRecord(zone)
        record.everStarted = true
        observed.records[zone.spec.name] = record
      case .remove(let zone):
        observed.zones[zone] = nil
        observed.records[zone] = nil
      case .startBalancer(let balancer): observed.balancers[balancer.service] = balancer
      case .stopBalancer(let balancer): observed.balancers[balancer.service] = nil
      case .adopt: break
      }
    }
  }
}

func plan(
  _ fleet: FleetSpec, after previous: FleetSpec? = nil, on machine: Machine, now: UInt64 = 1 << 40,
  digests: [String: String] = [:], isAsked: Bool = false
)
  throws -> Plan
{
  var planner = Planner(
    fleet: fleet, previous: previous,
    placement: Placement(zonesAreReachable: true, secretsDirectory: "/run/s", secretDigests: digests),
    observed: machine.observed, now: now)
  planner.isAsked = isAsked
  return try planner.plan()
}

@Suite struct PlannerTests {
  private static let names = ["web", "db", "cache", "queue", "mail", "auth"]

  /// A fleet of up to six services; each may depend on those before it.
  private func fleet(_ random: inout Random) -> FleetSpec {
    var fleet = FleetSpec(name: "f")
    let names = Self.names.shuffled(using: &random).prefix(Int.random(in: 0...6, using: &random))
    for (index, name) in names.enumerated() {
      var service = Service()
      service.replicas = Int.random(in: 0...3, using: &random)
      service.environment = ["V": String(Int.random(in: 0...2, using: &random))]
      service.limits.memory = Bool.random(using: &random) ? 1 << 26 : nil
      service.image = Int.random(in: 0...3, using: &random) == 0 ? .directory("/t") : .sparse
      service.restart = Bool.random(using: &random) ? .always : .no
      if Bool.random(using: &random) { service.health = HealthCheck([.command(["true"])]) }
      if Bool.random(using: &random) {
        let port = UInt16(8000 + index)
        service.ports = [ServicePort(hostAddress: nil, host: port...port, zone: 80...80, transport: .tcp)]
      }
      for other in names.prefix(index) where Int.random(in: 0...2, using: &random) == 0 {
        service.dependsOn[other] = .started
      }
      fleet.services[name] = service
    }
    return fleet
  }

  @Test(arguments: UInt64(0)..<300) func aPlanCarriedOutLeavesNothingToPlan(seed: UInt64) throws {
    var random = Random(state: seed)
    var machine = Machine()
    var previous: FleetSpec?
    for _ in 0..<5 {
      let wanted = fleet(&random)
      machine.carryOut(try plan(wanted, after: previous, on: machine))
      #expect(try plan(wanted, after: wanted, on: machine).changes.isEmpty)
      let names = wanted.services.flatMap { name, service in
        (0..<service.replicas).map { wanted.zoneName(name, $0 + 1) }
      }
      #expect(Set(machine.observed.zones.keys) == Set(names))
      let balanced = wanted.services.filter { $0.value.replicas > 1 && !$0.value.ports.isEmpty }.keys
      #expect(Set(machine.observed.balancers.keys) == Set(balanced))
      previous = wanted
    }
  }

  @Test(arguments: UInt64(0)..<300) func theSameInputGivesTheSamePlan(seed: UInt64) throws {
    var random = Random(state: seed)
    var machine = Machine()
    let before = fleet(&random)
    machine.carryOut(try plan(before, on: machine))
    let after = fleet(&random)
    #expect(try plan(after, after: before, on: machine) == plan(after, after: before, on: machine))
  }

  @Test(arguments: UInt64(0)..<300) func whatIsNeededComesFirstAndGoesLast(seed: UInt64) throws {
    var random = Random(state: seed)
    var machine = Machine()
    let wanted = fleet(&random)
    let up = try plan(wanted, on: machine)
    for change in up.changes where change.effect == .create {
      for dependency in wanted.services[change.service]!.dependsOn.keys {
        for other in up.changes where other.service == dependency { #expect(other.wave < change.wave) }
        if case .create = change.action { #expect(change.waits.contains(.service(dependency, .started))) }
      }
    }
    machine.carryOut(up)
    var nothing = wanted
    nothing.services = [:]
    let down = try plan(nothing, after: wanted, on: machine)
    let zonesGoing = down.changes.filter { if case .remove = $0.action { true } else { false } }
    for change in zonesGoing {
      for dependency in wanted.services[change.service]!.dependsOn.keys {
        for other in zonesGoing where other.service == dependency { #expect(other.wave > change.wave) }
      }
    }
  }

  @Test(arguments: UInt64(0)..<300) func aChangeOfOneServiceTouchesNoOther(seed: UInt64) throws {
    var random = Random(state: seed)
    var machine = Machine()
    let before = fleet(&random)
    guard let name = before.services.keys.sorted().randomElement(using: &random) else { return }
    machine.carryOut(try plan(before, on: machine))
    var after = before
    after.services[name]!.environment["V"] = "changed"
    let changes = try plan(after, after: before, on: machine).changes
    #expect(changes.count == before.services[name]!.replicas)
    #expect(changes.allSatisfy { $0.service == name && $0.effect == .restart && $0.reasons == ["environment"] })
  }

  private func web(_ replicas: Int, _ change: (inout Service) -> Void = { _ in }) -> FleetSpec {
    var fleet = FleetSpec(name: "f")
    var service = Service()
    service.replicas = replicas
    service.restart = .always
    service.ports = [ServicePort(hostAddress: nil, host: 80...80, zone: 8000...8000, transport: .tcp)]
    change(&service)
    fleet.services["web"] = service
    return fleet
  }

  private func shown(_ plan: Plan) -> [String] {
    plan.changes.map { "\($0.effect) \($0.name): \($0.reasons.joined(separator: ", "))" }
  }

  @Test func aReplicaCountChangesJustThat() throws {
    var machine = Machine()
    machine.carryOut(try plan(web(2), on: machine))
    #expect(try shown(plan(web(3), after: web(2), on: machine)) == ["create f-web-3: it is not there"])
    machine.carryOut(try plan(web(3), on: machine))
    #expect(try shown(plan(web(2), after: web(3), on: machine)) == ["remove f-web-3: 2 replicas are wanted"])
  }

  @Test func fromOneToTwoThePortGoesFromTheZoneToABalancer() throws {
    var machine = Machine()
    machine.carryOut(try plan(web(1), on: machine))
    #expect(machine.observed.zones["f-web-1"]?.spec.publish == [PublishedPort(hostPort: 80, zonePort: 8000)])
    #expect(
      try shown(plan(web(2), after: web(1), on: machine)) == [
        "live f-web-1: ports", "create f-web (balancer): port 80 is shared by its replicas",
        "create f-web-2: it is not there",
      ])
    #expect(try plan(web(2), after: web(1), on: machine).changes.map(\.downtime) == [1, 0, 0])
  }

  @Test func fromTwoToOneThePortDoesNotWaitForAStop() throws {
    var machine = Machine()
    machine.carryOut(try plan(web(2), on: machine))
    let back = try plan(web(1), after: web(2), on: machine)
    #expect(
      shown(back) == [
        "remove f-web (balancer): no port is shared by replicas", "live f-web-1: ports",
        "remove f-web-2: 1 replicas are wanted",
      ])
    #expect(back.changes.map(\.wave) == [0, 1, 2] && back.changes.map(\.downtime) == [1, 0, 0])
  }

  @Test func aBalancerWithAnotherPortDoesNotWaitForARollout() throws {
    func fleet(_ port: UInt16, _ command: String) -> FleetSpec {
      var fleet = web(2) { $0.ports = [ServicePort(hostAddress: nil, host: port...port, zone: 1...1, transport: .tcp)] }
      fleet.services["app"] = Service()
      fleet.services["app"]!.command = [command]
      return fleet
    }
    var machine = Machine()
    machine.carryOut(try plan(fleet(80, "x"), on: machine))
    #expect(
      try shown(plan(fleet(81, "y"), after: fleet(80, "x"), on: machine)) == [
        "restart f-web (balancer): ports", "create f-web (balancer): port 81 is shared by its replicas",
        "restart f-app-1: command",
      ])
  }

  /// Two services with a port each, or none.
  private func pair(_ a: UInt16?, _ b: UInt16?, command: String = "x") -> FleetSpec {
    var fleet = FleetSpec(name: "f")
    for (name, port) in [("a", a), ("b", b)] {
      var service = Service()
      service.ports = port.map { [ServicePort(hostAddress: nil, host: $0...$0, zone: 80...80, transport: .tcp)] } ?? []
      fleet.services[name] = service
    }
    fleet.services["a"]!.command = [command]
    return fleet
  }

  @Test func aPortMovesThoughItsHolderIsToBeRestarted() throws {
    var machine = Machine()
    machine.carryOut(try plan(pair(80, nil), on: machine))
    #expect(
      try shown(plan(pair(nil, 80, command: "y"), after: pair(80, nil), on: machine)) == [
        "live f-a-1: ports", "live f-b-1: ports", "restart f-a-1: command, ports",
      ])
  }

  @Test func twoSwapTheirPorts() throws {
    var machine = Machine()
    machine.carryOut(try plan(pair(80, 81), on: machine))
    let swap = try plan(pair(81, 80), after: pair(80, 81), on: machine)
    #expect(swap.waves.map { $0.map(\.name) } == [["f-a-1", "f-b-1"], ["f-a-1", "f-b-1"]])
    #expect(swap.waves[0].allSatisfy { $0.zone?.spec.publish == [] })
    // Nobody else wants it: one step, which the runtime does at once.
    #expect(try plan(pair(82, 81), after: pair(80, 81), on: machine).changes.map(\.name) == ["f-a-1"])
  }

  @Test(arguments: UInt64(0)..<300) func noPortIsTakenWhileAnotherHasIt(seed: UInt64) throws {
    var random = Random(state: seed)
    var machine = Machine()
    var previous: FleetSpec?
    for _ in 0..<5 {
      let wanted = fleet(&random)
      let whole = try plan(wanted, after: previous, on: machine)
      for wave in whole.waves {
        var holders: [UInt16: String] = [:]
        for (name, zone) in machine.observed.zones where zone.isLive {
          for port in zone.spec.publish { holders[port.hostPort] = name }
        }
        for balancer in machine.observed.balancers.values {
          for listener in balancer.listeners { holders[listener.hostPort] = Change.name(of: balancer) }
        }
        for change in wave {
          var ports = change.zone?.spec.publish.map(\.hostPort) ?? []
          if case .startBalancer(let balancer) = change.action { ports = balancer.listeners.map(\.hostPort) }
          for port in ports {
            #expect(holders[port] == nil || holders[port] == change.name, "\(change.name) takes \(port)")
          }
        }
        machine.carryOut(Plan(fleet: "f", changes: wave))
      }
      previous = wanted
    }
  }

  @Test func whatEachFieldCosts() throws {
    var machine = Machine()
    machine.carryOut(try plan(web(1), on: machine))
    func effect(_ change: (inout Service) -> Void) throws -> [Change.Effect] {
      try plan(web(1, change), after: web(1), on: machine).changes.map(\.effect)
    }
    #expect(try effect { $0.limits.cpus = 1 } == [.live])
    #expect(try effect { $0.labels = ["a": "b"] } == [.live])
    #expect(try effect { $0.stopGrace = 3 } == [.live])
    #expect(try effect { $0.health = HealthCheck([.tcp(port: 1)]) } == [.live])
    #expect(try effect { $0.command = ["x"] } == [.restart])
    #expect(try effect { $0.image = .directory("/x") } == [.recreate])
  }

  @Test func replicasAreRestartedOneAfterTheOther() throws {
    var machine = Machine()
    machine.carryOut(try plan(web(3), on: machine))
    let changes = try plan(web(3) { $0.command = ["x"] }, after: web(3), on: machine).changes
    #expect(changes.map(\.wave) == [0, 1, 2])
    #expect(changes.map(\.waits) == [[], [.zone("f-web-1")], [.zone("f-web-1"), .zone("f-web-2")]])
    #expect(changes.allSatisfy { $0.downtime == 0 })
    var one = Machine()
    one.carryOut(try plan(web(1), on: one))
    #expect(try plan(web(1) { $0.command = ["x"] }, after: web(1), on: one).changes.map(\.downtime) == [11])
  }

  /// What a machine is like after a rollout whose first replica was changed and serves no more.
  private func brokenOff(_ wanted: FleetSpec) throws -> Machine {
    var machine = Machine()
    machine.carryOut(try plan(web(3), on: machine))
    let first = try plan(wanted, after: web(3), on: machine).changes[0]
    machine.carryOut(Plan(fleet: "f", changes: [first]))
    machine.observed.zones["f-web-1"]!.state = .installed
    machine.observed.zones["f-web-1"]!.startId = nil
    return machine
  }

  @Test func aRolloutThatFailedGoesNoFurther() throws {
    let wrong = web(3) { $0.command = ["wrong"] }
    let machine = try brokenOff(wrong)
    let left = try plan(wrong, after: wrong, on: machine).changes
    #expect(left.map(\.name) == ["f-web-2", "f-web-3"])
    #expect(left.allSatisfy { $0.waits.contains(.zone("f-web-1")) })
    #expect(try left.allSatisfy { try !$0.waits.allSatisfy { try machine.observed.isMet($0, in: wrong) } })
    // The manifest that puts it right begins with the very one.
    let right = try plan(web(3) { $0.command = ["right"] }, after: wrong, on: machine).changes
    #expect(right.first?.name == "f-web-1" && right.first?.waits == [])
  }

  @Test func whoServesNobodyIsChangedFirstWhereAPersonAsks() throws {
    let wrong = web(3) { $0.command = ["wrong"] }
    let back = web(3)
    for isLive in [false, true] {
      var machine = try brokenOff(wrong)
      if isLive {
        machine.observed.zones["f-web-1"]!.state = .running
        machine.observed.health["f-web-1"] = Health(.unhealthy)
      }
      let asked = try plan(back, after: wrong, on: machine, isAsked: true).changes
      #expect(asked.map(\.name) == ["f-web-1"] && asked[0].waits == [])
      // By itself the daemon does not know that it will not be back, as it was.
      let others = [Wait.zone("f-web-2"), .zone("f-web-3")]
      #expect(try plan(back, after: back, on: machine).changes.first?.waits == others)
      machine.observed.zones["f-web-1"]!.state = .installed
      machine.observed.records["f-web-1"]!.owesStart = true
      #expect(try plan(back, after: back, on: machine).changes.first?.waits == [])
    }
  }

  @Test func newReplicasServeBeforeOldOnesAreTaken() throws {
    var machine = Machine()
    machine.carryOut(try plan(web(2), on: machine))
    let changes = try plan(web(3) { $0.command = ["x"] }, after: web(2), on: machine).changes
    let restarts = changes.filter { $0.effect == .restart }
    #expect(restarts.map(\.name) == ["f-web-1", "f-web-2"])
    #expect(restarts[0].waits == [.zone("f-web-3")])
  }

  @Test func aSickReplicaIsMendedThoughAnotherStaysSick() throws {
    let fleet = web(2)
    var machine = Machine()
    machine.carryOut(try plan(fleet, on: machine))
    for name in ["f-web-1", "f-web-2"] { machine.observed.health[name] = Health(.unhealthy) }
    machine.observed.healing["f-web-1"] = Healing(attempts: 3, last: 1 << 40)
    let changes = try plan(fleet, after: fleet, on: machine).changes
    #expect(changes.map(\.name) == ["f-web-2"] && changes[0].waits == [])
  }

  @Test func anEndBeforeOurStartSaysNothing() throws {
    var fleet = FleetSpec(name: "f")
    fleet.services = ["migrate": Service(), "app": Service()]
    fleet.services["app"]!.dependsOn = ["migrate": .completed]
    var machine = Machine()
    machine.carryOut(try plan(fleet, on: machine))
    machine.observed.zones["f-migrate-1"]!.state = .installed
    machine.observed.zones["f-migrate-1"]!.exit = .init(shellCode: 0, why: "exit code 0", at: 7)
    let completed = Wait.service("migrate", .completed)
    #expect(try machine.observed.isMet(completed, in: fleet))
    #expect(try machine.observed.isMet(.service("migrate", .started), in: fleet))
    machine.observed.records["f-migrate-1"]!.endBefore = 7
    #expect(try !machine.observed.isMet(completed, in: fleet))
    #expect(try !machine.observed.isMet(.service("migrate", .started), in: fleet))
    machine.observed.zones["f-migrate-1"]!.exit!.at = 6  // its clock was set back meanwhile
    #expect(try machine.observed.isMet(completed, in: fleet))
  }

  @Test func anotherSecretRestartsWhoUsesIt() throws {
    var fleet = web(1) { $0.secrets = [ServiceSecret(source: "k", target: "k")] }
    fleet.services["other"] = Service()
    fleet.secrets = ["k"]
    var machine = Machine()
    machine.carryOut(try plan(fleet, on: machine, digests: ["k": "1"]))
    #expect(try shown(plan(fleet, after: fleet, on: machine, digests: ["k": "2"])) == ["restart f-web-1: secrets"])
    #expect(try plan(fleet, after: fleet, on: machine, digests: ["k": "1"]).changes.isEmpty)
  }

  @Test func aNameThatIsTakenIsRefused() throws {
    var machine = Machine()
    machine.observed.zones["f-web-1"] = ObservedZone(ZoneSpec(name: "f-web-1"), state: .running)
    #expect(throws: FleetError.self) { try plan(web(1), on: machine) }
    machine.observed.zones["f-web-1"]!.spec.fleet = "other"
    #expect(throws: FleetError.self) { try plan(web(1), on: machine) }
  }

  @Test func aCircleIsFoundWhereverItIs() {
    #expect(throws: DependencyOrder.Circle(services: ["b", "c", "b"])) {
      try DependencyOrder.sorted(["a": ["b"], "b": ["c"], "c": ["b"]])
    }
    #expect(throws: DependencyOrder.Circle(services: ["a", "a"])) { try DependencyOrder.sorted(["a": ["a"]]) }
  }

  // MARK: mending

  private func mended(
    _ policy: RestartPolicy, now: UInt64 = 100_000_000_000, isAsked: Bool = false,
    _ befall: (inout ObservedZone, inout Observation) -> Void
  ) throws -> [String] {
    let fleet = web(1) { $0.restart = policy }
    var machine = Machine()
    machine.carryOut(try plan(fleet, on: machine))
    machine.observed.restingSince["f-web-1"] = 1
    var zone = machine.observed.zones["f-web-1"]!
    befall(&zone, &machine.observed)
    machine.observed.zones["f-web-1"] = zone
    return try plan(fleet, after: fleet, on: machine, now: now, isAsked: isAsked).changes.map { "\($0.effect)" }
  }

  @Test func whoEndedAndRestsIsStartedByItsPolicy() throws {
    func ended(_ code: Int) -> (inout ObservedZone, inout Observation) -> Void {
      { zone, _ in
        zone.state = .installed
        zone.exit = .init(shellCode: code, why: "exit code \(code)", at: 1)
      }
    }
    #expect(try mended(.always, ended(0)) == ["start"])
    #expect(try mended(.unlessStopped, ended(0)) == ["start"])
    #expect(try mended(.no, ended(1)) == [])
    #expect(try mended(.onFailure(limit: nil), ended(0)) == [])
    #expect(try mended(.onFailure(limit: nil), ended(1)) == ["start"])
    #expect(
      try mended(.onFailure(limit: 2)) { zone, observed in
        ended(1)(&zone, &observed)
        zone.restarts = 2
      } == [])
  }

  @Test func aStartThatIsOwedIsDoneWhateverThePolicy() throws {
    /// - Parameters:
    ///   - before: when it had ended before the start that is owed; nil: its stop was cut.
    ///   - code: how it ended, at 2.
    func owed(_ before: UInt64?, _ code: Int) -> (inout ObservedZone, inout Observation) -> Void {
      { zone, observed in
        zone.state = .installed
        zone.startId = nil
        zone.exit = .init(shellCode: code, why: "exit code \(code)", at: 2)
        observed.records["f-web-1"]!.owesStart = true
        observed.records["f-web-1"]!.endBefore = before
      }
    }
    for policy in [RestartPolicy.no, .onFailure(limit: nil), .always] {
      // At once: nobody else will.
      #expect(try mended(policy, now: 2, owed(nil, 0)) == ["start"], "\(policy) whose stop was cut")
      #expect(try mended(policy, now: 2, owed(2, 143)) == ["start"], "\(policy) whose start failed")
      #expect(try mended(policy, now: 2, owed(1, 1)) == ["start"], "\(policy) that failed at once")
    }
    #expect(try mended(.no, owed(1, 0)) == [], "its work was done before anybody could note its start")
    #expect(
      try mended(.no) { zone, observed in
        owed(nil, 0)(&zone, &observed)
        zone.state = .unavailable
      } == ["start"])
  }

  @Test func whoAsksStartsWhatHasStopped() throws {
    func ended(_ code: Int?, before: UInt64? = nil) -> (inout ObservedZone, inout Observation) -> Void {
      { zone, observed in
        zone.state = .installed
        zone.startId = nil
        zone.exit = code.map { .init(shellCode: $0, why: "exit code \($0)", at: 2) }
        observed.records["f-web-1"]!.endBefore = before
        observed.restingSince = [:]
      }
    }
    for isAsked in [false, true] {
      let start = isAsked ? ["start"] : []
      func planned(_ policy: RestartPolicy, _ befall: (inout ObservedZone, inout Observation) -> Void) throws
        -> [String]
      { try mended(policy, isAsked: isAsked, befall) }
      #expect(try planned(.no, ended(143)) == start)
      #expect(try planned(.no, ended(nil)) == start, "the machine went down with it")
      #expect(try planned(.no, ended(0, before: 2)) == start, "its end is that of an earlier run")
      #expect(try planned(.always, ended(0)) == start)
      #expect(try planned(.onFailure(limit: 1), ended(1)) == start)
      #expect(try planned(.no) { zone, _ in zone.state = .unavailable } == start)
      #expect(try planned(.no, ended(0)) == [], "its work is done")
      #expect(try planned(.onFailure(limit: nil), ended(0)) == [], "its work is done")
    }
  }

  @Test func aKeeperIsGivenItsTime() throws {
    #expect(try mended(.always, now: 10_000_000_000) { zone, _ in zone.state = .down } == [])
    #expect(
      try mended(.always) { zone, observed in
        zone.state = .down
        zone.keeper = 7
      } == [])
    #expect(try mended(.always) { zone, _ in zone.state = .ready } == [])
  }

  @Test func aLostKeeperAndASickZoneAreMendedWithPatience() throws {
    #expect(try mended(.always) { zone, _ in zone.state = .unavailable } == ["start"])
    #expect(try mended(.no) { zone, _ in zone.state = .unavailable } == [])
    #expect(try mended(.always) { _, observed in observed.health["f-web-1"] = Health(.unhealthy) } == ["restart"])
    #expect(try mended(.no) { _, observed in observed.health["f-web-1"] = Health(.unhealthy) } == [])
    // The third attempt comes no sooner than 4 s after the one before.
    for (after, expected) in [(UInt64(3_900_000_000), [String]()), (4_000_000_000, ["restart"])] {
      #expect(
        try mended(.always, now: 50_000_000_000 + after) { _, observed in
          observed.health["f-web-1"] = Health(.unhealthy)
          observed.healing["f-web-1"] = Healing(attempts: 3, last: 50_000_000_000)
        } == expected)
    }
    #expect(Healing(attempts: 100, last: 0).delay == 60)
  }

  @Test func whatFailedHasItsTimeUnlessAPersonAsks() throws {
    let fleet = web(2)
    var machine = Machine()
    for name in ["f-web-1", "f-web (balancer)"] {
      machine.observed.healing[name] = Healing(attempts: 3, last: 1 << 40)
    }
    func names(after seconds: UInt64, isAsked: Bool = false) throws -> [String] {
      try plan(fleet, on: machine, now: (1 << 40) + seconds * 1_000_000_000, isAsked: isAsked).changes.map(\.name)
    }
    #expect(try names(after: 3) == ["f-web-2"])
    #expect(try names(after: 3, isAsked: true) == ["f-web-1", "f-web-2", "f-web (balancer)"])
    #expect(try names(after: 4) == ["f-web-1", "f-web-2", "f-web (balancer)"])
  }

  @Test func whatWaitsForWhatFailedIsLeftAndNothingElse() {
    func change(_ name: String, _ service: String, _ waits: [Wait]) -> Change {
      Change(
        effect: .remove, action: .remove(zone: name), service: service, reasons: [], downtime: 0, waits: waits)
    }
    var undone = Undone()
    undone.add(ChangeFailure(change: change("f-db-1", "db", []), error: .failed("first")))
    #expect(undone.cause(of: change("f-db-2", "db", [.zone("f-db-1")])) == "f-db-1")
    #expect(undone.cause(of: change("f-mail-1", "mail", [.service("cache", .started)])) == nil)
    let app = change("f-app-1", "app", [.service("cache", .started), .service("db", .healthy)])
    #expect(undone.cause(of: app) == "db")
    undone.leave(app)
    #expect(undone.cause(of: change("f-web-1", "web", [.service("app", .started)])) == "app")
    #expect(throws: FleetError.failed("first")) { try undone.check() }
    undone.add(ChangeFailure(change: change("f-x-1", "x", []), error: .timedOut("second")))
    #expect(throws: FleetError.failed("first (and 1 more, see orchestrator events)")) { try undone.check() }
  }

  @Test func everyFieldOfASpecIsCompared() {
    let fields = Set(Mirror(reflecting: ZoneSpec(name: "x")).children.compactMap(\.label))
    // The name is what zones are matched by.
    let known: [String: String] = [
      "image": "brand", "working_dir": "workdir", "ports": "publish", "read_only": "readOnly", "cap_add": "capAdd",
      "cap_drop": "capDrop", "tty": "terminal", "init": "ownInit", "stop_signal": "stopSignal",
      "stop_grace_period": "stopGrace", "storage_opt": "quota",
    ]
    #expect(Set(SpecDifference.rows.map { known[$0.field] ?? $0.field }).union(["name"]) == fields)
  }
}
