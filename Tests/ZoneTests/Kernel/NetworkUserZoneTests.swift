import Foundation
import Glibc
import Testing

/// An ordinary user's zones on networks: what root's zones have, they have.
@Suite(
  .serialized, .machine,
  .needs(.root, .ordinaryUser, .program("pasta"), .program("busybox"), .program("perl"), .path("/dev/net/tun")),
  .ends(within: 5))
struct NetworkUserZoneTests {
  @Test func zonesOfANetworkFindEachOtherByName() throws {
    try Zonectl.withTun { zones in
      try zones.serve("web")
      try zones.ok("run", "-d", "--name", "client", "--", "sleep", "infinity")
      #expect(try eventually { try zones.fetch(from: "client", "http://web/").text == "web" })
      let resolved = try zones.ok("exec", "client", "getent", "hosts", "web").text
      #expect(resolved.hasPrefix(try #require(try zones.status("web")?.addresses?.first)))
      #expect(try zones.run("exec", "client", "getent", "hosts", "no-such-zone").status == 2)
      // One helper and one pasta, however many zones there are.
      #expect(try Served(zones).pids.count == 1 && Served(zones).pastas.count == 1)
      try zones.ok("delete", "--force", "--yes", "web")
      #expect(try eventually { try zones.run("exec", "client", "getent", "hosts", "web").status == 2 })
      try zones.ok("delete", "--force", "--yes", "client")
      #expect(try Served(zones) == Served(pids: [], pastas: []))
    }
  }

  @Test func networksDoNotMeet() throws {
    try Zonectl.withTun { zones in
      try zones.serve("web", ["--network", "first"])
      try zones.ok("run", "-d", "--name", "inside", "--network", "first", "--", "sleep", "infinity")
      try zones.ok("run", "-d", "--name", "outside", "--network", "second", "--", "sleep", "infinity")
      let address = try #require(try zones.status("web")?.addresses?.first)
      #expect(try eventually { try zones.fetch(from: "inside", "http://\(address)/").text == "web" })
      #expect(try zones.fetch(from: "outside", "http://\(address)/").status != 0)
      #expect(try zones.run("exec", "outside", "getent", "hosts", "web").status != 0)
    }
  }

  @Test func anAddressIsKeptOverRestarts() throws {
    try Zonectl.withTun { zones in
      for name in ["a", "b"] { try zones.make(name, "running", []) }
      let first = try #require(try zones.status("a")?.addresses?.first)
      try zones.ok("stop", "--timeout", "1", "a")
      try zones.make("c", "running", [])
      try zones.ok("start", "a")
      #expect(try zones.status("a")?.addresses?.first == first)
      #expect(Set(try zones.list().compactMap { $0.addresses?.first }).count == 3)
    }
  }

  @Test func portsChangeWhileTheZoneLives() throws {
    try Zonectl.withTun { zones in
      try zones.serve("web", ["-p", "18087:80"])
      #expect(try eventually { try answer(18087) == "web" })
      let refused = try zones.refused("run", "--rm", "-p", "18087:80", "--", "true", status: 125)
      #expect(refused.contains("18087/tcp") && refused.contains("zone web"), "\(refused)")
      try zones.ok("set", "web", "publish=18088:80")
      #expect(try eventually { try answer(18088) == "web" })
      #expect(try answer(18087) == nil)
      let low = try zones.refused("run", "--rm", "-p", "87:80", "--", "true", status: 125)
      #expect(low.contains("ip_unprivileged_port_start"), "\(low)")
      try zones.ok("stop", "--timeout", "1", "web")
      #expect(try answer(18088) == nil)
    }
  }

  @Test func aPublishedPortCarriesMuchAndDatagrams() throws {
    try Zonectl.withTun { zones in
      let script = """
        mkdir -p /srv; head -c 30000000 /dev/urandom > /srv/big; busybox sha1sum < /srv/big > /srv/sum
        perl -MIO::Socket::INET -e '
          my $s = IO::Socket::INET->new(Proto => "udp", LocalPort => 53) or die; my $b;
          while (my $from = $s->recv($b, 2000)) { $s->send($b, 0, $from) }' &
        exec busybox httpd -f -p 80 -h /srv
        """
      try zones.ok("run", "-d", "--name", "web", "-p", "18089:80", "-p", "18090:53/udp", "--", "sh", "-c", script)
      #expect(try eventually { try Command("curl", "-sf", "-m", "2", "http://127.0.0.1:18089/sum").run().status == 0 })
      let fetches = """
        sum=$(curl -s -m 9 http://127.0.0.1:18089/sum)
        for n in 1 2 3 4; do curl -s -m 20 http://127.0.0.1:18089/big | sha1sum > \(zones.folder)/sum.$n & done; wait
        for n in 1 2 3 4; do [ "$(cat \(zones.folder)/sum.$n)" = "$sum" ] || echo differs; done; echo compared
        """
      #expect(try Command("sh", "-c", fetches).run().text == "compared")
      #expect(try eventually { try datagram(18090, "to and fro") == "to and fro" })
    }
  }

  @Test func theHostsServicesAreOutOfReachToo() throws {
    try Zonectl.withTun { zones in
      let folder = zones.folder + "/www"
      mkdir(folder, 0o755)
      try "host".write(toFile: folder + "/index.html", atomically: false, encoding: .utf8)
      let server = try Command("busybox", "httpd", "-f", "-p", "18093", "-h", folder).start()
      #expect(try eventually { try answer(18093) == "host" })
      try zones.make("a", "running", [])
      try Command.text(
        "sh", "-ec",
        "ip link add zonestest0 type veth peer name zonestest1; ip addr add 198.51.100.1/24 dev zonestest0; ip link set zonestest0 up"
      )
      defer { _ = try? Command.text("ip", "link", "del", "zonestest0") }
      // Whoever looks at the zones learns of the new address.
      try zones.ok("list")
      let hosts = try Command.text("hostname", "-I").split(separator: " ").filter { !$0.contains(":") }.map(String.init)
      #expect(hosts.contains("198.51.100.1"))
      let own = try #require(try zones.status("a")?.addresses?.first)
      let gateway = own.split(separator: ".").prefix(3).joined(separator: ".") + ".1"
      for address in [gateway] + hosts {
        #expect(try answer(18093) == "host")
        #expect(try zones.fetch(from: "a", "http://\(address):18093/").status != 0, "the host answers at \(address)")
      }
      #expect(server.isRunning)
      // What is the host's no more may be somebody else's.
      let closed = { () throws -> Bool in
        let helper = try #require(try Served(zones).pids.first)
        return try Command.text("nsenter", "-t", "\(helper)", "-n", "ip", "route").contains("198.51.100.1")
      }
      #expect(try closed())
      try Command.text("ip", "link", "del", "zonestest0")
      try zones.ok("list")
      #expect(try !closed())
    }
  }

  /// epoll(7) tells of an end again and again, whatever it was asked.
  @Test func aClientThatHasGoneCostsNothing() throws {
    try Zonectl.withTun { zones in
      let script = """
        my $s = IO::Socket::INET->new(Listen => 5, LocalPort => 80) or die $!; $| = 1; print "listens\\n";
        while (my $c = $s->accept) { 1 while <$c>; print $c "late\\n"; $c->flush; print "answered\\n"; sleep 1000 }
        """
      try zones.ok("run", "-d", "--name", "web", "-p", "18091:80", "--", "perl", "-MIO::Socket::INET", "-e", script)
      #expect(try eventually { try zones.ok("logs", "web").text.contains("listens") })
      let client =
        "my $c = IO::Socket::INET->new(PeerAddr => '127.0.0.1:18091') or die $!; print $c \"hello\\n\"; close $c"
      #expect(try Command("perl", "-MIO::Socket::INET", "-e", client).run().status == 0)
      #expect(try eventually { try zones.ok("logs", "web").text.contains("answered") })
      let helper = try #require(try Served(zones).pids.first)
      // In hundredths of a second.
      let used = { () throws -> Int in
        let line = try #require(contents("/proc/\(helper)/stat")?.split(separator: ") ").last)
        let words = line.split(separator: " ")
        return try #require(Int(words[11])) + (try #require(Int(words[12])))
      }
      let before = try used()
      _ = poll(nil, 0, 1000)
      #expect(try used() - before < 50)
    }
  }

  /// The helper's and pasta's namespaces are not to be had from a zone: no process of them is in sight, and the zone's
  /// root, who on the host is the same user, has no power over them.
  @Test func aZoneCannotEnterItsNetwork() throws {
    try Zonectl.withTun { zones in
      try zones.make("a", "running", [])
      let served = try Served(zones)
      let seen = try zones.ok("exec", "a", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '").out
      #expect(!seen.contains("user-network") && !seen.contains("pasta"), "\(seen)")
      let helper = try #require(served.pids.first)
      let status = contents("/proc/\(helper)/status") ?? ""
      for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        #expect(status.contains("\(set):\t0000000000000000"), "\(status)")
      }
      for thread in try FileManager.default.contentsOfDirectory(atPath: "/proc/\(helper)/task") {
        let own = contents("/proc/\(helper)/task/\(thread)/status") ?? ""
        #expect(own.contains("CapEff:\t0000000000000000") && own.contains("NoNewPrivs:\t1"), "\(own)")
      }
      // As the same user in the zone's user namespace, with all power there; from the network's own it is let in.
      func enter(by owner: Int32) throws -> Outcome {
        try Command(
          OrdinaryUser.prefix + [
            "nsenter", "--preserve-credentials", "--user=/proc/\(owner)/ns/user", "--net=/proc/\(helper)/fd/6", "--",
            "true",
          ]
        ).run()
      }
      #expect(try enter(by: helper).status == 0)
      // The keeper's descriptors are as good as the zone's own files, which are not ours any more.
      let keeper = try #require(try zones.status("a")?.keeper)
      let inside = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(keeper)/fd").first { name in
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(keeper)/fd/\(name)"))?.hasPrefix("user:")
          == true
      }
      let own = try Command(
        OrdinaryUser.prefix + [
          "nsenter", "--preserve-credentials", "--user=/proc/\(keeper)/fd/\(try #require(inside))",
          "--net=/proc/\(helper)/fd/6", "--", "true",
        ]
      ).run()
      #expect(own.status != 0 && own.err.contains("not permitted"), "\(own)")
    }
  }

  private func answer(_ port: Int) throws -> String? {
    let outcome = try Command("curl", "-s", "-m", "2", "http://127.0.0.1:\(port)/").run()
    return outcome.status == 0 ? outcome.text : nil
  }

  /// Sends a datagram to the loopback's port and waits a second for the answer.
  private func datagram(_ port: UInt16, _ text: String) throws -> String? {
    let socket = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    defer { close(socket) }
    var target = sockaddr_in()
    target.sin_family = sa_family_t(AF_INET)
    target.sin_port = port.bigEndian
    target.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let connected = withUnsafePointer(to: &target) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard connected == 0, send(socket, text, text.utf8.count, 0) == text.utf8.count else { return nil }
    var entry = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
    guard poll(&entry, 1, 1000) == 1 else { return nil }
    var room = [UInt8](repeating: 0, count: 512)
    let got = recv(socket, &room, room.count, 0)
    return got < 0 ? nil : String(decoding: room[0..<got], as: UTF8.self)
  }
}

/// What serves the networks of a case.
struct Served: Equatable {
  var pids: [Int32] = []
  var pastas: [Int32] = []

  init(pids: [Int32], pastas: [Int32]) { (self.pids, self.pastas) = (pids, pastas) }

  init(_ zones: Zonectl) throws {
    for name in try FileManager.default.contentsOfDirectory(atPath: "/proc") {
      guard let pid = Int32(name), let line = contents("/proc/\(pid)/cmdline"), line.contains(zones.root) else {
        continue
      }
      let words = line.split(separator: "\0")
      if words.count > 1, words[1] == "user-network" { pids.append(pid) }
      if words[0].hasSuffix("/pasta") { pastas.append(pid) }
    }
  }
}
