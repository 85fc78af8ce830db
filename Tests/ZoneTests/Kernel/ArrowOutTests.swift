import Foundation
import Glibc
import Testing

/// The two states that are accidents, `unavailable` and `incomplete`, and the ways out of them.
@Suite(.serialized, .machine, .needs(.root, .program("gcc")), .ends(within: 5)) struct ArrowOutTests {
  /// A zone whose keeper was killed while nobody looked.
  private func wounded(_ zones: Zonectl, _ state: String) throws {
    try zones.make("a", state)
    let status = try #require(try zones.status("a"))
    let keeper = try #require(status.keeper)
    let pid = try #require(status.pid)
    kill(keeper, SIGKILL)
    #expect(eventually { kill(keeper, 0) != 0 }, "a keeper dies of it")
    // What is frozen can neither see its keeper's death nor die of it before the next command thaws it.
    if state != "frozen" { #expect(eventually { kill(pid, 0) != 0 }, "with its keeper the zone dies") }
  }

  @Test(arguments: ["ready", "running", "frozen"]) func aKilledKeeperIsSeen(state: String) throws {
    try Zonectl.with { zones in
      try wounded(zones, state)
      let status = try #require(try zones.status("a"))
      #expect(["unavailable", "installed"].contains(status.state), "the state is \(status.state)")
      if status.state == "unavailable" { #expect(status.why?.isEmpty == false) }
      try zones.ok("halt", "a")
      #expect(try zones.state("a") == "installed")
      if let pid = status.pid { #expect(eventually { kill(pid, 0) != 0 }) }
    }
  }

  @Test(arguments: ["halt", "delete", "start"])
  func theWaysOutOfUnavailable(verb: String) throws {
    try Zonectl.with { zones in
      try wounded(zones, "running")
      switch verb {
      case "halt":
        try zones.ok("halt", "a")
        #expect(try zones.state("a") == "installed")
        try zones.ok("start", "a")
      case "delete":
        try zones.ok("delete", "--force", "--yes", "a")
        #expect(try zones.list().isEmpty)
      default:
        // The next command cleans up, so a start needs no halt before it.
        try zones.ok(verb, "a")
        #expect(try zones.state("a") == "running")
      }
    }
  }

  @Test func incompleteIsLeftByDeleteOnly() throws {
    try Zonectl.with { zones in
      let create = ["create", "--network", "none", "a", "--", "sleep", "infinity"]
      let calls = try #require(try Trace(zones.command(create)).points.first)
      try zones.ok("delete", "--yes", "a")
      var seen = false
      for call in calls where !seen {
        _ = try Injection.run(zones.command(create), .kill, at: call)
        switch try zones.state("a") {
        case "none": break
        case "incomplete":
          seen = true
          for verb in ["ready", "start", "stop", "pause", "resume", "kill"] {
            #expect(try zones.run(verb, "a").status == 1, "\(verb) of an incomplete zone")
            #expect(try zones.state("a") == "incomplete")
          }
          try zones.ok("delete", "--yes", "a")
          #expect(try zones.list().isEmpty)
          try zones.make("a", "installed")
        default: try zones.ok("delete", "--yes", "a")
        }
      }
      #expect(seen, "no kill of create at any of its \(calls.count) calls leaves an incomplete zone")
    }
  }
}
