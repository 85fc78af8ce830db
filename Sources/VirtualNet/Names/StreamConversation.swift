internal import Glibc
internal import LinuxNS

/// An asker that came by TCP (RFC 7766): one question at a time, each behind its length in two bytes.
final class StreamConversation {
  private let client: OwnedFD
  private var resolver: OwnedFD?
  let source: IPv4Address?
  private(set) var deadline: UInt64
  private(set) var isOver = false

  private var input: [UInt8] = []
  private var output: [UInt8] = []
  private var question: DNSQuestion?
  private var upstreamOutput: [UInt8] = []
  private var upstreamInput: [UInt8] = []
  private var attempt = 0
  private var asked: [UInt8] = []
  private var id: UInt16 = 0

  init(_ client: consuming OwnedFD, source: IPv4Address?) {
    self.client = client
    self.source = source
    deadline = Clock.monotonicNanoseconds() + NamesServer.Limit.stream
  }

  /// What to wait for: always two entries, the asker's and the resolver's.
  var interests: [pollfd] {
    // While an answer is awaited or unsent the asker is not read: it cannot make us hold more than one question.
    let events = output.isEmpty ? (question == nil ? Int16(POLLIN) : 0) : Int16(POLLOUT)
    return [
      pollfd(fd: client.raw, events: events, revents: 0),
      pollfd(fd: resolverNumber, events: Int16(upstreamOutput.isEmpty ? POLLIN : POLLOUT), revents: 0),
    ]
  }

  private var resolverNumber: CInt { if let number = resolver?.raw { number } else { -1 } }

  /// - Parameter told: what poll(2) has told of the asker.
  func advance(_ server: NamesServer, told: Int16) {
    // That he is gone is told whatever is waited for, and told again each time.
    if question != nil, told & Int16(POLLERR | POLLHUP) != 0 {
      isOver = true
      return
    }
    if resolverNumber >= 0 { exchange(server) }
    if !output.isEmpty { flush() }
    if !isOver && output.isEmpty && question == nil {
      receive()
      takeQuestion(server)
      if !output.isEmpty { flush() }
    }
  }

  private func progress() { deadline = Clock.monotonicNanoseconds() + NamesServer.Limit.stream }

  private func receive() {
    var room = [UInt8](repeating: 0, count: 4096)
    let got = recv(client.raw, &room, room.count, CInt(truncatingIfNeeded: MSG_DONTWAIT))
    let error = errno
    if got > 0 { input += room[0..<got] } else if got == 0 || (error != EAGAIN && error != EINTR) { isOver = true }
  }

  private func takeQuestion(_ server: NamesServer) {
    guard input.count >= 2 else { return }
    let length = Int(input[0]) << 8 | Int(input[1])
    guard input.count >= 2 + length else { return }
    let bytes = Array(input[2..<2 + length])
    input.removeFirst(2 + length)
    progress()
    switch DNSQuestion.parse(bytes) {
    case .ignore: isOver = true
    case .refuse(let id, let code): say(DNSAnswer.refusal(id: id, code: code))
    case .question(let parsed):
      if let reply = server.ownReply(parsed, room: 65535) { return say(reply) }
      question = parsed
      asked = bytes
      attempt = 0
      connect(server)
    }
  }

  private func say(_ bytes: [UInt8]) {
    question = nil
    resolver = nil
    output = [UInt8(bytes.count >> 8), UInt8(bytes.count & 0xff)] + bytes
  }

  private func fail() {
    guard let question else { return }
    say(DNSAnswer.bytes(question, code: 2, authoritative: false, room: 65535))
  }

  private func connect(_ server: NamesServer) {
    while attempt < NamesServer.Limit.attempts {
      resolver = nil
      defer { attempt += 1 }
      guard var address = server.resolver(attempt) else { return fail() }
      let number = socket(
        CInt(address.ss_family),
        SocketType.stream | SocketType.closeOnExec | SocketType.nonBlocking, 0)
      guard number >= 0 else { return fail() }
      let opened = OwnedFD(raw: number)
      let result = SocketAddress.connect(number, &address)
      let error = errno
      guard result == 0 || error == EINPROGRESS else { continue }
      id = UInt16.random(in: .min ... .max)
      upstreamOutput =
        [UInt8(asked.count >> 8), UInt8(asked.count & 0xff), UInt8(id >> 8), UInt8(id & 0xff)] + asked.dropFirst(2)
      upstreamInput = []
      resolver = consume opened
      return
    }
    fail()
  }

  private func exchange(_ server: NamesServer) {
    let number = resolverNumber
    if !upstreamOutput.isEmpty {
      let sent = send(number, upstreamOutput, upstreamOutput.count, CInt(truncatingIfNeeded: MSG_NOSIGNAL))
      let error = errno
      if sent > 0 { upstreamOutput.removeFirst(sent) } else if error != EAGAIN && error != EINTR { connect(server) }
      return
    }
    var room = [UInt8](repeating: 0, count: 16384)
    let got = recv(number, &room, room.count, CInt(truncatingIfNeeded: MSG_DONTWAIT))
    let error = errno
    guard got > 0 else {
      if got == 0 || (error != EAGAIN && error != EINTR) { connect(server) }
      return
    }
    upstreamInput += room[0..<got]
    guard upstreamInput.count >= 2 else { return }
    let length = Int(upstreamInput[0]) << 8 | Int(upstreamInput[1])
    guard upstreamInput.count >= 2 + length, let question else { return }
    let reply = upstreamInput[2..<2 + length]
    guard DNSAnswer.matches(reply, id: id, question: question) else { return connect(server) }
    say([UInt8(question.id >> 8), UInt8(question.id & 0xff)] + reply.dropFirst(2))
  }

  private func flush() {
    let sent = send(client.raw, output, output.count, CInt(truncatingIfNeeded: MSG_NOSIGNAL | MSG_DONTWAIT))
    let error = errno
    if sent > 0 {
      output.removeFirst(sent)
      progress()
    } else if error != EAGAIN && error != EINTR {
      isOver = true
    }
  }
}
