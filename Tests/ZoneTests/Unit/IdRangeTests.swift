import Glibc
import LinuxNS
import Testing

@testable import ZoneRuntime

private func write(_ path: String, _ text: String) throws { try FileSystem.replace(path, with: Array(text.utf8)) }

@Suite struct IdRangeTests {
  @Test func aLeaseIsKeptAndGivenBack() throws {
    try withTemporaryFolder { folder in
      let leases = IdRangeLeases(directory: folder, foreignFiles: [])
      let web = try leases.lease("web")
      #expect(web.count == 65536)
      #expect(web.start >= 0x7000_0000 && web.last <= 0x7fff_ffff && web.start % 65536 == 0)
      let db = try leases.lease("db")
      #expect(!db.overlaps(web))
      #expect(Set(try leases.list().map(\.zone)) == ["web", "db"])
      // Not by somebody else.
      try leases.release("db", web)
      #expect(try leases.list().count == 2)
      try leases.release("web", web)
      try leases.release("web", web)
      #expect(try leases.list() == [.init(zone: "db", range: db)])
      // It rests before somebody else has it.
      #expect(try leases.lease("other") != web)
      // Whatever a cut start has left.
      _ = try leases.lease("other")
      try leases.release("other")
      #expect(try leases.list() == [.init(zone: "db", range: db)])
    }
  }

  @Test func allRangesAreUsedThenItIsAnError() throws {
    try withTemporaryFolder { folder in
      // All but two are somebody else's; a line without a newline or with rubbish is nobody's.
      let two = UInt32(0x7000_0000) + 5 * 65536
      try write(
        "\(folder)/subuid",
        "alice:\(0x7000_0000):\(5 * 65536)\nbroken\nbob:\(two + 131072):4294967295\n#x:\(two):1\n:\(two):x\n")
      let leases = IdRangeLeases(directory: folder, foreignFiles: ["\(folder)/subuid", "\(folder)/missing"])
      #expect(Set([try leases.lease("a").start, try leases.lease("b").start]) == [two, two + 65536])
      #expect(throws: IdRangeError.exhausted(zone: "c", count: 2)) { try leases.lease("c") }
      try leases.release("a")
      #expect(try leases.lease("c").count == 65536)
    }
  }

  @Test func partialOverlapIsOverlap() throws {
    try withTemporaryFolder { folder in
      try write("\(folder)/sub", "x:\(0x7000_0000 + 65535):2\ny:\(0x7000_0000 + 3 * 65536):\(0xfffd * 65536)\n")
      let leases = IdRangeLeases(directory: folder, foreignFiles: ["\(folder)/sub"])
      #expect(try leases.lease("a").start == 0x7000_0000 + 2 * 65536)
      #expect(throws: IdRangeError.self) { try leases.lease("b") }
    }
  }

  @Test func manyAtOnceNeverShare() throws {
    try withTemporaryFolder { folder in
      // flock(2) is by open file, so threads exclude each other as processes do.
      final class Box: @unchecked Sendable { var starts = [UInt32](repeating: 0, count: 64) }  // One slot a thread.
      let box = Box()
      var threads: [pthread_t] = []
      final class Job {
        let run: () -> Void
        init(_ run: @escaping () -> Void) { self.run = run }
      }
      for thread in 0..<8 {
        let job = Job {
          for index in 0..<8 {
            let slot = thread * 8 + index
            box.starts[slot] = (try? IdRangeLeases(directory: folder, foreignFiles: []).lease("zone\(slot)").start) ?? 0
          }
        }
        var id = pthread_t()
        pthread_create(
          &id, nil,
          {
            Unmanaged<Job>.fromOpaque($0!).takeRetainedValue().run()
            return nil
          },
          Unmanaged.passRetained(job).toOpaque())
        threads.append(id)
      }
      for thread in threads { pthread_join(thread, nil) }
      #expect(Set(box.starts).count == 64)
      #expect(!box.starts.contains(0))
      let list = try IdRangeLeases(directory: folder).list()
      #expect(list.count == 64)
    }
  }

  @Test(arguments: ["", "x", "1879048193\n", "99999999999\n", "\0\0", "-1\n"])
  func aDamagedTurnIsNoHarm(_ text: String) throws {
    try withTemporaryFolder { folder in
      let leases = IdRangeLeases(directory: folder, foreignFiles: [])
      let first = try leases.lease("a")
      try write("\(folder)/id-ranges/next", text)
      let second = try leases.lease("b")
      #expect(!first.overlaps(second))
      #expect(try leases.list().count == 2)
    }
  }

  @Test func whatIsNoLeaseIsLeftAlone() throws {
    try withTemporaryFolder { folder in
      let leases = IdRangeLeases(directory: folder, foreignFiles: [])
      let first = try leases.lease("a")
      let next = "\(folder)/id-ranges/\(first.start + 65536)"
      try write(next, "somebody's")
      #expect(symlink("b", "\(folder)/id-ranges/12") == 0)
      #expect(try leases.lease("b").start != first.start + 65536)
      #expect(try leases.list().count == 2)
      try leases.release("b")
      #expect(try FileSystem.read(next) == Array("somebody's".utf8))
      #expect(FileSystem.exists(folder))
    }
  }

  @Test(arguments: ["", "a b", "a\nb", "a/b", "é"])
  func aNameThatIsNoneIsRefused(_ name: String) throws {
    try withTemporaryFolder { folder in
      #expect(throws: IdRangeError.name(name)) { try IdRangeLeases(directory: folder).lease(name) }
    }
  }

  @Test(arguments: [
    "", "0:0", "0:0:0", "0:0:4294967296", "0:1:4294967295", "4294967295:0:1", "0:4294967295:1", "4294967294:0:2",
    "-1:0:1", "0:+1:1",
    "0:01:1", " 0:1:1", "0:1:1:", "0x0:1:1", "18446744073709551616:0:1",
  ])
  func mapsThatOverflowAreRefused(_ text: String) {
    #expect(throws: SyntaxError.self) { try IdMap(parsing: text) }
  }

  @Test func maps() throws {
    let map = try IdMap(parsing: "0:100000:65536")
    #expect(map.description == "0 100000 65536")
    #expect(try IdMap(parsing: "0:0:4294967295").count == .max)
    #expect([map].outside(of: 65535) == 165535)
    #expect([map].outside(of: 65536) == nil)
    #expect(try JSON.decode(IdMap.self, from: JSON.encode(map), name: "map") == map)
    let overflowing = Array(#"{"inside":0,"outside":4294967295,"count":2}"#.utf8)
    #expect(throws: JSONError.self) { try JSON.decode(IdMap.self, from: overflowing, name: "map") }
    #expect(throws: SyntaxError.self) { try [map, IdMap(parsing: "65535:1:1")].validateIdMaps() }
    #expect(throws: SyntaxError.self) { try [map, IdMap(parsing: "70000:165535:1")].validateIdMaps() }
    #expect(throws: SyntaxError.self) { try [IdMap]().validateIdMaps() }
    try [map, IdMap(parsing: "65536:165536:1")].validateIdMaps()
  }

  @Test func aUsersMaps() throws {
    let subuid = Array("bob:200000:10\nalice:100000:65536\n1000:300000:5\nalice:100000:65536\n".utf8)
    let subgid = Array("alice:500000:65536\n".utf8)
    let maps = try UserIdMaps.many(uid: 1000, gid: 100, name: "alice", subuid: subuid, subgid: subgid)
    #expect(maps.uids.map(\.description) == ["0 1000 1", "1 100000 65536", "65537 300000 5"])
    #expect(maps.gids.map(\.description) == ["0 100 1", "1 500000 65536"])
    #expect(maps.needsHelper)
    #expect(UserIdMaps.helperArguments(maps.gids) == ["0", "100", "1", "1", "500000", "65536"])
    let none = try UserIdMaps.many(uid: 1001, gid: 7, name: "carol", subuid: subuid, subgid: subgid)
    let single = try UserIdMaps.single(uid: 1001, gid: 7)
    #expect(none == single)
    #expect(!none.needsHelper)
    // One kind alone is no use: files of an unmapped group could not be made.
    #expect(try UserIdMaps.many(uid: 5, gid: 5, name: "bob", subuid: subuid, subgid: subgid) == .single(uid: 5, gid: 5))
  }

  @Test(arguments: [
    "alice:0:65536", "alice:100000:0", "alice:4294967295:1", "alice:4294967290:100", "alice:-1:5", "alice:1:4294967296",
    "alice:100000", "alice:100000:65536:1", "alice:1000:5", "alice:999:2", "alice::", "alice:1 :2",
    "alice:5:4294967290\n1000:4:1",
  ])
  func aLineOfHisThatCannotBeTakenIsAnError(_ line: String) {
    let good = Array("alice:500000:65536\n".utf8)
    #expect(throws: SyntaxError.self) {
      try UserIdMaps.many(uid: 1000, gid: 1000, name: "alice", subuid: Array(line.utf8), subgid: good)
    }
  }
}
