import Foundation
import LinuxNS
import Testing

/// A program that is stopped at one of its system calls after the other: killed there (`-k`), or told that the call failed
/// (`-e`).
struct CallWalk {
  let stand: ImageStand
  /// The program's path and arguments.
  let words: [String]
  private let notes: String

  init(_ stand: ImageStand, _ words: [String]) {
    self.stand = stand
    self.words = words
    notes = "\(stand.folder)/told"
  }

  /// Calls by their numbers. Without brk(2) there is no memory, and without futex(2) no waiting: no program goes on then, and
  /// what counts is what it has left.
  #if arch(arm64)
    private static let vital: Set<Substring> = ["214", "98"]
    private static let making: Set<Substring> = ["32", "34"]
  #else
    private static let vital: Set<Substring> = ["12", "202"]
    private static let making: Set<Substring> = ["73", "83", "258"]
  #endif

  /// - Parameter options: the tracer's.
  func traced(_ options: String...) throws -> Command {
    try Command.run(try stand.tracer(), ["-a", "-o", notes] + options + ["--"] + words, timeout: 120)
  }

  /// What the tracer told of the last run, a line a call.
  func told() throws -> [Substring] {
    try String(contentsOfFile: notes, encoding: .utf8).split(separator: "\n")
  }

  /// A line's call, by its number.
  static func call(_ line: Substring) -> Substring { line.split(separator: " ")[1] }

  /// Runs it to its end.
  /// - Returns: the program's own calls, by their places, from the first one that makes something on: before it is the C and
  ///   Swift libraries' beginning.
  func calls() throws -> Range<Int> {
    let whole = try traced()
    try #require(whole.status == 0, "\(whole)")
    let calls = try told()
    let first = calls.firstIndex { Self.making.contains(Self.call($0)) } ?? calls.count / 3
    return (first + 1)..<(calls.count + 1)
  }

  // MARK: the walk

  struct Stop {
    var outcome: Command
    /// The call, by its number; nil where there were not as many.
    var call: Substring?
    /// For who reads of a failure.
    var words: String
    var isVital: Bool { call.map(CallWalk.vital.contains) ?? false }
  }

  /// - Parameters:
  ///   - count: of stops, about, which lie evenly among the calls.
  ///   - before: makes what the program finds.
  func stop(
    _ option: String, at calls: Range<Int>, count: Int, _ name: String, before: () throws -> Void,
    check: (Stop) throws -> Void
  ) throws {
    var hits = 0
    for number in stride(from: calls.lowerBound, to: calls.upperBound, by: max(1, calls.count / count)) {
      try before()
      let outcome = try traced(option, "0:\(number)")
      let call = try told().last?.split(separator: " ").last
      if call != nil { hits += 1 }
      let stop = Stop(
        outcome: outcome, call: call, words: "\(name) \(option) \(number) (call \(call ?? "none")): \(outcome)")
      if option == "-e", outcome.status != 0, !stop.isVital { #expect(outcome.status == 1, "\(stop.words)") }
      try check(stop)
    }
    #expect(hits > 0)
  }

  /// The place as it is now, which each run finds again.
  func stop(
    _ option: String, count: Int, _ name: String, check: (Stop) throws -> Void
  ) throws {
    try stand.sh("cp -a place saved")
    let restore = { _ = try stand.sh("rm -rf place; cp -a saved place") }
    try stop(option, at: try calls(), count: count, name, before: restore, check: check)
  }
}
