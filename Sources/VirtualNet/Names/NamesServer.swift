internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// The process that answers names on one network: the zones' from the network's state, all others by asking the
/// host's resolvers. One thread, one poll(2) loop; nothing in it waits.
public final class NamesServer {
  /// Bounds for what zones can make us hold; beyond them a question is answered with a failure.
  enum Limit {
    static let questions = 512, questionsOfOne = 128
    static let streams = 128, streamsOfOne = 16
    /// Nanoseconds: a resolver's time for one try, a stream's time without progress, between looks at the state.
    static let attempt: UInt64 = 2_000_000_000, stream: UInt64 = 10_000_000_000, look: UInt64 = 30_000_000_000
    static let attempts = 3
  }

  private let datagrams: OwnedFD
  private let streams: OwnedFD
  private let resolverPort: UInt16
  private var state: WatchedFile
  private var resolverFile: WatchedFile
  private var table: NameTable?
  /// Whoever asks from elsewhere, a neighbour of the host's, is told nothing.
  private var subnet: IPv4Subnet?
  private var resolvers: [Resolver] = []
  private var questions: [ForwardedQuestion] = []
  private var conversations: [StreamConversation] = []
  private var turn = 0
  private var room = [UInt8](repeating: 0, count: 65536)

  /// - Parameters:
  ///   - datagrams, streams: bound to the network's address, not blocking; the second listens.
  ///   - state: the network's state file.
  ///   - resolverPort: 53.
  init(
    datagrams: consuming OwnedFD, streams: consuming OwnedFD, state: String, resolverPath: String = Resolvers.path,
    resolverPort: UInt16 = 53
  ) {
    self.datagrams = datagrams
    self.streams = streams
    self.state = WatchedFile(state)
    resolverFile = WatchedFile(resolverPath)
    self.resolverPort = resolverPort
  }

  /// The whole life of the helper process, called by the hidden verb that `Networks`' helper command names.
  ///
  /// Its sockets are descriptors 3 and 4, bound by who started it. It keeps no capability, cannot gain one, cannot be
  /// traced or dumped, and ends when the network's state is gone.
  /// - Parameter ofUser: an ordinary user's network: descriptor 6 is its network namespace, which lives by this process,
  ///   and 7 the socket of its port relay, a second thread. The process is root of the network's user namespace then, so
  ///   its user, and nobody else, can open what it holds.
  public static func run(_ directories: NetworkDirectories, network: String, ofUser: Bool = false) -> Never {
    var word: UInt8 = 0
    guard (try? HostNames.check(network, "network")) != nil, read(HelperProcess.gateDescriptor, &word, 1) == 1,
      word == 1
    else { exit(1) }
    close(HelperProcess.gateDescriptor)
    _ = chdir("/")  // else it would hold the directory, and so the mount, of whoever started the first zone
    let setDumpable: CInt = 4
    let setNoNewPrivileges: CInt = 38
    guard zns_prctl(setDumpable, 0, 0, 0, 0) >= 0,
      zns_prctl(setNoNewPrivileges, 1, 0, 0, 0) >= 0,
      !ofUser || PortRelay.start(namespace: HelperProcess.namespaceDescriptor, control: HelperProcess.relayDescriptor),
      zns_drop_capabilities() >= 0
    else { exit(1) }
    let server = NamesServer(
      datagrams: OwnedFD(raw: HelperProcess.datagramDescriptor), streams: OwnedFD(raw: HelperProcess.streamDescriptor),
      state: directories.state(network))
    while server.step(timeout: Limit.look) {}
    exit(0)
  }

  /// Waits for what comes next and handles it.
  /// - Parameter timeout: nanoseconds at most.
  /// - Returns: false where the network's state is gone.
  func step(timeout: UInt64) -> Bool {
    guard refresh() else { return false }
    let now = Clock.monotonicNanoseconds()
    var wake = now + timeout
    for one in questions { wake = min(wake, one.deadline) }
    for one in conversations { wake = min(wake, one.deadline) }
    var entries = [pollfd(fd: datagrams.raw, events: Int16(POLLIN), revents: 0)]
    let listening = conversations.count < Limit.streams
    entries.append(pollfd(fd: listening ? streams.raw : -1, events: Int16(POLLIN), revents: 0))
    for one in questions { entries.append(pollfd(fd: one.socket.raw, events: Int16(POLLIN), revents: 0)) }
    for one in conversations { entries += one.interests }
    let left = wake > now ? (wake - now + 999_999) / 1_000_000 : 0
    let ready = poll(&entries, nfds_t(entries.count), CInt(min(left, 60_000)))
    guard ready >= 0 else { return true }  // a signal
    guard refresh() else { return false }

    let asked = questions
    let talking = conversations
    if entries[0].revents != 0 { takeDatagrams() }
    if entries[1].revents != 0 { takeStreams() }
    for (index, one) in asked.enumerated() where entries[2 + index].revents != 0 { takeAnswer(one) }
    for (index, one) in talking.enumerated() {
      let at = 2 + asked.count + 2 * index
      if entries[at].revents != 0 || entries[at + 1].revents != 0 {
        one.advance(self, told: entries[at].revents)
      }
    }
    expire()
    return true
  }

  // MARK: what we know

  private func refresh() -> Bool {
    if state.hasChanged() {
      // A state that cannot be read leaves the last table standing: it is replaced whole or not at all.
      if let read = try? NetworkState.read(state.path) {
        table = NameTable(read)
        subnet = read.subnet
      }
    }
    return !state.isMissing
  }

  private func upstream() -> [Resolver] {
    if resolverFile.hasChanged(), let bytes = try? FileSystem.read(resolverFile.path, limit: 65536) {
      resolvers = Resolvers.parse(String(decoding: bytes, as: UTF8.self))
    }
    return resolvers
  }

  func resolver(_ attempt: Int) -> sockaddr_storage? {
    let known = upstream()
    guard !known.isEmpty else { return nil }
    var address = known[attempt % known.count].socketAddress
    withUnsafeMutableBytes(of: &address) { $0.storeBytes(of: resolverPort.bigEndian, toByteOffset: 2, as: UInt16.self) }
    return address
  }

  /// Our own answer, or nil where a resolver must be asked.
  func ownReply(_ question: DNSQuestion, room: Int) -> [UInt8]? {
    turn &+= 1
    return table?.reply(to: question, turn: turn & 0xffff, room: room)
  }

  private func knows(_ source: IPv4Address?) -> Bool {
    guard let source, let subnet else { return false }
    return subnet.contains(source)
  }

  // MARK: datagrams

  private func takeDatagrams() {
    for _ in 0..<64 {
      var sender = sockaddr_storage()
      var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
      let got = withUnsafeMutablePointer(to: &sender) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          recvfrom(datagrams.raw, &room, room.count, CInt(truncatingIfNeeded: MSG_DONTWAIT), $0, &length)
        }
      }
      guard got >= 0 else { return }
      guard knows(SocketAddress.ipv4(of: sender)) else { continue }
      let bytes = Array(room[0..<got])
      switch DNSQuestion.parse(bytes) {
      case .ignore: continue
      case .refuse(let id, let code): answer(DNSAnswer.refusal(id: id, code: code), to: sender)
      case .question(let question):
        if let reply = ownReply(question, room: question.room) {
          answer(reply, to: sender)
        } else {
          forward(question, bytes, from: sender)
        }
      }
    }
  }

  private func answer(_ bytes: [UInt8], to client: sockaddr_storage) {
    var client = client
    let length = SocketAddress.length(client)
    _ = withUnsafePointer(to: &client) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        // A full buffer loses the answer, as the network might; the asker asks again.
        sendto(datagrams.raw, bytes, bytes.count, CInt(truncatingIfNeeded: MSG_DONTWAIT), $0, length)
      }
    }
  }

  private func forward(_ question: DNSQuestion, _ bytes: [UInt8], from client: sockaddr_storage) {
    let source = SocketAddress.ipv4(of: client)
    guard questions.count < Limit.questions,
      questions.count(where: { SocketAddress.ipv4(of: $0.client) == source }) < Limit.questionsOfOne,
      let forwarded = ForwardedQuestion(question, bytes, client: client, attempt: 0, server: self)
    else { return fail(question, client) }
    questions.append(forwarded)
  }

  private func fail(_ question: DNSQuestion, _ client: sockaddr_storage) {
    answer(DNSAnswer.bytes(question, code: 2, authoritative: false, room: question.room), to: client)
  }

  private func takeAnswer(_ one: ForwardedQuestion) {
    let got = recv(one.socket.raw, &room, room.count, CInt(truncatingIfNeeded: MSG_DONTWAIT))
    if got < 0 {
      let error = errno
      if error != EAGAIN && error != EINTR { retry(one) }  // ECONNREFUSED: nobody listens there
      return
    }
    guard DNSAnswer.matches(room[0..<got], id: one.id, question: one.question) else { return }
    var reply = Array(room[0..<got])
    reply[0] = UInt8(one.question.id >> 8)
    reply[1] = UInt8(one.question.id & 0xff)
    answer(reply, to: one.client)
    questions.removeAll { $0 === one }
  }

  private func retry(_ one: ForwardedQuestion) {
    questions.removeAll { $0 === one }
    for attempt in (one.attempt + 1)..<max(Limit.attempts, one.attempt + 1) {
      guard let next = ForwardedQuestion(one.question, one.bytes, client: one.client, attempt: attempt, server: self)
      else { continue }
      questions.append(next)
      return
    }
    fail(one.question, one.client)
  }

  // MARK: streams

  private func takeStreams() {
    while conversations.count < Limit.streams {
      var sender = sockaddr_storage()
      var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
      let number = withUnsafeMutablePointer(to: &sender) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          accept(streams.raw, $0, &length)
        }
      }
      guard number >= 0 else { return }
      let source = SocketAddress.ipv4(of: sender)
      let socket = OwnedFD(raw: number)
      // Nothing is executed here, so there is no moment in which the descriptor could be inherited.
      guard zns_fcntl(number, F_SETFD, Int(FD_CLOEXEC)) >= 0, zns_fcntl(number, F_SETFL, Int(O_NONBLOCK)) >= 0 else {
        continue
      }
      guard knows(source) else { continue }
      if conversations.count(where: { $0.source == source }) < Limit.streamsOfOne {
        conversations.append(StreamConversation(socket, source: source))
      }
    }
  }

  private func expire() {
    conversations.removeAll { $0.isOver }
    let now = Clock.monotonicNanoseconds()
    conversations.removeAll { $0.deadline <= now }
    for one in questions where one.deadline <= now { retry(one) }
  }
}

/// A datagram's question on its way to a resolver, from a socket (so a port) and an id of its own.
final class ForwardedQuestion {
  let question: DNSQuestion
  let bytes: [UInt8]
  let client: sockaddr_storage
  let attempt: Int
  let id: UInt16
  let socket: OwnedFD
  let deadline: UInt64

  /// - Returns: nil where there is no resolver, or the one whose turn it is cannot be sent to.
  init?(_ question: DNSQuestion, _ bytes: [UInt8], client: sockaddr_storage, attempt: Int, server: NamesServer) {
    guard var address = server.resolver(attempt) else { return nil }
    let number = Glibc.socket(
      CInt(address.ss_family), SocketType.datagram | SocketType.closeOnExec | SocketType.nonBlocking, 0
    )
    guard number >= 0 else { return nil }
    let socket = OwnedFD(raw: number)
    let id = UInt16.random(in: .min ... .max)
    var asked = bytes
    asked[0] = UInt8(id >> 8)
    asked[1] = UInt8(id & 0xff)
    guard SocketAddress.connect(number, &address) == 0, send(number, asked, asked.count, 0) == asked.count else {
      return nil
    }
    self.question = question
    self.bytes = bytes
    self.client = client
    self.attempt = attempt
    self.id = id
    self.socket = socket
    deadline = Clock.monotonicNanoseconds() + NamesServer.Limit.attempt
  }
}
