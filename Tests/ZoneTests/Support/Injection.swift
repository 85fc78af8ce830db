import Foundation

/// SIGKILL at a command's Nth system call, by strace's fault injection. Without `follow` only the command itself is
/// counted and killed; with it, each of its children at its own Nth call too.
enum Injection {
  /// How many system calls the command makes. Runs it.
  static func count(_ command: Command) throws -> Int {
    let trace = "/tmp/zones-test-trace.\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: trace) }
    var traced = command
    traced.argv = ["strace", "-qq", "-o", trace, "--"] + command.argv
    let outcome = try traced.run()
    guard outcome.status == 0 else { throw CommandFailed(outcome: outcome) }
    return (contents(trace) ?? "").split(separator: "\n").count { $0.contains("(") }
  }

  static func kill(_ command: Command, at call: Int, follow: Bool = false) throws -> Outcome {
    var traced = command
    traced.argv =
      ["strace", "-qq", "-o", "/dev/null"] + (follow ? ["-f"] : [])
      + ["-e", "inject=all:signal=SIGKILL:when=\(call)", "--"] + command.argv
    return try traced.run()
  }
}
