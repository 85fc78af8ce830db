internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// What the stage says, with its meaning (stage_plan.h, enum stage_message).
enum StageMessage: Equatable {
  case map(pid: Int32)
  case ready(pid: Int32)
  case started(pid: Int32)
  case failed(section: Int, step: Int, errno: CInt)
  case ended(code: Int32, signal: Int32, oom: Bool)
  case output([UInt8])
  case errors([UInt8])
  case descriptors
  /// The zone's network namespace comes along.
  case network
  /// A container's process, and that its mounts stand.
  case process(pid: Int32)
  case mounted
  /// 0 is "heard".
  case no(errno: CInt)
  /// The zone's record says again what it said before it was asked to end.
  case goingOn

  init?(_ bytes: ArraySlice<UInt8>) {
    guard let kind = bytes.first else { return nil }
    let rest = bytes.dropFirst()
    var numbers: [Int32] = []
    var at = rest.startIndex
    while at + 4 <= rest.endIndex {
      let low = UInt32(rest[at]) | UInt32(rest[at + 1]) << 8
      let high = UInt32(rest[at + 2]) | UInt32(rest[at + 3]) << 8
      numbers.append(Int32(bitPattern: low | high << 16))
      at += 4
    }
    let is_ = { (message: stage_message) in kind == UInt8(message.rawValue) }
    if is_(STAGE_SAYS_OUTPUT) {
      self = .output(Array(rest))
    } else if is_(STAGE_SAYS_ERROR) {
      self = .errors(Array(rest))
    } else if is_(STAGE_SAYS_DESCRIPTORS) {
      self = .descriptors
    } else if is_(STAGE_SAYS_NETWORK) {
      self = .network
    } else if is_(STAGE_SAYS_MAP), numbers.count == 1 {
      self = .map(pid: numbers[0])
    } else if is_(STAGE_SAYS_PROCESS), numbers.count == 1 {
      self = .process(pid: numbers[0])
    } else if is_(STAGE_SAYS_MOUNTED) {
      self = .mounted
    } else if is_(STAGE_SAYS_READY), numbers.count <= 1 {
      // A container's process was told before.
      self = .ready(pid: numbers.first ?? 0)
    } else if is_(STAGE_SAYS_STARTED), numbers.count == 1 {
      self = .started(pid: numbers[0])
    } else if is_(STAGE_SAYS_FAILED), numbers.count == 3 {
      self = .failed(section: Int(numbers[0]), step: Int(numbers[1]), errno: numbers[2])
    } else if is_(STAGE_SAYS_ENDED), numbers.count == 3 {
      self = .ended(code: numbers[0], signal: numbers[1], oom: numbers[2] != 0)
    } else if is_(STAGE_SAYS_GOING_ON) {
      self = .goingOn
    } else if is_(STAGE_SAYS_NO), numbers.count == 1 {
      self = .no(errno: numbers[0])
    } else {
      return nil
    }
  }
}

/// What the stage and the keeper understand.
enum StageRequest {
  case mapped, go, attach, inputEnd, stopping, goingOn, namespaces, terminal
  case signal(CInt)

  var bytes: [UInt8] {
    switch self {
    case .mapped: [UInt8(STAGE_MAPPED.rawValue)]
    case .go: [UInt8(STAGE_GO.rawValue)]
    case .attach: [UInt8(STAGE_ATTACH.rawValue)]
    case .inputEnd: [UInt8(STAGE_INPUT_END.rawValue)]
    case .stopping: [UInt8(STAGE_STOPPING.rawValue)]
    case .goingOn: [UInt8(STAGE_GOING_ON.rawValue)]
    case .namespaces: [UInt8(STAGE_NAMESPACES.rawValue)]
    case .terminal: [UInt8(STAGE_TERMINAL.rawValue)]
    case .signal(let number): [UInt8(STAGE_SIGNAL.rawValue)] + withUnsafeBytes(of: number) { Array($0) }
    }
  }
}

/// A connection to a stage: the control socket of the one that launched it, or one to the keeper's socket.
struct KeeperLink: ~Copyable {
  let socket: OwnedFD

  init(_ socket: consuming OwnedFD) { self.socket = socket }

  /// Connects to a zone's keeper. That it answers is the proof that it lives: only the keeper listens there.
  /// - Returns: nil where nobody listens.
  static func connect(_ files: ZoneFiles) throws(ZoneError) -> KeeperLink? {
    do throws(SyscallError) {
      return KeeperLink(try UnixSocket.connect(files.socket, SocketType.packets))
    } catch {
      if error.errno == ECONNREFUSED || error.errno == ENOENT { return nil }
      throw .call("reach the keeper of \(files.name)", error)
    }
  }

  /// The keeper's pid: of who listens on the socket.
  borrowing func peer() throws(SyscallError) -> Int32 {
    var (pid, uid, gid): (Int32, UInt32, UInt32) = (0, 0, 0)
    try check(zns_peer_credentials(socket.raw, &pid, &uid, &gid), "getsockopt")
    return pid
  }

  borrowing func send(_ request: StageRequest) throws(SyscallError) {
    let bytes = request.bytes
    try check(zns_send_fds(socket.raw, bytes, bytes.count, nil, 0), "sendmsg")
  }

  /// The next message. nil at the connection's end.
  /// - Parameter timeout: milliseconds; throws ETIMEDOUT.
  borrowing func receive(timeout: CInt = -1) throws(SyscallError) -> StageMessage? {
    try Self.receive(from: socket, timeout: timeout)
  }

  /// As above; descriptors that come along are the caller's to close.
  borrowing func receive(timeout: CInt, descriptors: inout [CInt]) throws(SyscallError) -> StageMessage? {
    try Self.receive(from: socket, timeout: timeout, descriptors: &descriptors)
  }

  /// As above; descriptors that come along are closed.
  static func receive(from socket: borrowing OwnedFD, timeout: CInt) throws(SyscallError) -> StageMessage? {
    var descriptors: [CInt] = []
    defer { for fd in descriptors { close(fd) } }
    return try receive(from: socket, timeout: timeout, descriptors: &descriptors)
  }

  static func receive(from socket: borrowing OwnedFD, timeout: CInt, descriptors: inout [CInt]) throws(SyscallError)
    -> StageMessage?
  {
    guard try Poll.wait(socket.raw, for: Int16(POLLIN), timeout: timeout) else {
      throw SyscallError(call: "recvmsg", errno: ETIMEDOUT)
    }
    var bytes = [UInt8](repeating: 0, count: Int(STAGE_MESSAGE_ROOM))
    var fds = [CInt](repeating: -1, count: 16)
    var count = CInt(fds.count)
    var got = zns_receive_fds(socket.raw, &bytes, bytes.count, &fds, &count, 0)
    if got == -Int(ECONNRESET) {
      // Told once where the other end closed with something unread, ahead of messages that still wait.
      count = CInt(fds.count)
      got = zns_receive_fds(socket.raw, &bytes, bytes.count, &fds, &count, 0)
      if got == -Int(ECONNRESET) { return nil }
    }
    try check(got, "recvmsg")
    descriptors = Array(fds[0..<Int(count)])
    guard got > 0 else { return nil }
    guard let message = StageMessage(bytes[0..<got]) else { throw SyscallError(call: "recvmsg", errno: EPROTO) }
    return message
  }
}
