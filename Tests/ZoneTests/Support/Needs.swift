import Foundation
import Glibc
import LinuxNS
import Testing

/// What a case cannot do without. Where it is missing the case is skipped, printed and counted, and scripts/test fails
/// unless Tests/skips allows it.
enum Need: Sendable, CustomStringConvertible {
  case root
  /// The user `zonestest` with subordinate ids, which scripts/test makes.
  case ordinaryUser
  case program(String)
  /// By this process' own PATH, as a developer has it.
  case tool(String)
  case path(String)
  /// scripts/guest's machine, whose settings are ours to change.
  case guest
  /// Debian 12's: what an attack does to it is a fact of that version.
  case runcOfDebian12
  case cgroupV1(String)
  /// With scopes (Linux 6.12).
  case landlock
  /// As capsh(1) names it, without CAP_: held by whoever runs the tests.
  case capability(String)

  var isMet: Bool {
    switch self {
    case .root: geteuid() == 0
    case .ordinaryUser: OrdinaryUser.found != nil
    case .program(let name): Command.find(name) != nil
    case .tool(let name): Self.file(ofTool: name) != nil
    case .path(let path): access(path, F_OK) == 0
    case .guest: access("/run/guest", F_OK) == 0
    case .runcOfDebian12: Self.runc.hasPrefix("runc version 1.1.5+ds1")
    case .cgroupV1(let controller): access("/sys/fs/cgroup/\(controller)/tasks", F_OK) == 0
    case .landlock: Landlock.ofKernel().scopesSignals
    case .capability(let name): Self.boundingSet.contains(name)
    }
  }

  /// Its file, without links.
  static func file(ofTool name: String) -> String? {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
    return Command.find(name, in: path).flatMap { file in
      realpath(file, nil).map { real in
        defer { free(real) }
        return String(cString: real)
      }
    }
  }

  private static let runc: String = (try? Command("runc", "--version").run())?.out ?? ""

  private static let boundingSet: [String] = {
    let lines = (try? Command("setpriv", "--dump").run())?.lines ?? []
    let line = lines.first { $0.hasPrefix("Capability bounding set: ") } ?? ""
    return line.split(whereSeparator: { ": ,".contains($0) }).map(String.init)
  }()

  var description: String {
    switch self {
    case .root: "root"
    case .ordinaryUser: "the ordinary user \(OrdinaryUser.name) with subordinate ids (scripts/test makes it)"
    case .program(let name): "the program \(name)"
    case .tool(let name): "\(name) on the PATH"
    case .path(let path): path
    case .guest: "the guest (scripts/guest)"
    case .runcOfDebian12: "runc of Debian 12 (1.1.5+ds1)"
    case .cgroupV1(let controller): "the v1 cgroup controller \(controller)"
    case .landlock: "Landlock with scopes (Linux 6.12)"
    case .capability(let name): "CAP_\(name.uppercased())"
    }
  }
}

extension Trait where Self == ConditionTrait {
  /// Skips the case, loudly, where a need is not met.
  static func needs(_ needs: Need...) -> Self {
    let missing = needs.filter { !$0.isMet }
    return .enabled(if: missing.isEmpty, "needs \(missing.map(\.description).joined(separator: ", "))")
  }
}

/// The user in whose name the unprivileged cases run.
struct OrdinaryUser: Sendable {
  static let name = "zonestest"
  /// In front of a command: runs it in his name, with his groups and without a power of root's.
  static let prefix = ["setpriv", "--reuid", name, "--regid", name, "--init-groups", "--"]
  var uid: UInt32
  var gid: UInt32
  var home: String

  static let found: OrdinaryUser? = {
    guard let entry = getpwnam(name) else { return nil }
    let hasRange = { (file: String) in
      (contents(file) ?? "").split(separator: "\n").contains { $0.hasPrefix("\(name):") }
    }
    guard hasRange("/etc/subuid"), hasRange("/etc/subgid") else { return nil }
    return OrdinaryUser(
      uid: entry.pointee.pw_uid, gid: entry.pointee.pw_gid, home: String(cString: entry.pointee.pw_dir))
  }()
}
