internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// A request the kernel refused: its errno and, where it gave one, its own explanation (NETLINK_EXT_ACK).
struct NetlinkRefusal: Error, Equatable, Sendable {
  var errno: CInt
  var text: String?
}

/// A netlink socket of the network namespace in which the opening thread was (netlink(7)).
struct NetlinkSocket: ~Copyable {
  static let newNetwork: CInt = 0x4000_0000  // CLONE_NEWNET

  enum Family: CInt {
    case route = 0
    case socketDiagnosis = 4
    case netfilter = 12
  }

  private static let errorType: UInt16 = 2  // NLMSG_ERROR, also an acknowledgement
  private static let doneType: UInt16 = 3  // NLMSG_DONE

  private let socket: OwnedFD
  private var sequence: UInt32 = 1

  init(_ family: Family) throws(NetworkError) {
    let number = Glibc.socket(AF_NETLINK, SocketType.raw | SocketType.closeOnExec, family.rawValue)
    let error = errno
    guard number >= 0 else { throw .system("open a netlink socket", SyscallError(call: "socket", errno: error)) }
    self.init(OwnedFD(raw: number))
  }

  /// A socket of a namespace in which an ordinary user's processes have no power, but he himself has (see `UserSpace`).
  init(_ family: Family, ofUser namespace: borrowing OwnedFD) throws(NetworkError) {
    do {
      self.init(try UserSpace.socket(in: namespace, AF_NETLINK, SocketType.raw, family.rawValue))
    } catch { throw .system("open a netlink socket in the network's namespace", error) }
  }

  private init(_ open: consuming OwnedFD) {
    socket = open
    let number = socket.raw
    let solNetlink: CInt = 270
    var on: CInt = 1
    let capAck: CInt = 10
    let extAck: CInt = 11
    for option in [capAck, extAck] {
      setsockopt(number, solNetlink, option, &on, socklen_t(MemoryLayout<CInt>.size))  // older kernels: plain errors
    }
    // The kernel answers within the send; the limit is for an answer lost to a full buffer.
    var limit = timeval(tv_sec: 5, tv_usec: 0)
    setsockopt(number, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  /// A socket in another network namespace: the calling thread visits it for two system calls (setns(2)).
  ///
  /// A thread that could not come back would configure a zone's network as if it were the host's, so that ends the process.
  static func inside(_ namespace: borrowing OwnedFD, _ family: Family) throws(NetworkError) -> NetlinkSocket {
    let home = try system("open the own network namespace") { () throws(SyscallError) in
      try OwnedFD.open("/proc/thread-self/ns/net", O_RDONLY)
    }
    let entered = zns_setns(namespace.raw, newNetwork)
    guard entered >= 0 else {
      throw .system("enter the zone's network namespace", SyscallError(call: "setns", errno: CInt(-entered)))
    }
    defer {
      guard zns_setns(home.raw, newNetwork) >= 0 else { fatalError("cannot return to the own network namespace") }
    }
    return try NetlinkSocket(family)
  }

  /// Sends messages in one datagram; the kernel handles them in order and goes on after a refusal.
  /// - Returns: the sequence number of the first.
  private mutating func send(_ messages: [NetlinkMessage]) throws(NetworkError) -> UInt32 {
    let first = sequence
    var bytes: [UInt8] = []
    for message in messages {
      bytes += try message.finished(sequence: sequence)
      while bytes.count % 4 != 0 { bytes.append(0) }
      sequence &+= 1
    }
    if bytes.count > 100_000 {
      var room = CInt(min(bytes.count * 4, 1 << 28))
      setsockopt(socket.raw, SOL_SOCKET, SO_SNDBUFFORCE, &room, socklen_t(MemoryLayout<CInt>.size))
      setsockopt(socket.raw, SOL_SOCKET, SO_RCVBUFFORCE, &room, socklen_t(MemoryLayout<CInt>.size))
    }
    var kernel = Self.kernel
    while true {
      let sent = withUnsafePointer(to: &kernel) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          sendto(socket.raw, bytes, bytes.count, 0, $0, Self.kernelLength)
        }
      }
      let error = errno
      if sent == bytes.count { return first }
      if sent < 0 && error == EINTR { continue }
      throw .system("talk netlink", SyscallError(call: "send", errno: sent < 0 ? error : EMSGSIZE))
    }
  }

  // With an address, though it is the default one: then it is our own power that counts, not also that of the process
  // which opened the socket (__netlink_ns_capable, since 3.15); that one had joined a user network's namespaces.
  private static var kernel: sockaddr_storage {
    var kernel = sockaddr_storage()
    kernel.ss_family = sa_family_t(AF_NETLINK)
    return kernel
  }
  /// struct sockaddr_nl: family, pid 0 (the kernel), groups 0.
  private static let kernelLength: socklen_t = 12

  /// Sends a request that the kernel takes long for, and that nobody waits for: how it ends is not told.
  mutating func leave(_ message: NetlinkMessage) throws(NetworkError) {
    let bytes = try message.finished(sequence: sequence)
    sequence &+= 1
    var kernel = Self.kernel
    let result = withUnsafePointer(to: &kernel) {
      zns_send_aside(socket.raw, bytes, bytes.count, $0, Self.kernelLength)
    }
    guard result >= 0 else {
      throw .system("begin a process", SyscallError(call: "clone", errno: CInt(-result)))
    }
  }

  private func receive() throws(NetworkError) -> [NetlinkReply] {
    var room = [UInt8](repeating: 0, count: 32768)
    while true {
      let got = recv(socket.raw, &room, room.count, 0)
      let error = errno
      if got > 0 { return NetlinkReply.split(room[0..<got]) }
      if got < 0 && error == EINTR { continue }
      throw .system("read the kernel's netlink answer", SyscallError(call: "recv", errno: got < 0 ? error : EPROTO))
    }
  }

  /// Requests that each get an answer.
  /// - Returns: for each message nil or its refusal, in order.
  mutating func requests(_ messages: [NetlinkMessage]) throws(NetworkError) -> [NetlinkRefusal?] {
    let first = try send(messages)
    var outcomes = [NetlinkRefusal?](repeating: nil, count: messages.count)
    var open = messages.count
    while open > 0 {
      for reply in try receive() where reply.type == Self.errorType {
        let index = Int(reply.sequence &- first)
        guard index < messages.count else { continue }
        outcomes[index] = Self.refusal(reply)
        open -= 1
      }
    }
    return outcomes
  }

  /// One nfnetlink transaction: all of it or none of it happens (NFNL_MSG_BATCH_BEGIN, _END).
  ///
  /// Only the last message asks for an acknowledgement; a refused one answers for itself, and a commit that fails
  /// answers for the begin.
  mutating func transaction(_ messages: [NetlinkMessage]) throws(NetworkError) -> NetlinkRefusal? {
    guard let last = messages.last else { return nil }
    precondition(last.flags & NetlinkFlag.acknowledge != 0)
    let first = try send([NftMessage.batchBegin] + messages + [NftMessage.batchEnd])
    let end = first &+ UInt32(messages.count)
    while true {
      var acknowledged = false
      for reply in try receive() where reply.type == Self.errorType {
        if let refusal = Self.refusal(reply) {
          drain()
          return refusal
        }
        if reply.sequence == end { acknowledged = true }
      }
      if acknowledged { return nil }
    }
  }

  /// Throws away answers that a failed transaction left behind.
  private func drain() {
    var room = [UInt8](repeating: 0, count: 32768)
    while recv(socket.raw, &room, room.count, CInt(truncatingIfNeeded: MSG_DONTWAIT)) > 0 {}
  }

  /// A request for one object.
  /// - Parameter absent: what the kernel says where there is none (ENXIO: an older one).
  /// - Returns: nil where there is none.
  mutating func get(_ message: NetlinkMessage, _ verb: String, absent: [CInt] = [ENOENT, ENODEV, ENXIO])
    throws(NetworkError) -> NetlinkReply?
  {
    let number = try send([message])
    while true {
      for reply in try receive() where reply.sequence == number {
        if reply.type != Self.errorType { return reply }
        guard let refusal = Self.refusal(reply) else { continue }
        if absent.contains(refusal.errno) { return nil }
        throw .refused(verb, refusal.errno, refusal.text)
      }
    }
  }

  /// All objects of a kind; read again where the kernel says that it changed meanwhile.
  mutating func dump(_ message: NetlinkMessage, _ verb: String) throws(NetworkError) -> [NetlinkReply] {
    for _ in 0..<20 {
      let number = try send([message])
      var found: [NetlinkReply] = []
      var interrupted = false
      var done = false
      while !done {
        for reply in try receive() where reply.sequence == number {
          if reply.flags & NetlinkFlag.dumpInterrupted != 0 { interrupted = true }
          switch reply.type {
          case Self.errorType:
            if let refusal = Self.refusal(reply) {
              if refusal.errno == ENOENT { return [] }
              if refusal.errno == EINTR || refusal.errno == EAGAIN {
                interrupted = true
                done = true
                continue
              }
              throw .refused(verb, refusal.errno, refusal.text)
            }
            done = true
          case Self.doneType:
            done = true
            if let error = Self.doneError(reply) {
              if error == ENOENT { return [] }
              if error != EINTR { throw .refused(verb, error, nil) }
              interrupted = true
            }
          default: found.append(reply)
          }
        }
      }
      if !interrupted { return found }
    }
    throw .refused(verb, EINTR, "the list changed each of 20 times it was read")
  }

  /// The errno that ended a dump.
  static func doneError(_ reply: NetlinkReply) -> CInt? {
    guard let error = reply.payload.number(Int32.self, at: 0), error < 0 else { return nil }
    return 0 &- error
  }

  static func refusal(_ reply: NetlinkReply) -> NetlinkRefusal? {
    guard let error = reply.payload.number(Int32.self, at: 0), error != 0 else { return nil }
    var text: String?
    if reply.flags & NetlinkFlag.extendedAck != 0 {
      // Capped: only the request's header follows the errno; else the whole request does.
      let echoed = reply.payload.number(UInt32.self, at: 4).map(Int.init) ?? 16
      let skip = 4 + (reply.flags & NetlinkFlag.capped != 0 ? 16 : max(16, (echoed + 3) & ~3))
      text = reply.attributes(after: skip).string(1)  // NLMSGERR_ATTR_MSG
    }
    return NetlinkRefusal(errno: 0 &- error, text: text)
  }
}
