import Foundation

/// A command that is stopped at one of its system calls.
enum Injection {
  enum Kind: String {
    /// SIGKILL.
    case kill = "-k"
    /// The call fails with what its kind fails with where a machine has run short of something; counted are those that
    /// can fail.
    case fault = "-e"
  }

  /// - Parameter ending: it is waited for until all that the command has started has ended, as with `Trace`.
  /// - Returns: how it ended, and the call that was hit; nil: it did not come that far this time.
  static func run(
    _ command: Command, _ kind: Kind, at point: CallPoint, ending: Bool = true, behind prefix: Int = 0,
    quietly: (Command) -> Command = { $0 }
  ) throws -> (outcome: Outcome, hit: String?) {
    // A program that changes the user, which a child may be, does not do so under a tracer.
    let follow = point.process == Trace.command ? [] : ending ? ["-f", "-w"] : ["-f"]
    let options = follow + [kind.rawValue, "\(point.process):\(point.number)"]
    let (outcome, lines) = try Tracer.run(command, options, behind: prefix, quietly)
    return (outcome, lines.first.flatMap(Tracer.read)?.call)
  }
}
