import Foundation
import Glibc
import Testing

/// Who asks for all zones asks the kernel, and not one keeper after the other.
@Suite(.serialized, .machine, .needs(.root, .program("strace")), .ends(within: 5))
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

  /// Two processes look at many, and one tells.
  @Test func aListOfManyIsWhole() throws {
    try Zonectl.with { zones in
      try zones.make("z0")
      for number in 1...200 { try zones.ok("configure", "--network", "none", "z\(number)") }
      let table = try zones.ok("list").out.split(separator: "\n").dropFirst()
      let names = table.compactMap { $0.split(separator: " ").first.map(String.init) }
      #expect(names == (0...200).map { "z\($0)" }.sorted())
      #expect(table.filter { $0.contains(" running ") }.count == 1)
      #expect(table.filter { $0.contains(" configured ") }.count == 200)
      // The other process cannot be made, and this one does it all.
      var alone = zones.command(["list"])
      alone.argv =
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=fork,clone,clone3:error=EAGAIN"] + alone.argv
      let outcome = try alone.run()
      #expect(outcome.status == 0 && outcome.out.split(separator: "\n").count == 202, "\(outcome)")
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
