internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// The proxy of one zone: accepts on a socket of the zone's network namespace, gives each connection a process of its own,
/// and tells of what was denied. It stands outside, in the host's network, and nothing of it is inside.
public final class EgressServer {
  enum Limit {
    /// Beyond them a connection waits in the socket.
    static let connections = 256
    /// Nanoseconds from a connection's beginning to the tunnel, and from a hello's first byte to its last.
    static let handshake: UInt64 = 30_000_000_000
    /// Nanoseconds in which a client may read why it was refused.
    static let farewell: UInt64 = 2_000_000_000
    /// Denials that are told, each once, and those that wait for a reader.
    static let denials = 512
  }

  /// Where the process finds what its starter gave it.
  enum Descriptor {
    static let listener: CInt = 3, lifeline: CInt = 4, denials: CInt = 5
  }

  private let rules: EgressRules
  private let line: (EgressDenial) -> [UInt8]
  private let listener: OwnedFD, lifeline: OwnedFD, denials: OwnedFD
  /// What the connections' processes have to tell: datagrams.
  private let notes: DescriptorPair
  private var connections: [Connection] = []
  /// No process or descriptor was left for one more: until one ends, what comes waits in the socket.
  private var isFull = false
  private var told: Set<EgressDenial> = []
  private var untold: [[UInt8]] = []

  private final class Connection {
    let process: Pidfd
    init(_ process: consuming Pidfd) { self.process = process }
  }

  /// The whole life of the process, called by the hidden verb that `EgressProxy` starts.
  ///
  /// It keeps no capability, cannot gain one, cannot be traced or dumped, and ends with its lifeline.
  /// - Parameters:
  ///   - items: the rules, one each.
  ///   - line: how a denial is written, with its newline; at most 4,096 bytes.
  public static func run(_ items: [String], line: @escaping (EgressDenial) -> [UInt8]) -> Never {
    let setDumpable: CInt = 4
    let setNoNewPrivileges: CInt = 38
    _ = chdir("/")  // else it would hold the mount of whoever started it
    // A reader of the denials that has gone is no reason to end.
    var pipe = sigset_t()
    sigemptyset(&pipe)
    sigaddset(&pipe, SIGPIPE)
    guard let rules = try? EgressRules(planned: items),
      zns_prctl(setDumpable, 0, 0, 0, 0) >= 0, zns_prctl(setNoNewPrivileges, 1, 0, 0, 0) >= 0,
      zns_drop_capabilities() >= 0, pthread_sigmask(SIG_BLOCK, &pipe, nil) == 0,
      let notes = try? DescriptorPair.sockets(SocketType.packets)
    else { exit(1) }
    _ = zns_raise_descriptor_limit()
    let server = EgressServer(rules, notes, line)
    while server.step() {}
    server.end()
    exit(0)
  }

  private init(_ rules: EgressRules, _ notes: consuming DescriptorPair, _ line: @escaping (EgressDenial) -> [UInt8]) {
    self.rules = rules
    self.notes = notes
    self.line = line
    listener = OwnedFD(raw: Descriptor.listener)
    lifeline = OwnedFD(raw: Descriptor.lifeline)
    denials = OwnedFD(raw: Descriptor.denials)
  }

  /// Waits for what comes next and handles it.
  /// - Returns: false where the lifeline has ended.
  private func step() -> Bool {
    let accepts = connections.count < Limit.connections && !isFull
    var entries = [
      pollfd(fd: lifeline.raw, events: Int16(POLLIN), revents: 0),
      pollfd(fd: notes.first.raw, events: Int16(POLLIN), revents: 0),
      pollfd(fd: accepts ? listener.raw : -1, events: Int16(POLLIN), revents: 0),
      pollfd(fd: untold.isEmpty ? -1 : denials.raw, events: Int16(POLLOUT), revents: 0),
    ]
    let fixed = entries.count
    for one in connections { entries.append(pollfd(fd: one.process.fd.raw, events: Int16(POLLIN), revents: 0)) }
    guard poll(&entries, nfds_t(entries.count), -1) > 0 else { return true }  // a signal
    if entries[0].revents != 0, lifelineEnded() { return false }
    if entries[1].revents != 0 { takeNotes() }
    if entries[3].revents != 0 { tellOne() }
    for index in connections.indices.reversed() where entries[fixed + index].revents != 0 {
      _ = try? connections[index].process.reap()
      connections.remove(at: index)
      isFull = false
    }
    if entries[2].revents != 0 { accept() }
    return true
  }

  /// What is written on it has no meaning.
  private func lifelineEnded() -> Bool {
    var room = [UInt8](repeating: 0, count: 256)
    let got = read(lifeline.raw, &room, room.count)
    let error = errno
    return got == 0 || (got < 0 && error != EINTR && error != EAGAIN)
  }

  private func accept() {
    let number = Glibc.accept(listener.raw, nil, nil)
    let error = errno
    guard number >= 0 else {
      // EAGAIN, ECONNABORTED: it went again.
      isFull = [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(error) && !connections.isEmpty
      return
    }
    let client = OwnedFD(raw: number)
    let parent = getpid()
    let pid = fork()
    if pid == 0 { serve(number, parent) }
    guard pid > 0 else {
      isFull = !connections.isEmpty
      return  // the client sees it closed
    }
    _ = consume client
    // Nobody else reaps it, so it is still there.
    if let process = try? Pidfd.open(pid) { connections.append(Connection(process)) }
  }

  /// In a process of its own, which has the connection and the way to tell, and nothing else of ours.
  private func serve(_ client: CInt, _ parent: pid_t) -> Never {
    let own: CInt = 3, way: CInt = 4
    let endWithParent: CInt = 1  // prctl(2), PR_SET_PDEATHSIG
    let lifted = (zns_fcntl(client, F_DUPFD_CLOEXEC, 8), zns_fcntl(notes.second.raw, F_DUPFD_CLOEXEC, 8))
    guard zns_prctl(endWithParent, UInt(SIGKILL), 0, 0, 0) >= 0, getppid() == parent, lifted.0 >= 0, lifted.1 >= 0,
      dup2(CInt(lifted.0), own) == own, dup2(CInt(lifted.1), way) == way, zns_close_range(5, .max, 0) >= 0
    else { _exit(1) }
    EgressConnection(OwnedFD(raw: own), rules) { denial in
      let bytes = denial.message
      send(way, bytes, bytes.count, CInt(truncatingIfNeeded: MSG_NOSIGNAL))
    }.serve()
    _exit(0)
  }

  // MARK: denials

  private func takeNotes() {
    var room = [UInt8](repeating: 0, count: 4096)
    while true {
      let got = recv(notes.first.raw, &room, room.count, CInt(truncatingIfNeeded: MSG_DONTWAIT))
      guard got > 0 else { return }
      guard let denial = EgressDenial(message: room[..<got]) else { continue }
      tell(denial)
    }
  }

  /// Each once, however often a program tries again; and no more than can be kept.
  private func tell(_ denial: EgressDenial) {
    guard told.count <= Limit.denials, told.insert(denial).inserted else { return }
    let last = told.count > Limit.denials
    untold.append(
      line(
        last
          ? EgressDenial(name: "*", call: denial.call, rule: "\(Limit.denials) denials were told; more are not")
          : denial))
  }

  /// A page, which a pipe that is ready has room for (pipe(7)).
  private func tellOne() {
    let bytes = untold[0]
    let sent = write(denials.raw, bytes, bytes.count)
    let error = errno
    if sent > 0 && sent < bytes.count {
      untold[0].removeFirst(sent)
    } else if sent > 0 {
      untold.removeFirst()
    } else if error != EAGAIN && error != EINTR {
      untold = []  // nobody reads any more
    }
  }

  /// What was denied before the end is told, as far as somebody reads it.
  private func end() {
    takeNotes()
    while !untold.isEmpty, (try? Poll.wait(denials.raw, for: Int16(POLLOUT), timeout: 0)) == true { tellOne() }
  }
}
