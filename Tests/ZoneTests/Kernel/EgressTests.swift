import Foundation
import Glibc
import LinuxNS
import Testing

@testable import VirtualNet
@testable import ZoneRuntime

/// Names that a zone without a route may ask for: with programs that people use, from the zone to a server outside.
@Suite(
  .serialized, .machine,
  .needs(
    .root, .ordinaryUser, .program("busybox"), .program("curl"), .program("openssl"), .program("nsenter"),
    .program("perl")))
struct EgressTests {
  @Test(.ends(within: 1)) func whatIsAllowedWorksInEachWay() throws {
    try EgressStand.with("good.test,*.good.test:443,192.0.2.7:80") { stand in
      #expect(stand.port == 3128)
      #expect(try stand.inside("cat", "/proc/net/route").lines.count == 1, "the zone has a route")
      for scheme in ["http", "socks5h"] {
        for url in [
          "http://good.test/", "https://good.test/index.html", "https://sub.good.test/index.html", "http://192.0.2.7/",
        ] {
          let outcome = try stand.curl(url, proxy: scheme)
          #expect(outcome.text == "good", "\(url) by \(scheme): \(outcome)")
        }
      }
      #expect(try stand.curl("-p", "http://good.test/").text == "good")
      // As libraries without a resolver do: the address, which a rule opens.
      #expect(
        try stand.curl("--resolve", "good.test:80:192.0.2.7", "http://good.test/", proxy: "socks5").text == "good")
      #expect(try stand.denied(0) == [])
    }
  }

  @Test(.ends(within: 1)) func whatIsNotAllowedIsRefusedAndToldOnce() throws {
    try EgressStand.with("good.test:443,*.good.test:443") { stand in
      for _ in 0..<2 {
        #expect(try stand.curl("https://other.test/").err.contains("403"))
        #expect(try stand.curl("https://other.test/", proxy: "socks5h").status == 97)
        let plain = try stand.curl("-i", "http://good.test/")
        #expect(plain.out.contains("HTTP/1.1 403 Forbidden"), "\(plain)")
        #expect(
          plain.out.contains("zonectl: good.test:80: not allowed by --network allow=good.test:443,*.good.test:443"))
        #expect(try stand.curl("https://192.0.2.7/").err.contains("403"))
        #expect(try stand.curl("https://[::1]:22/").err.contains("403"))
      }
      let told = ["connect other.test:443", "connect good.test:80", "connect 192.0.2.7:443", "connect [::1]:22"]
      #expect(try stand.denied(4) == told)
      #expect(
        try stand.denied().allSatisfy { $0.kind == .network && $0.rule.hasPrefix("not allowed by --network allow=") })
    }
  }

  @Test(.ends(within: 1)) func aFalseNameInTLSIsRefused() throws {
    try EgressStand.with("good.test,192.0.2.7:443") { stand in
      func shown(_ name: String, to host: String, _ port: Int = 443, _ scheme: String = "http") throws -> Outcome {
        try stand.curl(
          "--connect-to", "\(name):443:\(host):\(port)", "https://\(name)/index.html", proxy: scheme)
      }
      #expect(try shown("good.test", to: "good.test").text == "good")
      for scheme in ["http", "socks5h"] {
        let outcome = try shown("evil.test", to: "good.test", 443, scheme)
        #expect(outcome.status == 35 && outcome.text.isEmpty, "\(outcome)")
        #expect(outcome.err.contains("unrecognized name") || outcome.err.contains("alert"), "\(outcome)")
      }
      #expect(try shown("evil.test", to: "192.0.2.7").status == 35)
      // Shown to one host in two ways, and to another: told once of each.
      #expect(try stand.denied(2) == ["sni evil.test:443", "sni evil.test:443"])
    }
  }

  @Test(.ends(within: 1)) func aServerThatAsksForAnotherHelloGetsIt() throws {
    try EgressStand.with("good.test:444") { stand in
      #expect(try stand.curl("https://good.test:444/index.html").text == "good")
      let other = try stand.curl("--connect-to", "evil.test:444:good.test:444", "https://evil.test:444/index.html")
      #expect(other.status == 35, "\(other)")
      #expect(try stand.denied(1) == ["sni evil.test:444"])
    }
  }

  /// The hello is split over records and pieces, and still read before any of it goes on.
  @Test(.ends(within: 1)) func aNameInPiecesIsReadAsAWhole() throws {
    try EgressStand.with("good.test:7000") { stand in
      let socket = try stand.connection()
      socket.say("CONNECT good.test:7000 HTTP/1.1\r\n\r\n")
      #expect(try socket.hear { $0.hasSuffix("\r\n\r\n") }.hasPrefix("HTTP/1.1 200"))
      for byte in Hello("evil.test").records(of: 9) { socket.say([byte]) }
      // The alert, and nothing of the counter's.
      #expect(try Array(socket.hear().utf8).count < 12)
      #expect(try stand.denied(1) == ["sni evil.test:7000"])
    }
  }

  @Test(.ends(within: 1)) func aNameThatLeadsHomeIsRefused() throws {
    try EgressStand.with("rebind.test,private.test,localhost:8080,0.0.0.0/0") { stand in
      #expect(try stand.curl("http://localhost:8080/").text == "own")
      for host in ["rebind.test", "private.test"] {
        for scheme in ["http", "socks5h"] {
          let outcome = try stand.curl("http://\(host):8080/", proxy: scheme)
          #expect(outcome.text != "own" && outcome.text != "private", "\(outcome)")
        }
      }
      for address in ["127.0.0.1", "10.9.9.9", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]"] {
        #expect(try stand.curl("-i", "http://\(address):8080/").out.contains("403 Forbidden"), "\(address)")
      }
      // Spellings that resolvers take for addresses are no names.
      for name in ["2130706433", "0x7f000001", "127.1"] {
        let socket = try stand.connection()
        socket.say([5, 1, 0, 5, 1, 0, 3, UInt8(name.utf8.count)] + Array(name.utf8) + [0x1f, 0x90])
        #expect(try Array(socket.hear().utf8).prefix(4) == [5, 0, 5, 8], "\(name)")
      }
      let told = try stand.denied(5)
      #expect(told.prefix(2) == ["resolve rebind.test:8080", "resolve private.test:8080"], "\(told)")
      #expect(told.count == 5, "\(told)")
    }
    try EgressStand.with("private.test,10.9.9.9:8080,127.0.0.0/8:8080") { (stand) throws -> Void in
      #expect(try stand.curl("http://private.test:8080/").text == "private")
      #expect(try stand.curl("http://127.0.0.1:8080/").text == "own")
    }
  }

  /// What listens on all addresses of the proxy's machine is reached by none of them.
  @Test(.ends(within: 1)) func aNameThatLeadsToThisMachinesOwnAddressIsRefused() throws {
    let own = ["203.0.113.1", "[2001:db8::1]", "[64:ff9b::203.0.113.1]", "[2002:cb00:7101::]"]
    try EgressStand.with("own.test,203.0.113.0/24,2001:db8::/32,64:ff9b::/96,2002::/16") { stand in
      for scheme in ["http", "socks5h"] {
        for host in ["own.test"] + own {
          let outcome = try stand.curl("http://\(host):8080/", proxy: scheme)
          #expect(outcome.text != "own", "\(host) by \(scheme): \(outcome)")
        }
      }
      let told = try stand.denied(5)
      #expect(
        told == ["resolve own.test:8080"] + own.map { "connect \(EgressTarget(authority: "\($0):8080")!)" }, "\(told)")
      #expect(
        try stand.denied().allSatisfy { $0.rule.contains("an address of this machine's own, which no address in") })
    }
    try EgressStand.with("own.test,203.0.113.1:8080") { (stand) throws -> Void in
      #expect(try stand.curl("http://own.test:8080/").text == "own")
      #expect(try stand.curl("http://203.0.113.1:8080/").text == "own")
      #expect(try stand.curl("-i", "http://[2001:db8::1]:8080/").out.contains("403 Forbidden"))
    }
  }

  @Test(.ends(within: 1)) func whatCannotBeReachedIsSaid() throws {
    try EgressStand.with("good.test,nowhere.test") { stand in
      let closed = try stand.curl("-i", "http://good.test:9/")
      #expect(closed.out.contains("502 Bad Gateway") && closed.out.contains("ECONNREFUSED"), "\(closed)")
      let unknown = try stand.curl("-i", "http://nowhere.test/")
      #expect(
        unknown.out.contains("502 Bad Gateway") && unknown.out.contains("cannot resolve nowhere.test"), "\(unknown)")
      #expect(try stand.curl("https://good.test:9/", proxy: "socks5h").status == 97)
      #expect(try stand.denied(0) == [])
    }
  }

  @Test(.ends(within: 1)) func theEndOfOneDirectionIsPassedOn() throws {
    try EgressStand.with("good.test") { stand in
      let socket = try stand.connection()
      socket.say("CONNECT good.test:7000 HTTP/1.1\r\nHost: good.test:7000\r\n\r\n")
      #expect(try socket.hear { $0.hasSuffix("\r\n\r\n") }.hasPrefix("HTTP/1.1 200"))
      let piece = [UInt8](repeating: 65, count: 100_000)
      for _ in 0..<50 { socket.say(piece) }
      shutdown(socket.raw, CInt(SHUT_WR))
      #expect(try socket.hear() == "5000000 bytes")
      #expect(eventually { stand.workers == 0 })
    }
  }

  /// A second request on the connection of a first one would go to a server that was asked for another.
  @Test(.ends(within: 1)) func aConnectionCarriesOneRequest() throws {
    try EgressStand.with("good.test") { stand in
      let socket = try stand.connection()
      let second = "GET http://good.test:7000/second HTTP/1.1\r\nHost: good.test:7000\r\n\r\n"
      socket.say("GET http://good.test:7000/ HTTP/1.1\r\nHost: good.test:7000\r\n\r\n" + second)
      let head = "GET / HTTP/1.1\r\nHost: good.test:7000\r\nConnection: close\r\n\r\n"
      #expect(try socket.hear() == "\(head.utf8.count) bytes")
    }
  }

  @Test(.ends(within: 1)) func hostileRequestsAreRefused() throws {
    try EgressStand.with("good.test") { stand in
      for (text, answer) in [
        ("GET / HTTP/1.1\r\nHost: good.test\r\n\r\n", "HTTP/1.1 400"),
        ("GET http://good.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n", "HTTP/1.1 400"),
        ("CONNECT evil\u{1b}[2J.test:443 HTTP/1.1\r\n\r\n", "HTTP/1.1 400"),
        ("\u{4}\u{1}\u{0}P", "HTTP/1.1 400"), (String(repeating: "x", count: 20000), "HTTP/1.1 400"),
      ] {
        let socket = try stand.connection()
        socket.say(text)
        shutdown(socket.raw, CInt(SHUT_WR))
        let heard = try socket.hear()
        #expect(heard.isEmpty || heard.hasPrefix(answer), "\(text.prefix(40)): \(heard)")
      }
      #expect(try stand.curl("http://good.test/").text == "good")
    }
  }

  /// Connections that say nothing or little stall nobody; there are as many as there may be, and they go with the proxy.
  @Test(.ends(within: 2)) func slowOnesStallNobody() throws {
    try EgressStand.with("good.test") { stand in
      var slow: [Int32] = []
      defer { for one in slow { close(one) } }
      func add(_ count: Int) throws {
        for index in 0..<count {
          let socket = try stand.connection()
          if index % 2 == 0 { socket.say(index % 4 == 0 ? "CONN" : "\u{5}") }
          slow.append(socket.take())
        }
      }
      try add(40)
      #expect(try stand.curl("http://good.test/").text == "good")
      try add(EgressServer.Limit.connections - 40 + 10)
      #expect(eventually { stand.workers == EgressServer.Limit.connections }, "\(stand.workers)")
      for _ in 0..<20 { close(slow.removeFirst()) }
      #expect(eventually { stand.workers < EgressServer.Limit.connections }, "\(stand.workers)")
      #expect(try stand.curl("http://good.test/").text == "good")
      try stand.endProxy()
      #expect(try stand.curl("http://good.test/").status != 0)
    }
  }

  /// Where the zone's network is root's own and no user namespace's below it.
  @Test func aNetworkOfRootsOwnIsListenedInToo() throws {
    let zone = try NetZone()
    try Loopback.up(netns: zone.namespace)
    let listener = try UserSpace.socket(in: zone.namespace, AF_INET, SocketType.stream)
    var place = SocketAddress.ipv4(IPv4Address("127.0.0.1")!, 3128)
    #expect(SocketAddress.bind(listener.raw, &place) == 0 && listen(listener.raw, 8) == 0)
    nonisolated(unsafe) var inside = false, outside = true
    NetThread.run {
      outside = (try? NetTCP.connect("127.0.0.1", 3128)) ?? nil != nil
      inside = (try? zone.inside { try NetTCP.connect("127.0.0.1", 3128) }) ?? nil != nil
    }
    #expect(inside && !outside)
  }

  /// A process of a connection has the connection and the way to tell, and no more.
  @Test(.ends(within: 1)) func aConnectionsProcessHoldsNothingElse() throws {
    try EgressStand.with("good.test") { stand in
      let socket = try stand.connection()
      socket.say("C")
      #expect(eventually { stand.workers == 1 })
      let pid = (contents("/proc/\(stand.proxy)/task/\(stand.proxy)/children") ?? "").trimmingCharacters(
        in: .whitespaces)
      let numbers = try eventually(value: { () throws -> [String]? in
        let names = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").sorted()
        return names.count == 5 ? names : nil
      })
      #expect(numbers == ["0", "1", "2", "3", "4"])
      let status = contents("/proc/\(pid)/status") ?? ""
      #expect(status.contains("CapEff:\t0000000000000000") && status.contains("NoNewPrivs:\t1"), "\(status)")
    }
  }
}

/// What takes its time.
@Suite(.serialized, .machine, .needs(.root, .ordinaryUser, .program("busybox"), .program("openssl"), .program("perl")))
struct LongEgressTests {
  @Test(.ends(within: 2)) func whoDoesNotAskInTimeIsSentAway() throws {
    try EgressStand.with("good.test") { stand in
      let silent = try stand.connection()
      let slow = try stand.connection()
      slow.say("CONNECT good.test:80 HTTP/1.1\r\nX: ")
      let hello = try stand.connection()
      hello.say("CONNECT good.test:7000 HTTP/1.1\r\n\r\n")
      _ = try hello.hear { $0.hasSuffix("\r\n\r\n") }
      hello.say([22, 3])
      let idle = try stand.connection()
      idle.say("CONNECT good.test:7000 HTTP/1.1\r\n\r\n")
      _ = try idle.hear { $0.hasSuffix("\r\n\r\n") }
      #expect(try slow.hear(seconds: 40).hasPrefix("HTTP/1.1 408"))
      #expect(try silent.hear(seconds: 10).isEmpty)
      #expect(try hello.hear(seconds: 10).utf8.count < 12)
      #expect(try stand.denied(1) == ["sni good.test:7000"])
      // One that stands has no such time.
      idle.say("abc")
      shutdown(idle.raw, CInt(SHUT_WR))
      #expect(try idle.hear() == "3 bytes")
    }
  }
}
