import CLinuxNS
import Glibc
import LinuxNS
import Testing

@testable import VirtualNet

@Suite(
  "the network's walls, attacked", .serialized,
  .enabled(if: geteuid() == 0, "needs root: network namespaces, links, nftables"))
struct NetWallTests {
  /// What an attacker with CAP_NET_RAW in a zone sends: any frame.
  private static func send(_ frame: [UInt8], from zone: NetZone) throws {
    try zone.inside {
      let socket = OwnedFD(raw: Glibc.socket(17 /* AF_PACKET */, SocketType.raw, CInt(UInt16(3).bigEndian)))
      let index = if_nametoindex("eth0")
      guard socket.raw >= 0, index > 0 else { throw NetFailure("cannot open a packet socket") }
      var address = [UInt8](repeating: 0, count: 20)  // struct sockaddr_ll
      withUnsafeBytes(of: UInt16(17)) { address.replaceSubrange(0..<2, with: $0) }
      withUnsafeBytes(of: CInt(index)) { address.replaceSubrange(4..<8, with: $0) }
      address[11] = 6
      let sent = address.withUnsafeBytes { raw in
        sendto(socket.raw, frame, frame.count, 0, raw.baseAddress!.assumingMemoryBound(to: sockaddr.self), 20)
      }
      guard sent == frame.count else { throw NetFailure("cannot send: errno \(errno)") }
    }
  }

  /// Whether a frame with this EtherType and marker bytes arrives at the zone's link.
  private static func arrives(_ marker: [UInt8], at zone: NetZone, milliseconds: Int = 300, sending: () throws -> Void)
    throws -> Bool
  {
    let socket = try zone.inside { OwnedFD(raw: Glibc.socket(17, SocketType.raw, CInt(UInt16(3).bigEndian))) }
    try sending()
    let end = Clock.monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000
    var room = [UInt8](repeating: 0, count: 2048)
    while Clock.monotonicNanoseconds() < end {
      guard try Poll.wait(socket.raw, for: Int16(POLLIN), timeout: 50) else { continue }
      let got = recv(socket.raw, &room, room.count, 0)
      if got >= marker.count,
        (0...(got - marker.count)).contains(where: { room[$0..<$0 + marker.count].elementsEqual(marker) })
      {
        return true
      }
    }
    return false
  }

  private static func udp(from source: String, mac: MACAddress, to: String, toMAC: MACAddress, payload: [UInt8])
    -> [UInt8]
  {
    var ip: [UInt8] = [0x45, 0, 0, UInt8(28 + payload.count), 0, 1, 0, 0, 64, 17, 0, 0]
    ip += IPv4Address(source)!.bytes + IPv4Address(to)!.bytes
    var sum: UInt32 = 0
    for at in stride(from: 0, to: 20, by: 2) { sum += UInt32(ip[at]) << 8 | UInt32(ip[at + 1]) }
    while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
    ip[10] = UInt8(~sum >> 8 & 0xff)
    ip[11] = UInt8(~sum & 0xff)
    return toMAC.bytes + mac.bytes + [8, 0] + ip + [0x10, 0, 0x10, 1, 0, UInt8(8 + payload.count), 0, 0] + payload
  }

  /// ICMPv6 with its checksum (RFC 4443, 2.3).
  private static func checked(_ message: [UInt8], behind header: [UInt8]) -> [UInt8] {
    let all = Array(header[8..<40]) + [0, 0, 0, UInt8(message.count), 0, 0, 0, 58] + message
    var sum: UInt32 = 0
    for at in stride(from: 0, to: all.count, by: 2) { sum += UInt32(all[at]) << 8 | UInt32(all[at + 1]) }
    while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
    var message = message
    message[2] = UInt8(~sum >> 8 & 0xff)
    message[3] = UInt8(~sum & 0xff)
    return message
  }

  private static func arp(
    sender: MACAddress, frameMAC: MACAddress, address: String, to: MACAddress, target: String, operation: UInt8
  ) -> [UInt8] {
    to.bytes + frameMAC.bytes + [8, 6, 0, 1, 8, 0, 6, 4, 0, operation] + sender.bytes + IPv4Address(address)!.bytes
      + to.bytes + IPv4Address(target)!.bytes + Array("ARPMARK".utf8)
  }

  @Test("spoofed addresses, ARP, IPv6, VLAN tags and unknown frames are dropped at the port", arguments: [true, false])
  func spoofing(bridgedFiltering: Bool) {
    NetHost.run(bridgedFiltering: bridgedFiltering) { host in
      let networks = try host.networks()
      let bad = try NetZone()
      let good = try NetZone()
      let one = try networks.attach(AttachRequest(zone: "bad"), netns: bad.namespace)
      let two = try networks.attach(AttachRequest(zone: "good"), netns: good.namespace)
      let marker = Array("MARKER-1234".utf8)
      let foreign = MACAddress("02:de:ad:be:ef:01")!
      let everyone = MACAddress("ff:ff:ff:ff:ff:ff")!
      func honest() -> [UInt8] {
        Self.udp(from: "\(one.address)", mac: one.mac, to: "\(two.address)", toMAC: two.mac, payload: marker)
      }
      host.checks.expect(
        try Self.arrives(marker, at: good) { try Self.send(honest(), from: bad) },
        "an honest frame was lost: the test tells nothing")
      let tagged = Array(honest()[0..<12]) + [0x81, 0, 0, 5] + Array(honest()[12...])
      let attacks: [(String, [UInt8])] = [
        (
          "IPv4 source",
          Self.udp(from: "10.88.0.77", mac: one.mac, to: "\(two.address)", toMAC: two.mac, payload: marker)
        ),
        (
          "the neighbour's IPv4 source",
          Self.udp(from: "\(two.address)", mac: one.mac, to: "\(two.address)", toMAC: two.mac, payload: marker)
        ),
        (
          "the gateway's IPv4 source",
          Self.udp(from: "\(one.gateway)", mac: one.mac, to: "\(two.address)", toMAC: two.mac, payload: marker)
        ),
        (
          "MAC source",
          Self.udp(from: "\(one.address)", mac: foreign, to: "\(two.address)", toMAC: two.mac, payload: marker)
        ),
        (
          "the neighbour's MAC source",
          Self.udp(from: "\(one.address)", mac: two.mac, to: "\(two.address)", toMAC: two.mac, payload: marker)
        ),
        (
          "broadcast from a foreign source",
          Self.udp(from: "10.88.0.77", mac: one.mac, to: "10.88.0.255", toMAC: everyone, payload: marker)
        ),
        ("VLAN tag", tagged),
        ("two VLAN tags", Array(tagged[0..<12]) + [0x88, 0xa8, 0, 6] + Array(tagged[12...])),
        (
          "IPv6",
          two.mac.bytes + one.mac.bytes + [0x86, 0xdd, 0x60, 0, 0, 0, 0, 11, 59, 64]
            + [UInt8](repeating: 0xfe, count: 32) + marker
        ),
        ("unknown EtherType", two.mac.bytes + one.mac.bytes + [0x88, 0xb5] + marker),
        (
          "ARP that claims the gateway",
          Self.arp(
            sender: one.mac, frameMAC: one.mac, address: "\(one.gateway)", to: two.mac, target: "\(two.address)",
            operation: 2) + marker
        ),
        (
          "ARP with a foreign hardware address",
          Self.arp(
            sender: foreign, frameMAC: one.mac, address: "\(one.address)", to: two.mac, target: "\(two.address)",
            operation: 2) + marker
        ),
        (
          "ARP in a foreign frame",
          Self.arp(
            sender: one.mac, frameMAC: foreign, address: "\(one.address)", to: two.mac, target: "\(two.address)",
            operation: 1) + marker
        ),
        (
          "ARP probe for another's address",
          Self.arp(
            sender: one.mac, frameMAC: one.mac, address: "0.0.0.0", to: everyone, target: "\(two.address)", operation: 1
          ) + marker
        ),
      ]
      for (name, frame) in attacks {
        host.checks.expect(try !Self.arrives(marker, at: good) { try Self.send(frame, from: bad) }, "passed: \(name)")
      }
      // No frame above may have turned the bridge's forwarding table: the neighbour is still reached.
      host.checks.expect(
        try Self.arrives(marker, at: good) { try Self.send(honest(), from: bad) }, "the forwarding table was poisoned")
    }
  }

  /// Frames to such addresses are the host's own (IEEE 802.1D), and no rule of the bridge's ever sees them.
  @Test("what is sent to a link's own addresses does not reach the host", arguments: [true, false])
  func linkLocal(bridgedFiltering: Bool) {
    NetHost.run(bridgedFiltering: bridgedFiltering) { host in
      let bad = try NetZone()
      let one = try host.networks().attach(AttachRequest(zone: "bad"), netns: bad.namespace)
      // As kernels have it that nobody has told otherwise.
      for link in ["all", "default", one.hostInterface] { try Sysctls.write("net/ipv4/conf/\(link)/rp_filter", "0") }
      let service = OwnedFD(raw: socket(AF_INET, SocketType.datagram, 0))
      var anywhere = SocketAddress.ipv4(IPv4Address(0), 0x1001)
      host.checks.expect(SocketAddress.bind(service.raw, &anywhere) == 0, "no service to be reached")
      for last in [UInt8(0), 2, 3, 0x0d, 0x0e, 0x0f] {
        let group = MACAddress("01:80:c2:00:00:0\(String(last, radix: 16))")!
        let packet = Self.udp(
          from: "\(one.address)", mac: one.mac, to: "\(one.gateway)", toMAC: group, payload: Array("MARKER-1234".utf8))
        try Self.send(packet, from: bad)
        host.checks.expect(
          try !Poll.wait(service.raw, for: Int16(POLLIN), timeout: 100), "a frame to \(group) reached the host")
      }
      // A router's word, for addresses and a way out (RFC 4861).
      let index = try host.output("cat", "/proc/net/dev_snmp6/\(one.hostInterface)")
      let advertisement: [UInt8] =
        [0x60, 0, 0, 0, 0, 48, 58, 255, 0xfe, 0x80] + [UInt8](repeating: 0, count: 13) + [9]
        + [0xff, 2] + [UInt8](repeating: 0, count: 13) + [1]
      let options: [UInt8] =
        [134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 3, 4, 64, 0xc0, 0, 0, 14, 16, 0, 0, 14, 16, 0, 0, 0, 0]
        + [0x20, 1, 0x0d, 0xb8] + [UInt8](repeating: 0, count: 12)
      let frame = MACAddress("01:80:c2:00:00:0e")!.bytes + one.mac.bytes + [0x86, 0xdd]
      try Self.send(frame + advertisement + Self.checked(options, behind: advertisement), from: bad)
      _ = try Poll.wait(service.raw, for: Int16(POLLIN), timeout: 200)
      let received = { (text: String) in
        text.split(separator: "\n").first { $0.hasPrefix("Icmp6InRouterAdvertisements") }
      }
      let after = try host.output("cat", "/proc/net/dev_snmp6/\(one.hostInterface)")
      host.checks.expect(received(index) == received(after), "the host has heard a router: \(after)")
    }
  }

  @Test("networks do not reach each other, nor the host's services, nor its loopback", arguments: [true, false])
  func isolation(bridgedFiltering: Bool) {
    NetHost.run(bridgedFiltering: bridgedFiltering) { host in
      let outside = try NetOutside(host)
      let networks = try host.networks()
      let one = try NetZone()
      let two = try NetZone()
      let red = try networks.attach(AttachRequest(zone: "one", network: "red"), netns: one.namespace)
      let blue = try networks.attach(AttachRequest(zone: "two", network: "blue"), netns: two.namespace)
      host.checks.expect(red.gateway != blue.gateway, "both networks have one prefix")
      let listener = try two.inside { try NetTCP.listen("0.0.0.0", 80) }
      let across = try one.inside { try NetTCP.connect("\(blue.address)", 80, milliseconds: 400) } == nil
      host.checks.expect(across, "crossed networks")
      let service = try NetTCP.listen("0.0.0.0", 2222)
      for address in ["\(red.gateway)", "\(blue.gateway)", "192.0.2.1", "127.0.0.1"] {
        let reached = try one.inside { try NetTCP.connect(address, 2222, milliseconds: 300) } != nil
        host.checks.expect(!reached, "the host's service was reached on \(address)")
      }
      // A frame to the host's loopback by its MAC, which route_localnet would let in.
      let loopback = Self.udp(
        from: "\(red.address)", mac: red.mac, to: "127.0.0.1", toMAC: try Self.gatewayMAC(red),
        payload: Array("LOOP".utf8))
      let receiver = OwnedFD(raw: socket(AF_INET, SocketType.datagram, 0))
      var any = SocketAddress.ipv4(IPv4Address(0), 0x1001)
      host.checks.expect(SocketAddress.bind(receiver.raw, &any) == 0, "cannot bind")
      try Self.send(loopback, from: one)
      host.checks.expect(
        try !Poll.wait(receiver.raw, for: Int16(POLLIN), timeout: 300), "a zone's frame reached the host's loopback")
      _ = consume receiver
      // A port published on the host's loopback only, asked by a frame to that address: translation would let it cross.
      let loopbackOnly = PublishedPort(hostAddress: "127.0.0.1", hostPort: 0x1001, zonePort: 0x1001, transport: .udp)
      try networks.republish(zone: "two", network: "blue", ports: [loopbackOnly])
      let crossing = try two.inside { OwnedFD(raw: socket(AF_INET, SocketType.datagram, 0)) }
      host.checks.expect(SocketAddress.bind(crossing.raw, &any) == 0, "cannot bind")
      func arrived() throws -> Bool { try Poll.wait(crossing.raw, for: Int16(POLLIN), timeout: 300) }
      try Self.send(loopback, from: one)
      host.checks.expect(try !arrived(), "a zone used a port of the host's loopback")
      // One datagram across, which needs no answer to have done its harm.
      let across4 = Self.udp(
        from: "\(red.address)", mac: red.mac, to: "\(blue.address)", toMAC: try Self.gatewayMAC(red),
        payload: Array("LOOP".utf8))
      try Self.send(across4, from: one)
      host.checks.expect(try !arrived(), "a datagram crossed networks")
      let sender = OwnedFD(raw: socket(AF_INET, SocketType.datagram, 0))
      var published = SocketAddress.ipv4(IPv4Address("127.0.0.1")!, 0x1001)
      host.checks.expect(
        SocketAddress.connect(sender.raw, &published) == 0 && Glibc.send(sender.raw, [1], 1, 0) == 1, "cannot send")
      host.checks.expect(try arrived(), "the host itself does not reach that port: the test tells nothing")
      // From outside, a zone's address is not reached even with a route to it.
      try outside.zone.inside {
        var route = try NetlinkSocket(.route)
        let link = try Link.find("eth0", on: &route)!
        try route.perform("add a route", Route.addDefault(via: IPv4Address("192.0.2.1")!, link: link.index))
      }
      let intruder = try outside.zone.inside { try NetTCP.connect("\(blue.address)", 80, milliseconds: 400) } == nil
      host.checks.expect(intruder, "a zone was reached from outside by its own address")
      // The way out works, under the host's address.
      let server = try outside.zone.inside { try NetTCP.listen("0.0.0.0", 7000) }
      guard let client = try one.inside({ try NetTCP.connect("192.0.2.2", 7000) }),
        let accepted = try NetTCP.accept(server)
      else {
        return host.checks.fail("no way out")
      }
      host.checks.expect(try NetTCP.carries(client, accepted) && NetTCP.carries(accepted, client), "nothing passes")
      var peer = sockaddr_storage()
      var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
      withUnsafeMutablePointer(to: &peer) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getpeername(accepted.raw, $0, &length) }
      }
      host.checks.expect(SocketAddress.ipv4(of: peer)?.description == "192.0.2.1", "not masqueraded")
      // The host itself reaches a zone.
      guard try NetTCP.connect("\(blue.address)", 80) != nil else {
        return host.checks.fail("the host does not reach its zone")
      }
      _ = try NetTCP.accept(listener)
      _ = consume service
    }
  }

  private static func gatewayMAC(_ attachment: VirtualNet.Attachment) throws -> MACAddress {
    var route = try NetlinkSocket(.route)
    var message = Link.message(Link.getLink, flags: 0)
    message.attribute(Link.Attribute.name, string: attachment.bridge)
    guard let bytes = try route.get(message, "find the bridge")?.attributes(after: 16)[1],
      let mac = MACAddress(bytes: Array(bytes))
    else {
      throw NetFailure("no bridge")
    }
    return mac
  }

  @Test("a foreign FORWARD chain that drops is refused by name, and let be once its owner let us through")
  func foreignFirewall() {
    NetHost.run { host in
      let networks = try host.networks()
      let zone = try NetZone()
      func refusal() -> String {
        do {
          _ = try networks.attach(AttachRequest(zone: "web"), netns: zone.namespace)
          try networks.detach(zone: "web", network: "default", namespaceEnds: false)
          return "none"
        } catch { return "\(error)" }
      }
      func nft(_ text: String) throws { _ = try host.output("nft", text) }
      try nft("add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }")
      var said = refusal()
      host.checks.expect(
        said.contains("ip filter FORWARD (policy drop)")
          && said.contains("iptables -I FORWARD -i zbr-default -j ACCEPT"), said)
      try nft("add chain ip filter DOCKER-USER; add rule ip filter FORWARD jump DOCKER-USER")
      said = refusal()
      host.checks.expect(said.contains("iptables -I DOCKER-USER -i zbr-default"), said)
      try nft("insert rule ip filter DOCKER-USER iifname zbr-default accept")
      host.checks.expect(refusal().contains("FORWARD"), "one direction was taken for both")
      try nft("insert rule ip filter DOCKER-USER oifname \"zbr-*\" counter accept")
      said = refusal()
      host.checks.expect(said == "none", said)
      try nft("delete table ip filter")
      try nft(
        "add table inet firewalld; add chain inet firewalld filter_FORWARD { type filter hook forward priority 10; policy accept; }; add rule inet firewalld filter_FORWARD ct state established accept; add rule inet firewalld filter_FORWARD reject with icmpx admin-prohibited"
      )
      said = refusal()
      host.checks.expect(said.contains("inet firewalld filter_FORWARD (its last rule)"), said)
      try nft(
        "delete table inet firewalld; add table ip zzz; add chain ip zzz passing { type filter hook forward priority 0; policy accept; }; add rule ip zzz passing tcp dport 25 drop"
      )
      said = refusal()
      host.checks.expect(said == "none", "a chain that drops one port only: \(said)")
      host.checks.expect(try Sysctls.value(Sysctls.forwarding) == "0", "forwarding left on")
    }
  }
}
