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
    #expect(said.contains("\"state\": \"deleted\"") && said.contains("\"name\": \"past\""), "\(said)")
    #expect(try left() == all.subtracting(["past"]))
    #expect(!FileManager.default.fileExists(atPath: "\(zones.data)/past"))
  }

  /// Whoever renews it while a prune is on its way is not overruled by what that one has seen.
  @Test func whoRenewsMeanwhileIsNotOverruled() throws {
    let zones = try SnapshotTests.Stand()
    let stand = zones.stand
    try stand.ok("set", "a", "expires=2h")
    try stand.ok("snapshot", "create", "--expires", "2h", "a", "s")
    try stand.ok("image", "set", "localhost/base:v1", "expires=2h")
    try stand.ok("volume", "create", "--expires", "2h", "v")
    let all = Zones(try Directories.standard(root: stand.place)) { _ in }
    let seen = try all.leases()
    #expect(seen.count == 4)
    for words in [
      ["set", "a"], ["snapshot", "set", "a", "s"], ["image", "set", "localhost/base:v1"], ["volume", "set", "v"],
    ] {
      #expect(try stand.zonectl(words + ["expires=30d"]).status == 0)
    }
    let renewed = try all.leases()
    for lease in seen {
      #expect(try !all.warn(lease), "\(lease)")
      #expect(try !all.end(lease), "\(lease)")
    }
    #expect(try all.leases() == renewed)
    for lease in renewed { #expect(try all.warn(lease), "\(lease)") }
    #expect(try all.leases().allSatisfy { $0.warned != nil })
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

  /// Snapshots, volumes and names of images likewise; what a zone has stays.
  @Test(arguments: [nil, "zonestest"]) func whatElseHasATimeGoesToo(user: String?) throws {
    let zones = try SnapshotTests.Stand(user: user)
    let stand = zones.stand
    try stand.ok("snapshot", "create", "--expires", "2001-02-03", "a", "past")
    try stand.ok("snapshot", "create", "--expires", "2h", "a", "renewed")
    try stand.ok("snapshot", "create", "a", "kept")
    try stand.ok("image", "tag", "--expires", "2001-02-03", "localhost/base:v1", "localhost/other:v1")
    try stand.ok("image", "set", "localhost/base:v1", "expires=2001-02-03")
    for name in ["past", "used"] { try stand.ok("volume", "create", "--expires", "2001-02-03", name) }
    try stand.ok("volume", "create", "kept")
    try stand.ok("set", "a", "volume=used:/vol")
    #expect(try stand.ok("snapshot", "list", "-o", "wide", "a").contains("2001-02-03T00:00:00Z"))
    #expect(try stand.ok("volume", "list", "-o", "wide").contains("2001-02-03T00:00:00Z"))
    #expect(try stand.ok("volume", "show", "past").contains("expires  2001-02-03T00:00:00Z"))
    #expect(try stand.ok("image", "list", "-o", "json").contains("expires"))
    for _ in 0..<2 {
      let said = try stand.ok("prune").split(separator: "\n").filter { $0.contains(": expires ") }.map(String.init)
      let heads = [
        "snapshot  a@past", "snapshot  a@renewed", "image     localhost/base:v1", "image     localhost/other:v1",
        "volume    past", "volume    used",
      ]
      #expect(said.count == heads.count, "\(said)")
      for head in heads { #expect(said.contains { $0.hasPrefix("\(head): expires ") }, "\(head)") }
      #expect(said.contains { $0.contains("zonectl snapshot set a past expires=7d renews it") }, "\(said)")
    }
    // That they were told is a day ago; who is renewed now has another time, and was not told of it.
    try stand.sh(
      """
      cd place/data; find .shared/images/refs .shared/volume-records a -maxdepth 6 -type f \\( -name ':*' -o -name past -o -name used -o -name root.json \\) |
        while read -r f; do perl -pi -e 's/("warned": ?)(\\d+)/$1 . ($2 - 90_000)/ge' "$f"; done
      """)
    try stand.ok("snapshot", "set", "a", "renewed", "expires=30d")
    let all = try stand.ok("snapshot", "list", "-q", "a")
    #expect(try stand.ok("prune", "--dry-run").contains("snapshot  a@past: would be deleted"))
    #expect(try stand.ok("snapshot", "list", "-q", "a") == all)
    let said = try stand.ok("prune")
    #expect(try stand.ok("snapshot", "list", "-q", "a") == "renewed\nkept\n", "\(said)")
    #expect(try stand.ok("volume", "list", "-q") == "kept\nused\n", "\(said)")
    #expect(said.contains("volume    used: expired 2001-02-03T00:00:00Z, and stays for a"), "\(said)")
    // One of the image's two names goes, and then it has but the other.
    #expect(said.contains("image     localhost/base:v1: deleted"), "\(said)")
    #expect(try stand.ok("image", "list", "-q") == "localhost/other:v1\n", "\(said)")
    #expect(
      try stand.ok("prune").contains("image     localhost/other:v1: expired 2001-02-03T00:00:00Z, and stays for a"))
    try stand.ok("volume", "set", "used", "expires=never")
    #expect(try !stand.ok("prune").contains("used"))
    #expect(try stand.refusal("volume", "set", "none", "expires=7d").contains("no volume none"))
    #expect(try stand.refusal("image", "set", "none", "expires=7d").contains("no image is named none"))
    #expect(try stand.refusal("image", "set", "localhost/other:v1", "size=7", status: 2).contains("expires=WHEN"))
    #expect(try stand.refusal("snapshot", "create", "--expires", "x", "a", status: 2).contains("expires"))
  }

  /// What was pulled or imported anew under a name is wanted as long as the name was.
  @Test func aNameThatMovesKeepsItsTime() throws {
    let zones = try SnapshotTests.Stand()
    let stand = zones.stand
    try stand.ok("image", "set", "localhost/base:v1", "expires=2037-01-01")
    try stand.ok("image", "import", "\(stand.folder)/root.tar", "localhost/base:v1")
    #expect(try stand.ok("image", "list", "-o", "json").contains("\"expires\": 2114380800"))
    try stand.ok("image", "import", "--expires", "never", "\(stand.folder)/root.tar", "localhost/base:v1")
    #expect(try !stand.ok("image", "list", "-o", "json").contains("2114380800"))
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
