import Foundation
import Glibc
import Testing

/// Each system call made to fail in turn: the error is told in a line, nothing is left, no state is wrong, and the next
/// command works.
@Suite(
  .serialized, .machine, .needs(.root, .program("gcc"), .program("busybox")),
  .ends(within: 10))
struct FaultTests {
  @Test(arguments: VerbWalk.zoneVerbs) func aSpreadOfCallsOfAZone(verb: String) throws {
    try FaultWalk.zone(verb) { $0.spread(9) }
  }

  @Test(arguments: VerbWalk.containerVerbs) func aSpreadOfCallsOfAContainer(verb: String) throws {
    try FaultWalk.container(verb) { $0.spread(9) }
  }
}

@Suite(
  .serialized, .machine, .needs(.root, .program("gcc"), .program("busybox")),
  .ends(within: 60))
struct LongFaultTests {
  @Test(arguments: VerbWalk.zoneVerbs) func everyCallOfAZone(verb: String) throws { try FaultWalk.zone(verb) { $0 } }

  @Test(arguments: VerbWalk.containerVerbs) func everyCallOfAContainer(verb: String) throws {
    try FaultWalk.container(verb) { $0 }
  }
}

enum FaultWalk {
  static func zone(_ verb: String, _ chosen: ([CallPoint]) -> [CallPoint]) throws {
    try VerbWalk.zone(verb) { try walk($0, chosen) }
  }

  static func container(_ verb: String, _ chosen: ([CallPoint]) -> [CallPoint]) throws {
    try VerbWalk.container(verb) { try walk($0, chosen) }
  }

  private static func walk(_ verb: VerbWalk, _ chosen: ([CallPoint]) -> [CallPoint]) throws {
    let faults = try Array(
      Trace.shortest {
        try verb.before()
        let trace = try Trace(
          verb.command, following: true, ending: verb.ends, failing: true, succeeds: verb.succeeds,
          quietly: verb.quietly)
        #expect(try verb.after().isEmpty)
        return trace
      }.points.joined())
    #expect(faults.count > 10)
    let chosen = chosen(faults)
    var (failed, hits) = (0, 0)
    // How often a process waits differs from run to run: a call that none came to is tried again, with all its checks.
    var (tries, next) = (0, 0)
    while next < chosen.count {
      let fault = chosen[next]
      try verb.before()
      let (outcome, hit) = try Injection.run(
        verb.command, .fault, at: fault, ending: verb.ends, quietly: verb.quietly)
      let what = "\(verb.name) at \(fault), a fault of \(hit ?? "none")"
      if hit != nil { hits += 1 }
      tries = hit == nil && tries < 6 ? tries + 1 : 0
      if tries == 0 { next += 1 }
      #expect(!outcome.timedOut, "\(what) hangs: \(outcome)")
      #expect(outcome.status < 128 || outcome.status == 255, "\(what): a crash: \(outcome)")
      if outcome.status != verb.succeeds {
        failed += 1
        #expect(verb.told(outcome).count == 1, "\(what): an error is one line: \(outcome)")
      }
      for wrong in try verb.after() { Issue.record("\(what): \(wrong)") }
      #expect(eventually(timeout: 5) { VerbWalk.processes().isEmpty }, "\(what) leaves \(VerbWalk.processes())")
    }
    #expect(hits * 10 >= chosen.count * 8, "of \(chosen.count) calls of \(verb.name) only \(hits) were hit")
    #expect(failed > 0, "\(verb.name) told none of \(chosen.count) faults")
    // And the next one is as good as ever.
    try verb.works()
  }
}
