import Foundation
import Glibc
import LinuxNS
import Testing
import ZoneRuntime

/// What a zone and its snapshots are told to take, since when, and when they were used last.
@Suite(.serialized, .enabled(if: geteuid() == 0, "zones of root's"), .ends(within: 5))
struct UseTests {
  private struct Shown: Decodable {
    struct Use: Decodable { var bytes, made: Int; var used: Int?; var owner: Int; var partial: Bool }
    var use: Use
  }

  private func use(_ stand: ImageStand) throws -> Shown.Use {
    let bytes = Data(try stand.ok("show", "a", "-o", "json").utf8)
    return try #require(try JSONDecoder().decode([Shown].self, from: bytes).first).use
  }

  @Test func aZoneKnowsItsAgeItsSizeAndItsLastUse() throws {
    let zones = try SnapshotTests.Stand()
    let stand = zones.stand
    let new = try use(stand)
    let now = Int(Date().timeIntervalSince1970 * 1e9)
    #expect(new.used == nil && new.owner == 0 && !new.partial && now - new.made < 600_000_000_000 && now >= new.made)
    try zones.write("a", "/bin/busybox dd if=/dev/urandom of=/large bs=4096 count=500 2>/dev/null")
    let old = try use(stand)
    #expect(old.bytes > new.bytes + 2_000_000 && old.made == new.made && (old.used ?? 0) > old.made)
    #expect(try stand.ok("show", "a").contains("made:"))

    try stand.ok("snapshot", "create", "a", "one")
    try zones.write("a", "echo x >/small")
    try stand.ok("snapshot", "create", "a", "two")
    struct Row: Decodable { var bytes: Int; var name: String }
    let rows = try JSONDecoder().decode(
      [Row].self, from: Data(try stand.ok("snapshot", "list", "-o", "json", "a").utf8))
    #expect(rows.map { $0.name } == ["one", "two"] && rows[0].bytes > 2_000_000 && rows[1].bytes < 200_000, "\(rows)")
    #expect(try use(stand).bytes < old.bytes)
  }
}
