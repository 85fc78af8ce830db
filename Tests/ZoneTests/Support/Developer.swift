import Foundation
import Glibc
import Testing

/// A developer with a home and a project of his own, and `zonectl sandbox` in it.
final class Developer {
  let zones: Zonectl
  let home: String
  let project: String
  /// Beside what every command has.
  var environment: [String: String] = [:]

  /// - Parameter git: the project is a repository with one commit.
  static func with(
    _ who: Zonectl.Who = .ordinaryUser, git: Bool = false, _ body: (Developer) throws -> Void
  ) throws {
    try Zonectl.with(who) { zones in
      let home = zones.folder + "/home"
      let developer = Developer(zones, home)
      try developer.outside("mkdir -p \(developer.project)")
      if git {
        try developer.outside(
          "git init -q . && echo one > file && git add file && git -c user.name=A -c user.email=a@b commit -q -m one")
      }
      try body(developer)
      let left = { () -> [String] in
        // None was made where no sandbox was.
        let names = (try? FileManager.default.contentsOfDirectory(atPath: zones.root + "/run")) ?? []
        return names.filter { $0 != ".shared" }
      }
      #expect(eventually(timeout: 10) { left().isEmpty }, "left: \(left())")
    }
  }

  private init(_ zones: Zonectl, _ home: String) {
    self.zones = zones
    self.home = home
    project = home + "/project"
  }

  func command(_ options: [String], _ command: [String], input: String = "") -> Command {
    var made = zones.command(["sandbox"] + options + ["--"] + command, input: input)
    made.directory = project
    made.environment["HOME"] = home
    for (name, value) in environment { made.environment[name] = value }
    return made
  }

  func run(_ options: [String], _ command: String..., input: String = "") throws -> Outcome {
    try self.command(options, command, input: input).run()
  }

  /// A shell's script in the sandbox.
  func inside(_ options: [String], _ script: String) throws -> Outcome {
    try command(options, ["sh", "-c", script]).run()
  }

  func inside(_ script: String) throws -> Outcome { try inside([], script) }

  /// The same as himself, without walls.
  @discardableResult
  func outside(_ script: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> Outcome {
    var command = Command(zones.prefix + ["sh", "-ec", script])
    command.environment["HOME"] = home
    command.directory = access(project, F_OK) == 0 ? project : zones.folder
    let outcome = try command.run()
    try #require(outcome.status == 0, "\(outcome)", sourceLocation: sourceLocation)
    return outcome
  }

  /// What lies in the project, hidden files too, sorted.
  var files: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: project).sorted() }
  }
}
