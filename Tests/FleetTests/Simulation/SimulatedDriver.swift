import Glibc
import LinuxNS
import Synchronization
import ZoneRuntime

@testable import Orchestrator

/// Zones that exist in memory only, for what the daemon decides: the kernel's part is tested with the kernel.
final class SimulatedDriver: ZoneDriver {
  struct State {
    var zones: [String: ObservedZone] = [:]
    var volumes: Set<String> = []
    var starts: [String: Int] = [:]
    var calls: [String] = []
    /// Zones whose checks fail.
    var sick: Set<String> = []
    /// Zones that do not end when they are asked to, until they are none of these.
    var stubborn: Set<String> = []
    /// Calls that are to fail: `start f-a-1`.
    var failing: Set<String> = []
    var next = 1
  }
  let state = Mutex(State())
  let zonesAreReachable = true
  func removeCaches() {}

  func look<Value: Sendable>(_ body: (inout sending State) -> sending Value) -> Value { state.withLock(body) }
  var calls: [String] { look { $0.calls } }
  func starts(_ zone: String) -> Int { look { $0.starts[zone] ?? 0 } }

  func list() throws(DriverError) -> [ObservedZone] { look { Array($0.zones.values) } }
  func status(_ name: String) throws(DriverError) -> ObservedZone? { look { $0.zones[name] } }

  func create(_ spec: ZoneSpec) throws(DriverError) {
    try change("create", spec.name) { state in
      guard state.zones[spec.name] == nil else { return "there is a zone '\(spec.name)' already" }
      state.zones[spec.name] = ObservedZone(spec, state: .installed)
      for case .volume(let name) in spec.volumes.map(\.source) { state.volumes.insert(name) }
      return nil
    }
  }

  func start(_ name: String) throws(DriverError) {
    try change("start", name) { state in
      guard var zone = state.zones[name] else { return "no zone is named '\(name)'" }
      guard !zone.isLive else { return "it is \(zone.state.rawValue)" }
      Self.run(&zone, &state)
      state.zones[name] = zone
      return nil
    }
  }

  private static func run(_ zone: inout ObservedZone, _ state: inout State) {
    zone.state = .running
    zone.startId = "start-\(state.next)"
    zone.keeper = Int32(state.next)
    zone.addresses = ["192.0.2.\(state.next % 250)"]
    zone.started = Clock.realtimeNanoseconds()
    state.next += 1
    state.starts[zone.name, default: 0] += 1
  }

  func stop(_ name: String) throws(DriverError) { try end("stop", name) }
  func halt(_ name: String) throws(DriverError) { try end("halt", name) }

  private func end(_ verb: String, _ name: String) throws(DriverError) {
    if look({ $0.stubborn.contains(name) }) {
      look { $0.calls.append("\(verb) \(name)") }
      while look({ $0.stubborn.contains(name) }) { _ = poll(nil, 0, 5) }
    }
    try change(verb, name) { state in
      guard let zone = state.zones[name] else { return "no zone is named '\(name)'" }
      Self.rest(name, zone.isLive ? (143, "signal TERM") : nil, &state)
      return nil
    }
  }

  /// - Parameter end: of the first process, where it ran.
  private static func rest(_ name: String, _ end: (code: Int, why: String)?, _ state: inout State) {
    state.zones[name]?.state = .installed
    state.zones[name]?.keeper = nil
    state.zones[name]?.startId = nil
    guard let end else { return }
    state.zones[name]?.exit = .init(shellCode: end.code, why: end.why, at: UInt64(state.next))
    state.next += 1
  }

  func set(_ name: String, to spec: ZoneSpec) throws(DriverError) -> [String] {
    try change("set", name) { state in
      guard state.zones[name] != nil else { return "no zone is named '\(name)'" }
      state.zones[name]!.spec = spec
      return nil
    }
    return []
  }

  func delete(_ name: String) throws(DriverError) {
    try change("delete", name) { state in
      state.zones.removeValue(forKey: name) == nil ? "no zone is named '\(name)'" : nil
    }
  }

  func execute(_ name: String, _ command: [String], timeout: Double) throws(DriverError) -> CommandOutcome {
    look { $0.sick.contains(name) }
      ? CommandOutcome(shellCode: 1, output: "it is sick\n") : CommandOutcome(shellCode: 0, output: "")
  }

  func logPath(_ name: String) -> String { "/nonexistent/\(name)" }
  func volumes() throws(DriverError) -> [String] { look { $0.volumes.sorted() } }
  func removeVolume(_ name: String) throws(DriverError) { look { _ = $0.volumes.remove(name) } }

  private func change(_ verb: String, _ name: String, _ body: (inout State) -> String?) throws(DriverError) {
    let refusal: String? = look { state in
      state.calls.append("\(verb) \(name)")
      if state.failing.contains("\(verb) \(name)") { return "told to fail" }
      return body(&state)
    }
    if let refusal { throw DriverError(.failed, "cannot \(verb) \(name): \(refusal)") }
  }

  // MARK: what befalls zones

  /// The first process is killed, and the keeper starts it again.
  func restartByKeeper(_ name: String) {
    look { state in
      guard var zone = state.zones[name] else { return }
      zone.restarts += 1
      zone.exit = .init(shellCode: 137, why: "signal KILL", at: UInt64(state.next))
      Self.run(&zone, &state)
      state.zones[name] = zone
    }
  }

  /// The keeper is killed, and the zone with it.
  func loseKeeper(_ name: String) {
    look { state in
      state.zones[name]?.state = .unavailable
      state.zones[name]?.why = "its keeper was killed"
      state.zones[name]?.keeper = nil
      state.zones[name]?.startId = nil
    }
  }

  /// The first process ends and nothing starts it again.
  func finish(_ name: String, code: Int) {
    look { Self.rest(name, (code, "exit code \(code)"), &$0) }
  }
}
