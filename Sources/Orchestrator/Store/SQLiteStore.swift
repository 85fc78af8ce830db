internal import Foundation
internal import GRDB
internal import LinuxNS
internal import NIOConcurrencyHelpers

/// The store of one machine: SQLite in WAL mode, one process at a time (the daemon holds a lock), so that watches are
/// served from memory and catch up from the table.
///
/// A deleted key stays as a row without a value until it is compacted, so that a watch can tell of it.
public final class SQLiteStore: Store {
  /// Rows of deleted keys that are kept for watches.
  static let tombstones = 10_000

  private let pool: DatabasePool
  private let watchers = NIOLockedValueBox<[Int: Watcher]>([:])
  private let nextWatcher = NIOLockedValueBox(0)
  private let now: @Sendable () -> Double

  public static let systemTime: @Sendable () -> Double = { Double(Clock.realtimeNanoseconds()) / 1e9 }

  private struct Watcher {
    var prefix: String
    var after: Int64
    var continuation: AsyncStream<StoreEvent>.Continuation
  }

  /// Opens or makes the database, 0600, and brings its schema up to date.
  /// - Parameter now: seconds since 1970, for leases.
  public init(path: String, now: @escaping @Sendable () -> Double = SQLiteStore.systemTime) throws(StoreError) {
    self.now = now
    do {
      var configuration = Configuration()
      configuration.prepareDatabase { try $0.execute(sql: "PRAGMA synchronous = FULL") }
      pool = try DatabasePool(path: path, configuration: configuration)
      let migrator = Self.migrator
      if try pool.read({ try migrator.hasBeenSuperseded($0) }) { throw StoreError.newer(path: path) }
      try migrator.migrate(pool)
    } catch let error as StoreError {
      throw error
    } catch { throw .failed("cannot open the state in \(path): \(error)") }
  }

  /// Each release's changes of the schema, for ever in this order.
  private static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1") { database in
      try database.execute(
        sql: """
          CREATE TABLE entries (
            key TEXT PRIMARY KEY NOT NULL, value BLOB, revision INTEGER NOT NULL, lease INTEGER REFERENCES leases(id)
          ) WITHOUT ROWID;
          CREATE INDEX entries_revision ON entries(revision);
          CREATE INDEX entries_lease ON entries(lease) WHERE lease IS NOT NULL;
          CREATE TABLE leases (id INTEGER PRIMARY KEY AUTOINCREMENT, seconds REAL NOT NULL, ends REAL NOT NULL);
          CREATE TABLE counters (name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) WITHOUT ROWID;
          INSERT INTO counters VALUES ('revision', 0), ('compacted', 0);
          """)
    }
    return migrator
  }

  public func get(_ key: String) async throws(StoreError) -> StoreEntry? {
    try await expire()
    return try await read("read \(key)") { database in
      try Row.fetchOne(database, sql: "SELECT * FROM entries WHERE key = ? AND value IS NOT NULL", arguments: [key])
        .map(Self.entry)
    }
  }

  public func list(_ prefix: String) async throws(StoreError) -> [StoreEntry] {
    try await expire()
    return try await read("list \(prefix)") { try Self.entries($0, prefix) }
  }

  @discardableResult
  public func commit(_ changes: [StoreChange], if expectations: [StoreExpectation] = []) async throws(StoreError)
    -> Int64?
  {
    try await expire()
    return try await write("write") { database -> Int64? in
      for expectation in expectations {
        switch expectation {
        case .absent(let key):
          if try Self.revision(database, of: key) != nil { return nil }
        case .revision(let key, let revision):
          if try Self.revision(database, of: key) != revision { return nil }
        }
      }
      return try self.apply(changes, database)
    }
  }

  // MARK: watching

  public func watch(_ prefix: String, after revision: Int64?) async throws(StoreError) -> AsyncStream<StoreEvent> {
    let (stream, continuation) = AsyncStream.makeStream(of: StoreEvent.self)
    let id = nextWatcher.withLockedValue { next in
      next += 1
      return next
    }
    continuation.onTermination = { [watchers] _ in watchers.withLockedValue { _ = $0.removeValue(forKey: id) } }
    // Within one write no commit can come between the catching up and the joining.
    try await write("watch \(prefix)") { database in
      let current = try Self.counter(database, "revision")
      var past: [StoreEvent] = []
      if let revision, revision < current {
        if revision < (try Self.counter(database, "compacted")) {
          past = [.compacted(current)]
        } else {
          past = try Row.fetchAll(
            database, sql: "SELECT * FROM entries WHERE revision > ? AND substr(key, 1, ?) = ? ORDER BY revision, key",
            arguments: [revision, prefix.count, prefix]
          ).map { row in
            row["value"] == nil ? .delete(key: row["key"], revision: row["revision"]) : .put(Self.entry(row))
          }
        }
      }
      for event in past { continuation.yield(event) }
      self.watchers.withLockedValue { $0[id] = Watcher(prefix: prefix, after: current, continuation: continuation) }
    }
    return stream
  }

  private func publish(_ events: [StoreEvent], _ revision: Int64) {
    watchers.withLockedValue { watchers in
      for (id, watcher) in watchers where watcher.after < revision {
        for event in events where event.key.hasPrefix(watcher.prefix) { watcher.continuation.yield(event) }
        watchers[id]!.after = revision
      }
    }
  }

  // MARK: leases

  public func grantLease(seconds: Double) async throws(StoreError) -> Int64 {
    let ends = now() + seconds
    return try await write("grant a lease") { database in
      try database.execute(sql: "INSERT INTO leases (seconds, ends) VALUES (?, ?)", arguments: [seconds, ends])
      return database.lastInsertedRowID
    }
  }

  public func keepAlive(lease: Int64) async throws(StoreError) -> Bool {
    try await expire()
    let time = now()
    return try await write("keep a lease") { database in
      try database.execute(sql: "UPDATE leases SET ends = ? + seconds WHERE id = ?", arguments: [time, lease])
      return database.changesCount == 1
    }
  }

  public func revoke(lease: Int64) async throws(StoreError) { try await end(leasesWhere: "id = ?", [lease]) }

  /// A lease that has run out takes its keys with it before anybody reads or writes again.
  private func expire() async throws(StoreError) {
    let time = now()
    let any = try await read("look at leases") {
      try Int.fetchOne($0, sql: "SELECT 1 FROM leases WHERE ends <= ?", arguments: [time])
    }
    if any != nil { try await end(leasesWhere: "ends <= ?", [time]) }
  }

  private func end(leasesWhere condition: String, _ arguments: StatementArguments) async throws(StoreError) {
    try await write("end a lease") { database in
      let ids = try Int64.fetchAll(database, sql: "SELECT id FROM leases WHERE \(condition)", arguments: arguments)
      let keys = try ids.flatMap {
        try String.fetchAll(
          database, sql: "SELECT key FROM entries WHERE lease = ? AND value IS NOT NULL", arguments: [$0])
      }
      if !keys.isEmpty { _ = try self.apply(keys.map { .delete($0) }, database) }
      for id in ids { try database.execute(sql: "DELETE FROM leases WHERE id = ?", arguments: [id]) }
    }
  }

  // MARK: the tables

  private func apply(_ changes: [StoreChange], _ database: Database) throws -> Int64 {
    try database.execute(sql: "UPDATE counters SET value = value + 1 WHERE name = 'revision'")
    let revision = try Self.counter(database, "revision")
    var events: [StoreEvent] = []
    for change in changes {
      switch change {
      case .put(let key, let value, let lease):
        if let lease, try Int.fetchOne(database, sql: "SELECT 1 FROM leases WHERE id = ?", arguments: [lease]) == nil {
          throw StoreError.noLease(lease)
        }
        try database.execute(
          sql: "INSERT OR REPLACE INTO entries (key, value, revision, lease) VALUES (?, ?, ?, ?)",
          arguments: [key, Data(value), revision, lease])
        events.append(.put(StoreEntry(key: key, value: value, revision: revision, lease: lease)))
      case .delete(let key):
        try database.execute(
          sql: "UPDATE entries SET value = NULL, lease = NULL, revision = ? WHERE key = ? AND value IS NOT NULL",
          arguments: [revision, key])
        if database.changesCount > 0 { events.append(.delete(key: key, revision: revision)) }
      }
    }
    if revision % 500 == 0 { try Self.compact(database) }
    // On the writer's own queue, so watchers see commits in their order.
    database.afterNextTransaction { [events] _ in self.publish(events, revision) }
    return revision
  }

  private static func compact(_ database: Database) throws {
    let oldest = try Int64.fetchOne(
      database, sql: "SELECT revision FROM entries WHERE value IS NULL ORDER BY revision DESC LIMIT 1 OFFSET ?",
      arguments: [tombstones])
    guard let oldest else { return }
    try database.execute(sql: "DELETE FROM entries WHERE value IS NULL AND revision <= ?", arguments: [oldest])
    try database.execute(sql: "UPDATE counters SET value = ? WHERE name = 'compacted'", arguments: [oldest])
  }

  private static func counter(_ database: Database, _ name: String) throws -> Int64 {
    try Int64.fetchOne(database, sql: "SELECT value FROM counters WHERE name = ?", arguments: [name]) ?? 0
  }

  private static func revision(_ database: Database, of key: String) throws -> Int64? {
    try Int64.fetchOne(
      database, sql: "SELECT revision FROM entries WHERE key = ? AND value IS NOT NULL", arguments: [key])
  }

  private static func entries(_ database: Database, _ prefix: String) throws -> [StoreEntry] {
    // Not LIKE or GLOB: a prefix may hold their signs.
    try Row.fetchAll(
      database,
      sql: "SELECT * FROM entries WHERE key >= ? AND substr(key, 1, ?) = ? AND value IS NOT NULL ORDER BY key",
      arguments: [prefix, prefix.count, prefix]
    ).map(entry)
  }

  private static func entry(_ row: Row) -> StoreEntry {
    let value: Data = row["value"]
    return StoreEntry(key: row["key"], value: Array(value), revision: row["revision"], lease: row["lease"])
  }

  private func read<Value: Sendable>(_ what: String, _ body: @escaping @Sendable (Database) throws -> Value)
    async throws(StoreError) -> Value
  {
    do { return try await pool.read(body) } catch { throw .failed("cannot \(what) in the state: \(error)") }
  }

  private func write<Value: Sendable>(_ what: String, _ body: @escaping @Sendable (Database) throws -> Value)
    async throws(StoreError) -> Value
  {
    do { return try await pool.write(body) } catch let error as StoreError { throw error } catch {
      throw .failed("cannot \(what) in the state: \(error)")
    }
  }

  public func close() throws { try pool.close() }
}

extension StoreEvent {
  fileprivate var key: String {
    switch self {
    case .put(let entry): entry.key
    case .delete(let key, _): key
    case .compacted: ""
    }
  }
}
