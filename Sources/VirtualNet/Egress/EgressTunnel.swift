internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// A connection that stands: what one end sends goes to the other, and of the client's only what its filter lets through.
///
/// What one end does not take is waited for before more is read of the other, so memory is bounded and a slow reader slows
/// its writer. The end of one direction is passed on and the other goes on.
struct EgressTunnel: ~Copyable {
  enum Filter {
    case hello(HelloGate)
    case body(HTTPBody)
  }

  enum End {
    case over
    /// One of the two ends is broken; so is the other, then.
    case broken
    case refused(EgressDenial)
  }

  private let client: CInt, server: CInt
  private var filter: Filter
  private var toServer = Half(), toClient = Half()
  private var room = [UInt8](repeating: 0, count: 65536)
  /// When a hello that has begun must have ended; nil: none has.
  private var helloDeadline: UInt64?
  private var end: End?

  private struct Half {
    /// Read, and not yet written; nothing more is read while there is some.
    var waiting: ArraySlice<UInt8> = []
    var sourceEnded = false
    var isShut = false
  }

  /// Both descriptors stay their owners'.
  init(client: borrowing OwnedFD, server: borrowing OwnedFD, _ filter: Filter) {
    self.client = client.raw
    self.server = server.raw
    self.filter = filter
    var on: CInt = 1
    for socket in [client.raw, server.raw] {
      _ = zns_fcntl(socket, F_SETFL, Int(O_NONBLOCK))
      setsockopt(socket, CInt(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<CInt>.size))
      // So that a peer which vanished does not hold a process for ever.
      setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, socklen_t(MemoryLayout<CInt>.size))
    }
  }

  /// - Parameters:
  ///   - head: goes to the server first.
  ///   - early: what the client has sent already.
  mutating func run(head: [UInt8], early: [UInt8]) -> End {
    toServer.waiting = head[...]
    takeFromClient(early[...])
    while end == nil {
      guard Self.write(&toServer, to: server), Self.write(&toClient, to: client) else { return .broken }
      shutWhatEnded()
      if toClient.isShut && (toServer.isShut || isRequest) { return .over }
      step()
    }
    return end ?? .over
  }

  private var isRequest: Bool { if case .body = filter { true } else { false } }

  private mutating func step() {
    let reads = (
      client: toServer.waiting.isEmpty && !toServer.sourceEnded && gateRoom > 0,
      server: toClient.waiting.isEmpty && !toClient.sourceEnded
    )
    // Who is asked nothing is left out: the end of both directions would be told again and again.
    func entry(_ socket: CInt, reads: Bool, writes: Bool) -> pollfd {
      pollfd(
        fd: reads || writes ? socket : -1, events: (reads ? Int16(POLLIN) : 0) | (writes ? Int16(POLLOUT) : 0),
        revents: 0)
    }
    var entries = [
      entry(client, reads: reads.client, writes: !toClient.waiting.isEmpty),
      entry(server, reads: reads.server, writes: !toServer.waiting.isEmpty),
    ]
    let now = Clock.monotonicNanoseconds()
    let time = helloDeadline.map { $0 <= now ? 0 : CInt(($0 - now) / 1_000_000 + 1) } ?? -1
    let ready = poll(&entries, nfds_t(entries.count), time)
    if ready == 0, case .hello(let gate) = filter { return take(gate.late()) }
    let readable = Int16(POLLIN | POLLHUP | POLLERR)
    if reads.server, entries[1].revents & readable != 0 { readServer() }
    if reads.client, end == nil, entries[0].revents & readable != 0 { readClient() }
  }

  // MARK: from the client

  private var gateRoom: Int { if case .hello(let gate) = filter, !gate.isOpen { gate.room } else { room.count } }

  private mutating func readClient() {
    guard let count = receive(client, most: min(gateRoom, room.count)) else { return }
    if count > 0 { return takeFromClient(room[..<count]) }
    toServer.sourceEnded = true
    if case .hello(var gate) = filter {
      take(gate.clientEnded())
      filter = .hello(gate)
    }
  }

  private mutating func takeFromClient(_ bytes: ArraySlice<UInt8>) {
    switch filter {
    case .hello(let gate) where gate.isOpen: toServer.waiting += bytes
    case .hello(var gate):
      let verdict = gate.client(bytes)
      let owes = gate.owesHello
      filter = .hello(gate)
      helloDeadline = owes ? helloDeadline ?? Clock.monotonicNanoseconds() + EgressServer.Limit.handshake : nil
      take(verdict)
    case .body(var body):
      let count = body.take(bytes)
      filter = .body(body)
      if body.isWrong { end = .broken }
      toServer.waiting += bytes.prefix(count)
      // Another request: it is not read, and the server is told that there is none.
      if count < bytes.count { toServer.sourceEnded = true }
    }
  }

  private mutating func take(_ verdict: HelloGate.Verdict) {
    switch verdict {
    case .pass(let bytes): if !bytes.isEmpty { toServer.waiting += bytes }
    case .refuse(let denial): end = .refused(denial)
    }
  }

  // MARK: from the server

  private mutating func readServer() {
    guard let count = receive(server, most: room.count) else { return }
    if count == 0 { toClient.sourceEnded = true } else { toClient.waiting = ArraySlice(Array(room[..<count])) }
    guard case .hello(var gate) = filter, !gate.isOpen else { return }
    let verdict = count == 0 ? gate.serverEnded() : gate.server(room[..<count])
    helloDeadline = gate.owesHello ? helloDeadline ?? Clock.monotonicNanoseconds() + EgressServer.Limit.handshake : nil
    filter = .hello(gate)
    take(verdict)
  }

  // MARK: sockets

  /// - Returns: 0 at the end of what it sends; nil where there is nothing now, or it is broken.
  private mutating func receive(_ socket: CInt, most: Int) -> Int? {
    let got = recv(socket, &room, most, CInt(truncatingIfNeeded: MSG_DONTWAIT))
    let error = errno
    if got >= 0 { return got }
    if error != EAGAIN && error != EINTR { end = .broken }
    return nil
  }

  /// - Returns: false where it is broken.
  private static func write(_ half: inout Half, to socket: CInt) -> Bool {
    while !half.waiting.isEmpty {
      let sent = half.waiting.withUnsafeBytes {
        send(socket, $0.baseAddress, $0.count, CInt(truncatingIfNeeded: MSG_NOSIGNAL | MSG_DONTWAIT))
      }
      let error = errno
      guard sent > 0 else { return error == EAGAIN || error == EINTR }
      half.waiting = sent < half.waiting.count ? half.waiting.dropFirst(sent) : []
    }
    return true
  }

  private mutating func shutWhatEnded() {
    var holds = false
    if case .hello(let gate) = filter { holds = gate.holds }
    if toServer.sourceEnded && toServer.waiting.isEmpty && !holds && !toServer.isShut {
      shutdown(server, CInt(SHUT_WR))
      toServer.isShut = true
    }
    if toClient.sourceEnded && toClient.waiting.isEmpty && !toClient.isShut {
      shutdown(client, CInt(SHUT_WR))
      toClient.isShut = true
    }
  }
}
