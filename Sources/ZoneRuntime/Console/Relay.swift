internal import Glibc
internal import LinuxNS

/// The loop behind `TerminalClient`: one poll(2), no thread, nothing that blocks but the poll.
///
/// Each direction has a bounded queue; a full one stops the reading that feeds it, so a slow side slows the other down
/// and nothing is lost or piled up.
struct Relay: ~Copyable {
  enum FarEnd {
    /// A pseudo-terminal's master, and what becomes readable when its command has ended.
    case master(CInt, end: CInt)
    /// A keeper's socket, which tells the end itself.
    case keeper(CInt)
  }

  private let client: TerminalClient
  private let far: FarEnd
  private let signals: SignalFD
  private let raw: RawMode?
  private var output: OutputEnd
  private var error: OutputEnd
  private var matcher: DetachMatcher
  private var toFar = ByteQueue()
  /// Messages to a keeper that go before input.
  private var control: [[UInt8]] = []
  private var room = [UInt8](repeating: 0, count: KeeperMessage.room)
  private var inputOpen: Bool
  /// The far side has been told that the input has ended.
  private var endTold = false
  private var sizeWaits: Bool
  private var farOpen = true
  private var ended = false
  /// A read after the process's end found nothing more.
  private var drained = false
  /// The keeper's last word.
  private var told: TerminalClient.Outcome?

  /// Those that are passed on or acted upon.
  static let signals = [SIGWINCH, SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE, SIGTSTP, SIGCONT]

  /// Bytes that may wait in one direction before reading stops.
  private static let mostWaiting = 64 << 10

  init(_ client: TerminalClient, _ far: FarEnd) throws(SyscallError) {
    // Blocked before the terminal is raw: a signal in between would leave it so.
    let signals = try SignalFD(Relay.signals)
    let isOurs = client.isTerminal && Terminal.isTerminal(client.input)
    let raw = isOurs && client.passesInput ? try RawMode(client.input) : nil
    self.signals = signals
    self.raw = raw
    self.client = client
    self.far = far
    sizeWaits = isOurs
    output = OutputEnd(client.output)
    error = OutputEnd(client.error)
    matcher = DetachMatcher(client.detachKeys)
    inputOpen = client.passesInput
  }

  mutating func attach() { control.append(KeeperMessage.attach) }

  mutating func run() throws(SyscallError) -> TerminalClient.Outcome {
    while true {
      if sizeWaits { try passSize() }
      if !control.isEmpty { try sendControl() }
      while ended && farOpen && !drained && output.pending.count < Relay.mostWaiting { try readFar() }
      if let end = finished() { return end }
      var polled = interests()
      let timeout = millisecondsLeft()
      if timeout == 0 { return .timedOut }
      let count = poll(&polled, nfds_t(polled.count), timeout)
      let number = errno
      if count < 0 {
        if number == EINTR { continue }
        throw SyscallError(call: "poll", errno: number)
      }
      // In the order of `interests`.
      if polled[0].revents != 0, let end = try takeSignals() { return end }
      if polled[1].revents != 0, try readInput() { return .detached }
      if polled[2].revents & Int16(POLLOUT) != 0 { try writeFar() }
      if polled[2].revents & ~Int16(POLLOUT) != 0 { try readFar() }
      if polled[3].revents != 0, try !output.write() { return .interrupted(SIGPIPE) }
      if polled[4].revents != 0, try !error.write() { return .interrupted(SIGPIPE) }
      if polled[5].revents != 0 { ended = true }
    }
  }

  // MARK: what to wait for

  private func interests() -> [pollfd] {
    let farFD: CInt
    var endFD: CInt = -1
    switch far {
    case .master(let master, let end):
      farFD = master
      endFD = ended ? -1 : end
    case .keeper(let socket): farFD = socket
    }
    let readsInput = inputOpen && toFar.count < Relay.mostWaiting
    let readsFar = output.pending.count < Relay.mostWaiting && error.pending.count < Relay.mostWaiting
    let writesFar = farOpen && (!toFar.isEmpty || !control.isEmpty || (!inputOpen && client.passesInput && !endTold))
    return [
      pollfd(fd: signals.fd.raw, events: Int16(POLLIN), revents: 0),
      pollfd(fd: readsInput ? client.input : -1, events: Int16(POLLIN), revents: 0),
      // A closed far end says POLLHUP for ever: it is asked only while it is open and there is a wish.
      pollfd(
        fd: farOpen && (readsFar || writesFar) ? farFD : -1,
        events: Int16(readsFar ? POLLIN : 0) | Int16(writesFar ? POLLOUT : 0), revents: 0),
      pollfd(fd: output.pending.isEmpty ? -1 : output.raw, events: Int16(POLLOUT), revents: 0),
      pollfd(fd: error.pending.isEmpty ? -1 : error.raw, events: Int16(POLLOUT), revents: 0),
      pollfd(fd: endFD, events: Int16(POLLIN), revents: 0),
    ]
  }

  /// The end, once everything that was written before it has been passed on.
  private mutating func finished() -> TerminalClient.Outcome? {
    guard output.pending.isEmpty && error.pending.isEmpty else { return nil }
    if let told { return told }
    switch far {
    case .keeper: return farOpen ? nil : .lost
    case .master:
      // What a background process keeps open is not waited for; what the command wrote is in the queue of the
      // terminal, and a read drains that before it says EAGAIN (n_tty_read flushes the work that carries it).
      return ended && (!farOpen || drained) ? .finished : nil
    }
  }
  private func millisecondsLeft() -> CInt {
    guard let deadline = client.deadline else { return -1 }
    let now = Clock.monotonicNanoseconds()
    return now >= deadline ? 0 : CInt(min((deadline - now + 999_999) / 1_000_000, 3_600_000))
  }

  // MARK: signals and the window

  private mutating func takeSignals() throws(SyscallError) -> TerminalClient.Outcome? {
    while let number = try signals.next() {
      switch number {
      case SIGWINCH: sizeWaits = client.isTerminal && Terminal.isTerminal(client.input)
      case SIGTSTP:
        switch raw {
        case .some(let raw): raw.leave()
        case .none: break
        }
        kill(getpid(), SIGSTOP)
      case SIGCONT:
        switch raw {
        case .some(let raw): try raw.enter()
        case .none: break
        }
        sizeWaits = client.isTerminal && Terminal.isTerminal(client.input)
      case SIGPIPE: break  // the write itself said EPIPE
      default:
        guard client.forwardsSignals else { return .interrupted(number) }
        switch far {
        case .master(_, let end): try? Pidfd.signal(end, number)  // gone meanwhile is told by the same descriptor
        case .keeper: control.append(KeeperMessage.signal(number))
        }
      }
    }
    return nil
  }

  private mutating func passSize() throws(SyscallError) {
    sizeWaits = false
    guard let size = try? Terminal.size(client.input) else { return }  // hung up: SIGHUP follows
    switch far {
    case .master(let master, _): try Terminal.setSize(master, size)
    case .keeper: control.append(KeeperMessage.size(rows: size.rows, columns: size.columns))
    }
  }

  private mutating func sendControl() throws(SyscallError) {
    guard case .keeper(let socket) = far else { return }
    while let message = control.first, try send(message, to: socket) { control.removeFirst() }
  }

  // MARK: input

  /// - Returns: true where the detach keys were typed.
  private mutating func readInput() throws(SyscallError) -> Bool {
    let got = read(client.input, &room, room.count)
    let number = errno
    if got > 0 { return matcher.feed(room[0..<got], into: &toFar) }
    if got < 0 && (number == EINTR || number == EAGAIN) { return false }
    // EIO: the terminal has hung up. EBADF: there is no standard input. Both are its end.
    guard got == 0 || number == EIO || number == EBADF else {
      throw SyscallError(call: "read", errno: number, path: "standard input")
    }
    matcher.flush(into: &toFar)
    inputOpen = false
    return false
  }

  private mutating func writeFar() throws(SyscallError) {
    switch far {
    case .master(let master, _):
      if toFar.isEmpty && !inputOpen && !endTold {
        endTold = true
        // A terminal has no end but its end-of-file character; a program that reads raw bytes gets none.
        if let byte = Terminal.endOfFileByte(master) { toFar.append(CollectionOfOne(byte)) }
      }
      guard !toFar.isEmpty else { return }
      let sent = toFar.withFront(1 << 16) { write(master, $0.baseAddress, $0.count) }
      let number = errno
      if sent >= 0 {
        toFar.drop(sent)
      } else if number == EIO {
        toFar.removeAll()
      } else if number != EAGAIN && number != EINTR {
        throw SyscallError(call: "write", errno: number, path: "terminal")
      }
    case .keeper(let socket):
      try sendControl()
      guard control.isEmpty else { return }
      while !toFar.isEmpty {
        let message = toFar.withFront(KeeperMessage.mostInput) { [KeeperMessage.inputKind] + Array($0) }
        guard try send(message, to: socket) else { return }
        toFar.drop(message.count - 1)
      }
      if !inputOpen && client.passesInput && !endTold { endTold = try send(KeeperMessage.inputEnded, to: socket) }
    }
  }

  /// - Returns: false where there is no room yet, or the keeper has gone (which the next read tells).
  private mutating func send(_ message: [UInt8], to socket: CInt) throws(SyscallError) -> Bool {
    while true {
      let sent = Glibc.send(socket, message, message.count, CInt(MSG_DONTWAIT | MSG_NOSIGNAL))
      let number = errno
      if sent >= 0 { return true }
      switch number {
      case EINTR: continue
      case EAGAIN: return false
      case EPIPE, ECONNRESET, ENOTCONN:
        toFar.removeAll()
        control = []
        inputOpen = false
        endTold = true
        return false
      default: throw SyscallError(call: "send", errno: number, path: "keeper.sock")
      }
    }
  }

  // MARK: output

  private mutating func readFar() throws(SyscallError) {
    switch far {
    case .master(let master, _):
      let got = read(master, &room, room.count)
      let number = errno
      if got > 0 {
        output.pending.append(room[0..<got])
      } else if got == 0 || number == EIO {
        farOpen = false
      } else if number == EAGAIN {
        drained = ended
      } else if number != EINTR {
        throw SyscallError(call: "read", errno: number, path: "terminal")
      }
    case .keeper(let socket):
      let got = recv(socket, &room, room.count, CInt(MSG_DONTWAIT | MSG_TRUNC))
      let number = errno
      if got < 0 {
        // ECONNRESET: the keeper has closed with a message of ours unread. It is told once, before what is still queued,
        // the keeper's last words among it (unix(7), net/core/datagram.c), so it is no end.
        if number == EAGAIN || number == EINTR || number == ECONNRESET { return }
        throw SyscallError(call: "recv", errno: number, path: "keeper.sock")
      }
      guard got <= room.count else { throw SyscallError(call: "recv", errno: EMSGSIZE, path: "keeper.sock") }
      guard got > 0, let message = KeeperMessage(room[0..<got]) else {
        farOpen = false
        return
      }
      switch message {
      case .output(let bytes): output.pending.append(bytes)
      case .error(let bytes): error.pending.append(bytes)
      case .exit(let code, let signal, let oom):
        told = .ended(signal != 0 ? .signaled(signal) : .exited(code), oomKilled: oom)
      case .unknown: break
      }
    }
  }
}
