public import LinuxNS

/// A person's end of a zone's terminal or pipes: relays bytes both ways until the command has ended or the person leaves.
///
/// For single-threaded programs: signals are taken by a signalfd, which other threads would have to block as well.
public struct TerminalClient: Sendable {
  public var input: CInt
  public var output: CInt
  public var error: CInt
  /// Reads `input` and passes it on; otherwise the command is only watched.
  public var passesInput: Bool
  /// The far side is a terminal: ours becomes raw, its size is passed on, and Ctrl-C is a byte.
  public var isTerminal: Bool
  /// What leaves without ending the command; nil for none.
  public var detachKeys: DetachKeys?
  /// CLOCK_MONOTONIC in nanoseconds, after which the relay gives up.
  public var deadline: UInt64?
  /// A keeper is asked to pass on the signals that we get (INT, TERM, HUP, QUIT), where there is no terminal to carry
  /// Ctrl-C as a byte; otherwise such a signal ends the relay.
  public var forwardsSignals = false

  public init(
    input: CInt = 0, output: CInt = 1, error: CInt = 2, isTerminal: Bool, passesInput: Bool = true
  ) {
    self.input = input
    self.output = output
    self.error = error
    self.isTerminal = isTerminal
    self.passesInput = passesInput
  }

  /// How a relay ended.
  public enum Outcome: Equatable, Sendable {
    case ended(ExitStatus)
    /// By the detach keys; the command goes on.
    case detached
    /// A signal told us to go, or nobody reads our output any more (SIGPIPE); the command goes on.
    case interrupted(CInt)
    /// The deadline has passed; the command goes on.
    case timedOut
    /// The keeper went away without an answer.
    case lost
  }

  /// Relays a pseudo-terminal whose master is ours (`exec -it`) until `process`, a child of ours, has ended, and reaps it.
  public func relay(master: borrowing OwnedFD, process: borrowing Pidfd) throws(SyscallError) -> Outcome {
    try master.setNonBlocking()
    var relay = try Relay(self, .master(master.raw, process: process.fd.raw))
    switch try relay.run() {
    case .processEnded: return .ended(try process.reap())
    case .outcome(let outcome): return outcome
    }
  }

  /// Relays what a keeper speaks over its SEQPACKET socket (`attach`, `run`) until it tells how the command ended.
  /// - Parameter asks: ask for the output first; false where the socket is attached already.
  public func relay(keeper: borrowing OwnedFD, asks: Bool = true) throws(SyscallError) -> Outcome {
    var relay = try Relay(self, .keeper(keeper.raw))
    if asks { relay.ask() }
    switch try relay.run() {
    case .processEnded: return .lost
    case .outcome(let outcome): return outcome
    }
  }
}
