import Foundation
import Glibc
import LinuxNS
import Testing

@testable import VirtualNet

/// Zones on networks: names, published ports, walls between networks, and what is put back.
@Suite(.serialized, .machine, .needs(.root, .program("busybox"), .program("curl")), .ends(within: 5))
struct NetworkZoneTests {
  /// A zone that answers on port 80 with its own name.
  private func serve(_ zones: Zonectl, _ name: String, _ options: [String]) throws {
    let script = "mkdir -p /srv; echo \(name) > /srv/index.html; exec busybox httpd -f -p 80 -h /srv"
    try zones.ok(["run", "-d", "--name", name] + options + ["--", "sh", "-c", script])
  }

  private func fetch(_ zones: Zonectl, from name: String, _ url: String) throws -> Outcome {
    try zones.run("exec", name, "curl", "--silent", "--max-time", "3", url)
  }

  @Test func zonesOfANetworkFindEachOtherByName() throws {
    try Zonectl.with { zones in
      try serve(zones, "web", [])
      try zones.ok("run", "-d", "--name", "client", "--", "sleep", "infinity")
      #expect(try eventually { try fetch(zones, from: "client", "http://web/").text == "web" })
      let resolved = try zones.ok("exec", "client", "getent", "hosts", "web").text
      #expect(resolved.hasPrefix(try #require(try zones.status("web")?.addresses?.first)))
      #expect(try zones.run("exec", "client", "getent", "hosts", "no-such-zone").status == 2)
      // A name that has gone is not answered any more.
      try zones.ok("delete", "--force", "--yes", "web")
      #expect(try eventually { try zones.run("exec", "client", "getent", "hosts", "web").status == 2 })
    }
  }

  @Test func aPublishedPortIsReachedFromTheHost() throws {
    try Zonectl.with { zones in
      try serve(zones, "web", ["-p", "18081:80", "-p", "127.0.0.1:18082:80"])
      let address = try Command.text("sh", "-c", "hostname -I").split(separator: " ").first.map(String.init)
      #expect(try eventually { try Command("curl", "-s", "-m", "2", "http://127.0.0.1:18081/").run().text == "web" })
      #expect(try Command("curl", "-s", "-m", "2", "http://127.0.0.1:18082/").run().text == "web")
      if let address {
        #expect(try Command("curl", "-s", "-m", "2", "http://\(address):18081/").run().text == "web")
        #expect(try Command("curl", "-s", "-m", "2", "http://\(address):18082/").run().status != 0, "bound to loopback")
      }
      // From another zone of the network by the host's port, too.
      try zones.ok("stop", "--timeout", "1", "web")
      #expect(try Command("curl", "-s", "-m", "2", "http://127.0.0.1:18081/").run().status != 0)
      try zones.ok("start", "web")
      #expect(try eventually { try Command("curl", "-s", "-m", "2", "http://127.0.0.1:18081/").run().text == "web" })
    }
  }

  @Test func anAddressIsKeptOverRestarts() throws {
    try Zonectl.with { zones in
      try zones.make("a", "running", [])
      let first = try #require(try zones.status("a")?.addresses?.first)
      try zones.make("b", "running", [])
      try zones.ok("stop", "--timeout", "1", "a")
      try zones.make("c", "running", [])
      try zones.ok("start", "a")
      #expect(try zones.status("a")?.addresses?.first == first)
      #expect(Set(try zones.list().compactMap { $0.addresses?.first }).count == 3)
    }
  }

  /// A zone that was to be removed at its end, and whose end was the machine's, could not give its address back.
  @Test func atMachineStartNobodyHoldsAnAddressThatIsGone() throws {
    try Zonectl.with { zones in
      let leases = zones.root + "/data/.shared/networks/lan"
      try zones.make("stays", "installed", ["--network", "lan"])
      try zones.ok("start", "stays")
      try zones.ok("run", "-d", "--rm", "--name", "passing", "--network", "lan", "--", "sleep", "infinity")
      let before = try #require(contents(leases))
      try zones.ok("boot", "--all")
      #expect(contents(leases) == before, "both live")
      try zones.ok("halt", "passing", "stays")
      try #require(try eventually { try zones.state("passing") == "none" })
      // As the next start of the machine finds it.
      try before.write(toFile: leases, atomically: false, encoding: .utf8)
      try zones.ok("boot", "--all")
      #expect(contents(leases)?.contains("zone passing ") == false && contents(leases)?.contains("zone stays ") == true)
    }
  }

  /// A zone's socket that has something to send, which nobody takes, keeps its namespace for minutes (tcp(7),
  /// tcp_orphan_retries); the link goes all the same.
  @Test func aSocketThatOutlivesItsZoneKeepsNoLink() throws {
    try Zonectl.with { zones in
      let links = { () throws in try Machine.snapshot().things["link"] }
      let before = try links()
      try zones.ok("run", "-d", "--name", "a", "--", "sh", "-c", "exec busybox nc -l -p 80 </dev/zero")
      let address = try #require(try zones.status("a")?.addresses?.first)
      let peer = OwnedFD(raw: socket(AF_INET, SocketType.stream | SocketType.closeOnExec, 0))
      var place = SocketAddress.ipv4(try #require(IPv4Address(address)), 80)
      try #require(eventually { SocketAddress.connect(peer.raw, &place) == 0 })
      // What comes is left lying until nothing more can.
      var waiting: CInt = 0
      try #require(eventually { ioctl(peer.raw, UInt(FIONREAD), &waiting) == 0 && waiting > 60_000 })
      try zones.ok("delete", "--force", "--yes", "a")
      #expect(try eventually { try links() == before })
    }
  }

  @Test func networksDoNotMeet() throws {
    try Zonectl.with { zones in
      try serve(zones, "web", ["--network", "first"])
      try zones.ok("run", "-d", "--name", "inside", "--network", "first", "--", "sleep", "infinity")
      try zones.ok("run", "-d", "--name", "outside", "--network", "second", "--", "sleep", "infinity")
      let address = try #require(try zones.status("web")?.addresses?.first)
      #expect(try eventually { try fetch(zones, from: "inside", "http://\(address)/").text == "web" })
      #expect(try fetch(zones, from: "outside", "http://\(address)/").status != 0)
      #expect(try zones.run("exec", "outside", "getent", "hosts", "web").status != 0)
    }
  }

  @Test func theHostsServicesAreOutOfReach() throws {
    try Zonectl.with { zones in
      let folder = zones.folder + "/www"
      mkdir(folder, 0o755)
      try "host".write(toFile: folder + "/index.html", atomically: false, encoding: .utf8)
      let server = try Command("busybox", "httpd", "-f", "-p", "18083", "-h", folder).start()
      #expect(try eventually { try Command("curl", "-s", "-m", "2", "http://127.0.0.1:18083/").run().text == "host" })
      try zones.make("a", "running", [])
      let route = try zones.ok("exec", "a", "sh", "-c", "ip route 2>/dev/null || busybox ip route").out
      let gateway = try #require(route.split(whereSeparator: \.isWhitespace).drop { $0 != "via" }.dropFirst().first)
      let hosts = try Command.text("hostname", "-I").split(separator: " ").filter { !$0.contains(":") }
      for address in [String(gateway)] + hosts.map(String.init) {
        #expect(try fetch(zones, from: "a", "http://\(address):18083/").status != 0, "the host answers at \(address)")
      }
      #expect(server.isRunning)
    }
  }

  @Test func noneHasLoopbackOnlyAndHostHasTheHosts() throws {
    try Zonectl.with { zones in
      // The kernel's own fallback tunnels (sit0, tunl0) are in every namespace; the host's links are not.
      let names = "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' | sort"
      let none = try zones.ok("run", "--rm", "--network", "none", "--", "sh", "-c", names).lines
      let mine = try Command.text("sh", "-c", names)
      #expect(none.contains("lo") && none.allSatisfy { !$0.hasPrefix("e") && !$0.hasPrefix("w") }, "\(none)")
      let host = try zones.ok("run", "--rm", "--network", "host", "--", "sh", "-c", names).text
      #expect(host == mine)
    }
  }

  @Test func theOutsideIsReachedByMasquerade() throws {
    try Zonectl.with { zones in
      // A second machine: a network namespace behind a veth, that knows the host's address only.
      try Command.text("ip", "netns", "add", "zonestest")
      defer { _ = try? Command.text("ip", "netns", "del", "zonestest") }
      try Command.text(
        "sh", "-ec",
        """
        ip link add zonestest0 type veth peer name eth0 netns zonestest
        ip addr add 198.51.100.1/24 dev zonestest0; ip link set zonestest0 up
        ip -n zonestest addr add 198.51.100.2/24 dev eth0; ip -n zonestest link set eth0 up; ip -n zonestest link set lo up
        """)
      let folder = zones.folder + "/www"
      mkdir(folder, 0o755)
      try "outside".write(toFile: folder + "/index.html", atomically: false, encoding: .utf8)
      let server = try Command(
        "ip", "netns", "exec", "zonestest", "busybox", "httpd", "-f", "-vv", "-p", "80", "-h", folder
      ).start()
      try zones.make("a", "running", [])
      #expect(try eventually { try fetch(zones, from: "a", "http://198.51.100.2/").text == "outside" })
      #expect(server.isRunning)
      // And a zone's published port is reached from there.
      try serve(zones, "web", ["-p", "18084:80"])
      let from = ["ip", "netns", "exec", "zonestest", "curl", "-s", "-m", "2", "http://198.51.100.1:18084/"]
      #expect(try eventually { try Command(from).run().text == "web" })
      // But not its unpublished ones, by a route that the other machine makes up.
      let address = try #require(try zones.status("web")?.addresses?.first)
      try Command.text("ip", "-n", "zonestest", "route", "add", "default", "via", "198.51.100.1")
      let direct = ["ip", "netns", "exec", "zonestest", "curl", "-s", "-m", "2", "http://\(address)/"]
      #expect(try Command(direct).run().status != 0)
    }
  }

  @Test func sysctlsAreAnnouncedAndPutBack() throws {
    let path = "/proc/sys/net/ipv4/ip_forward"
    let was = contents(path) ?? ""
    try "0\n".write(toFile: path, atomically: false, encoding: .utf8)
    defer { try? was.write(toFile: path, atomically: false, encoding: .utf8) }
    try Zonectl.with { zones in
      let outcome = try zones.ok("run", "-d", "--name", "a", "--", "sleep", "infinity")
      #expect(outcome.err.contains("ip_forward") || outcome.err.contains("forwarding"), "not announced: \(outcome)")
      #expect(contents(path) == "1\n")
      try zones.make("b", "running", [])
      try zones.ok("delete", "--force", "--yes", "a")
      #expect(contents(path) == "1\n", "another zone still needs it")
      try zones.ok("delete", "--force", "--yes", "b")
      #expect(contents(path) == "0\n")
    }
  }

  @Test func aForeignChainThatDropsIsNamed() throws {
    try Zonectl.with { zones in
      try Command.text(
        "nft",
        "add table ip zonestest; add chain ip zonestest FORWARD { type filter hook forward priority 0; policy drop; }")
      defer { _ = try? Command.text("nft", "delete table ip zonestest") }
      let outcome = try zones.run("run", "--rm", "--", "true")
      #expect(outcome.status == 125, "\(outcome)")
      #expect(outcome.err.contains("zonestest") && outcome.err.contains("FORWARD"), "\(outcome)")
      #expect(try zones.list().isEmpty)
    }
  }
}
