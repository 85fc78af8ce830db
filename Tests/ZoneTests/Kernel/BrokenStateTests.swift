import Foundation
import Glibc
import LinuxNS
import ResourceControl
import Testing

@testable import VirtualNet
@testable import ZoneRuntime

/// Files of a zone's that were cut, overwritten or made up: that zone is `unavailable` and says why, every other is as it
/// was, and `halt` and `delete --force` lead out. In-process, since there are thousands of cases; nothing runs.
@Suite(.serialized, .needs(.root), .ends(within: 3)) struct BrokenStateTests {
  /// Two zones that have run: `a`, of which a file is broken, and `b`.
  private struct Place {
    let folder: String
    let zones: Zones
    let files: ZoneFiles
    /// What `a` consists of, whole.
    let whole: [(path: String, bytes: [UInt8])]

    init() throws {
      folder = try makeTemporaryFolder()
      let directories = try Directories.standard(root: folder)
      zones = Zones(directories)
      for name in ["a", "b"] {
        var spec = ZoneSpec(name: name)
        spec.environment = ["A": "é"]
        spec.limits = ResourceLimits(cpus: 1.5, cpuShares: 512, cpuset: "0", memory: 1 << 30, pids: 100)
        spec.network = .none
        spec.stopGrace = 0.25
        try zones.create(spec)
        let files = try zones.files(name)
        try FileSystem.makeDirectories(files.run, mode: 0o700)
        try files.writeExit(ZoneExit(code: nil, signal: 9, oomKilled: true, at: 1_700_000_000_000_000_000))
        try files.writeRecord(
          RunRecord(
            bootId: try RunRecord.bootId(), tier: .root, uids: [], gids: [], namespaces: 0x7c02_0000,
            cgroup: CgroupRecord(unified: "/sys/fs/cgroup/unified/zones-none/\(name)", v1: [:]), restarts: 3,
            etcTemplate: "/none", capabilities: CapabilitySet(rawValue: 1)))
        let keeper =
          "{\"version\":1,\"phase\":\"ended\",\"keeper\":4000000,\"init\":4000001,\"process\":4000002,"
          + "\"started\":1700000000000000000,\"ended\":1700000001000000000,\"code\":3,\"signal\":0,\"oom\":false,\"asked\":false}\n"
        try FileSystem.replace(files.keeperRecord, with: Array(keeper.utf8))
      }
      files = try zones.files("a")
      whole = try [files.spec, files.lastExit, files.record, files.keeperRecord].map { ($0, try FileSystem.read($0)) }
    }

    func put(_ bytes: [UInt8], at path: String) throws {
      // No replacement: thousands of cases.
      let file = try OwnedFD.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
      try FileSystem.write(bytes, to: file)
    }

    /// As `init` left it; also after `a` was deleted.
    func mend() throws {
      if !FileSystem.exists(files.installed) { try zones.create(ZoneSpec(name: "a")) }
      try FileSystem.makeDirectories(files.run, mode: 0o700)
      for (path, bytes) in whole { try put(bytes, at: path) }
    }
  }

  private func with(_ body: (Place) throws -> Void) throws {
    let place = try Place()
    defer { try? FileSystem.removeTree(place.folder) }
    try body(place)
  }

  /// - Returns: the state of `a`.
  @discardableResult
  private func look(_ place: Place, _ what: @autoclosure () -> String) throws -> ZoneStatus {
    let found = try place.zones.list()
    #expect(found.map(\.name) == ["a", "b"], "\(what())")
    #expect(found.last?.state == .down && found.last?.why == nil && found.last?.exit?.code == 3, "\(what())")
    let own = try #require(found.first)
    if own.state == .unavailable { #expect(own.why?.isEmpty == false, "\(what())") }
    return own
  }

  private func leaveByTheDoors(_ place: Place, _ what: @autoclosure () -> String) throws {
    do {
      try place.zones.halt("a")
      try place.zones.delete("a", force: true)
    } catch { Issue.record("\(what()): \(error)") }
    #expect(try place.zones.list().map(\.name) == ["b"], "\(what())")
  }

  @Test(arguments: 0..<4) func cutAtEveryByte(file: Int) throws {
    try with { place in
      #expect(try look(place, "whole").state == .down)
      let (path, bytes) = place.whole[file]
      for length in 0..<bytes.count {
        let what = "\(path) cut to \(length) of \(bytes.count)"
        try place.put(Array(bytes[..<length]), at: path)
        let own = try look(place, what)
        // Without its newline the keeper's record is whole. An unknown last end is told, and is no state of a run.
        let isWhole = length == bytes.count - 1 && bytes.last == 10
        #expect(own.state == (isWhole || path == place.files.lastExit ? .down : .unavailable), "\(what)")
        if !isWhole { #expect(own.why?.contains(path) == true, "\(what): \(own.why ?? "")") }
        if length % 23 == 0 {
          try leaveByTheDoors(place, what)
          try place.mend()
        }
      }
    }
  }

  /// Every number in turn becomes one that nobody could have written: no arithmetic meets it.
  @Test(arguments: 0..<4) func everyNumberOutOfBounds(file: Int) throws {
    try with { place in
      let (path, bytes) = place.whole[file]
      let text = String(decoding: bytes, as: UTF8.self)
      for match in text.matches(of: /[:,\[](-?[0-9.e+]+)/) {
        let digits = match.output.1.startIndex..<match.output.1.endIndex
        for number in [
          "-1", "9223372036854775807", "-9223372036854775808", "4294967296", "18446744073709551616", "1e308", "-0.5",
          "1e-300",
        ] {
          let what =
            "\(path): \(text[digits]) becomes \(number) at \(text.distance(from: text.startIndex, to: digits.lowerBound))"
          try place.put(Array(text.replacingCharacters(in: digits, with: number).utf8), at: path)
          try look(place, what)
          try leaveByTheDoors(place, what)
          try place.mend()
        }
      }
    }
  }

  /// Each of the shared files, cut at every byte: read or refused, never a crash; and zones can be deleted all the same.
  @Test func theFilesOfAllZones() throws {
    try with { place in
      let leases = Array("zones-leases 1\nsubnet 10.88.0.0/24\nzone a 10.88.0.2\nzone b 10.88.0.3\n".utf8)
      let state = Array(
        "zones-network 1\nnetwork zbr-default 10.88.0.0/24 \(try RunRecord.bootId())\nhelper 4000000 5\nzone a up dzv-1 17 10.88.0.2 02:00:00:00:00:01\nalias a www\nport a tcp * 8080 80\n"
          .utf8)
      let path = place.folder + "/file"
      for (bytes, read) in [(leases, { _ = try Leases.read(path) }), (state, { _ = try NetworkState.read(path) })]
        as [([UInt8], () throws -> Void)]
      {
        for length in 0..<bytes.count {
          try place.put(Array(bytes[..<length]), at: path)
          try? read()
        }
      }
      let folder = "\(place.zones.directories.shared)/networks"
      try FileSystem.makeDirectories(folder, mode: 0o700)
      for length in stride(from: 0, to: leases.count, by: 5) {
        try place.put(Array(leases[..<length]), at: folder + "/default")
        try leaveByTheDoors(place, "leases cut to \(length)")
        try FileSystem.removeTree(folder + "/default")
        try place.mend()
      }
    }
  }

  @Test func aVolumeIsNotRemovedWhileASpecIsUnknown() throws {
    try with { place in
      try FileSystem.makeDirectories(place.zones.directories.volumes + "/data")
      try place.put(Array("{".utf8), at: place.files.spec)
      #expect(throws: ZoneError.self) { try place.zones.removeVolume("data") }
      #expect(FileSystem.exists(place.zones.directories.volumes + "/data"))
      try place.mend()
      try place.zones.removeVolume("data")
    }
  }

  @Test func theSpecOfAnotherZoneIsNotUsed() throws {
    try with { place in
      try place.put(try FileSystem.read(try place.zones.files("b").spec), at: place.files.spec)
      #expect(try look(place, "b's spec").why?.contains("spec of a zone 'b'") == true)
      try place.mend()
      try place.put(try FileSystem.read(try place.zones.files("b").record), at: place.files.record)
      #expect(try look(place, "b's record").why?.contains("not this zone's") == true)
    }
  }
}
