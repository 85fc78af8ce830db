import Foundation
import Glibc
import Testing

@testable import ResourceControl

/// A zone that nobody stays with outlives the control group that it was started from, as a systemd unit's is when it stops.
@Suite(.serialized, .machine, .needs(.root), .ends(within: 5))
struct KeeperGroupTests {
  private static let tree = CgroupHierarchy.usualTree()?.path ?? "/sys/fs/cgroup"

  private func group(of pid: Int32) throws -> String {
    let text = try #require(contents("/proc/\(pid)/cgroup"))
    return String(try #require(text.split(separator: "\n").last { $0.hasPrefix("0::") }).dropFirst(3))
  }

  /// Starts zone a from a control group of its own, and ends all that is in that, as systemd does it when a unit stops.
  private func startFromAGroupThatEnds(_ zones: Zonectl) throws {
    let mine = "\(Self.tree)/zones-test-starter.\(getpid())"
    try #require(mkdir(mine, 0o755) == 0)
    defer { rmdir(mine) }
    var start = zones.command(["start", "a"])
    start.argv = ["sh", "-ec", "echo 0 > \(mine)/cgroup.procs; exec \"$@\"", "sh"] + start.argv
    #expect(try start.run().status == 0)
    try "1".write(toFile: mine + "/cgroup.kill", atomically: false, encoding: .utf8)
    #expect(eventually { (contents(mine + "/cgroup.procs") ?? "").isEmpty })
  }

  @Test func aZoneOutlivesItsStartersGroup() throws {
    try Zonectl.with { (zones) throws in
      try zones.ok("create", "--network", "none", "a", "--", "sleep", "infinity")
      try startFromAGroupThatEnds(zones)
      let keeper = try #require(try zones.status("a")?.keeper)
      #expect(try group(of: keeper).hasSuffix("/_keepers"))
      #expect(try zones.state("a") == "running" && zones.run("exec", "a", "true").status == 0)
      let groups = "\(Self.tree)\(try group(of: keeper))"
      try zones.ok("halt", "a")
      #expect(access(groups, F_OK) != 0 && access(FileManager.default.parent(of: groups), F_OK) != 0)
    }
  }

  /// So does what answers names on the network that came up with it, for whoever is on it by then.
  @Test func itsNetworksHelperDoesToo() throws {
    try Zonectl.with { (zones) throws in
      try zones.ok("create", "a", "--", "sleep", "infinity")
      try startFromAGroupThatEnds(zones)
      // Asked for without a look at the zones, which would start another.
      let helper = try #require(
        Int32(try Command.text("pgrep", "-f", "--", "--root \(zones.root) network-names default")))
      let groups = "\(Self.tree)\(try group(of: helper))"
      #expect(groups.hasSuffix("/_keepers"))
      try zones.ok("halt", "a")
      #expect(access(groups, F_OK) != 0 && access(FileManager.default.parent(of: groups), F_OK) != 0)
    }
  }

  /// Where nobody but the helper was in it, the group goes with the helper.
  @Test func theGroupGoesWithTheLastHelper() throws {
    try Zonectl.with { (zones) throws in
      let run = try zones.command(["run", "--rm", "--name", "a", "--", "sleep", "9999"]).start()
      try zones.expect("a", becomes: "running")
      let helper = try #require(
        Int32(try Command.text("pgrep", "-f", "--", "--root \(zones.root) network-names default")))
      let groups = "\(Self.tree)\(try group(of: helper))"
      #expect(groups.hasSuffix("/_keepers"))
      try zones.ok("halt", "a")
      _ = try run.finish()
      #expect(eventually { access(FileManager.default.parent(of: groups), F_OK) != 0 })
    }
  }

  @Test func whoStaysKeepsItsGroup() throws {
    try Zonectl.with { (zones) throws in
      let run = try zones.command(["run", "--rm", "--network", "none", "--name", "a", "--", "sleep", "9999"]).start()
      try zones.expect("a", becomes: "running")
      let keeper = try #require(try zones.status("a")?.keeper)
      #expect(try group(of: keeper) == group(of: getpid()))
      try zones.ok("halt", "a")
      _ = try run.finish()
    }
  }

  /// The group goes with the last zone, whoever ends it; not before.
  @Test func theGroupGoesWithTheLastZone() throws {
    try Zonectl.with { (zones) throws in
      try zones.make("a")
      try zones.make("b")
      let keeper = try #require(try zones.status("a")?.keeper)
      let all = "\(Self.tree)\(FileManager.default.parent(of: try group(of: keeper)))"
      try zones.ok("delete", "--force", "--yes", "a")
      #expect(access(all + "/_keepers", F_OK) == 0)
      // By itself, with nobody there who waits for it.
      try zones.ok("kill", "b", "KILL")
      #expect(eventually { access(all, F_OK) != 0 }, "\(String(describing: try? zones.state("b")))")
    }
  }

  /// The group is opened for a start, and taken away by another zone's keeper before one can be born in it.
  @Test func whoStartsAsTheLastKeeperLeavesStarts() throws {
    try Zonectl.with { (zones) throws in
      zones.timeout = 120
      try zones.ok("create", "--network", "none", "a", "--", "true")
      var rounds = zones.command([])
      let words = rounds.argv.joined(separator: " ")
      rounds.argv = ["sh", "-c", "for i in $(seq 150); do \(words) start a || exit 1; \(words) wait a || exit 2; done"]
      let outcome = try rounds.run()
      #expect(outcome.status == 0, "\(outcome)")
    }
  }

  /// A keeper that is killed leaves it to the next command.
  @Test func aKilledKeeperLeavesItToTheNextCommand() throws {
    try Zonectl.with { (zones) throws in
      try zones.make("a")
      let keeper = try #require(try zones.status("a")?.keeper)
      let all = "\(Self.tree)\(FileManager.default.parent(of: try group(of: keeper)))"
      kill(keeper, SIGKILL)
      try zones.expect("a", becomes: "unavailable")
      try zones.ok("delete", "--yes", "--force", "a")
      #expect(access(all, F_OK) != 0)
    }
  }
}

extension FileManager {
  fileprivate func parent(of path: String) -> String { (path as NSString).deletingLastPathComponent }
}
