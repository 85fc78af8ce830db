import Foundation
import Glibc
import Testing

/// `zone-oci` killed in the midst of its calls: `list` is right afterwards, `delete` works, and nothing is left.
@Suite(.serialized, .machine, .needs(.root, .program("busybox"), .program("gcc")), .ends(within: 5))
struct ContainerKillTests {
  @Test(arguments: ["create", "run", "start", "delete"]) func aSpreadOfCalls(verb: String) throws {
    try ContainerKilled.walk(verb) { $0.spread(20) }
  }
}

@Suite(.serialized, .machine, .needs(.root, .program("busybox"), .program("gcc")), .ends(within: 30))
struct LongContainerKillTests {
  @Test(arguments: ["create", "run", "start", "delete"]) func everyCall(verb: String) throws {
    try ContainerKilled.walk(verb) { $0 }
  }
}

/// Of a container whose group systemd has made, its unit goes as well.
@Suite(
  .serialized, .machine, .needs(.root, .program("busybox"), .program("gcc"), .path("/run/systemd/system")),
  .ends(within: 20))
struct ContainerUnitKillTests {
  @Test(arguments: ["create", "delete"]) func aUnitGoesWithItsContainer(verb: String) throws {
    try ContainerKilled.walk(verb, options: ["--systemd-cgroup"]) { $0.spread(20) }
    #expect(try eventually { try SystemdUnits.loaded("zone-oci-a.scope").isEmpty })
  }
}

private enum ContainerKilled {
  static func walk(_ verb: String, options: [String] = [], _ chosen: ([CallPoint]) -> [CallPoint]) throws {
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
      let calls = try Trace.shortest {
        try before()
        let trace = try Trace(command, quietly: quiet)
        try bundle.ok("delete", "--force", "a")
        return trace
      }.points[0]
      let processes = Machine.processes()
      let chosen = chosen(calls)
      var hits = 0
      for call in chosen {
        try before()
        let (outcome, hit) = try Injection.run(command, .kill, at: call, quietly: quiet)
        #expect(!outcome.timedOut, "\(verb) killed at \(call) hangs")
        if hit != nil { hits += 1 }
        let list = try bundle.run("list", "-q")
        #expect(list.status == 0, "after \(verb) was killed at \(call): \(list)")
        let delete = try bundle.run("delete", "--force", "a")
        #expect(delete.status == 0, "after \(verb) was killed at \(call): \(delete)")
        #expect(try bundle.left().isEmpty, "\(verb) killed at \(call)")
        #expect(
          eventually(timeout: 5) { Machine.processes() == processes },
          "\(verb) killed at \(call) leaves \(Machine.processes())")
      }
      #expect(hits * 10 >= chosen.count * 8, "of \(chosen.count) calls of \(verb) only \(hits) were hit")
    }
  }
}
