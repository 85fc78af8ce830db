import CLinuxNS
import Glibc
import LinuxNS
import Testing

@testable import VirtualNet

@Suite(
  "published ports in the kernel", .serialized,
  .enabled(if: geteuid() == 0, "needs root: network namespaces, links, nftables"))
struct NetPublishTests {
  private static let port = PublishedPort(hostPort: 8080, zonePort: 80)

  @Test(
    "a published port is reached from outside, from the host's addresses, from loopback and from its own network",
    arguments: [true, false])
  func reached(bridgedFiltering: Bool) {
    NetHost.run(bridgedFiltering: bridgedFiltering) { host in
      let outside = try NetOutside(host)
      let networks = try host.networks()
      let web = try NetZone()
      let other = try NetZone()
      _ = try networks.attach(AttachRequest(zone: "web", ports: [Self.port]), netns: web.namespace)
      _ = try networks.attach(AttachRequest(zone: "other"), netns: other.namespace)
      let listener = try web.inside { try NetTCP.listen("0.0.0.0", 80) }
      func reaches(_ what: String, _ connect: () throws -> OwnedFD?) throws {
        guard let client = try connect(), let server = try NetTCP.accept(listener) else {
          return host.checks.fail("not reached \(what)")
        }
        host.checks.expect(
          try NetTCP.carries(client, server) && NetTCP.carries(server, client), "nothing passes \(what)")
      }
      try reaches("from outside") { try outside.zone.inside { try NetTCP.connect("192.0.2.1", 8080) } }
      try reaches("on loopback") { try NetTCP.connect("127.0.0.1", 8080) }
      try reaches("on the host's address") { try NetTCP.connect("192.0.2.1", 8080) }
      try reaches("on the gateway's address") { try NetTCP.connect("10.88.0.1", 8080) }
      try reaches("from a neighbour by the host's address") {
        try other.inside { try NetTCP.connect("192.0.2.1", 8080) }
      }
      try reaches("from itself by the host's address") { try web.inside { try NetTCP.connect("192.0.2.1", 8080) } }
      let unpublished = try outside.zone.inside { try NetTCP.connect("192.0.2.1", 80, milliseconds: 300) } == nil
      host.checks.expect(unpublished, "an unpublished port was reached")
    }
  }

  @Test("a port of one address is reached there alone")
  func address() {
    NetHost.run { host in
      let outside = try NetOutside(host)
      let networks = try host.networks()
      let web = try NetZone()
      let port = PublishedPort(hostAddress: "127.0.0.1", hostPort: 8080, zonePort: 80)
      _ = try networks.attach(AttachRequest(zone: "web", ports: [port]), netns: web.namespace)
      let listener = try web.inside { try NetTCP.listen("0.0.0.0", 80) }
      guard let client = try NetTCP.connect("127.0.0.1", 8080), let server = try NetTCP.accept(listener) else {
        return host.checks.fail("not reached on its address")
      }
      host.checks.expect(try NetTCP.carries(client, server), "nothing passes")
      let elsewhere = try outside.zone.inside { try NetTCP.connect("192.0.2.1", 8080, milliseconds: 300) } == nil
      host.checks.expect(elsewhere, "reached on another address")
      try networks.republish(zone: "web", network: "default", ports: [])
      host.checks.expect(
        try !NetTCP.carries(client, server, milliseconds: 400), "a revoked port's flow lives (to the zone)")
      host.checks.expect(
        try !NetTCP.carries(server, client, milliseconds: 400), "a revoked port's flow lives (from the zone)")
    }
  }

  @Test("taking a port back cuts its flows in both directions, and only its own", arguments: [true, false])
  func revoke(bridgedFiltering: Bool) {
    NetHost.run(bridgedFiltering: bridgedFiltering) { host in
      let outside = try NetOutside(host)
      let networks = try host.networks()
      let web = try NetZone()
      let second = PublishedPort(hostPort: 8081, zonePort: 80)
      _ = try networks.attach(AttachRequest(zone: "web", ports: [Self.port, second]), netns: web.namespace)
      let listener = try web.inside { try NetTCP.listen("0.0.0.0", 80) }
      func pair(_ port: UInt16, local: Bool) throws -> Pair {
        let client =
          local
          ? try NetTCP.connect("127.0.0.1", port) : try outside.zone.inside { try NetTCP.connect("192.0.2.1", port) }
        guard let client, let server = try NetTCP.accept(listener) else { throw NetFailure("not reached") }
        return Pair(client: client, server: server)
      }
      let flows = [try pair(8080, local: false), try pair(8080, local: true)]
      let kept = try pair(8081, local: false)
      for flow in flows { host.checks.expect(try NetTCP.carries(flow.client, flow.server), "nothing passes") }
      try networks.republish(zone: "web", network: "default", ports: [second])
      for (index, flow) in flows.enumerated() {
        host.checks.expect(
          try !NetTCP.carries(flow.client, flow.server, milliseconds: 400), "flow \(index) lives to the zone")
        host.checks.expect(
          try !NetTCP.carries(flow.server, flow.client, milliseconds: 400), "flow \(index) lives from the zone")
      }
      host.checks.expect(try NetTCP.carries(kept.client, kept.server), "a port that stayed was cut")
      try networks.republish(zone: "web", network: "default", ports: [Self.port, second])
      _ = try pair(8080, local: false)
    }
  }
  final class Pair {
    let client: OwnedFD, server: OwnedFD
    init(client: consuming OwnedFD, server: consuming OwnedFD) {
      self.client = client
      self.server = server
    }
  }

  @Test("a UDP flow follows its port to the zone that has it next", arguments: [true, false])
  func datagrams(bridgedFiltering: Bool) {
    NetHost.run(bridgedFiltering: bridgedFiltering) { host in
      let outside = try NetOutside(host)
      let networks = try host.networks()
      let zones = [try NetZone(), try NetZone()]
      let port = PublishedPort(hostPort: 5353, zonePort: 53, transport: .udp)
      let sender = try outside.zone.inside { OwnedFD(raw: socket(AF_INET, SocketType.datagram, 0)) }
      var target = SocketAddress.ipv4(IPv4Address("192.0.2.1")!, 5353)
      host.checks.expect(SocketAddress.connect(sender.raw, &target) == 0, "cannot connect")
      for (index, zone) in zones.enumerated() {
        _ = try networks.attach(AttachRequest(zone: "z\(index)", ports: [port]), netns: zone.namespace)
        let receiver = try zone.inside { () -> OwnedFD in
          let receiver = OwnedFD(raw: socket(AF_INET, SocketType.datagram, 0))
          var any = SocketAddress.ipv4(IPv4Address(0), 53)
          _ = SocketAddress.bind(receiver.raw, &any)
          return receiver
        }
        host.checks.expect(try NetTCP.carries(sender, receiver), "zone \(index) got nothing")
        try networks.detach(zone: "z\(index)", network: "default", namespaceEnds: false)
      }
    }
  }

  @Test("a port that a zone or a socket of the host has is refused with its holder")
  func clash() {
    NetHost.run { host in
      let networks = try host.networks()
      let one = try NetZone()
      let two = try NetZone()
      _ = try networks.attach(AttachRequest(zone: "web", ports: [Self.port]), netns: one.namespace)
      func refusal(_ ports: [PublishedPort], _ networks: Networks) -> String {
        do {
          _ = try networks.attach(AttachRequest(zone: "two", network: "net2", ports: ports), netns: two.namespace)
          return "none"
        } catch { return "\(error)" }
      }
      let byZone = refusal([Self.port], networks)
      host.checks.expect(byZone.contains("8080/tcp") && byZone.contains("zone web"), byZone)
      let listener = try NetTCP.listen("0.0.0.0", 9090)
      let bySocket = refusal([PublishedPort(hostPort: 9090, zonePort: 1)], networks)
      host.checks.expect(bySocket.contains("9090/tcp") && bySocket.contains("pid \(getpid())"), bySocket)
      _ = consume listener
      let foreign = refusal([PublishedPort(hostAddress: "198.51.100.9", hostPort: 9091, zonePort: 1)], networks)
      host.checks.expect(foreign.contains("no such address"), foreign)
      let byOther = refusal([Self.port], try host.networks(tag: "abcd"))
      host.checks.expect(byOther.contains("another --root"), byOther)
      host.checks.expect(try networks.list().map(\.name) == ["default"], "a refused network stands")
      host.checks.expect(try !host.output("ip", "-o", "link").contains("net2"), "a refused network's bridge stands")
      host.checks.expect(try networks.addresses(zone: "two").isEmpty, "a refused zone's lease stands")
    }
  }
}
