internal import CLinuxNS
internal import Glibc
public import LinuxNS

/// Starting the proxy of a zone that has no route: what its programs may be connected with is told by name.
public enum EgressProxy {
  /// The hidden verb that calls `EgressServer.run`.
  public static let verb = "egress-proxy"
  /// On the zone's 127.0.0.1, where no program of the zone has it.
  public static let port: UInt16 = 3128

  /// What programs in the zone find a proxy on that port by.
  public static func environment(_ rules: EgressRules) -> [(name: String, value: String)] {
    ProxyEnvironment.variables(port: port, rules)
  }

  /// What the proxy is given.
  public struct Ends: ~Copyable {
    /// The proxy ends at the end of file on it; a pipe or a socket whose other end nobody but the zone's keeper has.
    public let lifeline: OwnedFD
    /// A pipe or a socket: each denial is a line on it. The proxy closes it with its own end.
    public let denials: OwnedFD

    public init(lifeline: consuming OwnedFD, denials: consuming OwnedFD) {
      self.lifeline = lifeline
      self.denials = denials
    }
  }

  /// Makes the listening socket in the namespace and starts the proxy with it, in the caller's own network.
  ///
  /// A socket stays in the namespace that it was made in, whoever holds it (network_namespaces(7)); so the zone needs no
  /// process of ours and no route. What connects before the proxy runs waits in the socket.
  /// - Parameters:
  ///   - network: a namespace that the caller has power over, by the user namespace that owns it; its lo is up.
  ///   - executable: zonectl's path.
  public static func start(
    _ rules: EgressRules, network: borrowing OwnedFD, ends: consuming Ends, executable: String
  ) throws(NetworkError) -> RunningEgress {
    let listener = try system("make the proxy's socket in the zone's network") { () throws(SyscallError) in
      try UserSpace.socket(in: network, AF_INET, SocketType.stream | SocketType.nonBlocking)
    }
    let bound = try bind(listener)
    guard listen(listener.raw, 256) == 0 else {
      throw .system("listen on 127.0.0.1:\(bound) in the zone", SyscallError(call: "listen", errno: errno))
    }
    let null = try system("start the proxy") { () throws(SyscallError) in try OwnedFD.open("/dev/null", O_RDWR) }
    let child = try Program.spawn(
      [executable, verb] + rules.rules.map { $0.description },
      [null.raw, null.raw, null.raw, listener.raw, ends.lifeline.raw, ends.denials.raw])
    return RunningEgress(pid: child.pid, process: child.process, port: bound, rules: rules)
  }

  /// The usual port; another where a program in the namespace has it.
  private static func bind(_ socket: borrowing OwnedFD) throws(NetworkError) -> UInt16 {
    let loopback = IPv4Address(0x7f00_0001)
    var place = SocketAddress.ipv4(loopback, port)
    if SocketAddress.bind(socket.raw, &place) == 0 { return port }
    place = SocketAddress.ipv4(loopback, 0)
    guard SocketAddress.bind(socket.raw, &place) == 0 else {
      let error = errno
      throw .system("bind 127.0.0.1 in the zone (is its lo up?)", SyscallError(call: "bind", errno: error))
    }
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let result = withUnsafeMutablePointer(to: &place) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket.raw, $0, &length) }
    }
    let error = errno
    guard result == 0 else {
      throw .system("ask for the proxy's port", SyscallError(call: "getsockname", errno: error))
    }
    return withUnsafeBytes(of: place) { UInt16(bigEndian: $0.load(fromByteOffset: 2, as: UInt16.self)) }
  }
}

/// A zone's proxy that runs: a child of who started it.
public struct RunningEgress: ~Copyable {
  public let pid: Int32
  public let process: Pidfd
  /// On the zone's 127.0.0.1.
  public let port: UInt16
  private let rules: EgressRules

  init(pid: Int32, process: consuming Pidfd, port: UInt16, rules: EgressRules) {
    self.pid = pid
    self.process = process
    self.port = port
    self.rules = rules
  }

  /// Gives the process to its next owner.
  public consuming func takeProcess() -> Pidfd { process }

  /// What programs in the zone find the proxy by.
  public var environment: [(name: String, value: String)] { ProxyEnvironment.variables(port: port, rules) }
}
