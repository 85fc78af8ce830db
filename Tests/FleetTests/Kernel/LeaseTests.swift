import Foundation
import Glibc
import LinuxNS
import Testing
import ZoneRuntime

/// `--expires` and `prune`: what nobody renews goes, and not before somebody was told a day ago.
@Suite(.serialized, .enabled(if: geteuid() == 0, "zones of root's"), .ends(within: 5))
struct LeaseTests {
  @Test(arguments: [nil, "zonestest"]) func whatNobodyRenewsGoesAfterAWarning(user: String?) throws {
    let zones = try SnapshotTests.Stand(user: user)
    let stand = zones.stand
    try stand.ok("set", "a", "expires=7d")
    for (name, when) in [
      ("past", "2001-02-03"), ("renewed", "2001-02-03T04:05:06Z"), ("soon", "2h"), ("kept", "never"),
    ] {
      try stand.ok(
        "create", "--image", "oci:localhost/base:v1", "--network", "none", "--expires", when, name, "--", "sleep",
        "infinity")
    }
    try stand.ok("start", "past")
    #expect(try stand.ok("show", "past").contains("2001-02-03T00:00:00Z"))
    #expect(try stand.ok("list", "-o", "wide").contains("2001-02-03T04:05:06Z"))
    let left = { try Set(stand.ok("list", "-q").split(separator: "\n").map(String.init)) }
    let all = try left()

    // Told, and no more than told, however often.
    #expect(try stand.ok("prune", "--dry-run").contains("zone      past: expires 2001-02-03T00:00:00Z, and goes 20"))
    #expect(try !stand.ok("events").contains("expiring"))
    for _ in 0..<2 {
      let said = try stand.ok("prune")
      for (zone, isTold) in [("past", true), ("renewed", true), ("soon", true), ("kept", false), ("a", false)] {
        #expect(said.contains("zone      \(zone): expires") == isTold, "\(said)")
      }
      #expect(try left() == all)
    }
    let events = try stand.ok("events")
    #expect(events.split(separator: "\n").filter { $0.hasSuffix("expiring") }.count == 3, "\(events)")

    // A day later: who was renewed has a new time.
    try stand.ok("set", "renewed", "expires=30d")
    for zone in ["past", "renewed", "soon"] {
      try stand.sh("touch -d '25 hours ago' '\(zones.data)/\(zone)/expiring'")
    }
    #expect(try stand.ok("prune", "--dry-run").contains("zone      past: would be deleted"))
    #expect(try left() == all)
    let said = try stand.ok("prune", "-o", "json")
    #expect(said.contains("\"state\": \"deleted\"") && said.contains("\"zone\": \"past\""), "\(said)")
    #expect(try left() == all.subtracting(["past"]))
    #expect(!FileManager.default.fileExists(atPath: "\(zones.data)/past"))
  }

  @Test func whatIsNoTimeIsRefused() throws {
    let zones = try SnapshotTests.Stand()
    for when in [
      "", "7", "7x", "0d", "-1d", "2026-02-30", "2026-1-1", "tomorrow", "2026-01-01T25:00:00Z", "9999999999w",
    ] {
      let outcome = try zones.stand.zonectl(["set", "a", "expires=\(when)"])
      #expect(outcome.status != 0 || when.isEmpty, "\(when): \(outcome)")
    }
    #expect(try !zones.stand.ok("prune", "--dry-run").contains("zone "))
  }

  @Test func volumesOfNoZoneGoWhereThatIsAskedFor() throws {
    let zones = try SnapshotTests.Stand()
    let stand = zones.stand
    for name in ["one", "two"] { try stand.ok("volume", "create", name) }
    try stand.ok("set", "a", "volume=one:/vol")
    try stand.ok("prune")
    #expect(try stand.ok("volume", "list", "-q") == "one\ntwo\n")
    #expect(try stand.ok("prune", "--volumes", "--dry-run").contains("volume    two\n"))
    try stand.ok("prune", "--volumes", "--yes")
    #expect(try stand.ok("volume", "list", "-q") == "one\n")
  }
}
