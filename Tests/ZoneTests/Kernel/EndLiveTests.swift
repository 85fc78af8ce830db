import Foundation
import Glibc
import LinuxNS
import Testing

/// Ends that need a zone that runs: an own init that defies its keeper's death, a start that fails for a while, and a
/// child that met the memory limit.
@Suite(.serialized, .machine, .needs(.root), .ends(within: 3)) struct EndLiveTests {
  @Test(.needs(.ordinaryUser), arguments: ["halt", "start", "delete"])
  func anOwnInitOutlivesItsKeeperNoLongerThanTheNextVerb(verb: String) throws {
    try Zonectl.with(.ordinaryUser) { zones in
      try zones.make(
        "a", "running", ["--network", "none", "--init"],
        command: ["setpriv", "--pdeathsig", "clear", "--", "sleep", "infinity"])
      let status = try #require(try zones.status("a"))
      let pid = try #require(status.pid)
      let keeper = try #require(status.keeper)
      kill(keeper, SIGKILL)
      #expect(eventually { kill(keeper, 0) != 0 })
      #expect(try zones.state("a") == "unavailable")
      try zones.ok(verb == "delete" ? ["delete", "--force", "--yes", "a"] : [verb, "a"])
      #expect(eventually { kill(pid, 0) != 0 })
    }
  }

  /// Its volume's folder, to be put back from FOLDER.away.
  private func endOneThatCannotStartAgain(_ zones: Zonectl) throws -> String {
    let folder = zones.folder + "/shared"
    mkdir(folder, 0o755)
    try zones.make("a", "running", ["--network", "none", "--restart", "always", "-v", "\(folder):/shared"])
    rename(folder, folder + ".away")
    kill(try #require(try zones.status("a")?.pid), SIGKILL)
    return folder
  }

  @Test func aZoneIsBackWhenItsStartCanSucceedAgain() throws {
    try Zonectl.with { zones in
      let folder = try endOneThatCannotStartAgain(zones)
      let told = try eventually(
        timeout: 20, value: { try zones.status("a").flatMap { $0.state == "down" && $0.why != nil ? $0 : nil } })
      #expect(told?.why?.contains(folder) == true, "\(told?.why ?? "no reason")")
      rename(folder + ".away", folder)
      try zones.expect("a", becomes: "running", timeout: 25)
      #expect(try zones.status("a")?.why == nil)
    }
  }

  @Test func stopEndsTheTries() throws {
    try Zonectl.with { zones in
      let folder = try endOneThatCannotStartAgain(zones)
      #expect(try eventually(timeout: 20) { try zones.status("a")?.why != nil })
      try zones.ok("stop", "a")
      rename(folder + ".away", folder)
      #expect(try zones.state("a") == "installed")
      #expect(eventually { !Machine.processes().contains { $0.contains(zones.folder) } })
      #expect(try zones.state("a") == "installed")
    }
  }

  @Test func aChildsEndForMemoryIsCountedAndNotTheCommandsEnd() throws {
    try Zonectl.with { zones in
      try zones.make(
        "a", "installed", ["--network", "none", "--memory", "32M"],
        command: [
          "sh", "-c",
          // The sleeper may be who is killed for the memory that the other still holds: then there is another.
          "head -c 200M /dev/zero | tail -c 199M > /dev/null; until [ -e /tmp/go ]; do sleep 1000 & wait; done; exit 3",
        ])
      try zones.ok("start", "a")
      #expect(try eventually(timeout: 20) { try zones.ok("show", "a").out.contains("oom kills") })
      // What was killed may hold its memory for a moment yet, and there is none for whoever comes, or for who has done it.
      #expect(
        try eventually(timeout: 20) {
          try zones.run("exec", "a", "--", "sh", "-c", ": >/tmp/go; kill $(pidof sleep)").status == 0
            || zones.state("a") == "installed"
        })
      try zones.expect("a", becomes: "installed")
      #expect(try zones.status("a")?.exit == Listed.Exit(code: 3, signal: nil, oomKilled: false))
      #expect(try zones.ok("show", "a").out.contains("oom kills"))
      #expect(try zones.ok("wait", "a").text == "3")
    }
  }
}
