import Foundation

/// SIGKILL at a command's Nth system call, by strace's fault injection. strace(1) counts each kind of call by itself: so
/// the calls are listed first, and the Nth is told by its name and which of its kind it is.
enum Injection {
  /// The system calls that the command makes, by name. Runs it.
  /// - Parameters:
  ///   - prefix: how many words of it are another program's, which changes the user say and is not traced.
  ///   - quietly: what becomes of the traced command before it runs, its streams redirected say.
  static func calls(
    _ command: Command, behind prefix: Int = 0, quietly: (Command) -> Command = { $0 }
  ) throws -> [String] {
    let trace = "/tmp/zones-test-trace.\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: trace) }
    let outcome = try run(command, ["-o", trace], behind: prefix, quietly)
    guard outcome.status == 0 else { throw CommandFailed(outcome: outcome) }
    return (contents(trace) ?? "").split(separator: "\n").compactMap { line in
      let name = line.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
      return line.dropFirst(name.count).first == "(" ? String(name) : nil
    }
  }

  /// - Parameter call: from 1 on, of `calls`.
  static func kill(
    _ command: Command, at call: Int, of calls: [String], behind prefix: Int = 0,
    quietly: (Command) -> Command = { $0 }
  ) throws -> Outcome {
    let name = calls[call - 1]
    let which = calls[..<call].count { $0 == name }
    return try run(
      command, ["-o", "/dev/null", "-e", "inject=\(name):signal=SIGKILL:when=\(which)"], behind: prefix, quietly)
  }

  /// The command and each of its children where it makes a kind of call for the Nth time.
  static func killAll(_ command: Command, at call: Int) throws -> Outcome {
    try run(command, ["-o", "/dev/null", "-f", "-e", "inject=all:signal=SIGKILL:when=\(call)"], behind: 0) { $0 }
  }

  private static func run(
    _ command: Command, _ options: [String], behind prefix: Int, _ quietly: (Command) -> Command
  ) throws -> Outcome {
    var traced = command
    traced.argv = command.argv[..<prefix] + ["strace", "-qq"] + options + ["--"] + command.argv[prefix...]
    return try quietly(traced).run()
  }

  /// As `kill` ends what it hits.
  static let killed: Int32 = 128 + SIGKILL
}
