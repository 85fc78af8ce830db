import Foundation
import Glibc
import Testing

/// `kill -9` of what serves an ordinary user's network: the next command mends it, `delete` works, nothing is left.
@Suite(
  .serialized, .machine,
  .needs(.root, .ordinaryUser, .program("pasta"), .program("busybox"), .program("gcc"), .path("/dev/net/tun")),
  .ends(within: 10))
struct NetworkUserKillTests {
  private func twoZones(_ body: (Zonectl) throws -> Void) throws {
    try Zonectl.withTun { zones in
      try zones.serve("web", ["-p", "18091:80"])
      try zones.ok("run", "-d", "--name", "client", "--", "sleep", "infinity")
      #expect(try eventually { try zones.fetch(from: "client", "http://web/").text == "web" })
      try body(zones)
    }
  }

  private func published() throws -> Bool {
    try Command("curl", "-s", "-m", "2", "http://127.0.0.1:18091/").run().text == "web"
  }

  @Test func aKilledPastaIsStartedAgain() throws {
    try twoZones { zones in
      let before = try Served(zones)
      kill(try #require(before.pastas.first), SIGKILL)
      // A killed process takes its time to be dead.
      #expect(try eventually { try zones.ok("list").err.contains("pasta was killed") })
      let after = try Served(zones)
      #expect(after.pids == before.pids && after.pastas.count == 1 && after.pastas != before.pastas)
      #expect(try zones.fetch(from: "client", "http://web/").text == "web")
      #expect(try zones.ok("exec", "client", "sh", "-c", "busybox ip route").out.contains("default"))
      #expect(try zones.ok("list").err == "")
    }
  }

  @Test(arguments: [false, true]) func aKilledHelperIsReplacedAndZonesKeepTheirAddresses(pastaToo: Bool) throws {
    try twoZones { zones in
      let before = try Served(zones)
      let addresses = try zones.list().map(\.addresses)
      kill(try #require(before.pids.first), SIGKILL)
      if pastaToo { kill(try #require(before.pastas.first), SIGKILL) }
      #expect(try eventually { try zones.ok("list").err.contains("helper was killed") })
      let after = try Served(zones)
      #expect(after.pids.count == 1 && after.pastas.count == 1 && Set(after.pastas).isDisjoint(with: before.pastas))
      #expect(try zones.list().map(\.addresses) == addresses)
      #expect(try eventually { try zones.fetch(from: "client", "http://web/").text == "web" })
      #expect(try eventually { try published() })
      #expect(try zones.list().map(\.restarts) == [0, 0])
    }
  }

  @Test func deleteWorksAfterEverythingWasKilled() throws {
    try twoZones { zones in
      let served = try Served(zones)
      for pid in served.pids + served.pastas { kill(pid, SIGKILL) }
      for keeper in try zones.list().compactMap(\.keeper) { kill(keeper, SIGKILL) }
      for name in ["web", "client"] { try zones.ok("delete", "--force", "--yes", name) }
      #expect(try eventually { try Served(zones) == Served(pids: [], pastas: []) })
      #expect(try zones.left().isEmpty)
    }
  }

  /// zonectl killed at some of its own calls; `LongNetworkUserKillTests` takes all.
  @Test func zonectlIsKilledInTheMidst() throws {
    try KilledOnANetwork.walk { $0.spread(25) }
  }

  /// What the network's two processes keep for themselves, so that a change which makes them heavy is seen.
  @Test func theHelperIsSmall() throws {
    try twoZones { zones in
      let served = try Served(zones)
      for _ in 0..<50 { #expect(try published()) }
      let helper = try #require(served.pids.first)
      let kilobytes = try #require(privateKilobytes(helper))
      #expect(kilobytes < 1024, "the network's helper keeps \(kilobytes) KB for itself")
    }
  }

  private func privateKilobytes(_ pid: Int32) -> Int? {
    // Not what it maps of the executable, which its likes share.
    let lines = (contents("/proc/\(pid)/smaps_rollup") ?? "").split(separator: "\n").filter {
      $0.hasPrefix("Anonymous:")
    }
    guard !lines.isEmpty else { return nil }
    return lines.compactMap { $0.split(separator: " ").dropFirst().first.flatMap { Int($0) } }.reduce(0, +)
  }
}

@Suite(
  .serialized, .machine,
  .needs(.root, .ordinaryUser, .program("pasta"), .program("busybox"), .program("gcc"), .path("/dev/net/tun")),
  .ends(within: 60))
struct LongNetworkUserKillTests {
  @Test func zonectlIsKilledAtEachOfItsCalls() throws { try KilledOnANetwork.walk { $0 } }

  /// Nobody has written it down: whatever of its way to the background it is on, it is found.
  @Test func aPastaWhoseStarterWasKilledIsEnded() throws {
    try KilledOnANetwork.stand { zones, command, calls in
      // The last program that is started is pasta.
      let last = try #require(calls.lastIndex { $0.call == "clone3" })
      var strays: [Int: Served] = [:]
      for turn in 0..<160 {
        let (_, hit) = try Injection.run(command, .kill, at: calls[last + 1], behind: zones.prefix.count)
        try #require(hit != nil)
        // From its first instruction to where it is ready.
        usleep(UInt32(turn % 40) * 500)
        try zones.ok("list")
        if try zones.status("a") != nil { try zones.ok("delete", "--force", "--yes", "a") }
        var served = Served(pids: [], pastas: [])
        let isOver = try eventually(timeout: 2) {
          served = try Served(zones)
          return served == Served(pids: [], pastas: [])
        }
        guard !isOver else { continue }
        strays[turn] = served
        for pid in served.pids + served.pastas { kill(pid, SIGKILL) }
      }
      #expect(strays.isEmpty)
    }
  }
}

enum KilledOnANetwork {
  /// A command that makes a network, and its calls.
  static func stand(_ body: (Zonectl, Command, [CallPoint]) throws -> Void) throws {
    try Zonectl.withTun { zones in
      let command = zones.command(["run", "-d", "--name", "a", "-p", "18092:80", "--", "sleep", "infinity"])
      let calls = try Trace.shortest {
        let trace = try Trace(command, behind: zones.prefix.count)
        try zones.ok("delete", "--force", "--yes", "a")
        return trace
      }.points[0]
      try body(zones, command, calls)
    }
  }

  static func walk(_ chosen: ([CallPoint]) -> [CallPoint]) throws {
    try stand { zones, command, calls in
      #expect(calls.count > 100)
      let chosen = chosen(calls)
      var hits = 0
      for call in chosen {
        let (outcome, hit) = try Injection.run(command, .kill, at: call, behind: zones.prefix.count)
        #expect(!outcome.timedOut, "killed at \(call) it hangs")
        if hit != nil { hits += 1 }
        let list = try zones.command(["list", "-o", "json"]).run()
        try #require(list.status == 0, "after a kill at \(call): \(list)")
        if try zones.status("a") != nil { try zones.ok("delete", "--force", "--yes", "a") }
        let left = try zones.left()
        #expect(left.isEmpty, "killed at \(call) it leaves \(left)")
        var served = Served(pids: [], pastas: [])
        let isOver = try eventually {
          served = try Served(zones)
          return served == Served(pids: [], pastas: [])
        }
        #expect(isOver, "killed at \(call) it leaves \(served)")
      }
      // How often it looks again is not the same each time: a last call may not come.
      #expect(hits * 10 >= chosen.count * 8, "of \(chosen.count) calls only \(hits) were hit")
    }
  }
}

extension Zonectl {
  /// What is left of networks, leases and zones below the case's root; run/.shared/events is history.
  func left() throws -> [String] {
    ["data", "run"].flatMap { part in
      (FileManager.default.enumerator(atPath: "\(root)/\(part)")?.compactMap { $0 as? String } ?? []).filter {
        !$0.hasPrefix(".shared/etc") && !$0.hasPrefix(".shared/seccomp")
          && ![".shared", ".shared/networks", ".shared/events"].contains($0)
      }
    }
  }
}
