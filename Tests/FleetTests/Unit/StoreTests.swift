import Foundation
import GRDB
import LinuxNS
import Synchronization
import Testing

@testable import Orchestrator

/// A folder of a test's own, removed with it.
final class Folder: Sendable {
  let path: String
  init() {
    path = "/tmp/zones-fleet-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    try! FileManager.default.createDirectory(
      atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
  }
  deinit { try? FileManager.default.removeItem(atPath: path) }
}

@Suite struct StoreTests {
  let folder = Folder()
  private func store(now: @escaping @Sendable () -> Double = SQLiteStore.systemTime) throws -> SQLiteStore {
    try SQLiteStore(path: "\(folder.path)/state.db", now: now)
  }
  private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

  @Test func whatIsWrittenIsThereAfterANewStart() async throws {
    let first = try store()
    let revision = try await first.commit([.put("a/1", bytes("x")), .put("a/2", bytes("y")), .put("b", bytes("z"))])
    try first.close()
    let second = try store()
    #expect(try await second.get("a/1") == StoreEntry(key: "a/1", value: bytes("x"), revision: try #require(revision)))
    #expect(try await second.list("a/").map(\.key) == ["a/1", "a/2"])
    #expect(try await second.get("a") == nil)
  }

  @Test func aPrefixIsTakenLiterally() async throws {
    let store = try store()
    try await store.commit([.put("a%/1", bytes("")), .put("ab/1", bytes("")), .put("a_/1", bytes(""))])
    #expect(try await store.list("a%/").map(\.key) == ["a%/1"])
    #expect(try await store.list("a_").map(\.key) == ["a_/1"])
  }

  @Test func compareAndSet() async throws {
    let store = try store()
    let first = try #require(try await store.commit([.put("k", bytes("1"))], if: [.absent("k")]))
    #expect(try await store.commit([.put("k", bytes("2"))], if: [.absent("k")]) == nil)
    let second = try #require(try await store.commit([.put("k", bytes("2"))], if: [.revision("k", first)]))
    #expect(second > first)
    // All or nothing: the other key is not written either.
    #expect(try await store.commit([.put("k", bytes("3")), .put("l", bytes(""))], if: [.revision("k", first)]) == nil)
    #expect(try await store.get("k")?.value == bytes("2"))
    #expect(try await store.get("l") == nil)
    try await store.commit([.delete("k")])
    #expect(try await store.commit([.put("k", bytes("4"))], if: [.absent("k")]) != nil)
  }

  @Test func oneOfManyWritersWins() async throws {
    let store = try store()
    let winners = await withTaskGroup(of: Bool.self) { group in
      for n in 0..<20 {
        group.addTask { ((try? await store.commit([.put("k", [UInt8(n)])], if: [.absent("k")])) ?? nil) != nil }
      }
      return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
    }
    #expect(winners == 1)
  }

  @Test func aWatchMissesNothingAndTellsNothingTwice() async throws {
    let store = try store()
    let start = try #require(try await store.commit([.put("w/0", [0])]))
    try await store.commit([.put("other", [])])
    try await store.commit([.put("w/1", [1])])
    let stream = try await store.watch("w/", after: start)
    try await store.commit([.put("w/2", [2]), .put("w/3", [3])])
    try await store.commit([.delete("w/1")])
    var seen: [String] = []
    for await event in stream {
      switch event {
      case .put(let entry): seen.append("+\(entry.key)")
      case .delete(let key, _): seen.append("-\(key)")
      case .compacted: seen.append("!")
      }
      if seen.count == 4 { break }
    }
    #expect(seen == ["+w/1", "+w/2", "+w/3", "-w/1"])
  }

  @Test func concurrentCommitsReachAWatchInOrder() async throws {
    let store = try store()
    let stream = try await store.watch("k", after: nil)
    await withTaskGroup(of: Void.self) { group in
      for n in 0..<50 { group.addTask { _ = try? await store.commit([.put("k", [UInt8(n)])], if: []) } }
    }
    var revisions: [Int64] = []
    for await case .put(let entry) in stream {
      revisions.append(entry.revision)
      if revisions.count == 50 { break }
    }
    #expect(revisions == revisions.sorted() && Set(revisions).count == 50)
  }

  @Test func aLeaseTakesItsKeysWithIt() async throws {
    let time = Atomic<Int>(1000)
    let store = try SQLiteStore(path: "\(folder.path)/leases.db", now: { Double(time.load(ordering: .relaxed)) })
    let lease = try await store.grantLease(seconds: 10)
    try await store.commit([.put("leader", bytes("me"), lease: lease), .put("stays", [])])
    time.store(1009, ordering: .relaxed)
    #expect(try await store.keepAlive(lease: lease))
    time.store(1018, ordering: .relaxed)
    #expect(try await store.get("leader") != nil)
    let stream = try await store.watch("leader", after: nil)
    time.store(1020, ordering: .relaxed)
    #expect(try await store.get("leader") == nil)
    #expect(try await store.get("stays") != nil)
    #expect(try await store.keepAlive(lease: lease) == false)
    await #expect(throws: StoreError.noLease(lease)) { try await store.commit([.put("x", [], lease: lease)]) }
    var events = stream.makeAsyncIterator()
    guard case .delete("leader", _)? = await events.next() else {
      return #expect(Bool(false), "the watch was not told")
    }
  }

  @Test func aLaterReleasesStateIsLeftAlone() async throws {
    try store().close()
    try await DatabaseQueue(path: "\(folder.path)/state.db").write {
      try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('999')")
    }
    #expect(throws: StoreError.newer(path: "\(folder.path)/state.db")) { try store() }
  }
}

@Suite struct RecordTests {
  @Test func aZonesRecordOfAnEarlierReleaseIsRead() throws {
    let old =
      #"{"version":1,"name":"f-a-1","fleet":"f","service":"a","ordinal":1,"secretsDigest":"","everStarted":true}"#
    let record = try JSONDecoder().decode(ZoneRecord.self, from: Data(old.utf8))
    #expect(record.everStarted && record.owesStart == nil && record.endBefore == nil)
  }
}

@Suite struct SecretTests {
  let folder = Folder()

  @Test func theDatabaseDoesNotHoldTheSecret() async throws {
    let box = try SecretBox(keyFile: "\(folder.path)/key")
    let store = try SQLiteStore(path: "\(folder.path)/state.db")
    let records = FleetRecords(store: store, box: box)
    let secret = "a-very-unusual-phrase-4711"
    var record = FleetRecord(spec: FleetSpec(name: "f"), appliedAt: 1)
    record.secretDigests = ["k": box.digest(Array(secret.utf8), name: "f/k")]
    _ = try await records.put(record, secrets: ["k": Array(secret.utf8)], after: nil)
    #expect(try await records.secrets(of: "f") == ["k": Array(secret.utf8)])
    var looked = 0
    for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
      let data = try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/\(name)"))
      if name.hasPrefix("state.db") { looked += data.count }
      #expect(data.range(of: Data(secret.utf8)) == nil, "\(name) holds the secret")
      #expect(
        data.range(of: Data(Data(secret.utf8).base64EncodedString().utf8)) == nil, "\(name) holds the secret in base64")
    }
    #expect(looked > 10_000)
    // The same search finds what is not encrypted, so it can find.
    let all = try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/state.db-wal"))
    #expect(all.range(of: Data("fleets/f".utf8)) != nil)
  }

  @Test func aSealedSecretOpensUnderItsOwnNameAndKeyAlone() throws {
    let box = try SecretBox(keyFile: "\(folder.path)/key")
    let sealed = try box.seal([1, 2, 3], name: "secrets/f/a")
    #expect(try box.open(sealed, name: "secrets/f/a") == [1, 2, 3])
    #expect(throws: FleetError.self) { try box.open(sealed, name: "secrets/f/b") }
    #expect(throws: FleetError.self) {
      try SecretBox(keyFile: "\(folder.path)/other").open(sealed, name: "secrets/f/a")
    }
    var changed = sealed
    changed[changed.count / 2] ^= 1
    #expect(throws: FleetError.self) { try box.open(changed, name: "secrets/f/a") }
    #expect(try box.seal([1, 2, 3], name: "secrets/f/a") != sealed, "a nonce was used twice")
  }

  @Test func theKeyIsItsOwnersAlone() throws {
    let path = "\(folder.path)/key"
    _ = try SecretBox(keyFile: path)
    let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    #expect(mode == 0o600)
    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
    #expect(throws: FleetError.self) { try SecretBox(keyFile: path) }
  }

  @Test func manyMakersEndUpWithOneKey() async throws {
    let path = "\(folder.path)/key"
    let sealed = try await withThrowingTaskGroup(of: [UInt8].self) { group in
      for _ in 0..<16 { group.addTask { try SecretBox(keyFile: path).seal([9], name: "n") } }
      return try await group.reduce(into: [[UInt8]]()) { $0.append($1) }
    }
    let box = try SecretBox(keyFile: path)
    for one in sealed { #expect(try box.open(one, name: "n") == [9]) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["key"])
  }

  @Test func theDigestTellsChangesAndNothingElse() throws {
    let box = try SecretBox(keyFile: "\(folder.path)/key")
    let other = try SecretBox(keyFile: "\(folder.path)/other")
    #expect(box.digest([1], name: "a") == box.digest([1], name: "a"))
    #expect(box.digest([1], name: "a") != box.digest([2], name: "a"))
    #expect(box.digest([1], name: "a") != other.digest([1], name: "a"), "without the key it could be guessed at")
  }
}
