internal import CLinuxNS
public import LinuxNS

/// What can go wrong with a zone; each description is the one line a person gets.
public enum ZoneError: Error, CustomStringConvertible, Sendable {
  case notFound(String)
  case exists(String)
  /// The zone's state does not allow the verb.
  case state(zone: String, state: ZoneState, verb: String, hint: String)
  /// A call failed while doing something for the person.
  case call(String, SyscallError)
  case syntax(SyntaxError)
  case json(JSONError)
  /// The stage could not do a step of the plan.
  case launch(zone: String, step: String, errno: CInt, hint: String?)
  /// The command could not be executed: 126, or 127 where it was not found.
  case notExecuted(command: String, errno: CInt)
  case usage(String)
  /// The command line, or a value on it, cannot be taken; nothing was tried: 2, whatever the verb.
  case commandLine(String)
  /// Another module's or our own refusal, already worded.
  case refused(String)
  case timedOut(String)
  /// The caller was told to stop waiting.
  case interrupted

  public var description: String {
    switch self {
    case .notFound(let name): "no zone is named '\(name)'"
    case .exists(let name): "there is a zone '\(name)' already (zonectl delete \(name), or take another name)"
    case .state(let zone, let state, let verb, let hint):
      "cannot \(verb) zone \(zone): it is \(state.rawValue)" + (hint.isEmpty ? "" : "; \(hint)")
    case .call(let doing, let error): "cannot \(doing): \(error)"
    case .syntax(let error): "\(error)"
    case .json(let error): "\(error)"
    case .launch(let zone, let step, let errno, let hint):
      "cannot start zone \(zone): \(step): "
        + (hint.map { "\(SyscallError.name(errno)); \($0)" } ?? SyscallError.describe(errno))
    case .notExecuted(let command, let errno):
      errno == 2
        ? "cannot execute '\(command)': not found in the zone"
        : "cannot execute '\(command)': \(SyscallError.describe(errno))"
    case .usage(let text), .commandLine(let text), .refused(let text), .timedOut(let text): text
    case .interrupted: "interrupted"
    }
  }

  /// 126 and 127 where a command was to be executed, 2 for usage, otherwise 1; `run` and `exec` make 125 of that.
  public var exitStatus: CInt {
    switch self {
    case .notExecuted(_, let errno): errno == 2 ? 127 : 126
    case .usage, .commandLine: 2
    default: 1
    }
  }
}

/// Runs calls of the kernel layer, and says what they were for where one fails.
package func attempt<Result: ~Copyable>(
  _ doing: @autoclosure () -> String, _ body: () throws(SyscallError) -> Result
) throws(ZoneError) -> Result {
  do { return try body() } catch { throw .call(doing(), error) }
}
