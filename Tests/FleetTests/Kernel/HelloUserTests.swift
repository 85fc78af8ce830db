import Foundation
import Glibc
import LinuxNS
import Testing

@testable import Orchestrator

/// A fleet of an ordinary user: its zones reach each other by name, its port is reached, nothing of it is left.
@Suite(
  .serialized,
  .enabled(
    if: geteuid() == 0 && getpwnam("zonestest") != nil && access("/usr/bin/pasta", X_OK) == 0,
    "needs root (to become an ordinary user), the user zonestest that scripts/test makes, and the package passt"))
struct HelloUserTests {
  private final class Stand {
    let folder: String
    var root: String { "\(folder)/r" }

    init() throws {
      var template = Array("/var/tmp/zones-fleet.XXXXXX".utf8CString)
      folder = String(cString: try #require(mkdtemp(&template)))
      chmod(folder, 0o755)
      // An ordinary user cannot reach a build below root's home.
      for program in [Command.orchestrator, Command.zonectl] {
        let name = program.split(separator: "/").last!
        try FileManager.default.copyItem(atPath: program, toPath: "\(folder)/\(name)")
        chmod("\(folder)/\(name)", 0o755)
      }
      let user = getpwnam("zonestest")!.pointee
      mkdir("\(folder)/run", 0o700)
      for path in [folder, "\(folder)/run"] { chown(path, user.pw_uid, user.pw_gid) }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// In his name, with /dev/net/tun as distributions have it.
    func run(_ program: String, _ words: [String], timeout: Double = 60) throws -> Command {
      let script = """
        folder=$(mktemp -d /var/tmp/zones-tun.XXXXXX); mknod -m 666 $folder/tun c 10 200
        mount --bind $folder/tun /dev/net/tun; rm -f $folder/tun; rmdir $folder
        exec setpriv --reuid zonestest --regid zonestest --init-groups -- env XDG_RUNTIME_DIR=\(folder)/run HOME=\(folder) "$@"
        """
      return try Command.run(
        "/usr/bin/unshare",
        ["--mount", "--propagation", "private", "sh", "-ec", script, "sh", "\(folder)/\(program)"] + words
          + ["--root", root], timeout: timeout)
    }

    func orchestrator(_ words: String...) throws -> Command { try run("orchestrator", words, timeout: 150) }
  }

  private func write(_ stand: Stand, limits: Bool) throws -> String {
    let key = "\(stand.folder)/greeting.key"
    try "a demonstration".write(toFile: key, atomically: true, encoding: .utf8)
    var lines = try HelloManifest.text(key: key).replacingOccurrences(of: "8080:8000", with: "18095:8000").components(
      separatedBy: "\n")
    if !limits {
      // `resources:` and what is indented deeper; the second service's `deploy:` held nothing else.
      var depth = Int.max
      lines = lines.filter { line in
        let indent = line.prefix { $0 == " " }.count
        if indent > depth { return false }
        depth = line.hasSuffix(" resources:") ? indent : .max
        return depth == .max
      }
      if let last = lines.lastIndex(of: "      deploy:") { lines.remove(at: last) }
    }
    let path = "\(stand.folder)/hello.yaml"
    try lines.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
    return path
  }

  private func rows(_ stand: Stand) throws -> [ZoneRow] {
    let shown = try stand.orchestrator("ps", "-o", "json")
    try #require(shown.status == 0, "\(shown)")
    return try JSONDecoder().decode([ZoneRow].self, from: Data(shown.output.utf8))
  }

  @Test(.ends(within: 5)) func helloWithoutLimits() throws {
    let stand = try Stand()
    let before = try Traces.now([stand.folder])
    let applied = try stand.orchestrator("apply", try write(stand, limits: false))
    defer { _ = try? stand.orchestrator("down", "--volumes", "hello") }
    try #require(applied.status == 0, "\(applied)")
    let first = try rows(stand)
    #expect(first.count == 3 && first.allSatisfy { $0.state == "running" && $0.health == .healthy }, "\(first)")
    #expect(
      try eventually(10) {
        try stand.orchestrator("logs", "checker").output.contains("web answered: hello from hello-web-")
      })
    // Both replicas, behind the one port.
    let answers = try (0..<6).map { _ in
      try Command.run("/usr/bin/curl", ["-s", "-m", "\(HelloManifest.later(5))", "http://127.0.0.1:18095/"]).output
    }
    #expect(Set(answers.compactMap { $0.split(separator: ",").first }).count == 2, "\(answers)")

    // What serves the network is killed: the daemon looks every second, and mends it.
    let helper = try #require(try pid(of: "user-network", stand))
    kill(helper, SIGKILL)
    #expect(try eventually(10) { try pid(of: "user-network", stand).map { $0 != helper } == true })
    #expect(
      try eventually(20) {
        try rows(stand).allSatisfy { $0.health == .healthy && $0.restarts == 0 }
          && Command.run("/usr/bin/curl", ["-s", "-m", "\(HelloManifest.later(5))", "http://127.0.0.1:18095/"]).output
            .contains("hello from")
      })

    let down = try stand.orchestrator("down", "--volumes")
    #expect(down.status == 0, "\(down)")
    _ = try eventually(30) { try Traces.now([stand.folder]) == before }
    #expect(try Traces.now([stand.folder]) == before)
    let left = try filesLeft(stand.root)
    #expect(left.isEmpty, "\(left)")
  }

  @Test func limitsWithoutADelegatedGroupAreRefusedWithTheMend() throws {
    let stand = try Stand()
    let probe = try stand.run("zonectl", ["run", "--rm", "--network", "none", "--memory", "64m", "--", "true"])
    guard probe.status != 0 else { return }  // this machine delegates groups, and then nothing is refused
    let applied = try stand.orchestrator("apply", try write(stand, limits: true))
    defer { _ = try? stand.orchestrator("down", "--volumes", "hello") }
    #expect(applied.status != 0)
    let told = applied.output + applied.errors
    #expect(told.contains("control group") || told.contains("controller"), "\(applied)")
    #expect(told.contains("Delegate="), "\(applied)")
  }

  private func pid(of verb: String, _ stand: Stand) throws -> Int32? {
    try FileSystem.list("/proc").compactMap(Int32.init).first { pid in
      guard let bytes = try? FileSystem.read("/proc/\(pid)/cmdline") else { return false }
      return String(decoding: bytes, as: UTF8.self).hasPrefix("\(stand.folder)/zonectl\0\(verb)\0")
    }
  }
}

/// The files below a place of zones; folders that are empty count for nothing.
/// But for the journal, which is history and bounded.
func filesLeft(_ root: String) throws -> [String] {
  var left: [String] = []
  for part in ["data", "run"] {
    guard let walk = FileManager.default.enumerator(atPath: "\(root)/\(part)") else { continue }
    for case let name as String in walk where walk.fileAttributes?[.type] as? FileAttributeType != .typeDirectory {
      if "\(part)/\(name)" != "run/.shared/events" { left.append("\(part)/\(name)") }
    }
  }
  return left
}
