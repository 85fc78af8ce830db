import CLinuxNS
import Foundation
import Glibc
import LinuxNS
import Testing

@testable import VirtualNet
@testable import ZoneRuntime

/// An ordinary user's network namespace with lo alone, its proxy on a machine of its own outside, and another machine's servers.
///
/// There 192.0.2.7 (good.test) has the web on 80 and TLS on 443, TLS that asks for another hello on 444, and a counter of
/// bytes on 7000; 10.9.9.9 has a server on 8080. The proxy's machine has one on 8080 of all its addresses: 127.0.0.1, and
/// 203.0.113.1 and 2001:db8::1 (own.test).
final class EgressStand {
  let zones: Zonectl
  private let outside: String
  /// The other machine.
  private let world: String
  private let zone: Running
  private var servers: [Running] = []
  /// Ends of pipes, ours to close; -1: closed.
  private var lifeline: CInt = -1, denials: CInt = -1
  private var told = ""
  private(set) var port: UInt16 = 0
  private(set) var proxy: Int32 = 0

  static func with<Result>(_ rules: String, _ body: (EgressStand) throws -> Result) throws -> Result {
    try Zonectl.with(.ordinaryUser) { zones in
      let stand = try EgressStand(zones)
      defer { stand.end() }
      try stand.serve()
      try stand.start(try EgressRules(rules))
      return try body(stand)
    }
  }

  private init(_ zones: Zonectl) throws {
    self.zones = zones
    outside = "zonestest-\(getpid())"
    world = "\(outside)-world"
    let script = "ip link set lo up && echo ready && exec sleep 1000"
    zone = try Command(OrdinaryUser.prefix + ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", script])
      .start()
    guard zone.readUntil({ $0.contains("ready") }) else {
      throw NetFailure("no namespace of the user's: \(try zone.finish(timeout: 0))")
    }
  }

  // MARK: outside

  private func serve() throws {
    let folder = zones.folder
    for machine in [outside, world] {
      try Command.text("ip", "netns", "add", machine)
      try Command.text("ip", "-n", machine, "link", "set", "lo", "up")
    }
    try Command.text("ip", "-n", outside, "link", "add", "way", "type", "veth", "peer", "name", "way", "netns", world)
    let machines = [
      (outside, ["addr add 203.0.113.1/24 dev way", "addr add 2001:db8::1/64 dev way nodad"]),
      (world, ["addr add 203.0.113.2/24 dev way", "addr add 192.0.2.7/32 dev lo", "addr add 10.9.9.9/32 dev lo"]),
    ]
    for (machine, addresses) in machines {
      for words in addresses + ["link set way up"] { try Command.text("sh", "-c", "ip -n \(machine) \(words)") }
    }
    try Command.text("ip", "-n", outside, "route", "add", "default", "via", "203.0.113.2")
    try """
    192.0.2.7 good.test other.test sub.good.test evil.test
    127.0.0.1 rebind.test
    203.0.113.1 own.test
    2001:db8::1 own.test
    10.9.9.9 private.test

    """.write(toFile: folder + "/hosts", atomically: false, encoding: .utf8)
    try "".write(toFile: folder + "/resolv.conf", atomically: false, encoding: .utf8)
    for name in ["good", "own", "private"] {
      try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
      try "\(name)\n".write(toFile: "\(folder)/\(name)/index.html", atomically: false, encoding: .utf8)
    }
    try Command.text(
      "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=good.test", "-days", "2", "-keyout",
      folder + "/key.pem", "-out", folder + "/cert.pem")
    let tls = ["openssl", "s_server", "-quiet", "-cert", folder + "/cert.pem", "-key", folder + "/key.pem", "-WWW"]
    try serve(["busybox", "httpd", "-f", "-p", "192.0.2.7:80", "-h", folder + "/good"])
    try serve(["busybox", "httpd", "-f", "-p", "[::]:8080", "-h", folder + "/own"], on: outside)
    try serve(["busybox", "httpd", "-f", "-p", "10.9.9.9:8080", "-h", folder + "/private"])
    try serve(tls + ["-accept", "192.0.2.7:443"], in: folder + "/good")
    try serve(tls + ["-accept", "192.0.2.7:444", "-groups", "P-384"], in: folder + "/good")
    let counter = """
      $SIG{CHLD} = "IGNORE";
      $s = IO::Socket::INET->new(LocalAddr => "192.0.2.7", LocalPort => 7000, Listen => 9, ReuseAddr => 1) or die;
      while ($c = $s->accept) { if (fork) { close $c; next } $n += length while sysread $c, $_, 65536; print $c "$n bytes"; exit }
      """
    try serve(["perl", "-MIO::Socket::INET", "-e", counter])
    let addresses = ["192.0.2.7:80", "192.0.2.7:443", "192.0.2.7:444", "192.0.2.7:7000", "10.9.9.9:8080"]
    for (machine, address) in addresses.map({ (world, $0) }) + [(outside, "[::]:8080")] {
      let listens = try eventually {
        try Command.text("ip", "netns", "exec", machine, "ss", "-Hltn", "src", address).isEmpty == false
      }
      try #require(listens, "nobody listens on \(address)")
    }
  }

  private func serve(_ words: [String], in folder: String? = nil, on machine: String? = nil) throws {
    var command = Command(["ip", "netns", "exec", machine ?? world] + words)
    command.directory = folder
    servers.append(try command.start())
  }

  // MARK: the proxy

  /// As the user, in the world outside, with that world's /etc/hosts.
  private func start(_ rules: EgressRules) throws {
    let user = try #require(OrdinaryUser.found)
    let lifelines = try OwnedFD.pipe(), lines = try OwnedFD.pipe()
    let world = try OwnedFD.open("/run/netns/\(outside)", O_RDONLY)
    let program = zones.folder + "/zonectl", folder = zones.folder
    let inside = try OwnedFD.open("/proc/\(zone.pid)/ns/net", O_RDONLY)
    let answer = try NetFork.run(seconds: 20) {
      try check(zns_setns(world.raw, 0x4000_0000), "setns")
      try check(zns_unshare(0x2_0000), "unshare")
      try check(zns_mount("none", "/", nil, 1 << 18 | 1 << 14, nil), "mount private")
      for name in ["hosts", "resolv.conf"] {
        try check(zns_mount("\(folder)/\(name)", "/etc/\(name)", nil, 1 << 12, nil), "mount", name)
      }
      guard setgroups(0, nil) == 0, setgid(user.gid) == 0, setuid(user.uid) == 0 else { throw NetFailure("setuid") }
      let ends = EgressProxy.Ends(lifeline: try lifelines.first.duplicate(), denials: try lines.second.duplicate())
      let running = try EgressProxy.start(rules, network: inside, ends: ends, executable: program)
      return "\(running.pid) \(running.port)"
    }
    let words = (answer ?? "nothing").split(separator: " ")
    guard words.count == 2, let pid = Int32(words[0]), let port = UInt16(words[1]) else {
      throw NetFailure("the proxy did not start: \(answer ?? "nothing")")
    }
    (proxy, self.port) = (pid, port)
    lifeline = try lifelines.second.duplicate().take()
    denials = try lines.first.duplicate().take()
  }

  /// Ends the proxy by its lifeline, as the keeper's end does.
  func endProxy() throws {
    drop(&lifeline)
    let pid = proxy
    #expect(eventually { kill(pid, 0) != 0 || Self.isZombie(pid) }, "the proxy outlives its lifeline")
  }

  private func drop(_ number: inout CInt) {
    if number >= 0 { close(number) }
    number = -1
  }

  private static func isZombie(_ pid: Int32) -> Bool {
    contents("/proc/\(pid)/stat").map { $0.contains(") Z ") } ?? true
  }

  /// The processes of its connections.
  var workers: Int {
    (contents("/proc/\(proxy)/task/\(proxy)/children") ?? "").split(separator: " ").count
  }

  /// What was denied so far; of the lines that are told, in order.
  func denied() throws -> [Denial] {
    while denials >= 0, try Poll.wait(denials, for: Int16(POLLIN), timeout: 0) {
      var room = [UInt8](repeating: 0, count: 65536)
      let got = read(denials, &room, room.count)
      guard got > 0 else {
        drop(&denials)
        break
      }
      told += String(decoding: room[..<got], as: UTF8.self)
    }
    return try told.split(separator: "\n").map { try JSON.decode(Denial.self, from: Array($0.utf8), name: "a denial") }
  }

  /// Waits until so many were told; each as `CALL NAME`.
  func denied(_ count: Int) throws -> [String] {
    _ = try eventually(timeout: 5) { try denied().count >= count }
    return try denied().map { "\($0.call) \($0.name)" }
  }

  // MARK: inside

  /// Runs a program in the zone, as the user.
  func inside(_ words: String...) throws -> Outcome {
    let enter = ["nsenter", "-t", "\(zone.pid)", "-U", "-n", "--preserve-credentials"]
    var command = Command(OrdinaryUser.prefix + enter + words)
    command.timeout = 20
    return try command.run()
  }

  func curl(_ words: String..., proxy scheme: String = "http") throws -> Outcome {
    let enter = ["nsenter", "-t", "\(zone.pid)", "-U", "-n", "--preserve-credentials"]
    let curl = ["curl", "-sS", "-k", "--max-time", "10", "-x", "\(scheme)://127.0.0.1:\(port)"]
    var command = Command(OrdinaryUser.prefix + enter + curl + words)
    command.timeout = 20
    return try command.run()
  }

  /// A connection with the proxy, of a socket in the zone's network.
  func connection() throws -> OwnedFD {
    let network = try OwnedFD.open("/proc/\(zone.pid)/ns/net", O_RDONLY)
    let socket = try UserSpace.socket(in: network, AF_INET, SocketType.stream)
    var place = SocketAddress.ipv4(IPv4Address("127.0.0.1")!, port)
    guard SocketAddress.connect(socket.raw, &place) == 0 else { throw NetFailure("cannot connect: errno \(errno)") }
    return socket
  }

  private func end() {
    drop(&lifeline)
    let pid = proxy
    if pid > 0, !eventually({ kill(pid, 0) != 0 || Self.isZombie(pid) }) {
      Issue.record("the proxy outlives its lifeline")
      kill(pid, SIGKILL)
    }
    drop(&denials)
    for one in servers + [zone] {
      kill(-one.pid, SIGKILL)
      kill(one.pid, SIGKILL)
      _ = try? one.finish(timeout: 5)
    }
    for machine in [outside, world] { _ = try? Command("ip", "netns", "del", machine).run() }
  }
}

extension OwnedFD {
  borrowing func say(_ bytes: [UInt8]) { send(raw, bytes, bytes.count, CInt(truncatingIfNeeded: MSG_NOSIGNAL)) }
  borrowing func say(_ text: String) { say(Array(text.utf8)) }

  /// What comes until its end, or until it satisfies `condition`.
  borrowing func hear(seconds: Double = 10, until condition: (String) -> Bool = { _ in false }) throws -> String {
    let deadline = Date().addingTimeInterval(seconds)
    var all: [UInt8] = []
    while !condition(String(decoding: all, as: UTF8.self)) {
      let left = deadline.timeIntervalSinceNow
      guard left > 0, try Poll.wait(raw, for: Int16(POLLIN), timeout: CInt(left * 1000) + 1) else { break }
      var room = [UInt8](repeating: 0, count: 65536)
      let got = recv(raw, &room, room.count, 0)
      guard got > 0 else { break }
      all += room[..<got]
    }
    return String(decoding: all, as: UTF8.self)
  }
}
