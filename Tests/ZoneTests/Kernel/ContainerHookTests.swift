import Foundation
import Glibc
import Testing

/// The six hooks: where each runs, in which order, with what state; and what a failure of one means.
@Suite(.serialized, .machine, .needs(.root, .program("busybox")), .ends(within: 5))
struct ContainerHookTests {
  /// A hook that notes its name, the state's status and pid, and which hostname it sees.
  private func hook(_ name: String, _ bundle: OCIBundle, inside: Bool = false, end: String = "") -> [String: Any] {
    let shell = inside ? "/bin/busybox" : "/bin/sh"
    let log = inside ? "/log" : bundle.folder + "/rootfs/log"
    let script =
      "read s; echo \(name) $(echo \"$s\" | sed 's/.*\"status\":\"\\([a-z]*\\)\".*/\\1/') $(hostname) $HOOK >> \(log); \(end)"
    return [
      "path": shell, "args": inside ? ["busybox", "sh", "-c", script] : ["sh", "-c", script],
      "env": ["HOOK=\(name)", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
    ]
  }

  private func all(_ bundle: OCIBundle) -> [String: Any] {
    [
      "prestart": [hook("prestart", bundle)], "createRuntime": [hook("createRuntime", bundle)],
      "createContainer": [hook("createContainer", bundle)],
      "startContainer": [hook("startContainer", bundle, inside: true)], "poststart": [hook("poststart", bundle)],
      "poststop": [hook("poststop", bundle)],
    ]
  }

  @Test func eachRunsAtItsPlace() throws {
    try OCIBundle.with { (bundle) throws in
      let host = ProcessInfo.processInfo.hostName.split(separator: ".").first.map(String.init) ?? ""
      bundle["root.readonly"] = false
      bundle["hooks"] = all(bundle)
      bundle.shell("echo process >> /log; sleep 1000")
      let log = { (contents(bundle.folder + "/rootfs/log") ?? "").split(separator: "\n").map(String.init) }
      try bundle.create()
      let made = log()
      #expect(
        made.map { $0.split(separator: " ").first ?? "" } == ["prestart", "createRuntime", "createContainer"], "\(made)"
      )
      #expect(made.allSatisfy { $0.contains(" creating ") }, "\(made)")
      #expect(made.last?.contains(" zone ") == true && made.first?.contains(" \(host) ") == true, "\(made)")
      try bundle.ok("start", "a")
      #expect(eventually { log().count == 6 }, "\(log())")
      let started = log().dropFirst(3)
      #expect(started.first == "startContainer created zone startContainer", "\(started)")
      #expect(
        started.contains("process") && started.contains { $0.hasPrefix("poststart running \(host)") }, "\(started)")
      try bundle.ok("delete", "--force", "a")
      #expect(log().last?.hasPrefix("poststop stopped \(host)") == true, "\(log())")
    }
  }

  @Test(arguments: ["prestart", "createRuntime", "createContainer", "startContainer"])
  func aFailureBeforeTheProcessEndsTheContainer(kind: String) throws {
    try OCIBundle.with { (bundle) throws in
      bundle["root.readonly"] = false
      for (end, words) in [("exit 3", "exit status 3"), ("kill -9 $$", "killed by signal 9")] {
        bundle["hooks"] = [kind: [hook(kind, bundle, inside: kind == "startContainer", end: end)]]
        bundle.shell("echo process >> /log")
        let line = try bundle.refusal()
        #expect(line.contains(kind) && line.contains(words), "\(line)")
      }
      bundle["hooks"] = [kind: [["path": "/nosuch"]]]
      #expect(try bundle.refusal().contains("/nosuch"))
      #expect(contents(bundle.folder + "/rootfs/log")?.contains("process") != true)
    }
  }

  @Test(arguments: ["prestart", "createRuntime", "createContainer", "startContainer", "poststart"])
  func aHookThatTakesTooLongIsKilled(kind: String) throws {
    try OCIBundle.with { (bundle) throws in
      bundle["root.readonly"] = false
      var slow = hook(kind, bundle, inside: kind == "startContainer", end: "sleep 4321")
      slow["timeout"] = 1
      bundle["hooks"] = [kind: [slow]]
      bundle.shell("sleep 1000")
      #expect(try bundle.refusal().contains("longer than its 1 s"))
      let left = try Command("pgrep", "-f", "^sleep 4321$").run()
      #expect(left.status == 1, "what the hook started goes with it: \(left)")
    }
  }

  /// runtime.md, "Lifecycle": what the hooks of the beginning have made, poststop takes away.
  @Test(arguments: ["prestart", "createRuntime", "createContainer"]) func poststopFollowsWhatFailed(kind: String) throws
  {
    try OCIBundle.with { (bundle) throws in
      bundle["root.readonly"] = false
      let log = bundle.folder + "/rootfs/log"
      func seen() -> [String] {
        defer { unlink(log) }
        return (contents(log) ?? "").split(separator: "\n").map {
          $0.split(separator: " ").prefix(2).joined(separator: " ")
        }
      }
      let after = [hook("one", bundle), hook("two", bundle)]
      bundle["hooks"] = [kind: [hook(kind, bundle, end: "exit 3")], "poststop": after]
      #expect(try bundle.refusal().contains("cannot run the \(kind) hook"))
      #expect(seen() == ["\(kind) creating", "one stopped", "two stopped"])
      // What fails later, too.
      bundle["hooks"] = [kind: [hook(kind, bundle)], "poststop": after]
      bundle["process.args"] = ["/nosuch"]
      #expect(try bundle.refusal().contains("/nosuch"))
      #expect(seen() == ["\(kind) creating", "one stopped", "two stopped"])
      // And nothing of hooks that had not begun.
      bundle["linux.sysctl"] = ["kernel.panic": "1"]
      #expect(try bundle.refusal().contains("kernel.panic"))
      bundle["linux.sysctl"] = nil
      bundle.add("mounts", ["destination": "/x", "type": "nosuch", "source": "x"])
      #expect(try bundle.refusal().contains("nosuch"))
      #expect(seen() == [])
    }
  }

  @Test func aPoststopThatFailsKeepsNoOtherFromRunning() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["root.readonly"] = false
      bundle["hooks"] = [
        "createRuntime": [hook("made", bundle)],
        "poststop": [hook("one", bundle, end: "exit 3"), ["path": "/nosuch"], hook("two", bundle)],
      ]
      for (command, status) in [("true", 0), ("/nosuch", 1)] {
        bundle["process.args"] = [command]
        let outcome = try bundle.start()
        let log = contents(bundle.folder + "/rootfs/log") ?? ""
        unlink(bundle.folder + "/rootfs/log")
        #expect(outcome.status == Int32(status) && outcome.err.contains("exit status 3"), "\(outcome)")
        #expect(outcome.err.split(separator: "\n").count == 2 + status, "\(outcome)")
        #expect(log.contains("one stopped") && log.contains("two stopped"), "\(log)")
        #expect(try bundle.left().isEmpty)
      }
    }
  }

  @Test func aFailureAfterTheProcessStopsIt() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["hooks"] = ["poststart": [hook("poststart", bundle, end: "exit 1")]]
      bundle.shell("sleep 1000")
      try bundle.create()
      let outcome = try bundle.run("start", "a")
      #expect(outcome.status == 1 && outcome.err.contains("poststart"), "\(outcome)")
      #expect(try eventually { try bundle.status() == "stopped" })
    }
  }
}
