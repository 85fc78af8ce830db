import Foundation
import Glibc
import Testing

/// `zone-oci`, or another runtime, with a bundle and a `--root` of its own. Every container and file of it goes with it.
final class OCIBundle {
  /// Whose verbs act on the bundle. The bundle is made by `zone-oci spec` for each, so that it is the same.
  enum Runtime: String, Sendable, CaseIterable { case zoneOCI = "zone-oci", runc }

  let folder: String
  /// `config.json`, to be changed before a container is made of it.
  var config: [String: Any]
  var timeout: Double = 30
  /// Options before the verb.
  var options: [String] = []
  /// Of zone-oci, beside the plain ones.
  var environment: [String: String] = [:]

  /// The runtime: a copy, which an attack may spoil.
  var program: String

  /// A bundle with a busybox root, made by `spec`, without a terminal.
  static func with<Result>(
    _ who: Zonectl.Who = .root, _ runtime: Runtime = .zoneOCI, _ body: (OCIBundle) throws -> Result
  ) throws -> Result {
    let bundle = try OCIBundle(who, runtime)
    defer { bundle.end() }
    return try body(bundle)
  }

  private let who: Zonectl.Who

  private init(_ who: Zonectl.Who, _ runtime: Runtime) throws {
    self.who = who
    folder = try makeTemporaryFolder()
    program = folder + "/zone-oci"
    chmod(folder, 0o755)
    if who == .ordinaryUser, let user = OrdinaryUser.found { chown(folder, user.uid, user.gid) }
    try FileManager.default.copyItem(atPath: Zonectl.program, toPath: folder + "/zone-oci")
    chmod(folder + "/zone-oci", 0o755)
    try BusyboxRoot.make(at: folder + "/rootfs")
    config = [:]
    let rootless = who == .root ? [] : ["--rootless"]
    let spec = try command(["spec", "--bundle", folder] + rootless).run()
    guard spec.status == 0, let bytes = FileManager.default.contents(atPath: folder + "/config.json") else {
      throw CommandFailed(outcome: spec)
    }
    config = try JSONSerialization.jsonObject(with: bytes) as? [String: Any] ?? [:]
    self["process.terminal"] = false
    if runtime == .runc {
      program = folder + "/runc"
      try FileManager.default.copyItem(atPath: Command.find("runc") ?? "/usr/sbin/runc", toPath: program)
    }
  }

  /// A field by its path, `process.user.uid`. Setting nil removes it.
  subscript(path: String) -> Any? {
    get { Self.get(config, path.split(separator: ".").map(String.init)[...]) }
    set { config = Self.set(config, path.split(separator: ".").map(String.init)[...], newValue) }
  }

  private static func get(_ value: Any?, _ path: ArraySlice<String>) -> Any? {
    guard let key = path.first else { return value }
    return get((value as? [String: Any])?[key], path.dropFirst())
  }

  private static func set(_ value: [String: Any], _ path: ArraySlice<String>, _ new: Any?) -> [String: Any] {
    var value = value
    guard let key = path.first else { return value }
    value[key] = path.count == 1 ? new : set(value[key] as? [String: Any] ?? [:], path.dropFirst(), new)
    return value
  }

  /// Adds to a list.
  func add(_ path: String, _ elements: Any...) { self[path] = (self[path] as? [Any] ?? []) + elements }

  func shell(_ script: String) { self["process.args"] = ["sh", "-c", script] }

  private func write() throws {
    try JSONSerialization.data(withJSONObject: config).write(to: URL(fileURLWithPath: folder + "/config.json"))
  }

  func command(_ words: [String]) -> Command {
    let prefix = who == .root ? [] : OrdinaryUser.prefix
    var command = Command(prefix + [program, "--root", folder + "/state"] + options + words)
    command.environment.merge(environment) { $1 }
    command.directory = folder
    command.timeout = timeout
    return command
  }

  @discardableResult
  func run(_ words: String...) throws -> Outcome { try command(words).run() }

  @discardableResult
  func ok(_ words: String..., sourceLocation: SourceLocation = #_sourceLocation) throws -> Outcome {
    let outcome = try command(words).run()
    try #require(outcome.status == 0, "\(words): \(outcome)", sourceLocation: sourceLocation)
    return outcome
  }

  /// The command that runs the bundle as it is now, in the foreground.
  func prepared(_ id: String = "a", _ options: [String] = []) throws -> Command {
    try write()
    return command(["run"] + options + ["--bundle", folder, id])
  }

  func start(_ id: String = "a") throws -> Outcome { try prepared(id).run() }

  /// What the process printed; it must end with 0.
  func printed(_ script: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> String {
    shell(script)
    let outcome = try start()
    try #require(outcome.status == 0, "\(script): \(outcome)", sourceLocation: sourceLocation)
    return outcome.text
  }

  /// The line that a bundle is refused with; nothing of it is left.
  func refusal(sourceLocation: SourceLocation = #_sourceLocation) throws -> String {
    let outcome = try start()
    #expect(outcome.status == 1, "\(outcome)", sourceLocation: sourceLocation)
    #expect(outcome.err.split(separator: "\n").count == 1, "\(outcome)", sourceLocation: sourceLocation)
    let left = try left()
    #expect(left.isEmpty, sourceLocation: sourceLocation)
    return outcome.err
  }

  /// A detached container that was made.
  func create(_ id: String = "a") throws {
    try write()
    // Its output goes nowhere: a pipe of ours would stay open as long as it lives.
    let outcome = try command([]).through(
      "\"$@\" create --bundle \(folder) \(id) </dev/null >/dev/null 2>\(folder)/said"
    ).run()
    try #require(outcome.status == 0, "\(outcome) \(contents(folder + "/said") ?? "")")
  }

  func state(_ id: String = "a") throws -> [String: Any]? {
    let outcome = try run("state", id)
    guard outcome.status == 0 else { return nil }
    return try JSONSerialization.jsonObject(with: outcome.output) as? [String: Any]
  }

  func status(_ id: String = "a") throws -> String? { try state(id)?["status"] as? String }

  /// Containers that have a directory.
  func left() throws -> [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: folder + "/state").filter { !$0.hasPrefix("=") }) ?? []
  }

  private func end() {
    options = []
    for id in (try? left()) ?? [] { _ = try? run("delete", "--force", id) }
    if let left = try? left(), !left.isEmpty { Issue.record("containers are left: \(left)") }
    try? FileManager.default.removeItem(atPath: folder)
  }
}

extension Command {
  /// The command as `"$@"` of a shell script.
  func through(_ script: String) -> Command {
    var command = self
    command.argv = ["sh", "-c", script, "sh"] + argv
    return command
  }
}
