internal import Glibc
internal import LinuxNS

/// Whether a host port is free, and who has it where it is not.
enum PortHolder {
  /// - Returns: nil where it is free; else the holder, `nginx (pid 812)` or `a socket of the host`.
  /// - Throws: `.invalid` where the address is not one of the host's.
  static func find(_ port: PublishedPort) throws(NetworkError) -> String? {
    let type = port.transport == .tcp ? SocketType.stream : SocketType.datagram
    let number = socket(AF_INET, type | SocketType.closeOnExec, 0)
    let failure = errno
    guard number >= 0 else {
      throw .system("probe host port \(port.hostText)", SyscallError(call: "socket", errno: failure))
    }
    let probe = OwnedFD(raw: number)
    if port.transport == .tcp {
      // Connections that only wait for their end do not hold the port; a listener still does.
      var on: CInt = 1
      setsockopt(probe.raw, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<CInt>.size))
    }
    var address = SocketAddress.ipv4(port.hostAddress.flatMap { IPv4Address($0) } ?? IPv4Address(0), port.hostPort)
    guard SocketAddress.bind(probe.raw, &address) != 0 else { return nil }
    let error = errno
    if error == EADDRINUSE { return process(of: port) ?? "a socket of the host" }
    throw refusal(port, errno: error)
  }

  /// Why a host port could not be bound.
  static func refusal(_ port: PublishedPort, errno: CInt) -> NetworkError {
    switch errno {
    case EADDRINUSE: .portTaken(port.hostText, holder: process(of: port) ?? "a socket of the host")
    case EADDRNOTAVAIL:
      .invalid("cannot publish on \(port.hostText): the host has no such address (ip address shows those it has)")
    case EACCES:
      .system(
        "publish host port \(port.hostText) as an ordinary user (choose one from 1024 on, or have root lower sysctl "
          + "net.ipv4.ip_unprivileged_port_start)", SyscallError(call: "bind", errno: errno))
    default: .system("publish host port \(port.hostText)", SyscallError(call: "bind", errno: errno))
    }
  }

  /// Looks the socket up in /proc/net, then its owner by descriptor (proc(5)).
  private static func process(of port: PublishedPort) -> String? {
    var inodes: Set<String> = []
    for table in [port.transport.rawValue, port.transport.rawValue + "6"] {
      guard let bytes = try? FileSystem.read("/proc/thread-self/net/\(table)") else { continue }
      for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n").dropFirst() {
        let fields = line.split(separator: " ")
        guard fields.count > 9, let colon = fields[1].lastIndex(of: ":"),
          UInt16(fields[1][fields[1].index(after: colon)...], radix: 16) == port.hostPort,
          port.transport == .udp || fields[3] == "0A"
        else { continue }
        inodes.insert("socket:[\(fields[9])]")
      }
    }
    guard !inodes.isEmpty else { return nil }
    for pid in (try? FileSystem.list("/proc")) ?? [] where Int32(pid) != nil {
      for descriptor in (try? FileSystem.list("/proc/\(pid)/fd")) ?? [] {
        guard let target = try? FileSystem.readLink("/proc/\(pid)/fd/\(descriptor)"), inodes.contains(target) else {
          continue
        }
        return "\((try? FileSystem.readLine("/proc/\(pid)/comm")) ?? "a process") (pid \(pid))"
      }
    }
    return nil
  }
}

/// sockaddr_in and sockaddr_in6 as the calls want them.
enum SocketAddress {
  static func ipv4(_ address: IPv4Address, _ port: UInt16) -> sockaddr_storage {
    var storage = sockaddr_storage()
    withUnsafeMutableBytes(of: &storage) {
      $0.storeBytes(of: sa_family_t(AF_INET), as: sa_family_t.self)
      $0.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self)
      $0.storeBytes(of: address.number.bigEndian, toByteOffset: 4, as: UInt32.self)
    }
    return storage
  }

  static func ipv6(_ address: [UInt8], _ port: UInt16, scope: UInt32 = 0) -> sockaddr_storage {
    var storage = sockaddr_storage()
    withUnsafeMutableBytes(of: &storage) {
      $0.storeBytes(of: sa_family_t(AF_INET6), as: sa_family_t.self)
      $0.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self)
      for (index, byte) in address.prefix(16).enumerated() { $0[8 + index] = byte }
      $0.storeBytes(of: scope, toByteOffset: 24, as: UInt32.self)
    }
    return storage
  }

  static func length(_ storage: sockaddr_storage) -> socklen_t {
    socklen_t(Int32(storage.ss_family) == AF_INET6 ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size)
  }

  static func bind(_ socket: CInt, _ storage: inout sockaddr_storage) -> CInt {
    let length = length(storage)
    return withUnsafePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.bind(socket, $0, length) }
    }
  }

  static func connect(_ socket: CInt, _ storage: inout sockaddr_storage) -> CInt {
    let length = length(storage)
    return withUnsafePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(socket, $0, length) }
    }
  }

  /// The IPv4 address in it, if that is what it holds.
  static func ipv4(of storage: sockaddr_storage) -> IPv4Address? {
    guard Int32(storage.ss_family) == AF_INET else { return nil }
    return withUnsafeBytes(of: storage) { IPv4Address(UInt32(bigEndian: $0.load(fromByteOffset: 4, as: UInt32.self))) }
  }
}
