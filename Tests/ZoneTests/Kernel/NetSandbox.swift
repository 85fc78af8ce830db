import CLinuxNS
import Glibc
import LinuxNS
import Testing

@testable import VirtualNet

/// What a kernel test found, gathered on its own thread and reported on the test's.
final class NetChecks: @unchecked Sendable {
  // Only the sandbox's thread writes, and the test's thread reads after it has ended.
  fileprivate(set) var failures: [String] = []
  func expect(_ condition: Bool, _ what: @autoclosure () -> String, line: Int = #line) {
    if !condition { failures.append("line \(line): \(what())") }
  }
  func fail(_ what: String, line: Int = #line) { failures.append("line \(line): \(what)") }
}

struct NetFailure: Error, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
}

/// A pretended host: a thread in a network namespace of its own, directories of its own.
final class NetHost {
  let checks: NetChecks
  let directories: NetworkDirectories
  var notices: [String] { noticeBox.lines }
  let noticeBox = Notices()

  final class Notices: @unchecked Sendable {
    // Called on the sandbox's thread only.
    var lines: [String] = []
  }

  init(_ checks: NetChecks, folder: String, tag: String = "") {
    self.checks = checks
    directories = NetworkDirectories(data: "\(folder)/data", run: "\(folder)/run", instanceTag: tag)
  }

  func networks(helper: [String] = [], tag: String? = nil) throws -> Networks {
    var place = directories
    if let tag {
      place.instanceTag = tag
      place.run += tag
      place.data += tag
    }
    let box = noticeBox
    return try Networks(place, helper: helper) { box.lines.append($0) }
  }

  /// Runs `body` on a new thread in a new network namespace with `lo` up, and reports what it found.
  static func run(
    tag: String = "", bridgedFiltering: Bool? = nil, sourceLocation: SourceLocation = #_sourceLocation,
    _ body: @escaping (NetHost) throws -> Void
  ) {
    let checks = NetChecks()
    // Run state lies on a tmpfs in life, too: a disk would add its own waiting to each change.
    let base = FileSystem.exists("/dev/shm") ? "/dev/shm" : "/tmp"
    var template = Array("\(base)/zones-net-test.XXXXXX".utf8CString)
    let folder = String(cString: mkdtemp(&template)!)
    NetThread.run {
      guard zns_unshare(0x4000_0000) >= 0 else { return checks.fail("cannot unshare the network: needs root") }
      do {
        let own = try OwnedFD.open("/proc/thread-self/ns/net", O_RDONLY)
        try Loopback.up(netns: own)
        // A new namespace begins with the real host's settings, whatever these are now.
        try Sysctls.write(Sysctls.forwarding, "0")
        if let bridgedFiltering, FileSystem.exists("/proc/sys/net/bridge") {
          try Sysctls.write("net/bridge/bridge-nf-call-iptables", bridgedFiltering ? "1" : "0")
          try Sysctls.write("net/bridge/bridge-nf-call-arptables", bridgedFiltering ? "1" : "0")
        }
        try body(NetHost(checks, folder: folder, tag: tag))
      } catch { checks.fail("\(error)") }
    }
    try? FileSystem.removeTree(folder)
    for failure in checks.failures { Issue.record("\(failure)", sourceLocation: sourceLocation) }
  }

  /// The text of a program's output, run in this thread's namespaces.
  func output(_ command: String...) throws -> String {
    let path = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map { "\($0)/\(command[0])" }.first(where: FileSystem.exists)
    let name = "\(directories.data).output"
    let out = try OwnedFD.open(name, O_RDWR | O_CREAT | O_TRUNC, mode: 0o600)
    let null = try OwnedFD.open("/dev/null", O_RDWR)
    let child = try Program.spawn(
      ["/usr/bin/timeout", "20", path ?? command[0]] + command.dropFirst(), [null.raw, out.raw, out.raw])
    _ = try child.process.reap()
    return String(decoding: try FileSystem.read(name), as: UTF8.self)
  }
}

enum NetThread {
  private final class Box: @unchecked Sendable {
    let body: () -> Void
    init(_ body: @escaping () -> Void) { self.body = body }
  }
  /// Runs on a thread that ends afterwards, and its namespaces with it.
  static func run(_ body: @escaping () -> Void) {
    var thread = pthread_t()
    let box = Unmanaged.passRetained(Box(body))
    pthread_create(
      &thread, nil,
      { argument in
        Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue().body()
        return nil
      }, box.toOpaque())
    pthread_join(thread, nil)
  }
}

/// A zone's network namespace, held by a descriptor alone.
final class NetZone {
  let namespace: OwnedFD

  init() throws {
    nonisolated(unsafe) var number: CInt = -1
    NetThread.run {
      guard zns_unshare(0x4000_0000) >= 0 else { return }
      number = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
    }
    guard number >= 0 else { throw NetFailure("cannot make a network namespace") }
    namespace = OwnedFD(raw: number)
  }

  /// Runs on the calling thread, in the zone.
  func inside<T: ~Copyable>(_ body: () throws -> T) throws -> T {
    let home = try OwnedFD.open("/proc/thread-self/ns/net", O_RDONLY)
    try check(zns_setns(namespace.raw, 0x4000_0000), "setns")
    defer { zns_setns(home.raw, 0x4000_0000) }
    return try body()
  }
}

enum NetTCP {
  static func listen(_ address: String, _ port: UInt16) throws -> OwnedFD {
    let socket = OwnedFD(raw: Glibc.socket(AF_INET, SocketType.stream | SocketType.closeOnExec, 0))
    var on: CInt = 1
    setsockopt(socket.raw, SOL_SOCKET, SO_REUSEADDR, &on, 4)
    var place = SocketAddress.ipv4(IPv4Address(address)!, port)
    guard SocketAddress.bind(socket.raw, &place) == 0, Glibc.listen(socket.raw, 16) == 0 else {
      throw NetFailure("cannot listen on \(address):\(port): errno \(errno)")
    }
    return socket
  }

  /// - Returns: nil where no connection came about within the time; the errno is thrown away.
  static func connect(_ address: String, _ port: UInt16, milliseconds: CInt = 1500) throws -> OwnedFD? {
    let socket = OwnedFD(
      raw: Glibc.socket(
        AF_INET, SocketType.stream | SocketType.closeOnExec | SocketType.nonBlocking, 0))
    var place = SocketAddress.ipv4(IPv4Address(address)!, port)
    if SocketAddress.connect(socket.raw, &place) != 0 {
      guard errno == EINPROGRESS, try Poll.wait(socket.raw, for: Int16(POLLOUT), timeout: milliseconds) else {
        return nil
      }
      var error: CInt = 0
      var size = socklen_t(4)
      getsockopt(socket.raw, SOL_SOCKET, SO_ERROR, &error, &size)
      guard error == 0 else { return nil }
    }
    return socket
  }

  static func accept(_ listener: borrowing OwnedFD, milliseconds: CInt = 1500) throws -> OwnedFD? {
    guard try Poll.wait(listener.raw, for: Int16(POLLIN), timeout: milliseconds) else { return nil }
    let number = Glibc.accept(listener.raw, nil, nil)
    return number >= 0 ? OwnedFD(raw: number) : nil
  }

  /// Sends text one way and sees whether it comes out at the other end.
  static func carries(
    _ one: borrowing OwnedFD, _ other: borrowing OwnedFD, _ text: String = "hello", milliseconds: CInt = 1500
  ) throws -> Bool {
    let bytes = Array(text.utf8)
    guard send(one.raw, bytes, bytes.count, CInt(truncatingIfNeeded: MSG_NOSIGNAL)) == bytes.count,
      try Poll.wait(other.raw, for: Int16(POLLIN), timeout: milliseconds)
    else { return false }
    var room = [UInt8](repeating: 0, count: 1000)
    let got = recv(other.raw, &room, room.count, CInt(truncatingIfNeeded: MSG_DONTWAIT))
    return got == bytes.count && Array(room[0..<got]) == bytes
  }
}

/// A machine outside, on a link to the pretended host: it is 192.0.2.2, the host 192.0.2.1.
final class NetOutside {
  let zone: NetZone

  init(_ host: NetHost) throws {
    zone = try NetZone()
    var route = try NetlinkSocket(.route)
    var pair = Link.message(Link.newLink, flags: NetlinkFlag.acknowledge | NetlinkFlag.create | NetlinkFlag.exclusive)
    pair.attribute(Link.Attribute.name, string: "uplink")
    pair.nested(Link.Attribute.info) {
      $0.attribute(Link.Attribute.infoKind, string: "veth")
      $0.nested(Link.Attribute.infoData) {
        $0.nested(1) {
          $0.append(Link.header())
          $0.attribute(Link.Attribute.name, string: "eth0")
          $0.attribute(Link.Attribute.namespaceFD, number: zone.namespace.raw)
        }
      }
    }
    try route.perform("make the uplink", pair)
    let link = try Link.find("uplink", on: &route)!
    let subnet = IPv4Subnet("192.0.2.0/24")!
    try route.perform([
      ("address the uplink", Address.add(IPv4Address("192.0.2.1")!, subnet: subnet, link: link.index), []),
      ("set the uplink up", Link.setUp(link.index), []),
    ])
    var inside = try NetlinkSocket.inside(zone.namespace, .route)
    try Veth.configurePeer("eth0", address: IPv4Address("192.0.2.2")!, subnet: subnet, defaultRoute: false, on: &inside)
  }
}

enum NetFork {
  /// Runs `body` in a child process, which may change its credentials and mounts.
  /// - Returns: the text it gave; nil where it was not done within the time, and is then killed.
  static func run(seconds: Int, _ body: () throws -> String) throws -> String? {
    let pipe = try OwnedFD.pipe()
    let child = fork()
    if child == 0 {
      let text: String
      do { text = try body() } catch { text = "failed: \(error)" }
      try? FileSystem.write(Array(text.utf8) + [0], to: pipe.second)
      _exit(0)
    }
    defer {
      kill(child, SIGKILL)
      var status: CInt = 0
      waitpid(child, &status, 0)
    }
    guard try Poll.wait(pipe.first.raw, for: Int16(POLLIN), timeout: CInt(seconds * 1000)) else { return nil }
    var room = [UInt8](repeating: 0, count: 8192)
    let got = read(pipe.first.raw, &room, room.count)
    return got > 0 ? String(decoding: room[0..<got].prefix { $0 != 0 }, as: UTF8.self) : nil
  }
}
