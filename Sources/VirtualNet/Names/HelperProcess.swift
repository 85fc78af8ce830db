internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// Starting the process that answers names on a network.
enum HelperProcess {
  /// Where the helper finds its sockets.
  static let datagramDescriptor: CInt = 3, streamDescriptor: CInt = 4

  /// Binds port 53 of the network's address and starts the helper with both sockets.
  ///
  /// They are bound here, so that a query sent before the helper runs waits in the socket instead of being refused,
  /// and so that the helper needs no power of its own.
  static func start(_ command: [String], gateway: IPv4Address) throws(NetworkError) -> ProcessRecord {
    let datagrams = try bind(SOCK_DGRAM, gateway)
    let streams = try bind(SOCK_STREAM, gateway)
    guard listen(streams.raw, 32) == 0 else {
      throw .system("listen on \(gateway):53", SyscallError(call: "listen", errno: errno))
    }
    let null = try system("start the names helper") { () throws(SyscallError) in try OwnedFD.open("/dev/null", O_RDWR) }
    var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
    var environment: [UnsafeMutablePointer<CChar>?] = [strdup("PATH=/usr/sbin:/usr/bin:/sbin:/bin"), nil]
    defer { for word in arguments + environment { free(word) } }
    let descriptors = [null.raw, null.raw, null.raw, datagrams.raw, streams.raw]
    var pidfd: CInt = -1
    // The function, not the struct of the same name.
    let start: (UnsafePointer<zns_spawn>?, UnsafeMutablePointer<CInt>?) -> Int = zns_spawn
    let pid = descriptors.withUnsafeBufferPointer { descriptors in
      arguments.withUnsafeMutableBufferPointer { arguments in
        environment.withUnsafeMutableBufferPointer { environment in
          var spawn = CLinuxNS.zns_spawn()
          spawn.executable = -1
          spawn.path = UnsafePointer(arguments[0])
          spawn.argv = UnsafePointer(arguments.baseAddress)
          spawn.envp = UnsafePointer(environment.baseAddress)
          spawn.fds = descriptors.baseAddress
          spawn.fd_count = CInt(descriptors.count)
          spawn.new_session = 1
          return start(&spawn, &pidfd)
        }
      }
    }
    guard pid > 0 else {
      throw .system("start the names helper", SyscallError(call: "execve", errno: CInt(-pid), path: command[0]))
    }
    let process = Pidfd(OwnedFD(raw: pidfd))
    guard let (record, _) = ProcessRecord.of(Int32(pid)) else {
      try? process.signal(SIGKILL)  // it is gone already
      throw .conflict("cannot start the names helper: \(command[0]) ended at once")
    }
    return record
  }

  private static func bind(_ type: __socket_type, _ address: IPv4Address) throws(NetworkError) -> OwnedFD {
    let number = socket(AF_INET, CInt(type.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue), 0)
    let failure = errno
    guard number >= 0 else { throw .system("answer names on \(address):53", SyscallError(call: "socket", errno: failure)) }
    let result = OwnedFD(raw: number)
    if type == SOCK_STREAM {
      var on: CInt = 1
      setsockopt(number, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<CInt>.size))
    }
    var target = SocketAddress.ipv4(address, 53)
    guard SocketAddress.bind(number, &target) != 0 else { return result }
    let error = errno
    if error == EADDRINUSE {
      throw .conflict(
        "cannot answer names on \(address):53: a server of the host listens on port 53 of every address "
          + "(let it listen on its own addresses only: bind-interfaces in dnsmasq, listen-on in named)")
    }
    throw .system("answer names on \(address):53", SyscallError(call: "bind", errno: error))
  }
}
