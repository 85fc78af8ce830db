import Foundation
import Glibc
import LinuxNS
import Testing

@testable import Orchestrator

/// `orchestrator balance` by itself, before a backend of the case's own.
@Suite(.serialized) struct BalancerTests {
  /// A TCP socket of IPv4's loopback address, closed with it.
  private final class Socket {
    let raw: CInt
    init(raw: CInt = Glibc.socket(AF_INET, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)) {
      self.raw = raw
    }
    deinit { close(raw) }

    func name(port: UInt16, _ call: (CInt, UnsafePointer<sockaddr>?, socklen_t) -> CInt) throws {
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = port.bigEndian
      address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
      let result = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          call(raw, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
      try #require(result == 0, "errno \(errno)")
    }

    /// Listens on a port that is free.
    func listen() throws -> UInt16 {
      try name(port: 0, bind)
      try #require(Glibc.listen(raw, 512) == 0)
      var address = sockaddr_in()
      var size = socklen_t(MemoryLayout<sockaddr_in>.size)
      let result = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(raw, $0, &size) }
      }
      try #require(result == 0)
      return UInt16(bigEndian: address.sin_port)
    }
  }

  private final class Stand {
    let folder = Folder()
    let port: UInt16
    let backend = Socket()
    let backendPort: UInt16
    private let process: SideProcess

    /// - Parameter descriptors: the soft and the hard limit.
    init(descriptors: String) throws {
      backendPort = try backend.listen()
      // Free when it was given, and nobody is given it again soon.
      port = try Socket().listen()
      let balancer = Balancer(fleet: "f", service: "web", listeners: [.init(hostPort: port, zonePort: 80)])
      let path = "\(folder.path)/web.json"
      try BalancerFile(balancer: balancer, backends: [[Endpoint(host: "127.0.0.1", port: backendPort)]]).write(path)
      process = try SideProcess(
        "/usr/bin/prlimit", ["--nofile=\(descriptors)", Command.orchestrator, "balance", path])
      try #require(eventually(20) { FileSystem.exists("\(path).pid") }, "it does not listen")
    }

    /// A client that says its number and then nothing.
    func client(_ number: UInt8) throws -> Socket {
      let socket = Socket()
      try socket.name(port: port, connect)
      var byte = number
      try #require(send(socket.raw, &byte, 1, CInt(MSG_NOSIGNAL)) == 1)
      return socket
    }

    /// The next that reaches the backend, and which client it is of; nil where none does.
    func served() throws -> (Socket, UInt8)? {
      guard try Poll.wait(backend.raw, for: Int16(POLLIN), timeout: CInt(10_000 * patience)) else { return nil }
      let socket = Socket(raw: accept(backend.raw, nil, nil))
      var byte: UInt8 = 0
      guard try Poll.wait(socket.raw, for: Int16(POLLIN), timeout: CInt(10_000 * patience)),
        recv(socket.raw, &byte, 1, 0) == 1
      else { return nil }
      return (socket, byte)
    }
  }

  private static let clients = 150
  /// Too few for them all.
  private static let few = ConnectionGate.reserve + 32

  @Test(.ends(within: 2)) func theSoftLimitOfDescriptorsIsNone() throws {
    let stand = try Stand(descriptors: "\(Self.few):4096")
    var open: [(Socket, Socket)] = []
    for number in 0..<Self.clients {
      let client = try stand.client(UInt8(number))
      let (socket, who) = try #require(try stand.served(), "client \(number)")
      #expect(who == UInt8(number))
      open.append((client, socket))
    }
    #expect(open.count == Self.clients)
    // Both sides notice who vanishes: of each connection the timer that runs is keepalive's (proc_net_tcp(5): tr is 02).
    #expect(try eventually(10) { try timers(stand).allSatisfy { $0.hasPrefix("02:") } })
    #expect(try timers(stand).count == 2 * Self.clients)
  }

  /// The timers of the balancer's connections: with clients at its port, and with the backend.
  private func timers(_ stand: Stand) throws -> [Substring] {
    let (near, far) = (hex(stand.port), hex(stand.backendPort))
    return try ["tcp", "tcp6"].flatMap { table in
      String(decoding: try FileSystem.read("/proc/net/\(table)"), as: UTF8.self).split(separator: "\n").dropFirst()
        .compactMap { line -> Substring? in
          let fields = line.split(separator: " ")
          guard fields[3] == "01", fields[1].hasSuffix(":\(near)") || fields[2].hasSuffix(":\(far)") else { return nil }
          return fields[5]
        }
    }
  }

  private func hex(_ port: UInt16) -> String {
    let digits = String(port, radix: 16, uppercase: true)
    return String(repeating: "0", count: 4 - digits.count) + digits
  }

  @Test(.ends(within: 2)) func whoComesWhenAllDescriptorsAreTakenIsServedLater() throws {
    let stand = try Stand(descriptors: "\(Self.few):\(Self.few)")
    var waiting: [UInt8: Socket] = [:]
    for number in 0..<Self.clients { waiting[UInt8(number)] = try stand.client(UInt8(number)) }
    while !waiting.isEmpty {
      // Each makes room for another.
      guard let (_, who) = try stand.served() else { break }
      waiting[who] = nil
    }
    #expect(waiting.isEmpty, "\(waiting.count) were turned away")
  }
}
