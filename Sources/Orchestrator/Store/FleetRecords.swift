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

/// The fleets' own words over the store's keys.
struct FleetRecords: Sendable {
  let store: any Store
  let box: SecretBox

  static let eventsKept = 10_000

  // MARK: fleets

  func fleets() async throws(FleetError) -> [(record: FleetRecord, revision: Int64)] {
    var fleets: [(FleetRecord, Int64)] = []
    for entry in try await list("fleets/") { fleets.append((try decode(FleetRecord.self, entry), entry.revision)) }
    return fleets
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
    for prefix in ["zones/\(fleet)/", "secrets/\(fleet)/"] { keys += try await list(prefix).map(\.key) }
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

  func zones() async throws(FleetError) -> [ZoneRecord] {
    var records: [ZoneRecord] = []
    for entry in try await list("zones/") { records.append(try decode(ZoneRecord.self, entry)) }
    return records
  }

  func put(_ record: ZoneRecord) async throws(FleetError) {
    _ = try await commit([.put("zones/\(record.fleet)/\(record.name)", try encode(record))], if: [])
  }

  func remove(_ record: ZoneRecord) async throws(FleetError) {
    _ = try await commit([.delete("zones/\(record.fleet)/\(record.name)")], if: [])
  }

  // MARK: events

  func events() async throws(FleetError) -> [FleetEvent] {
    var events: [FleetEvent] = []
    for entry in try await list("events/") { events.append(try decode(FleetEvent.self, entry)) }
    return events
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

  private func decode<Value: Decodable>(_ type: Value.Type, _ entry: StoreEntry) throws(FleetError) -> Value {
    do { return try JSONDecoder().decode(type, from: Data(entry.value)) } catch {
      throw .failed("cannot read \(entry.key) from the state: \(error)")
    }
  }
}
