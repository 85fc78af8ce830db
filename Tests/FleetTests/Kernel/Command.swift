import Foundation
import Glibc
import LinuxNS
import Testing

/// A program run to its end, or killed when its time is over.
struct Command: Sendable, CustomStringConvertible {
  var status: Int32
  var output: String
  var errors: String
  var description: String { "status \(status)\n\(output)\(errors)" }

  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().path
  static let orchestrator = program("ORCHESTRATOR", "orchestrator")
  static let zonectl = program("ZONECTL", "zonectl")

  /// What the environment names, or what the scripts built last.
  private static func program(_ variable: String, _ name: String) -> String {
    ProcessInfo.processInfo.environment[variable] ?? "\(root)/.build/bin/\(name)"
  }

  static func run(_ program: String, _ arguments: [String], timeout: Double = 60) throws -> Command {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/timeout")
    process.arguments = ["-s", "KILL", String(timeout * patience), program] + arguments
    // Files, not pipes: what a daemon inherits must not keep us waiting.
    let folder = Folder()
    let (out, err) = ("\(folder.path)/out", "\(folder.path)/err")
    for path in [out, err] { try Data().write(to: URL(fileURLWithPath: path)) }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle(forWritingAtPath: out)
    process.standardError = FileHandle(forWritingAtPath: err)
    try process.run()
    process.waitUntilExit()
    defer { withExtendedLifetime(folder) {} }
    return Command(
      status: process.terminationStatus, output: try String(contentsOfFile: out, encoding: .utf8),
      errors: try String(contentsOfFile: err, encoding: .utf8))
  }
}

/// How much longer than usual to wait for things: an emulated machine (scripts/guest) is ten times slower.
let patience = ProcessInfo.processInfo.environment["ZONES_PATIENCE"].flatMap(Double.init) ?? 1

extension Trait where Self == TimeLimitTrait {
  /// - Parameter minutes: of a usual machine.
  static func ends(within minutes: Int) -> Self { .timeLimit(.minutes(minutes * Int(patience.rounded(.up)))) }
}

/// Looks again and again until it is so; false where that many seconds passed first. The way to wait for a state.
func eventually(_ seconds: Double, _ isSo: () throws -> Bool) rethrows -> Bool {
  let end = Clock.monotonicNanoseconds() + UInt64(seconds * patience * 1e9)
  while true {
    if try isSo() { return true }
    guard Clock.monotonicNanoseconds() < end else { return false }
    _ = poll(nil, 0, 10)
  }
}

/// As above, for what is asked of an actor; the thread is free between two looks.
func eventually(
  _ seconds: Double, isolation: isolated (any Actor)? = #isolation, _ isSo: () async throws -> Bool
) async throws -> Bool {
  let end = ContinuousClock.now + .seconds(seconds * patience)
  while true {
    if try await isSo() { return true }
    guard ContinuousClock.now < end else { return false }
    try await Task.sleep(until: min(end, .now + .milliseconds(10)), clock: .continuous)
  }
}

/// What a machine has that a fleet might leave behind.
struct Traces: Equatable {
  var processes: Set<String>
  var mounts: Set<String>
  var links: Set<String>
  var rules: String
  var forwarding: [String]
  var groups: Set<String>

  /// - Parameter mark: words that only the fleet's own processes and groups have: other tests run beside this one.
  static func now(_ mark: [String]) throws -> Traces {
    let lines = { (path: String) throws -> Set<String> in
      Set(String(decoding: try FileSystem.read(path), as: UTF8.self).split(separator: "\n").map(String.init))
    }
    // Only what could be ours: the machine goes on living beside the test.
    let words = ["orchestrator", "zonectl", "zone-", "pasta"]
    let processes = try FileSystem.list("/proc").filter { $0.allSatisfy(\.isNumber) }.compactMap { pid -> String? in
      guard let bytes = try? FileSystem.read("/proc/\(pid)/cmdline") else { return nil }
      let text = String(decoding: bytes.map { $0 == 0 ? 32 : $0 }, as: UTF8.self)
      let program = text.split(separator: " ").first.map(String.init) ?? ""
      guard mark.contains(where: text.contains) else { return nil }
      return words.contains { (program.split(separator: "/").last ?? "").hasPrefix($0) } ? "\(pid) \(text)" : nil
    }
    var groups: Set<String> = []
    let ownMounts = try lines("/proc/self/mountinfo").filter { mount in mark.contains { mount.contains($0) } }
    for folder in [
      "/sys/fs/cgroup", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/unified",
    ] {
      guard let enumerator = FileManager.default.enumerator(atPath: folder) else { continue }
      for case let path as String in enumerator
      where path.hasSuffix("cgroup.procs") && mark.contains(where: path.contains) { groups.insert("\(folder)/\(path)") }
    }
    return Traces(
      processes: Set(processes), mounts: ownMounts, links: Set(try FileSystem.list("/sys/class/net")),
      rules: try Command.run("/usr/sbin/nft", ["list", "ruleset"]).output,
      forwarding: ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"].map {
        (try? FileSystem.readLine("/proc/sys/\($0)")) ?? ""
      },
      groups: groups)
  }
}
