import Glibc
import LinuxNS
import Testing

@testable import VirtualNet

@Suite("netlink bytes")
struct NetMessageTests {
  /// Hexadecimal, sixteen bytes a line, as the kernel gets it on a little-endian machine.
  private func hex(_ messages: [NetlinkMessage]) throws -> String {
    var text = ""
    for (number, message) in messages.enumerated() {
      let bytes = try message.finished(sequence: UInt32(number + 1))
      for start in stride(from: 0, to: bytes.count, by: 16) {
        text +=
          bytes[start..<min(start + 16, bytes.count)].map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(
            separator: " ") + "\n"
      }
      text += "\n"
    }
    return text
  }

  private static let subnet = IPv4Subnet("10.88.0.0/24")!
  private static let mac = MACAddress("02:00:00:00:00:01")!
  private static let ruleset = Ruleset(tableName: "zones", portPrefix: "dzv-")

  static let verbs: [(name: String, messages: [NetlinkMessage])] = [
    (
      "net-link-bridge.hex",
      [Bridge.make("zbr-default", mac: mac), Bridge.mark(7, "zones network default"), Bridge.openPort(9)]
    ),
    ("net-link-veth.hex", [Veth.make("dzv-0000001", bridge: 7, peer: "eth0", mac: mac, zone: 11)]),
    ("net-link-verbs.hex", [Link.setUp(7), Link.quietIPv6(7), Link.delete(7)]),
    (
      "net-address-route.hex",
      [
        Address.add(IPv4Address("10.88.0.2")!, subnet: subnet, link: 2), Route.addDefault(via: subnet.gateway, link: 2),
      ]
    ),
    ("net-nft-tables.hex", ruleset.tables.flatMap { NftMessage.make($0, comment: Firewall.Marker(version: 1).text) }),
    (
      "net-nft-elements.hex",
      NftMessage.elements(
        .add,
        Ruleset.network(bridge: "zbr-default", subnet: subnet) + [
          Ruleset.port(index: 9, mac: mac, address: IPv4Address("10.88.0.2")!)
        ]
          + Ruleset.published(PublishedPort(hostPort: 8080, zonePort: 80), to: IPv4Address("10.88.0.2")!),
        table: "zones")
    ),
  ]

  @Test("each verb's bytes are those that were tried", arguments: verbs.map(\.name))
  func golden(_ name: String) throws {
    let found = try hex(Self.verbs.first { $0.name == name }!.messages)
    if NetGolden.records { try FileSystem.replace(NetGolden.path(name), with: Array(found.utf8), mode: 0o644) }
    #expect(try NetGolden.text(name) == found)
  }

  @Test(
    "an attribute longer than its length field is refused, not wrapped (CVE-2021-43784)",
    arguments: [65531, 65532, 65536, 70000])
  func overflow(_ length: Int) throws {
    var message = NetlinkMessage(type: 1, flags: 1)
    message.attribute(2, [UInt8](repeating: 7, count: length))
    var nested = NetlinkMessage(type: 1, flags: 1)
    nested.nested(3) { inner in
      for _ in 0..<2 { inner.attribute(2, [UInt8](repeating: 7, count: length / 2)) }
    }
    if length == 65531 {
      #expect(try message.finished(sequence: 1).count == 16 + 65536)
    } else {
      #expect(throws: NetworkError.self) { try message.finished(sequence: 1) }
    }
    #expect(throws: NetworkError.self) { try nested.finished(sequence: 1) }
  }

  @Test("what is built is read back, whatever its padding", arguments: 0...9)
  func roundTrip(_ length: Int) throws {
    var message = NetlinkMessage(type: 5, flags: 0)
    message.append(UInt32(1))
    message.nested(3) { $0.attribute(4, [UInt8](repeating: 9, count: length)) }
    message.attribute(6, big: UInt32(0x0102_0304))
    let replies = NetlinkReply.split(try message.finished(sequence: 3)[...])
    #expect(replies.count == 1 && replies[0].type == 5 && replies[0].sequence == 3)
    let attributes = replies[0].attributes(after: 4)
    #expect(attributes.nested(3)?[4].map(Array.init) == [UInt8](repeating: 9, count: length))
    #expect(attributes.big(6, as: UInt32.self) == 0x0102_0304)
  }

  @Test("broken answers end the reading and trap nothing")
  func broken() {
    var generator = NetRandom(seed: 42)
    for _ in 0..<20000 {
      let bytes = (0..<Int.random(in: 0...80, using: &generator)).map { _ in
        UInt8.random(in: 0...(Bool.random(using: &generator) ? 255 : 20), using: &generator)
      }
      for reply in NetlinkReply.split(bytes[...]) {
        _ = Link.parse(reply)
        _ = ForeignFirewall.rule(reply)
        _ = ForeignFirewall.chain(reply)
      }
      _ = NetlinkAttributes(bytes[...]).nested(1)?.string(2)
    }
  }
}

/// A generator that gives the same numbers for the same seed (splitmix64).
struct NetRandom: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }
}
