internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// Starting the process that answers names on a network.
enum HelperProcess {
  /// Where the helper finds its sockets.
  static let datagramDescriptor: CInt = 3, streamDescriptor: CInt = 4
  /// A socket: a byte says that the helper is written down; its end without one, that its starter was killed before.
  static let gateDescriptor: CInt = 5
  /// Of an ordinary user's network alone: its network namespace, which lives by this, and the port relay's socket.
  static let namespaceDescriptor: CInt = 6, relayDescriptor: CInt = 7

  /// What the helper of an ordinary user's network is given beside its sockets.
  struct UserPart: ~Copyable {
    let space: UserSpace
    /// Bound and listening.
    let relay: OwnedFD
  }

  struct Started: ~Copyable {
    let record: ProcessRecord
    fileprivate let gate: OwnedFD

    /// Lets the helper work; called once its record is on disk, so that no helper lives that nobody knows of.
    consuming func release() throws(NetworkError) {
      var word: UInt8 = 1
      let sent = send(gate.raw, &word, 1, CInt(truncatingIfNeeded: MSG_NOSIGNAL))
      let error = errno
      guard sent == 1 else {
        throw .system("start the names helper (it ended at once)", SyscallError(call: "send", errno: error))
      }
    }
  }

  /// Binds port 53 of the network's address and starts the helper with both sockets.
  ///
  /// They are bound here, so that a query sent before the helper runs waits in the socket instead of being refused,
  /// and so that the helper needs no power of its own.
  static func start(
    _ command: [String], gateway: IPv4Address, user: borrowing UserPart?, group: HelperGroup?
  ) throws(NetworkError) -> Started {
    var space: UserSpace?
    var more: [CInt] = []
    switch user {
    case .some(let part):
      space = part.space
      more = [part.space.network.raw, part.relay.raw]
    case .none: break
    }
    let datagrams = try bind(SocketType.datagram, gateway, space)
    let streams = try bind(SocketType.stream, gateway, space)
    guard listen(streams.raw, 32) == 0 else {
      throw .system("listen on \(gateway):53", SyscallError(call: "listen", errno: errno))
    }
    let null = try system("start the names helper") { () throws(SyscallError) in try OwnedFD.open("/dev/null", O_RDWR) }
    let gate = try system("start the names helper") { () throws(SyscallError) in
      try DescriptorPair.sockets(SocketType.stream)
    }
    let child = try Program.spawn(
      command, [null.raw, null.raw, null.raw, datagrams.raw, streams.raw, gate.first.raw] + more,
      userNamespace: space?.user.raw ?? -1, group: group)
    guard let (record, _) = ProcessRecord.of(child.pid) else {
      throw .conflict("cannot start the names helper: \(command[0]) ended at once")
    }
    return Started(
      record: record,
      gate: try system("start the names helper") { () throws(SyscallError) in try gate.second.duplicate() })
  }

  private static func bind(_ type: CInt, _ address: IPv4Address, _ space: UserSpace?) throws(NetworkError)
    -> OwnedFD
  {
    let result = try system("answer names on \(address):53") { () throws(SyscallError) in
      let nonBlocking = SocketType.nonBlocking
      if let space { return try space.socket(AF_INET, type, flags: nonBlocking) }
      let number = socket(AF_INET, type | SocketType.closeOnExec | nonBlocking, 0)
      let failure = errno
      guard number >= 0 else { throw SyscallError(call: "socket", errno: failure) }
      return OwnedFD(raw: number)
    }
    let number = result.raw
    if type == SocketType.stream {
      var on: CInt = 1
      setsockopt(number, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<CInt>.size))
    }
    // A helper whose starter was killed gives the port back within moments.
    let deadline = Clock.monotonicNanoseconds() + 500_000_000
    while true {
      var target = SocketAddress.ipv4(address, 53)
      guard SocketAddress.bind(number, &target) != 0 else { return result }
      let error = errno
      guard error == EADDRINUSE else {
        throw .system("answer names on \(address):53", SyscallError(call: "bind", errno: error))
      }
      if Clock.monotonicNanoseconds() >= deadline { break }
      usleep(10_000)
    }
    throw .conflict(
      "cannot answer names on \(address):53: a server of the host listens on port 53 of every address "
        + "(let it listen on its own addresses only: bind-interfaces in dnsmasq, listen-on in named)")
  }
}
