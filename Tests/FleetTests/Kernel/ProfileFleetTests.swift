import Foundation
import Glibc
import Testing

@testable import Orchestrator

/// A service with a profile on the real kernel, through the real programs, in a place of its own.
@Suite(.serialized, .enabled(if: geteuid() == 0, "zones of root's")) struct ProfileFleetTests {
  let folder = Folder()

  private func run(_ program: String, _ words: String...) throws -> Command {
    try Command.run(program, words + ["--root", "\(folder.path)/r"], timeout: 60)
  }

  private func inZone(_ script: String) throws -> Command {
    // The options come before the name: what follows is the command's.
    try Command.run(Command.zonectl, ["--root", "\(folder.path)/r", "exec", "p-a-1", "--", "sh", "-c", script])
  }

  @Test func aServiceOfAProfileSeesWhatItNames() throws {
    let (manifest, profile) = ("\(folder.path)/fleet.yaml", "\(folder.path)/conv.profile")
    for name in ["in", "out"] {
      try FileManager.default.createDirectory(atPath: "\(folder.path)/\(name)", withIntermediateDirectories: true)
    }
    try "one\n".write(toFile: "\(folder.path)/in/file", atomically: true, encoding: .utf8)
    try "only\nro ./in\nrw ./out\npids 50\nenv MODE=a\n".write(toFile: profile, atomically: true, encoding: .utf8)
    try
      (WrongManifest.header.replacingOccurrences(of: "name: f", with: "name: p")
      + "  services: {a: {profile: conv.profile, command: [sleep, infinity], stop_grace_period: 0s}}\n")
      .write(toFile: manifest, atomically: true, encoding: .utf8)
    let applied = try run(Command.orchestrator, "apply", manifest)
    defer { _ = try? run(Command.orchestrator, "down", "--volumes", "p") }
    try #require(applied.status == 0, "\(applied)")
    let script = """
      cat \(folder.path)/in/file; echo x 2>/dev/null > \(folder.path)/in/x || echo refused; echo $MODE
      echo made > \(folder.path)/out/made; ls /sys/class/net
      """
    let seen = try inZone(script)
    #expect(seen.output == "one\nrefused\na\nlo\n", "\(seen)")
    #expect(access("\(folder.path)/out/made", F_OK) == 0)

    let before = try run(Command.orchestrator, "plan", manifest)
    #expect(before.output == "p: nothing to change\n", "\(before)")
    try "only\nrw ./in\nrw ./out\npids 50\nenv MODE=a\n".write(toFile: profile, atomically: true, encoding: .utf8)
    let planned = try run(Command.orchestrator, "plan", manifest)
    #expect(planned.status == 0 && planned.output.contains("volumes") && planned.output.contains("p-a-1"), "\(planned)")
    #expect(try inZone(script).output.contains("refused"), "a plan changes nothing")
    let again = try run(Command.orchestrator, "apply", manifest)
    #expect(again.status == 0, "\(again)")
    #expect(try !inZone(script).output.contains("refused"))

    try "hide /x\n".write(toFile: profile, atomically: true, encoding: .utf8)
    let refused = try run(Command.orchestrator, "plan", manifest)
    #expect(
      refused.status != 0 && refused.errors.contains("fleet.yaml:5:27: ")
        && refused.errors.contains("\(profile), line 1: 'hide' is a sandbox's alone"), "\(refused)")
    #expect(try run(Command.orchestrator, "down", "p").status == 0)
  }
}
