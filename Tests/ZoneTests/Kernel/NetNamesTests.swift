import CLinuxNS
import Glibc
import LinuxNS
import Testing

@testable import VirtualNet

@Suite(
  "names on a network", .serialized, .enabled(if: geteuid() == 0, "needs root: network namespaces, links, nftables"))
struct NetNamesTests {
  /// A question in wire form.
  static func question(_ name: String, type: UInt16 = 1, id: UInt16 = 0x1234) -> [UInt8] {
    var bytes: [UInt8] = [UInt8(id >> 8), UInt8(id & 0xff), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    for label in name.split(separator: ".") { bytes += [UInt8(label.utf8.count)] + Array(label.utf8) }
    return bytes + [0, UInt8(type >> 8), UInt8(type & 0xff), 0, 1]
  }

  /// Asks by UDP from where the thread is.
  static func ask(_ server: String, _ bytes: [UInt8], port: UInt16 = 53, milliseconds: CInt = 3000) throws -> [UInt8]? {
    let socket = OwnedFD(raw: Glibc.socket(AF_INET, SocketType.datagram, 0))
    var place = SocketAddress.ipv4(IPv4Address(server)!, port)
    guard SocketAddress.connect(socket.raw, &place) == 0, send(socket.raw, bytes, bytes.count, 0) == bytes.count,
      try Poll.wait(socket.raw, for: Int16(POLLIN), timeout: milliseconds)
    else { return nil }
    var room = [UInt8](repeating: 0, count: 65536)
    let got = recv(socket.raw, &room, room.count, 0)
    return got >= 0 ? Array(room[0..<got]) : nil
  }

  /// The addresses in an answer of ours: records of sixteen bytes behind the question.
  static func addresses(_ answer: [UInt8], question: [UInt8]) -> [String] {
    guard answer.count >= question.count else { return [] }
    return (0..<(Int(answer[6]) << 8 | Int(answer[7]))).compactMap {
      let at = question.count + 16 * $0 + 12
      return at + 4 <= answer.count ? IPv4Address(bytes: answer[at..<at + 4])?.description : nil
    }
  }

  /// A helper on a thread in this host's namespace, in the place of the process.
  final class Helper: @unchecked Sendable {
    // `stop` is the only thing that both threads touch, and it is a descriptor's end.
    private var thread = pthread_t()
    private let stopPath: String
    init(_ host: NetHost, network: String, gateway: String, resolvers: String, port: UInt16) throws {
      let datagrams = OwnedFD(raw: socket(AF_INET, SocketType.datagram | SocketType.nonBlocking, 0))
      let streams = OwnedFD(raw: socket(AF_INET, SocketType.stream | SocketType.nonBlocking, 0))
      var place = SocketAddress.ipv4(IPv4Address(gateway)!, 53)
      guard SocketAddress.bind(datagrams.raw, &place) == 0, SocketAddress.bind(streams.raw, &place) == 0,
        listen(streams.raw, 8) == 0
      else { throw NetFailure("cannot bind port 53") }
      let own = "\(host.directories.run)/\(network).copy"
      // The helper ends with its state file, so the test gives it a link of its own to take away.
      symlink(host.directories.state(network), own)
      stopPath = own
      let server = NamesServer(
        datagrams: datagrams, streams: streams, state: own, resolverPath: resolvers, resolverPort: port)
      let box = Unmanaged.passRetained(Box(server, try OwnedFD.open("/proc/thread-self/ns/net", O_RDONLY)))
      pthread_create(
        &thread, nil,
        { argument in
          let box = Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue()
          zns_setns(box.namespace.raw, 0x4000_0000)
          while box.server.step(timeout: 20_000_000) {}
          return nil
        }, box.toOpaque())
    }
    func stop() {
      unlink(stopPath)
      pthread_join(thread, nil)
    }
    final class Box {
      let server: NamesServer
      let namespace: OwnedFD
      init(_ server: NamesServer, _ namespace: consuming OwnedFD) {
        self.server = server
        self.namespace = namespace
      }
    }
  }

  /// A resolver that answers every question with 203.0.113.7, by UDP and TCP; it runs one step when told to.
  final class Upstream {
    let datagrams: OwnedFD, streams: OwnedFD
    init(port: UInt16) throws {
      datagrams = OwnedFD(raw: socket(AF_INET, SocketType.datagram, 0))
      streams = try NetTCP.listen("127.0.0.1", port)
      var place = SocketAddress.ipv4(IPv4Address("127.0.0.1")!, port)
      guard SocketAddress.bind(datagrams.raw, &place) == 0 else { throw NetFailure("cannot bind the resolver") }
    }
    static func answer(_ question: [UInt8]) -> [UInt8] {
      var bytes = question
      bytes[2] = 0x81
      bytes[3] = 0x80
      bytes[7] = 1
      return bytes + [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 7]
    }
    /// Answers one datagram, first with a forgery of the wrong id, which must be passed over.
    func answerDatagram() throws -> Bool {
      guard try Poll.wait(datagrams.raw, for: Int16(POLLIN), timeout: 3000) else { return false }
      var sender = sockaddr_storage()
      var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
      var room = [UInt8](repeating: 0, count: 4096)
      let got = withUnsafeMutablePointer(to: &sender) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          recvfrom(datagrams.raw, &room, room.count, 0, $0, &length)
        }
      }
      let good = Self.answer(Array(room[0..<got]))
      var forged = good
      forged[0] ^= 0xff
      forged[forged.count - 1] = 66
      for reply in [forged, good] {
        _ = withUnsafePointer(to: &sender) {
          $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            sendto(datagrams.raw, reply, reply.count, 0, $0, length)
          }
        }
      }
      return true
    }
    func answerStream() throws -> Bool {
      guard let asker = try NetTCP.accept(streams, milliseconds: 3000),
        try Poll.wait(asker.raw, for: Int16(POLLIN), timeout: 3000)
      else { return false }
      var room = [UInt8](repeating: 0, count: 4096)
      let got = recv(asker.raw, &room, room.count, 0)
      let reply = Self.answer(Array(room[2..<got]))
      let framed = [UInt8(reply.count >> 8), UInt8(reply.count & 0xff)] + reply
      return send(asker.raw, framed, framed.count, 0) == framed.count
    }
  }

  @Test("who is not of the network is told nothing, and nobody waits for an asker that has gone")
  func strangers() {
    NetHost.run { host in
      let zone = try NetZone()
      let gateway = try host.networks().attach(AttachRequest(zone: "z0"), netns: zone.namespace).gateway.description
      let resolvers = "\(host.directories.run)/resolv.conf"
      try FileSystem.replace(resolvers, with: Array("nameserver 127.0.0.1\n".utf8))
      let helper = try Helper(host, network: "default", gateway: gateway, resolvers: resolvers, port: 5300)
      defer { helper.stop() }
      // From an address that is not the network's, as a neighbour of the host's would.
      _ = try host.output("ip", "addr", "add", "198.51.100.1/32", "dev", "lo")
      let question = Self.question("z0")
      var (own, place) = (
        SocketAddress.ipv4(IPv4Address("198.51.100.1")!, 0), SocketAddress.ipv4(IPv4Address(gateway)!, 53)
      )
      for isStranger in [false, true] {
        let asking = OwnedFD(raw: socket(AF_INET, SocketType.datagram, 0))
        host.checks.expect(
          (!isStranger || SocketAddress.bind(asking.raw, &own) == 0) && SocketAddress.connect(asking.raw, &place) == 0
            && send(asking.raw, question, question.count, 0) == question.count, "cannot ask")
        let answers = try Poll.wait(asking.raw, for: Int16(POLLIN), timeout: isStranger ? 300 : 3000)
        host.checks.expect(answers != isStranger, isStranger ? "a stranger is told" : "the host is told nothing")
      }
      let stream = OwnedFD(raw: socket(AF_INET, SocketType.stream, 0))
      host.checks.expect(
        SocketAddress.bind(stream.raw, &own) == 0 && SocketAddress.connect(stream.raw, &place) == 0, "no TCP")
      var byte: UInt8 = 0
      host.checks.expect(
        try Poll.wait(stream.raw, for: Int16(POLLIN), timeout: 3000) && recv(stream.raw, &byte, 1, 0) <= 0,
        "a stranger is served by TCP")

      // One that asks what takes a while, and breaks off: what was asked for him ends with him.
      let upstream = try Upstream(port: 5300)
      let asked = Self.question("example.org")
      try zone.inside {
        guard let asker = try NetTCP.connect(gateway, 53) else { return host.checks.fail("TCP is refused") }
        _ = send(asker.raw, [0, UInt8(asked.count)] + asked, asked.count + 2, 0)
        guard let resolver = try NetTCP.accept(upstream.streams, milliseconds: 3000) else {
          return host.checks.fail("the resolver was not asked")
        }
        var room = [UInt8](repeating: 0, count: 512)
        host.checks.expect(recv(resolver.raw, &room, room.count, 0) > 0, "the resolver was asked nothing")
        var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
        setsockopt(asker.raw, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
        _ = consume asker
        // A conversation without progress ends after ten seconds.
        host.checks.expect(
          try Poll.wait(resolver.raw, for: Int16(POLLIN), timeout: 3000)
            && recv(resolver.raw, &room, room.count, 0) <= 0,
          "an asker that has gone is waited for")
      }
    }
  }

  @Test("zones find each other by name and alias, addresses by their zones, and the world by the host's resolver")
  func names() {
    NetHost.run { host in
      let networks = try host.networks()
      let zones = [try NetZone(), try NetZone(), try NetZone()]
      var gateway = ""
      for (index, zone) in zones.enumerated() {
        gateway = try networks.attach(
          AttachRequest(zone: "z\(index)", aliases: index > 0 ? ["web"] : []), netns: zone.namespace
        ).gateway.description
      }
      let resolvers = "\(host.directories.run)/resolv.conf"
      try FileSystem.replace(resolvers, with: Array("nameserver 127.0.0.9\nnameserver 127.0.0.1\n".utf8))
      let helper = try Helper(host, network: "default", gateway: gateway, resolvers: resolvers, port: 5300)
      defer { helper.stop() }
      func resolve(_ name: String) throws -> [String] {
        let question = Self.question(name)
        return try zones[0].inside { try Self.ask(gateway, question) }.map {
          Self.addresses($0, question: question).sorted()
        } ?? ["no answer"]
      }
      host.checks.expect(try resolve("z1") == ["10.88.0.3"], "z1 is not found")
      host.checks.expect(try resolve("Z0") == ["10.88.0.2"], "its own name is not found")
      host.checks.expect(try resolve("web") == ["10.88.0.3", "10.88.0.4"], "the alias is not found")
      let pointer = Self.question("4.0.88.10.in-addr.arpa", type: 12)
      let name = try zones[0].inside { try Self.ask(gateway, pointer) }
      host.checks.expect(
        name?.suffix(4) == [2, UInt8(ascii: "z"), UInt8(ascii: "2"), 0], "no name for an address: \(name ?? [])")
      let six = try zones[0].inside { try Self.ask(gateway, Self.question("z1", type: 28)) }
      host.checks.expect(six?[3] == 0x80 && six?[7] == 0, "AAAA of a known name is not empty: \(six ?? [])")

      // The first resolver is dead (nobody on 127.0.0.9): its refusal leads to the second at once.
      let upstream = try Upstream(port: 5300)
      let question = Self.question("example.org")
      let asking = OwnedFD(raw: try zones[0].inside { socket(AF_INET, SocketType.datagram, 0) })
      var place = SocketAddress.ipv4(IPv4Address(gateway)!, 53)
      host.checks.expect(
        SocketAddress.connect(asking.raw, &place) == 0
          && send(asking.raw, question, question.count, 0) == question.count, "cannot ask")
      host.checks.expect(try resolve("z2") == ["10.88.0.4"], "a question under way holds others up")
      host.checks.expect(try upstream.answerDatagram(), "the resolver was not asked")
      host.checks.expect(try Poll.wait(asking.raw, for: Int16(POLLIN), timeout: 3000), "no answer from the resolver")
      var room = [UInt8](repeating: 0, count: 1000)
      let got = recv(asking.raw, &room, room.count, CInt(truncatingIfNeeded: MSG_DONTWAIT))
      host.checks.expect(
        got > 4 && Array(room[0..<2]) == [0x12, 0x34] && room[got - 1] == 7, "the resolver's answer was changed")

      // By TCP: a name of ours and one of the world's on one connection, in pieces.
      guard let stream = try zones[0].inside({ try NetTCP.connect(gateway, 53) }) else {
        return host.checks.fail("TCP is refused")
      }
      for (name, last) in [("z1", UInt8(3)), ("example.org", 7)] {
        let asked = Self.question(name)
        let framed = [0, UInt8(asked.count)] + asked
        _ = send(stream.raw, framed, 5, 0)
        _ = send(stream.raw, Array(framed[5...]), framed.count - 5, 0)
        if last == 7 {
          host.checks.expect(
            try upstream.answerStream() || upstream.answerStream(), "the resolver was not asked by TCP")
        }
        host.checks.expect(try Poll.wait(stream.raw, for: Int16(POLLIN), timeout: 3000), "no answer by TCP to \(name)")
        let got = recv(stream.raw, &room, room.count, CInt(truncatingIfNeeded: MSG_DONTWAIT))
        host.checks.expect(
          got > 2 && room[got - 1] == last && Int(room[1]) == got - 2, "wrong answer by TCP to \(name)")
      }
      // A zone that comes later is found, one that has gone is not.
      try networks.detach(zone: "z2", network: "default", namespaceEnds: false)
      host.checks.expect(try resolve("web") == ["10.88.0.3"], "a zone that went is still found")
    }
  }

  @Test("the helper is started with the first zone, started again when it died, ended with the last")
  func process() {
    NetHost.run { host in
      let networks = try host.networks(helper: ["/bin/sleep", "1000"])
      // sleep refuses the network's name as a number, so the helper is a script that ignores it.
      _ = networks
      let script = "\(host.directories.run)-helper"
      try FileSystem.replace(
        script, with: Array("#!/bin/sh\nread -r -n1 word <&5 2>/dev/null || true\nexec sleep 1000\n".utf8), mode: 0o700)
      let served = try host.networks(helper: [script])
      let zones = [try NetZone(), try NetZone(), try NetZone()]
      _ = try served.attach(AttachRequest(zone: "a"), netns: zones[0].namespace)
      guard let first = try NetworkState.read(host.directories.state("default"))?.helper else {
        return host.checks.fail("no helper")
      }
      host.checks.expect(first.isAlive, "the helper is dead")
      _ = try served.attach(AttachRequest(zone: "b"), netns: zones[1].namespace)
      host.checks.expect(
        try NetworkState.read(host.directories.state("default"))?.helper == first, "a second helper was started")
      try Pidfd.open(first.pid).signal(SIGKILL)
      _ = try Pidfd.open(first.pid).waitUntilEnd(timeout: 2000)
      _ = try served.attach(AttachRequest(zone: "c"), netns: zones[2].namespace)
      guard let second = try NetworkState.read(host.directories.state("default"))?.helper else {
        return host.checks.fail("no helper")
      }
      host.checks.expect(second != first && second.isAlive, "a dead helper was not replaced")
      host.checks.expect(!FileSystem.exists("/proc/\(first.pid)"), "the dead helper was not reaped")
      for zone in ["a", "b", "c"] { try served.detach(zone: zone, network: "default", namespaceEnds: false) }
      host.checks.expect(!FileSystem.exists("/proc/\(second.pid)"), "the helper outlived its network")
    }
  }

  @Test("the helper's own process: no capability, nothing to gain, not traced, and it ends with its network")
  func confinement() {
    NetHost.run { host in
      let networks = try host.networks()
      let zone = try NetZone()
      let gateway = try networks.attach(AttachRequest(zone: "web"), netns: zone.namespace).gateway.description
      let sockets = try DescriptorPair.sockets(SocketType.stream)
      let directories = host.directories
      let child = fork()
      if child == 0 {
        let datagrams = socket(AF_INET, SocketType.datagram | SocketType.nonBlocking, 0)
        let streams = socket(AF_INET, SocketType.stream | SocketType.nonBlocking, 0)
        var place = SocketAddress.ipv4(IPv4Address(gateway)!, 53)
        _ = SocketAddress.bind(datagrams, &place)
        _ = SocketAddress.bind(streams, &place)
        _ = listen(streams, 8)
        var ready: UInt8 = 2
        _ = send(sockets.second.raw, &ready, 1, 0)
        for (target, source) in [(CInt(200), datagrams), (201, streams), (202, sockets.second.raw)] {
          dup2(source, target)
        }
        for (target, source) in [(CInt(3), CInt(200)), (4, 201), (5, 202)] { dup2(source, target) }
        NamesServer.run(directories, network: "default")
      }
      var reaped = false
      defer {
        if !reaped {
          kill(child, SIGKILL)
          var status: CInt = 0
          waitpid(child, &status, 0)
        }
      }
      host.checks.expect(
        try Poll.wait(sockets.first.raw, for: Int16(POLLIN), timeout: 5000), "the child did not come so far")
      var word: UInt8 = 1
      host.checks.expect(send(sockets.first.raw, &word, 1, 0) == 1, "cannot let it go")
      let question = Self.question("web")
      let answer = try zone.inside { try Self.ask(gateway, question) }
      host.checks.expect(answer.map { Self.addresses($0, question: question) } == ["10.88.0.2"], "no answer")
      let status = String(decoding: try FileSystem.read("/proc/\(child)/status"), as: UTF8.self)
      for line in [
        "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "CapInh:\t0000000000000000", "NoNewPrivs:\t1",
      ] {
        host.checks.expect(status.contains(line), "not \(line)")
      }
      try networks.detach(zone: "web", network: "default", namespaceEnds: false)
      // It looks when it is asked, or every half minute: so it is asked, by the address put elsewhere.
      _ = try host.output("ip", "addr", "add", gateway + "/32", "dev", "lo")
      let process = try Pidfd.open(child)
      _ = try Self.ask(gateway, question, milliseconds: 1)
      host.checks.expect(try process.waitUntilEnd(timeout: 5000), "it outlived its network")
      var code: CInt = 0
      waitpid(child, &code, 0)
      reaped = true
      host.checks.expect(code == 0, "it ended with \(code)")
    }
  }

  @Test("a server on port 53 of every address is told as such, and nothing is left")
  func taken() {
    NetHost.run { host in
      let other = OwnedFD(raw: socket(AF_INET, SocketType.datagram, 0))
      var any = SocketAddress.ipv4(IPv4Address(0), 53)
      host.checks.expect(SocketAddress.bind(other.raw, &any) == 0, "cannot bind")
      let networks = try host.networks(helper: ["/bin/true"])
      let zone = try NetZone()
      do {
        _ = try networks.attach(AttachRequest(zone: "a"), netns: zone.namespace)
        host.checks.fail("attached without names")
      } catch { host.checks.expect("\(error)".contains("port 53"), "\(error)") }
      host.checks.expect(try !host.output("nft", "list", "ruleset").contains("zones"), "rules left")
      host.checks.expect(try !host.output("ip", "-o", "link").contains("zbr"), "bridge left")
      host.checks.expect(try networks.addresses(zone: "a").isEmpty, "lease left")
    }
  }
}
