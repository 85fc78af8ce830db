import Foundation
import Glibc
import Testing

/// A verb on a zone or a container of its own, to be carried out again and again while something is in its way.
struct VerbWalk {
  var name: String
  var command: Command
  /// The status with which it does what it is to do.
  var succeeds: Int32
  /// The status of zonectl's or zone-oci's own failure.
  var fails: Int32
  /// Whether all that it starts comes to an end by itself.
  var ends = true
  /// Where its files lie, by what they are.
  var places: [String: String]
  /// Makes what the verb acts on.
  var before: () throws -> Void
  /// What is told that is not so.
  var untruths: () throws -> [String]
  /// Removes what there is by now; what was left of it, or should not have been there.
  var after: () throws -> [String]
  /// What becomes of a command before it runs.
  var quietly: (Command) -> Command = { $0 }

  static let zoneVerbs = ["create", "start", "run", "exec", "stop", "halt", "delete"]
  static let containerVerbs = ["create", "start", "run", "exec", "kill", "delete"]

  /// Of the zones and containers here, and of no others: their processes are told from others' by it.
  private static let subject = "at-fault"

  static func processes() -> [String] {
    Machine.processes().filter { process in
      let pid = process.prefix { $0 != " " }
      return contents("/proc/\(pid)/cmdline")?.split(separator: "\0").contains { $0 == subject } == true
    }
  }

  /// The status of `answer`.
  private static let answer: Int32 = 42

  /// The lines that it has said of its failure.
  func told(_ outcome: Outcome) -> [Substring] {
    let text = outcome.err.isEmpty ? contents("\(command.directory ?? "")/said") ?? "" : outcome.err
    return text.split(separator: "\n")
  }

  /// With nothing in its way it does what it is to do.
  func works() throws {
    try before()
    let outcome = try quietly(command).run()
    #expect(outcome.status == succeeds, "\(outcome)")
    #expect(try after().isEmpty)
  }

  static func zone(_ verb: String, _ who: Zonectl.Who = .root, _ body: (VerbWalk) throws -> Void) throws {
    try Zonectl.with(who) { (zones) throws in
      let program = try Attack.build("answer", ("", ["-static", "-nostdlib"]), into: zones.folder + "/attacks")
      let options = ["--network", "none", "-v", "\(zones.folder)/attacks:/attacks:ro"]
      let inside = "/attacks/" + (program as NSString).lastPathComponent
      let (words, succeeds): ([String], Int32) =
        switch verb {
        case "create": (["create"] + options + [subject, "--", inside], 0)
        case "start": (["start", subject], 0)
        case "run": (["run", "--rm"] + options + ["--name", subject, "--", inside], answer)
        case "exec": (["exec", subject, inside], answer)
        case "delete": (["delete", "--force", "--yes", subject], 0)
        default: ([verb, subject], 0)
        }
      let before = { () throws in
        switch verb {
        case "create", "run": break
        case "start": try zones.ok(["create"] + options + [subject, "--", inside])
        default:
          try zones.ok(["create"] + options + [subject, "--", "sleep", "infinity"])
          try zones.ok("start", subject)
        }
      }
      let untruths = { () throws -> [String] in
        let list = try zones.list()
        var wrong = try list.compactMap { try zones.untruth(of: $0) }
        if !list.contains(where: { $0.pid != nil }), !eventually(timeout: 5, { processes().isEmpty }) {
          wrong.append("\(list.first?.state ?? "none") with \(processes())")
        }
        return wrong
      }
      let after = { () throws -> [String] in
        var wrong: [String] = []
        let left = { () throws in try zones.list().map { "zone \($0.name) is left, \($0.state)" } }
        if verb == "run" { wrong = try left() }
        wrong += try untruths()
        if try !left().isEmpty {
          let delete = try zones.run("delete", "--force", "--yes", subject)
          if delete.status != 0 { wrong.append("delete after it: \(delete)") }
        }
        return try wrong + left() + LeakTests.left(zones).map { "\($0) is left" }
      }
      try body(
        VerbWalk(
          name: verb, command: zones.command(words), succeeds: succeeds,
          fails: ["run", "exec"].contains(verb) ? 125 : 1,
          places: ["data": zones.root + "/data", "run": zones.root + "/run"], before: before, untruths: untruths,
          after: after))
    }
  }

  static func container(_ verb: String, _ body: (VerbWalk) throws -> Void) throws {
    try OCIBundle.with { (bundle) throws in
      let program = try Attack.build("answer", ("", ["-static", "-nostdlib"]), into: bundle.folder + "/rootfs/attacks")
      let inside = "/attacks/" + (program as NSString).lastPathComponent
      bundle["process.args"] = verb == "run" || verb == "start" ? [inside] : ["sleep", "1000"]
      // Limits of its own would be in the way of those that a case gives.
      bundle["process.rlimits"] = nil
      _ = try bundle.prepared()
      // A created process waits, and nobody waits for it.
      let (words, ends, succeeds): ([String], Bool, Int32) =
        switch verb {
        case "create": (["create", "--bundle", bundle.folder, subject], false, 0)
        case "run": (["run", "--bundle", bundle.folder, subject], true, answer)
        case "exec": (["exec", subject, inside], true, answer)
        case "kill": (["kill", subject, "KILL"], false, 0)
        case "delete": (["delete", "--force", subject], true, 0)
        default: ([verb, subject], false, 0)
        }
      let before = { () throws in
        if verb != "create", verb != "run" { try bundle.create(subject) }
        if verb != "create", verb != "run", verb != "start" { try bundle.ok("start", subject) }
      }
      let untruths = { () throws -> [String] in
        guard let state = try bundle.state(subject), let status = state["status"] as? String else { return [] }
        let pid = state["pid"] as? Int ?? 0
        let lives = pid != 0 && Glibc.kill(pid_t(pid), 0) == 0
        return lives == ["created", "running", "paused"].contains(status) ? [] : ["\(status) with process \(pid)"]
      }
      let after = { () throws -> [String] in
        let list = try bundle.run("list", "-q")
        if list.status != 0 { return ["list after it: \(list)"] }
        let wrong = try untruths()
        let delete = try bundle.run("delete", "--force", subject)
        if delete.status != 0 { return wrong + ["delete after it: \(delete)"] }
        return try wrong + bundle.left().map { "container \($0) is left" }
      }
      // A created process keeps its streams: a pipe of ours would stay open as long as it lives.
      let quiet = { (command: Command) in
        verb == "create" ? command.through("exec \"$@\" </dev/null >/dev/null 2>said") : command
      }
      try body(
        VerbWalk(
          name: verb, command: bundle.command(words), succeeds: succeeds,
          fails: verb == "exec" ? 255 : 1, ends: ends, places: ["state": bundle.folder + "/state"], before: before,
          untruths: untruths, after: after, quietly: quiet))
    }
  }
}
