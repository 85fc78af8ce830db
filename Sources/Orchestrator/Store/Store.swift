/// Where the state of fleets lies. One implementation for one machine (SQLite); the words are those that etcd's API
/// has too, so that it can be the second one: keys with prefixes, a revision that grows by one with each commit,
/// commits that compare before they write, watches that start at a revision, leases that take their keys with them.
public protocol Store: Sendable {
  func get(_ key: String) async throws(StoreError) -> StoreEntry?
  /// The entries whose keys begin with `prefix`, by key.
  func list(_ prefix: String) async throws(StoreError) -> [StoreEntry]
  /// Does all changes or none.
  /// - Returns: the new revision, or nil where an expectation did not hold.
  @discardableResult
  func commit(_ changes: [StoreChange], if expectations: [StoreExpectation]) async throws(StoreError) -> Int64?
  /// What happens to keys that begin with `prefix` after a revision, from then on without a gap.
  /// - Parameter revision: nil is now.
  func watch(_ prefix: String, after revision: Int64?) async throws(StoreError) -> AsyncStream<StoreEvent>
  /// - Returns: an id for changes that are to vanish unless the lease is kept alive.
  func grantLease(seconds: Double) async throws(StoreError) -> Int64
  /// - Returns: false where the lease has run out.
  func keepAlive(lease: Int64) async throws(StoreError) -> Bool
  func revoke(lease: Int64) async throws(StoreError)
}

public struct StoreEntry: Sendable, Equatable {
  public var key: String
  public var value: [UInt8]
  /// The commit that wrote it last.
  public var revision: Int64
  public var lease: Int64?
}

public enum StoreChange: Sendable, Equatable {
  case put(String, [UInt8], lease: Int64? = nil)
  case delete(String)

  var key: String {
    switch self {
    case .put(let key, _, _), .delete(let key): key
    }
  }
}

/// What must be so for a commit to happen.
public enum StoreExpectation: Sendable, Equatable {
  /// The key was last written by this commit.
  case revision(String, Int64)
  case absent(String)
}

public enum StoreEvent: Sendable, Equatable {
  case put(StoreEntry)
  case delete(key: String, revision: Int64)
  /// Changes asked for are no longer remembered: list again, then watch from the revision given here.
  case compacted(Int64)
}

public enum StoreError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Written by a later release.
  case newer(path: String)
  case failed(String)
  case noLease(Int64)

  public var description: String {
    switch self {
    case .newer(let path): "cannot open \(path): a later release of orchestrator wrote it (use that release)"
    case .failed(let text): text
    case .noLease(let id): "the lease \(id) has run out"
    }
  }
}
