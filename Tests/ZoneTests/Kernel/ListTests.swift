import Foundation
import Glibc
import Testing

/// Who asks for all zones asks the kernel, and not one keeper after the other.
@Suite(.serialized, .machine, .needs(.root), .timeLimit(.minutes(5)))
struct ListTests {
  /// A machine's thousand zones are looked at without waking one of them.
  @Test func aListWakesNoKeeper() throws {
    try Zonectl.with { zones in
      try zones.make("a")
      let keeper = try #require(try zones.status("a")?.keeper)
      let turns = { contents("/proc/\(keeper)/status")?.split(separator: "\n").first { $0.hasPrefix("voluntary_") } }
      // What it does after the start is soon done; a list that woke it would do so twenty times.
      let slept = try eventually {
        let before = turns()
        for _ in 0..<20 { try zones.ok("list") }
        return turns() == before
      }
      #expect(slept && turns() != nil)
    }
  }

  /// Who listens in another network namespace is not told by the kernel there; it is asked, and answers.
  @Test func aListFromAnotherNetworkIsTrue() throws {
    try Zonectl.with { zones in
      try zones.make("a")
      try zones.make("b")
      let keeper = try #require(try zones.status("b")?.keeper)
      try #require(kill(keeper, SIGKILL) == 0)
      for elsewhere in [[], ["unshare", "--net"]] {
        var list = zones.command(["list"])
        list.argv = elsewhere + list.argv
        let states = try list.run().out.split(separator: "\n").dropFirst().map { $0.split(separator: " ").prefix(2) }
        #expect(states == [["a", "running"], ["b", "unavailable"]], "\(elsewhere): \(states)")
      }
    }
  }
}
