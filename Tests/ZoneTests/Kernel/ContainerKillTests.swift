import Foundation
import Glibc
import Testing

/// `zone-oci` killed in the midst of its calls: `list` is right afterwards, `delete` works, and nothing is left.
@Suite(.serialized, .machine, .needs(.root, .program("busybox"), .program("strace")), .timeLimit(.minutes(5)))
struct ContainerKillTests {
  @Test(arguments: ["create", "run", "start", "delete"]) func aSpreadOfCalls(verb: String) throws {
    try ContainerKilled.walk(verb) { calls in Array(Set((0..<20).map { 1 + $0 * (calls - 1) / 19 })).sorted() }
  }
}

@Suite(.serialized, .machine, .needs(.root, .program("busybox"), .program("strace")), .timeLimit(.minutes(30)))
struct LongContainerKillTests {
  @Test(arguments: ["create", "run", "start", "delete"]) func everyCall(verb: String) throws {
    try ContainerKilled.walk(verb) { Array(1...$0) }
  }
}

/// Of a container whose group systemd has made, its unit goes as well.
@Suite(
  .serialized, .machine, .needs(.root, .program("busybox"), .program("strace"), .path("/run/systemd/system")),
  .timeLimit(.minutes(20)))
struct ContainerUnitKillTests {
  @Test(arguments: ["create", "delete"]) func aUnitGoesWithItsContainer(verb: String) throws {
    try ContainerKilled.walk(verb, options: ["--systemd-cgroup"]) { calls in
      Array(Set((0..<20).map { 1 + $0 * (calls - 1) / 19 })).sorted()
    }
    #expect(try eventually { try SystemdUnits.loaded("zone-oci-a.scope").isEmpty })
  }
}

private enum ContainerKilled {
  static func walk(_ verb: String, options: [String] = [], _ chosen: (Int) -> [Int]) throws {
    try OCIBundle.with { (bundle) throws in
      bundle.options = options
      // What the container writes goes nowhere: a pipe of ours would stay open as long as it lives.
      bundle["process.args"] = verb == "run" ? ["true"] : ["sleep", "1000"]
      _ = try bundle.prepared()
      let quiet = { (command: Command) -> Command in command.through("exec \"$@\" </dev/null >/dev/null 2>&1") }
      let before = { () throws in
        if verb == "start" || verb == "delete" { try bundle.create() }
        if verb == "delete" { try bundle.ok("start", "a") }
      }
      let words =
        switch verb {
        case "create", "run": [verb, "--bundle", bundle.folder, "a"]
        case "delete": ["delete", "--force", "a"]
        default: [verb, "a"]
        }
      let command = bundle.command(words)
      var names: [String] = []
      for _ in 0..<2 {
        try before()
        names = try Injection.calls(command, behind: 0, quietly: quiet)
        try bundle.ok("delete", "--force", "a")
      }
      let processes = Machine.processes()
      let chosen = chosen(names.count)
      var hits = 0
      for call in chosen {
        try before()
        let outcome = try Injection.kill(command, at: call, of: names, quietly: quiet)
        #expect(!outcome.timedOut, "\(verb) killed at call \(call) of \(names.count) hangs")
        if outcome.status == Injection.killed { hits += 1 }
        let list = try bundle.run("list", "-q")
        #expect(list.status == 0, "after \(verb) was killed at call \(call) (\(names[call - 1])): \(list)")
        let delete = try bundle.run("delete", "--force", "a")
        #expect(delete.status == 0, "after \(verb) was killed at call \(call) (\(names[call - 1])): \(delete)")
        #expect(try bundle.left().isEmpty, "\(verb) killed at call \(call)")
        #expect(
          eventually(timeout: 5) { Machine.processes() == processes },
          "\(verb) killed at call \(call) (\(names[call - 1])) leaves \(Machine.processes())")
      }
      #expect(hits * 10 >= chosen.count * 8, "of \(chosen.count) calls of \(verb) only \(hits) were hit")
    }
  }
}
