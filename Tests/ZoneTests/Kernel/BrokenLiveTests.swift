import Foundation
import Glibc
import LinuxNS
import Testing

/// A zone that lives while a file of it breaks: `halt` ends it and takes away what it made, found by the zone's name.
@Suite(.serialized, .machine, .needs(.root), .ends(within: 3)) struct BrokenLiveTests {
  @Test(arguments: ["data/a/spec.json", "run/a/state.json", "run/a/keeper.json"])
  func haltEndsIt(file: String) throws {
    try Zonectl.with { zones in
      try zones.make("a", "running", ["--network", "none", "--memory", "64M", "--pids", "50"])
      try zones.make("b")
      let pid = try #require(try zones.status("a")?.pid)
      let path = "\(zones.root)/\(file)"
      try "{".write(toFile: path, atomically: false, encoding: .utf8)
      let found = try zones.list()
      #expect(found.map(\.state) == ["unavailable", "running"])
      #expect(found.first?.why?.contains(path) == true)
      try zones.ok("halt", "a")
      #expect(eventually { kill(pid, 0) != 0 })
      try zones.ok("delete", "--force", "--yes", "a")
      #expect(try zones.list().map(\.state) == ["running"])
    }
  }

  /// With its keeper killed as well, nobody remembers the groups.
  @Test func halfOfItGoneToo() throws {
    try Zonectl.with { zones in
      try zones.make("a", "running", ["--network", "none", "--memory", "64M"])
      let status = try #require(try zones.status("a"))
      try "".write(toFile: zones.root + "/run/a/state.json", atomically: false, encoding: .utf8)
      kill(try #require(status.keeper), SIGKILL)
      try zones.ok("delete", "--force", "--yes", "a")
      #expect(try zones.list().isEmpty)
    }
  }

  @Test func theNetworkIsLeftToo() throws {
    try Zonectl.with { zones in
      try zones.make("a", "running", [])
      try "x".write(toFile: zones.root + "/run/a/state.json", atomically: false, encoding: .utf8)
      try zones.ok("delete", "--force", "--yes", "a")
      #expect(try zones.list().isEmpty)
    }
  }

  /// The last end is of no use to a run, so a run is not stopped by it.
  @Test func aLastEndThatCannotBeReadIsTold() throws {
    try Zonectl.with { zones in
      try zones.make("a")
      try "x".write(toFile: zones.root + "/data/a/exit.json", atomically: false, encoding: .utf8)
      let status = try #require(try zones.status("a"))
      #expect(status.state == "running" && status.why?.contains("exit.json") == true)
      try zones.ok("stop", "--timeout", "1", "a")
      #expect(try zones.status("a")?.exit?.signal != nil)
    }
  }

  /// With the record the network's name is gone; its own state knows the zone, and goes with the last one.
  @Test(.needs(.ordinaryUser, .program("pasta"))) func anOrdinaryUsersNetworkIsFound() throws {
    try Zonectl.with(.ordinaryUser) { zones in
      zones.privateMounts = Zonectl.tun(mode: 666)
      try zones.make("a", "running", ["--network", "default"])
      zones.privateMounts = nil
      try "x".write(toFile: zones.root + "/run/a/state.json", atomically: false, encoding: .utf8)
      try zones.ok("delete", "--force", "--yes", "a")
      #expect(try zones.list().isEmpty)
    }
  }
}
