import Foundation

/// The system calls that a command made, by strace(1).
struct Trace {
  /// Of each process, in the order in which they first made one: the calls by name.
  var processes: [[String]] = []

  var count: Int { processes.reduce(0) { $0 + $1.count } }

  /// Runs the command.
  /// - Parameters:
  ///   - following: also what it starts, until all of that has ended.
  ///   - succeeds: the status it has to end with.
  ///   - quietly: what becomes of the traced command before it runs, its streams redirected say.
  init(
    _ command: Command, following: Bool, succeeds: Int32 = 0, quietly: (Command) -> Command = { $0 }
  ) throws {
    let trace = "/tmp/zones-test-trace.\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: trace) }
    let outcome = try quietly(Self.strace(command, ["-o", trace], following)).run()
    guard outcome.status == succeeds else { throw CommandFailed(outcome: outcome) }
    var order: [Substring: Int] = [:]
    for line in (contents(trace) ?? "").split(separator: "\n") {
      let words = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
      let process = following ? words.first ?? "" : ""
      let rest = following ? words.last.map { $0.drop { $0 == " " } } ?? "" : line
      let name = String(rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" })
      // The rest is what strace says of signals, ends, and calls that return later.
      guard rest.dropFirst(name.count).first == "(" else { continue }
      if order[process] == nil {
        order[process] = processes.count
        processes.append([])
      }
      processes[order[process]!].append(name)
    }
  }

  static func strace(_ command: Command, _ options: [String], _ following: Bool) -> Command {
    var traced = command
    traced.argv = ["strace", "-qq"] + (following ? ["-f"] : []) + options + ["--"] + command.argv
    return traced
  }
}
