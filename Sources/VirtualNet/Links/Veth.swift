internal import Glibc
public import LinuxNS

/// The pair of links between a bridge and a zone.
enum Veth {
  private enum Option {
    static let peer: UInt16 = 1  // VETH_INFO_PEER
  }

  /// `ip link add NAME master BRIDGE type veth peer name PEER address MAC netns ZONE`
  ///
  /// The peer is born in the zone's namespace under its last name: moving it there afterwards costs 19 ms.
  static func make(_ name: String, bridge: UInt32, peer: String, mac: MACAddress, zone: CInt) -> NetlinkMessage {
    var message = Link.message(
      Link.newLink, flags: NetlinkFlag.acknowledge | NetlinkFlag.create | NetlinkFlag.exclusive)
    message.attribute(Link.Attribute.name, string: name)
    message.attribute(Link.Attribute.master, number: bridge)
    message.nested(Link.Attribute.info) {
      $0.attribute(Link.Attribute.infoKind, string: "veth")
      $0.nested(Link.Attribute.infoData) {
        $0.nested(Option.peer) {
          $0.append(Link.header())
          $0.attribute(Link.Attribute.name, string: peer)
          $0.attribute(Link.Attribute.address, mac.bytes)
          $0.attribute(Link.Attribute.namespaceFD, number: zone)
        }
      }
    }
    return message
  }

  /// Inside the zone: `ip link set lo up; ip addr add ADDRESS/LENGTH dev PEER; ip link set PEER up;
  /// ip route add default via GATEWAY dev PEER`
  static func configurePeer(
    _ peer: String, address: IPv4Address, subnet: IPv4Subnet, defaultRoute: Bool, on socket: inout NetlinkSocket
  ) throws(NetworkError) {
    guard let link = try Link.find(peer, on: &socket) else {
      throw .conflict("cannot find \(peer) in the zone's network namespace: it was taken away while it was made")
    }
    var steps: [(verb: String, message: NetlinkMessage, tolerating: [CInt])] = [
      ("set the zone's loopback up", Link.setUp(1), []),
      ("quiet IPv6 on the zone's \(peer)", Link.quietIPv6(link.index), [EAFNOSUPPORT, EOPNOTSUPP]),
      ("add \(address) to the zone's \(peer)", Address.add(address, subnet: subnet, link: link.index), []),
      ("set the zone's \(peer) up", Link.setUp(link.index), []),
    ]
    if defaultRoute {
      steps.append(
        ("add the zone's default route", Route.addDefault(via: subnet.gateway, link: link.index), []))
    }
    try socket.perform(steps)
  }
}

/// The loopback of a zone without another network.
public enum Loopback {
  /// `ip link set lo up` in the given namespace; index 1 is lo in every network namespace.
  public static func up(netns: borrowing OwnedFD) throws(NetworkError) {
    var socket = try NetlinkSocket.inside(netns, .route)
    try socket.perform("set the zone's loopback up", Link.setUp(1))
  }
}
