internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// What a command tells the port relay of a network: one SEQPACKET message, and one back.
///
///     zones-relay 1
///     add web 10.88.0.2
///     port tcp * 8080 80
///
/// A port that is added comes with its listening socket, in the order of the lines: the command has bound it, so that a
/// refusal is the command's error, and what connects before the relay looks waits in the socket.
struct RelayMessage: Equatable, Sendable {
  enum Verb: String, Sendable {
    case add
    /// Closes these ports and the flows through them.
    case drop
  }
  var verb: Verb
  var zone: String
  var address: IPv4Address
  var ports: [PublishedPort]

  /// zns_send_fds takes as many descriptors.
  static let most = 16
  static let room = 65536

  init(_ verb: Verb, _ zone: String, _ address: IPv4Address, _ ports: [PublishedPort]) {
    self.verb = verb
    self.zone = zone
    self.address = address
    self.ports = ports
  }

  init?(_ bytes: [UInt8]) {
    var message: RelayMessage?
    do {
      try RecordFile.parse(bytes, kind: "zones-relay", version: 1, path: "the relay's socket", mend: "") { line in
        if line.kind == "port", line.count == 5, message != nil {
          guard let transport = PublishedPort.Transport(rawValue: line[1]),
            let host = line.unsigned(3, as: UInt16.self), let inside = line.unsigned(4, as: UInt16.self)
          else { return false }
          message?.ports.append(
            PublishedPort(
              hostAddress: line[2] == "*" ? nil : line[2], hostPort: host, zonePort: inside, transport: transport))
          return true
        }
        guard message == nil, line.count == 3, let verb = Verb(rawValue: line.kind), let address = line.address(2)
        else {
          return false
        }
        message = RelayMessage(verb, line[1], address, [])
        return true
      }
    } catch { return nil }
    guard let message else { return nil }
    self = message
  }

  var bytes: [UInt8] {
    var file = RecordFile.Writer(kind: "zones-relay", version: 1)
    file.line(verb.rawValue, zone, "\(address)")
    for port in ports {
      file.line("port", port.transport.rawValue, port.hostAddress ?? "*", "\(port.hostPort)", "\(port.zonePort)")
    }
    return file.bytes
  }
}

/// The commands' end of the relay's socket.
enum RelayControl {
  /// Binds and listens; the relay gets it at its start.
  static func bind(_ directories: NetworkDirectories, _ network: String) throws(NetworkError) -> OwnedFD {
    let path = directories.relay(network)
    try RecordFile.remove(path)
    return try system("make the socket \(path)") { () throws(SyscallError) in
      let socket = try open()
      let folder = try OwnedFD.open(directories.stateFolder, O_PATH | O_DIRECTORY)
      var address = Self.address(folder, network)
      let was = umask(0o177)
      let result = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          Glibc.bind(socket.raw, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
      }
      let error = errno
      umask(was)
      guard result == 0 else { throw SyscallError(call: "bind", errno: error, path: path) }
      guard listen(socket.raw, 16) == 0 else { throw SyscallError(call: "listen", errno: errno, path: path) }
      return socket
    }
  }

  /// Publishes ports: binds them on the host and hands them over.
  static func add(_ zone: String, _ address: IPv4Address, _ ports: [PublishedPort], _ link: borrowing OwnedFD)
    throws(NetworkError)
  {
    var rest = ports[...]
    while !rest.isEmpty {
      let part = Array(rest.prefix(RelayMessage.most))
      rest = rest.dropFirst(part.count)
      var sockets: [CInt] = []
      defer { for socket in sockets { close(socket) } }
      for port in part { sockets.append(try Self.bind(port)) }
      try ask(RelayMessage(.add, zone, address, part), sockets, link)
    }
  }

  static func drop(_ zone: String, _ address: IPv4Address, _ ports: [PublishedPort], _ link: borrowing OwnedFD)
    throws(NetworkError)
  {
    try ask(RelayMessage(.drop, zone, address, ports), [], link)
  }

  static func connect(_ directories: NetworkDirectories, _ network: String) throws(NetworkError) -> OwnedFD {
    let path = directories.relay(network)
    return try system("reach the port relay of network \(network)") { () throws(SyscallError) in
      let socket = try open()
      let folder = try OwnedFD.open(directories.stateFolder, O_PATH | O_DIRECTORY)
      var address = Self.address(folder, network)
      try FileSystem.call("connect", path) {
        withUnsafePointer(to: &address) {
          $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            Glibc.connect(socket.raw, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
          }
        }
      }
      return socket
    }
  }

  private static func ask(_ message: RelayMessage, _ sockets: [CInt], _ link: borrowing OwnedFD) throws(NetworkError) {
    let bytes = message.bytes
    try system("publish ports of \(message.zone)") { () throws(SyscallError) in
      try check(zns_send_fds(link.raw, bytes, bytes.count, sockets, CInt(sockets.count)), "sendmsg")
      guard try Poll.wait(link.raw, for: Int16(POLLIN), timeout: 5000) else {
        throw SyscallError(call: "recv", errno: ETIMEDOUT)
      }
      var answer: UInt8 = 0
      let got = recv(link.raw, &answer, 1, 0)
      let error = errno
      guard got == 1 else { throw SyscallError(call: "recv", errno: got < 0 ? error : EPIPE) }
      guard answer == 0 else { throw SyscallError(call: "recv", errno: CInt(answer)) }
    }
  }

  /// A host port, bound, and listening where it is TCP.
  private static func bind(_ port: PublishedPort) throws(NetworkError) -> CInt {
    let type = port.transport == .tcp ? SocketType.stream : SocketType.datagram
    let number = socket(AF_INET, type | SocketType.closeOnExec | SocketType.nonBlocking, 0)
    let failure = errno
    guard number >= 0 else {
      throw .system("publish host port \(port.hostText)", SyscallError(call: "socket", errno: failure))
    }
    let socket = OwnedFD(raw: number)
    var on: CInt = 1
    if port.transport == .tcp {
      setsockopt(number, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<CInt>.size))
    } else {
      // So that an answer leaves from the address that was asked (ip(7), IP_PKTINFO).
      setsockopt(number, CInt(IPPROTO_IP), IP_PKTINFO, &on, socklen_t(MemoryLayout<CInt>.size))
    }
    var address = SocketAddress.ipv4(port.hostAddress.flatMap { IPv4Address($0) } ?? IPv4Address(0), port.hostPort)
    guard SocketAddress.bind(number, &address) == 0 else {
      throw PortHolder.refusal(port, errno: errno)
    }
    guard port.transport == .udp || listen(number, 1024) == 0 else {
      throw PortHolder.refusal(port, errno: errno)
    }
    return socket.take()
  }

  private static func open() throws(SyscallError) -> OwnedFD {
    let number = socket(AF_UNIX, SocketType.packets | SocketType.closeOnExec, 0)
    let error = errno
    guard number >= 0 else { throw SyscallError(call: "socket", errno: error) }
    return OwnedFD(raw: number)
  }

  /// Through the folder's descriptor, since a socket's path has 107 bytes at most (unix(7)).
  private static func address(_ folder: borrowing OwnedFD, _ network: String) -> sockaddr_un {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let path = "/proc/self/fd/\(folder.raw)/\(NetworkDirectories.relayName(network))"
    withUnsafeMutableBytes(of: &address.sun_path) { room in
      precondition(path.utf8.count < room.count)
      for (index, byte) in path.utf8.enumerated() { room[index] = byte }
    }
    return address
  }
}
