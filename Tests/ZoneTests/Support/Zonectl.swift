import Foundation
import Glibc
import Testing

/// `zonectl` with a `--root` of its own, as root or as the ordinary user. Every zone and file of it goes with it.
final class Zonectl {
  enum Who: Sendable {
    case root, ordinaryUser
    /// The ordinary user where nobody gave him subordinate ids: his zones have his own id and no other.
    case userOfOneId
  }

  let who: Who
  /// A folder of this case, which both the caller and root can read: programs, bundles, files to copy.
  let folder: String
  /// The `--root` of this case.
  let root: String
  /// Seconds that a verb may take.
  var timeout: Double = 30

  /// The program under test: what ZONECTL names, or the one that the scripts built last.
  static let program: String = {
    if let named = ProcessInfo.processInfo.environment["ZONECTL"] { return named }
    return packageRoot + "/.build/bin/zonectl"
  }()

  static let packageRoot: String = {
    var url = URL(fileURLWithPath: #filePath)
    for _ in 0..<4 { url.deleteLastPathComponent() }
    return url.path
  }()

  /// For `privateMounts`: /dev/net/tun is there, with this mode.
  static func tun(mode: Int) -> String {
    """
    folder=$(mktemp -d /var/tmp/zones-tun.XXXXXX); mknod -m \(mode) $folder/tun c 10 200
    mount --bind $folder/tun /dev/net/tun; rm -f $folder/tun; rmdir $folder
    """
  }

  /// Runs `body` with a zonectl of its own, then deletes what zones are left and expects its root to be empty.
  static func with<Result>(_ who: Who = .root, _ body: (Zonectl) throws -> Result) throws -> Result {
    let zonectl = try Zonectl(who)
    defer { zonectl.end() }
    return try body(zonectl)
  }

  private init(_ who: Who) throws {
    self.who = who
    folder = try makeTemporaryFolder()
    root = folder + "/zones"
    chmod(folder, 0o755)
    // An ordinary user cannot reach a build below root's home, so each case has a copy.
    try FileManager.default.copyItem(atPath: Zonectl.program, toPath: folder + "/zonectl")
    chmod(folder + "/zonectl", 0o755)
    mkdir(folder + "/runtime", 0o700)
    if who != .root, let user = OrdinaryUser.found {
      for path in [folder, folder + "/runtime"] { chown(path, user.uid, user.gid) }
    }
  }

  /// The whole command of a verb.
  func command(_ arguments: [String], input: String = "") -> Command {
    var command = Command(prefix + [folder + "/zonectl", "--root", root] + arguments)
    command.environment["XDG_RUNTIME_DIR"] = folder + "/runtime"
    if who != .root, let user = OrdinaryUser.found {
      command.environment["HOME"] = user.home
      command.environment["USER"] = OrdinaryUser.name
    }
    command.directory = folder
    command.input = Data(input.utf8)
    command.timeout = timeout
    return command
  }

  /// What runs a program in the name of `who`.
  var prefix: [String] { wrapper + (who == .root ? [] : OrdinaryUser.prefix) }

  /// Runs before the change of user, as root, in front of every command: `sh -c SCRIPT` in a private mount namespace.
  /// For cases in which the machine has to look different.
  var privateMounts: String?

  private static let oneId = "mount --bind /dev/null /etc/subuid; mount --bind /dev/null /etc/subgid"

  private var wrapper: [String] {
    let script = [who == .userOfOneId ? Self.oneId : nil, privateMounts].compactMap(\.self)
    return (script.isEmpty ? nil : script.joined(separator: "\n")).map {
      ["unshare", "--mount", "--propagation", "private", "sh", "-ec", $0 + "\nexec \"$@\"", "sh"]
    } ?? []
  }

  @discardableResult
  func run(_ arguments: String..., input: String = "") throws -> Outcome {
    try command(arguments, input: input).run()
  }

  /// Runs a verb that must succeed.
  @discardableResult
  func ok(
    _ arguments: String..., input: String = "", sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> Outcome {
    try ok(arguments, input: input, sourceLocation: sourceLocation)
  }

  @discardableResult
  func ok(
    _ arguments: [String], input: String = "", sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> Outcome {
    let outcome = try command(arguments, input: input).run()
    try #require(outcome.status == 0, "\(outcome)", sourceLocation: sourceLocation)
    return outcome
  }

  /// Runs a verb that must be refused with one line on stderr; that line.
  @discardableResult
  func refused(
    _ arguments: String..., status: Int32 = 1, sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> String {
    try refused(arguments, status: status, sourceLocation: sourceLocation)
  }

  @discardableResult
  func refused(
    _ arguments: [String], status: Int32 = 1, sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> String {
    let outcome = try command(arguments).run()
    #expect(outcome.status == status, "\(outcome)", sourceLocation: sourceLocation)
    let lines = outcome.err.split(separator: "\n")
    #expect(lines.count == 1, "an error is one line: \(outcome)", sourceLocation: sourceLocation)
    return lines.last.map(String.init) ?? ""
  }

  /// Makes a zone without network that sleeps, and brings it into a state of the table.
  func make(
    _ name: String, _ state: String = "running", _ options: [String] = ["--network", "none"],
    command: [String] = ["sleep", "infinity"], sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let first = state == "configured" ? "configure" : "create"
    try ok([first] + options + [name, "--"] + command, sourceLocation: sourceLocation)
    switch state {
    case "configured", "installed": break
    case "ready": try ok("ready", name, sourceLocation: sourceLocation)
    case "running": try ok("start", name, sourceLocation: sourceLocation)
    case "frozen":
      try ok("start", name, sourceLocation: sourceLocation)
      try ok("pause", name, sourceLocation: sourceLocation)
    default: Issue.record("no way to make a zone that is \(state)", sourceLocation: sourceLocation)
    }
    #expect(try self.state(name) == state, sourceLocation: sourceLocation)
  }

  func terminal(_ arguments: String..., rows: Int = 24, columns: Int = 80) throws -> Terminal {
    try Terminal(command(arguments), rows: rows, columns: columns)
  }

  func terminal(arguments: [String]) throws -> Terminal { try Terminal(command(arguments)) }

  /// What `list -o json` says of every zone.
  func list() throws -> [Listed] {
    let outcome = try command(["list", "-o", "json"]).run()
    guard outcome.status == 0 else { throw CommandFailed(outcome: outcome) }
    return try JSONDecoder().decode([Listed].self, from: outcome.output)
  }

  func status(_ name: String) throws -> Listed? { try list().first { $0.name == name } }

  func state(_ name: String) throws -> String { try status(name)?.state ?? "none" }

  /// Waits until the zone is in that state.
  func expect(
    _ name: String, becomes state: String, timeout: Double = 10, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    var last = ""
    let reached = try eventually(timeout: timeout) {
      last = try self.state(name)
      return last == state
    }
    #expect(reached, "\(name) is \(last), not \(state)", sourceLocation: sourceLocation)
  }

  private func end() {
    // A user's zone may have left files of his subordinate ids, which root can remove.
    for name in (try? list().map(\.name)) ?? [] {
      if let outcome = try? command(["delete", "--force", "--yes", name]).run(), outcome.status != 0 {
        Issue.record("delete --force is the way out of every state: \(outcome)")
      }
    }
    try? FileManager.default.removeItem(atPath: folder)
    if access(folder, F_OK) == 0 {
      Issue.record("\(folder) cannot be removed: something is still mounted or busy in it")
    }
  }
}

/// A zone as `list -o json` and `show -o json` tell it; those fields that cases look at.
struct Listed: Decodable {
  struct Exit: Decodable, Equatable {
    var code: Int?
    var signal: Int?
    var oomKilled: Bool
  }
  var name: String
  var state: String
  var why: String?
  var pid: Int32?
  var keeper: Int32?
  var restarts: Int
  var exit: Exit?
  var addresses: [String]?
  var startId: String?
}
