/// The two tables of an instance. Their size does not depend on the number of zones: networks and zones are elements.
///
/// `inet` walls off and translates what is routed, `bridge` drops what a zone sends under another's name. Each rule's
/// comment is its nft(8) line. What is not written here is dropped: a frame of a port without an element, an unknown
/// EtherType, IPv6, a packet between networks, a packet to the host.
struct Ruleset: Sendable {
  /// Raised when the rules change: tables of another number are replaced, in one transaction.
  static let version = 2

  let tableName: String
  /// What the names of the zones' ports on the host's side begin with; a port without elements fails closed by it.
  let portPrefix: String

  var tables: [NftTable] { [inet, bridge] }

  // MARK: pieces of rules

  private static let ipv4: [NftExpression] = [.meta(.family, 1), .compare(1, equal: true, [2])]
  private static let fromNetworks: [NftExpression] = [.meta(.nameIn, 1), .lookup("nets", 1)]
  private static let notFromNetworks: [NftExpression] = [.meta(.nameIn, 1), .lookup("nets", 1, inverted: true)]
  private static let toNetworks: [NftExpression] = [.meta(.nameOut, 1), .lookup("nets", 1)]
  private static let notToNetworks: [NftExpression] = [.meta(.nameOut, 1), .lookup("nets", 1, inverted: true)]

  private static func transport(_ number: UInt8) -> [NftExpression] {
    [.meta(.transport, 1), .compare(1, equal: true, [number])]
  }
  private static func state(_ bits: UInt32, any: Bool) -> [NftExpression] {
    [.conntrack(.state, original: false, 1)] + bitTest(bits, any: any)
  }
  private static func bitTest(_ bits: UInt32, any: Bool) -> [NftExpression] {
    [.and(1, NftElement.bytes(host: bits)), .compare(1, equal: !any, [0, 0, 0, 0])]
  }
  private static func direction(original: Bool) -> [NftExpression] {
    [.conntrack(.direction, original: false, 1), .compare(1, equal: true, [original ? 0 : 1])]
  }
  private static let invalid: UInt32 = 1, established: UInt32 = 2, related: UInt32 = 4
  private static let destinationTranslated: UInt32 = 0x20  // IPS_DST_NAT
  private static let translated: [NftExpression] =
    [.conntrack(.status, original: false, 1)] + bitTest(destinationTranslated, any: true)
  /// `ip saddr & 255.255.255.0 @prefixes`: an address of ours, by the prefix. Every network's has 24 bits.
  private static func ours(addressAt offset: UInt32) -> [NftExpression] {
    ipv4 + [.payload(.network, offset: offset, length: 4, 1), .and(1, [255, 255, 255, 0]), .lookup("prefixes", 1)]
  }
  private static let accept: [NftExpression] = [.verdict(.accept)]
  private static let drop: [NftExpression] = [.verdict(.drop)]

  /// `ct original proto-dst . ip daddr . tcp dport @tcp4 accept`, for both transports, both directions, and ports of
  /// every address or of one. A flow lives while its port is published: taking the element away cuts both ways.
  private static var published: [[NftExpression]] {
    var rules: [[NftExpression]] = []
    for (number, name) in [(UInt8(6), "tcp"), (17, "udp")] {
      for original in [true, false] {
        for address in [false, true] {
          let slots: [UInt32] = address ? [9, 10, 11] : [9, 10]
          let key: [NftExpression] =
            address
            ? [
              .conntrack(.addressDestination, original: true, 1),
              .conntrack(.portDestination, original: true, slots[0]),
            ]
            : [.conntrack(.portDestination, original: true, 1)]
          rules.append(
            ipv4 + transport(number) + direction(original: original) + key + [
              .payload(.network, offset: original ? 16 : 12, length: 4, slots[slots.count - 2]),
              .payload(.transport, offset: original ? 2 : 0, length: 2, slots[slots.count - 1]),
              .lookup(address ? "\(name)4a" : "\(name)4", 1),
            ] + accept)
        }
      }
    }
    // `meta l4proto icmp ct state related accept`: path MTU for those flows
    rules.append(ipv4 + transport(1) + state(related, any: true) + accept)
    rules.append(drop)
    return rules
  }

  // MARK: inet

  private var inet: NftTable {
    let s = Self.self
    let service: [NftType] = [.port, .ipv4, .port]
    let serviceOfAddress: [NftType] = [.ipv4, .port, .ipv4, .port]
    let publish: [NftExpression] = [.destinationKind(1), .compare(1, equal: true, NftElement.bytes(host: UInt32(2)))]
    let translate = [6, 17].map { s.transport($0) + publish + [.verdict(.jump("publish"))] }
    return NftTable(
      family: .inet, name: tableName,
      sets: [
        .init(name: "nets", key: [.interfaceName]),
        .init(name: "prefixes", key: [.ipv4]),
        .init(name: "crossings", key: [.interfaceName, .interfaceName]),
        .init(name: "services", key: [.interfaceName, .ipv4, .transport, .port]),
        .init(name: "ports4", key: [.transport, .port], value: [.ipv4, .port]),
        .init(name: "ports4a", key: [.transport, .ipv4, .port], value: [.ipv4, .port]),
        .init(name: "tcp4", key: service), .init(name: "udp4", key: service),
        .init(name: "tcp4a", key: serviceOfAddress), .init(name: "udp4a", key: serviceOfAddress),
      ],
      chains: [
        .init(
          "raw", .init(type: "filter", hook: .prerouting, priority: -300),
          [
            // iifname "dzv-*" drop: frames to 01:80:c2:00:00:0X are handed to the host past the bridge and its hooks; all else
            // is the bridge's by now
            [.meta(.nameIn, 1), .compare(1, equal: true, Array(portPrefix.utf8))] + s.drop,
            // iifname @nets ip daddr 127.0.0.0/8 drop: route_localnet is on for our bridges, and a zone must not use it
            s.fromNetworks + s.ipv4 + [.payload(.network, offset: 16, length: 1, 1), .compare(1, equal: true, [127])]
              + s.drop,
          ]),
        // dnat ip to meta l4proto . th dport map @ports4, and by address
        .init(
          "publish", nil,
          [
            s.ipv4 + [
              .meta(.transport, 1), .payload(.transport, offset: 2, length: 2, 9), .lookup("ports4", 1, into: 1),
              .destinationNAT(address: 1, port: 9),
            ],
            s.ipv4 + [
              .meta(.transport, 1), .payload(.network, offset: 16, length: 4, 9),
              .payload(.transport, offset: 2, length: 2, 10), .lookup("ports4a", 1, into: 1),
              .destinationNAT(address: 1, port: 9),
            ],
          ]),
        // meta l4proto tcp fib daddr type local jump publish
        .init("translate", .init(type: "nat", hook: .prerouting, priority: -100), translate),
        .init("translate-own", .init(type: "nat", hook: .output, priority: -100), translate),
        .init(
          "source", .init(type: "nat", hook: .postrouting, priority: 100),
          [
            // ip saddr & 255.255.255.0 @prefixes oifname @nets ct status dnat masquerade: a zone that uses a published
            // port (hairpin). Not by iifname, which br_netfilter leaves empty here.
            s.ours(addressAt: 12) + s.toNetworks + s.translated + [.masquerade],
            // iifname @nets oifname != @nets masquerade
            s.ipv4 + s.fromNetworks + s.notToNetworks + [.masquerade],
            // oifname @nets ip saddr 127.0.0.0/8 masquerade: the host's own 127.0.0.1:PORT
            s.toNetworks + s.ipv4 + [
              .payload(.network, offset: 12, length: 1, 1), .compare(1, equal: true, [127]), .masquerade,
            ],
          ]),
        .init(
          "forward", .init(type: "filter", hook: .forward, priority: 0),
          [
            s.fromNetworks + [.verdict(.goto("wall"))], s.toNetworks + [.verdict(.goto("wall"))],
          ]),
        .init(
          "wall", nil,
          [
            s.state(s.invalid, any: true) + s.drop,
            s.translated + [.verdict(.goto("published"))],
            s.direction(original: true) + [.verdict(.goto("begin"))],
            s.state(s.established | s.related, any: false) + s.drop,
            // oifname . iifname @crossings accept: answers, so that taking a pair away cuts both directions
            [.meta(.nameOut, 1), .meta(.nameIn, 2), .lookup("crossings", 1)] + s.accept,
            s.toNetworks + s.notFromNetworks + s.accept,
            s.drop,
          ]),
        .init(
          "begin", nil,
          [
            [.meta(.nameIn, 1), .meta(.nameOut, 2), .lookup("crossings", 1)] + s.accept,
            s.fromNetworks + s.notToNetworks + s.accept,
            s.drop,
          ]),
        .init("published", nil, s.published),
        .init(
          "input", .init(type: "filter", hook: .input, priority: 0),
          [
            s.notFromNetworks + s.accept,
            // ct status dnat goto published: answers to the host's own use of a published port
            s.translated + [.verdict(.goto("published"))],
            s.direction(original: false) + s.state(s.established | s.related, any: true) + s.accept,
            // iifname . ip daddr . meta l4proto . th dport @services accept
            s.ipv4 + [
              .meta(.nameIn, 1), .payload(.network, offset: 16, length: 4, 12), .meta(.transport, 13),
              .payload(.transport, offset: 2, length: 2, 14), .lookup("services", 1),
            ] + s.accept,
            s.drop,
          ]),
        // ct status dnat ip daddr & 255.255.255.0 @prefixes goto published: the host's own use of a port that was taken
        // back. Not by oifname: the route that translation changed is not yet to be seen in this hook.
        .init(
          "output", .init(type: "filter", hook: .output, priority: 0),
          [
            s.translated + s.ours(addressAt: 16) + [.verdict(.goto("published"))]
          ]),
      ])
  }

  // MARK: bridge

  private var bridge: NftTable {
    let s = Self.self
    func etherType(_ bytes: [UInt8]) -> [NftExpression] {
      [.payload(.link, offset: 12, length: 2, 1), .compare(1, equal: true, bytes)]
    }
    func owns(_ ether: NftExpression.Base, _ etherOffset: UInt32, addressOffset: UInt32) -> [NftExpression] {
      [
        .meta(.interfaceIn, 1), .payload(ether, offset: etherOffset, length: 6, 9),
        .payload(.network, offset: addressOffset, length: 4, 11), .lookup("own4", 1),
      ]
    }
    return NftTable(
      family: .bridge, name: tableName,
      sets: [.init(name: "own4", key: [.interfaceIndex, .ethernet, .ipv4])],
      chains: [
        .init(
          "ports", .init(type: "filter", hook: .prerouting, priority: -300),
          [
            // ether type ip iif . ether saddr . ip saddr @own4 accept: first, since it is nearly every frame
            etherType([0x08, 0x00]) + owns(.link, 6, addressOffset: 12) + s.accept,
            // iifname != "dzv-*" accept
            [.meta(.nameIn, 1), .compare(1, equal: false, Array(portPrefix.utf8))] + s.accept,
            etherType([0x08, 0x06]) + [.verdict(.goto("arp"))],
            s.drop,
          ]),
        .init(
          "arp", nil,
          [
            // arp htype 1 arp ptype ip arp hlen 6 arp plen 4, or drop
            [.payload(.network, offset: 0, length: 4, 1), .compare(1, equal: false, [0, 1, 8, 0])] + s.drop,
            [.payload(.network, offset: 4, length: 2, 1), .compare(1, equal: false, [6, 4])] + s.drop,
            // iif . arp saddr ether . arp saddr ip @own4 iif . ether saddr . arp saddr ip @own4 accept
            owns(.network, 8, addressOffset: 14) + owns(.link, 6, addressOffset: 14) + s.accept,
            // the same with the target's address, for a probe from 0.0.0.0 (RFC 5227)
            [.payload(.network, offset: 14, length: 4, 1), .compare(1, equal: true, [0, 0, 0, 0])]
              + owns(.network, 8, addressOffset: 24) + owns(.link, 6, addressOffset: 24) + s.accept,
            s.drop,
          ]),
      ])
  }
}
