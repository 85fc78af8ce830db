import Foundation
import Glibc
import Testing

/// Each system call made to fail in turn: the error is told in a line, nothing is left, no state is wrong, and the next
/// command works.
@Suite(
  .serialized, .machine, .needs(.root, .program("strace"), .program("gcc"), .program("busybox")),
  .timeLimit(.minutes(10)))
struct FaultTests {
  @Test(arguments: FaultWalk.zoneVerbs) func aSpreadOfCallsOfAZone(verb: String) throws {
    try FaultWalk.zone(verb) { FaultWalk.spread($0, 12) }
  }

  @Test(arguments: FaultWalk.containerVerbs) func aSpreadOfCallsOfAContainer(verb: String) throws {
    try FaultWalk.container(verb) { FaultWalk.spread($0, 12) }
  }
}

@Suite(
  .serialized, .machine, .needs(.root, .program("strace"), .program("gcc"), .program("busybox")),
  .timeLimit(.minutes(60)))
struct LongFaultTests {
  @Test(arguments: FaultWalk.zoneVerbs) func everyCallOfAZone(verb: String) throws { try FaultWalk.zone(verb) { $0 } }

  @Test(arguments: FaultWalk.containerVerbs) func everyCallOfAContainer(verb: String) throws {
    try FaultWalk.container(verb) { $0 }
  }
}

enum FaultWalk {
  static let zoneVerbs = ["create", "start", "run", "exec", "stop", "halt", "delete"]
  static let containerVerbs = ["create", "start", "run", "exec", "kill", "delete"]

  static func spread(_ faults: [Fault], _ count: Int) -> [Fault] {
    let places = Set((0..<count).map { $0 * (faults.count - 1) / (count - 1) })
    return places.sorted().map { faults[$0] }
  }

  /// Of the zones and containers here, and of no others: their processes are told from others' by it.
  private static let name = "at-fault"

  private static func processes() -> [String] {
    Machine.processes().filter { process in
      let pid = process.prefix { $0 != " " }
      return contents("/proc/\(pid)/cmdline")?.split(separator: "\0").contains { $0 == name } == true
    }
  }

  /// The status of `answer`.
  private static let answer: Int32 = 42

  static func zone(_ verb: String, _ chosen: ([Fault]) -> [Fault]) throws {
    try Zonectl.with { (zones) throws in
      let program = try Attack.build("answer", ("", ["-static", "-nostdlib"]), into: zones.folder + "/attacks")
      let options = ["--network", "none", "-v", "\(zones.folder)/attacks:/attacks:ro"]
      let inside = "/attacks/" + (program as NSString).lastPathComponent
      let (words, follows, succeeds): ([String], Bool, Int32) =
        switch verb {
        case "create": (["create"] + options + [name, "--", inside], true, 0)
        case "start": (["start", name], true, 0)
        case "run": (["run", "--rm"] + options + ["--name", name, "--", inside], true, answer)
        case "exec": (["exec", name, inside], true, answer)
        case "delete": (["delete", "--force", "--yes", name], true, 0)
        default: ([verb, name], true, 0)
        }
      let before = { () throws in
        switch verb {
        case "create", "run": break
        case "start": try zones.ok(["create"] + options + [name, "--", inside])
        default:
          try zones.ok(["create"] + options + [name, "--", "sleep", "infinity"])
          try zones.ok("start", name)
        }
      }
      let after = { () throws -> [String] in
        var wrong: [String] = []
        let left = { () throws in try zones.list().map { "zone \($0.name) is left, \($0.state)" } }
        if verb == "run" { wrong = try left() }
        if try !left().isEmpty {
          let delete = try zones.run("delete", "--force", "--yes", name)
          if delete.status != 0 { wrong.append("delete after it: \(delete)") }
        }
        return try wrong + left()
      }
      // Without its lock nothing of a zone may be taken away: that is told, and the next command's to do.
      let besideLocks = { (faults: [Fault]) in chosen(faults.filter { verb != "run" || $0.call != "flock" }) }
      try walk(verb, zones.command(words), follows, succeeds, besideLocks, before, after)
    }
  }

  static func container(_ verb: String, _ chosen: ([Fault]) -> [Fault]) throws {
    try OCIBundle.with { (bundle) throws in
      let program = try Attack.build("answer", ("", ["-static", "-nostdlib"]), into: bundle.folder + "/rootfs/attacks")
      let inside = "/attacks/" + (program as NSString).lastPathComponent
      bundle["process.args"] = verb == "run" || verb == "start" ? [inside] : ["sleep", "1000"]
      _ = try bundle.prepared()
      // A created process waits, and strace would wait for it: only what comes to an end is followed.
      let (words, follows, succeeds): ([String], Bool, Int32) =
        switch verb {
        case "create": (["create", "--bundle", bundle.folder, name], false, 0)
        case "run": (["run", "--bundle", bundle.folder, name], true, answer)
        case "exec": (["exec", name, inside], true, answer)
        case "kill": (["kill", name, "KILL"], false, 0)
        case "delete": (["delete", "--force", name], true, 0)
        default: ([verb, name], false, 0)
        }
      let before = { () throws in
        if verb != "create", verb != "run" { try bundle.create(name) }
        if verb != "create", verb != "run", verb != "start" { try bundle.ok("start", name) }
      }
      let after = { () throws -> [String] in
        let list = try bundle.run("list", "-q")
        if list.status != 0 { return ["list after it: \(list)"] }
        let delete = try bundle.run("delete", "--force", name)
        if delete.status != 0 { return ["delete after it: \(delete)"] }
        return try bundle.left().map { "container \($0) is left" }
      }
      // A created process keeps its streams: a pipe of ours would stay open as long as it lives.
      let quiet = { (command: Command) in
        verb == "create" ? command.through("exec \"$@\" </dev/null >/dev/null 2>said") : command
      }
      try walk(verb, bundle.command(words), follows, succeeds, chosen, before, after, quiet)
    }
  }

  private static func walk(
    _ verb: String, _ command: Command, _ follows: Bool, _ succeeds: Int32, _ chosen: ([Fault]) -> [Fault],
    _ before: () throws -> Void, _ after: () throws -> [String], _ quietly: (Command) -> Command = { $0 }
  ) throws {
    // The first one makes what is made once for all.
    var faults: [Fault] = []
    for _ in 0..<2 {
      try before()
      faults = try Fault.all(command, following: follows, succeeds: succeeds, quietly: quietly)
      #expect(try after().isEmpty)
    }
    #expect(faults.count > 10)
    let chosen = chosen(faults)
    var failed = 0
    for fault in chosen {
      try before()
      let outcome = try fault.meet(command, following: follows, quietly: quietly)
      let what = "\(verb) at \(fault)"
      #expect(!outcome.timedOut, "\(what) hangs: \(outcome)")
      #expect(outcome.status < 128 || outcome.status == 255, "\(what): a crash: \(outcome)")
      if outcome.status != succeeds {
        failed += 1
        let told = outcome.err.isEmpty ? contents("\(command.directory ?? "")/said") ?? "" : outcome.err
        #expect(told.split(separator: "\n").count == 1, "\(what): an error is one line: \(outcome)")
      }
      for wrong in try after() { Issue.record("\(what): \(wrong)") }
      #expect(eventually(timeout: 5) { processes().isEmpty }, "\(what) leaves \(processes())")
    }
    #expect(failed > 0, "\(verb) told none of \(chosen.count) faults")
    // And the next one is as good as ever.
    try before()
    #expect(try quietly(command).run().status == succeeds)
    #expect(try after().isEmpty)
  }
}
