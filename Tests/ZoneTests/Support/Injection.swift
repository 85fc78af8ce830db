import Foundation

/// SIGKILL at a command's Nth system call, by strace's fault injection. strace(1) counts each kind of call by itself: so
/// the calls are listed first, and the Nth is told by its name and which of its kind it is.
enum Injection {
  /// The system calls that the command makes, by name. Runs it.
  static func calls(_ command: Command) throws -> [String] {
    let trace = "/tmp/zones-test-trace.\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: trace) }
    var traced = command
    traced.argv = ["strace", "-qq", "-o", trace, "--"] + command.argv
    let outcome = try traced.run()
    guard outcome.status == 0 else { throw CommandFailed(outcome: outcome) }
    return (contents(trace) ?? "").split(separator: "\n").compactMap { line in
      let name = line.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
      return line.dropFirst(name.count).first == "(" ? String(name) : nil
    }
  }

  /// - Parameter call: from 1 on, of `calls`.
  static func kill(_ command: Command, at call: Int, of calls: [String]) throws -> Outcome {
    let name = calls[call - 1]
    let which = calls[..<call].count { $0 == name }
    return try run(command, "inject=\(name):signal=SIGKILL:when=\(which)", [])
  }

  /// The command and each of its children where it makes a kind of call for the Nth time.
  static func killAll(_ command: Command, at call: Int) throws -> Outcome {
    try run(command, "inject=all:signal=SIGKILL:when=\(call)", ["-f"])
  }

  private static func run(_ command: Command, _ injection: String, _ options: [String]) throws -> Outcome {
    var traced = command
    traced.argv = ["strace", "-qq", "-o", "/dev/null"] + options + ["-e", injection, "--"] + command.argv
    return try traced.run()
  }
}
