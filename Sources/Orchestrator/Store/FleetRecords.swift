internal import Foundation

/// What the store keeps of a fleet.
public struct FleetRecord: Codable, Equatable, Sendable {
  public static let currentVersion = 1
  public enum Wanted: String, Codable, Sendable {
    case running
    /// `down` has begun and is carried on by the next daemon.
    case down
    /// Taken down; only the volumes named here are left.
    case volumesOnly = "volumes_only"
  }
  public var version = FleetRecord.currentVersion
  public var spec: FleetSpec
  public var wanted: Wanted = .running
  /// How often it was applied with a change.
  public var generation = 1
  /// Nanoseconds since 1970.
  public var appliedAt: UInt64
  public var secretDigests: [String: String] = [:]
  /// Zone, port inside, loopback port; only where zones are not reachable.
  public var loopbackPorts: [String: [UInt16: UInt16]] = [:]
  /// Volumes of this fleet that lie on this machine, also those of services that are gone.
  public var volumes: [String] = []
  /// `down --volumes`.
  public var removeVolumes = false
}

/// Something that happened, for the person.
public struct FleetEvent: Codable, Equatable, Sendable {
  public var sequence: Int64
  /// Nanoseconds since 1970.
  public var at: UInt64
  public var fleet: String
  public var zone: String?
  /// `zone.started`, `zone.unhealthy`, `fleet.applied` …
  public var kind: String
  public var text: String
}

/// An entry that could not be read, and lies at `aside/KEY` now: in nobody's way, and not lost.
struct SetAside: Sendable {
  var key: String
  var why: String

  /// Whose it is: what follows `fleets/`, `zones/`.
  var fleet: String { FleetRecords.fleet(ofKey: key) }
  var description: String {
    "cannot read \(key) from the state: \(why) (it is kept as aside/\(key); apply the manifest again)"
  }
}

/// The fleets' own words over the store's keys.
struct FleetRecords: Sendable {
  let store: any Store
  let box: SecretBox

  static let eventsKept = 10_000

  // MARK: fleets

  func fleets() async throws(FleetError) -> (found: [(value: FleetRecord, revision: Int64)], aside: [SetAside]) {
    try await readable("fleets/")
  }

  /// The fleets of which a record was set aside, now or by a daemon before.
  func fleetsSetAside() async throws(FleetError) -> Set<String> {
    var fleets: Set<String> = []
    for prefix in ["fleets/", "zones/"] {
      for entry in try await list(Self.aside + prefix) {
        fleets.insert(Self.fleet(ofKey: String(entry.key.dropFirst(Self.aside.count))))
      }
    }
    return fleets
  }

  static func fleet(ofKey key: String) -> String {
    key.split(separator: "/").dropFirst().first.map(String.init) ?? key
  }

  /// Writes a fleet and its secrets in one commit.
  /// - Parameter revision: the commit that must still be the fleet's last; nil: it must not be there.
  func put(_ record: FleetRecord, secrets: [String: [UInt8]]?, after revision: Int64?) async throws(FleetError) -> Int64
  {
    let key = "fleets/\(record.spec.name)"
    var changes: [StoreChange] = [.put(key, try encode(record))]
    if let secrets {
      let prefix = "secrets/\(record.spec.name)/"
      for entry in try await list(prefix) where secrets[String(entry.key.dropFirst(prefix.count))] == nil {
        changes.append(.delete(entry.key))
      }
      for (name, value) in secrets { changes.append(.put(prefix + name, try box.seal(value, name: prefix + name))) }
    }
    let done = try await commit(changes, if: [revision.map { .revision(key, $0) } ?? .absent(key)])
    guard let done else { throw .conflict("the fleet '\(record.spec.name)' was changed meanwhile (try again)") }
    return done
  }

  /// Removes the fleet with its zones' records and its secrets.
  func remove(fleet: String) async throws(FleetError) {
    var keys = ["fleets/\(fleet)"]
    for prefix in ["zones/\(fleet)/", "secrets/\(fleet)/", "\(Self.aside)zones/\(fleet)/"] {
      keys += try await list(prefix).map(\.key)
    }
    keys.append("\(Self.aside)fleets/\(fleet)")
    _ = try await commit(keys.map { .delete($0) }, if: [])
  }

  /// The fleet's secrets in the clear: for the files that zones read, and nothing else.
  func secrets(of fleet: String) async throws(FleetError) -> [String: [UInt8]] {
    let prefix = "secrets/\(fleet)/"
    var secrets: [String: [UInt8]] = [:]
    for entry in try await list(prefix) {
      secrets[String(entry.key.dropFirst(prefix.count))] = try box.open(entry.value, name: entry.key)
    }
    return secrets
  }

  // MARK: zones

  func zones() async throws(FleetError) -> (found: [(value: ZoneRecord, revision: Int64)], aside: [SetAside]) {
    try await readable("zones/")
  }

  func put(_ record: ZoneRecord) async throws(FleetError) {
    _ = try await commit([.put("zones/\(record.fleet)/\(record.name)", try encode(record))], if: [])
  }

  func remove(_ record: ZoneRecord) async throws(FleetError) {
    _ = try await commit([.delete("zones/\(record.fleet)/\(record.name)")], if: [])
  }

  // MARK: events

  func events() async throws(FleetError) -> [FleetEvent] {
    // One that cannot be read is history that is lost, and no reason to lose the rest.
    let events: [(value: FleetEvent, revision: Int64)] = try await readable("events/").found
    return events.map(\.value)
  }

  func append(_ event: FleetEvent) async throws(FleetError) {
    var changes: [StoreChange] = [.put(Self.key(event.sequence), try encode(event))]
    if event.sequence > Self.eventsKept { changes.append(.delete(Self.key(event.sequence - Int64(Self.eventsKept)))) }
    _ = try await commit(changes, if: [])
  }

  /// Twenty digits, so that the keys' order is the events'.
  private static func key(_ sequence: Int64) -> String {
    let digits = String(sequence)
    return "events/" + String(repeating: "0", count: 20 - digits.count) + digits
  }

  // MARK: the store's errors in ours

  private func list(_ prefix: String) async throws(FleetError) -> [StoreEntry] {
    do { return try await store.list(prefix) } catch { throw .failed(error.description) }
  }

  private func commit(_ changes: [StoreChange], if expectations: [StoreExpectation]) async throws(FleetError) -> Int64?
  {
    do { return try await store.commit(changes, if: expectations) } catch { throw .failed(error.description) }
  }

  private func encode(_ value: some Encodable) throws(FleetError) -> [UInt8] {
    do { return Array(try JSONEncoder().encode(value)) } catch { throw .failed("cannot write the state: \(error)") }
  }

  private static let aside = "aside/"

  /// What can be read; the rest is set aside, so that one bad entry is not the end of every daemon.
  private func readable<Value: Decodable>(_ prefix: String) async throws(FleetError)
    -> (found: [(value: Value, revision: Int64)], aside: [SetAside])
  {
    var found: [(value: Value, revision: Int64)] = []
    var aside: [SetAside] = []
    for entry in try await list(prefix) {
      do { found.append((try JSONDecoder().decode(Value.self, from: Data(entry.value)), entry.revision)) } catch {
        aside.append(SetAside(key: entry.key, why: "\(error)"))
        _ = try await commit([.delete(entry.key), .put(Self.aside + entry.key, entry.value)], if: [])
      }
    }
    return (found, aside)
  }
}
