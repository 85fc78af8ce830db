import Foundation

/// One system call of a command's: which process makes it, and the how manieth of that process's it is.
struct CallPoint: CustomStringConvertible {
  /// `0` is the command; `0.2` the second process that it started.
  var process: String
  /// From 1 on.
  var number: Int
  /// What the call was when it was looked at.
  var call: String

  var description: String { "call \(number) (\(call)) of process \(process)" }
}

/// The system calls that a command made, by Tests/tracer.
struct Trace {
  /// Of each process, in the order in which they first made one.
  var points: [[CallPoint]] = []

  /// The process that the command itself is.
  static let command = "0"

  /// The shortest of three: how often a command looks whether all has ended differs, and what the shortest has comes each
  /// time. The first one may make what is made once.
  static func shortest(_ look: () throws -> Trace) throws -> Trace {
    var shortest = try look()
    for _ in 0..<2 {
      let trace = try look()
      if trace.count < shortest.count { shortest = trace }
    }
    return shortest
  }

  /// Of each process: the calls by name.
  var processes: [[String]] { points.map { $0.map(\.call) } }
  var count: Int { points.reduce(0) { $0 + $1.count } }

  /// Runs the command.
  /// - Parameters:
  ///   - following: also what it starts.
  ///   - ending: until all of that has ended; otherwise, until the command has.
  ///   - failing: only calls that can fail.
  ///   - prefix: how many words of it are another program's, which changes the user say and is not traced.
  ///   - succeeds: the status it has to end with.
  ///   - quietly: what becomes of the traced command before it runs, its streams redirected say.
  init(
    _ command: Command, following: Bool = false, ending: Bool = true, failing: Bool = false, behind prefix: Int = 0,
    succeeds: Int32 = 0, quietly: (Command) -> Command = { $0 }
  ) throws {
    let options = (following ? ending ? ["-f", "-w"] : ["-f"] : []) + (failing ? ["-a"] : [])
    let (outcome, lines) = try Tracer.run(command, options, behind: prefix, quietly)
    guard outcome.status == succeeds else { throw CommandFailed(outcome: outcome) }
    var order: [String: Int] = [:]
    for line in lines {
      guard let (process, call) = Tracer.read(line) else { continue }
      if order[process] == nil {
        order[process] = points.count
        points.append([])
      }
      let at = order[process]!
      points[at].append(CallPoint(process: process, number: points[at].count + 1, call: call))
    }
  }
}

extension [CallPoint] {
  /// Some of them, evenly, the first and the last among them.
  func spread(_ wanted: Int) -> [CallPoint] {
    guard count > wanted else { return self }
    return (0..<wanted).map { self[$0 * (count - 1) / (wanted - 1)] }
  }
}
