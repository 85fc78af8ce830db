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
  /// The signals that we get (INT, TERM, HUP, QUIT, USR1, USR2) are passed on: a keeper is asked to, where there is no terminal
  /// to carry Ctrl-C as a byte; beside a master whose end is a pidfd the command gets them by that. Otherwise such a signal
  /// ends the relay.
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
    /// The keeper told how.
    case ended(ExitStatus, oomKilled: Bool)
    /// The descriptor that stands for the end became readable, and what was written before has been passed on.
    case finished
    /// By the detach keys; the command goes on.
    case detached
    /// A signal told us to go, or nobody reads our output any more (SIGPIPE); the command goes on.
    case interrupted(CInt)
    /// The deadline has passed; the command goes on.
    case timedOut
    /// The keeper went away without an answer.
    case lost
  }

  /// Relays a pseudo-terminal whose master is ours alone (`exec -it`).
  /// - Parameter end: a descriptor that becomes readable when the command has ended: a pidfd, or a watcher's socket.
  public func relay(master: borrowing OwnedFD, until end: CInt) throws(SyscallError) -> Outcome {
    try master.setNonBlocking()
    var relay = try Relay(self, .master(master.raw, end: end))
    return try relay.run()
  }

  /// Relays what a keeper speaks over its SEQPACKET socket (`attach`, `run`) until it tells how the command ended.
  /// - Parameter attaching: ask for the output first; false where the socket is attached already, by the start.
  public func relay(keeper socket: CInt, attaching: Bool) throws(SyscallError) -> Outcome {
    var relay = try Relay(self, .keeper(socket))
    if attaching { relay.attach() }
    return try relay.run()
  }
}
