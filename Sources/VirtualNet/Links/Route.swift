internal import Glibc

private enum RouteNumber {
  static let newAddress: UInt16 = 20  // RTM_NEWADDR
  static let local: UInt16 = 2  // IFA_LOCAL
  static let address: UInt16 = 1  // IFA_ADDRESS
  static let broadcast: UInt16 = 4  // IFA_BROADCAST
  static let label: UInt16 = 3  // IFA_LABEL
  static let newRoute: UInt16 = 24  // RTM_NEWROUTE
  static let gateway: UInt16 = 5  // RTA_GATEWAY
  static let outgoingLink: UInt16 = 4  // RTA_OIF
  static let deleteRoute: UInt16 = 25  // RTM_DELROUTE
  static let getRoute: UInt16 = 26  // RTM_GETROUTE
  static let destination: UInt16 = 1  // RTA_DST
}

/// rtnetlink's address verbs.
enum Address {
  /// `ip -4 addr show`: every address of this network namespace.
  static func all(on socket: inout NetlinkSocket) throws(NetworkError) -> [IPv4Address] {
    try held(on: &socket).map { $0.address }
  }

  struct Held: Equatable, Sendable {
    var address: IPv4Address
    /// Bits of its prefix.
    var length: Int
    /// The index of its link.
    var link: UInt32
  }

  /// As above, with prefixes and links.
  static func held(on socket: inout NetlinkSocket) throws(NetworkError) -> [Held] {
    try socket.dump(getAll, "list addresses").compactMap(parse)
  }

  /// As above, with labels: a link's name, and what somebody has put behind it.
  static func labelled(on socket: inout NetlinkSocket) throws(NetworkError) -> [(held: Held, label: String)] {
    try socket.dump(getAll, "list addresses").compactMap { reply in
      parse(reply).map { ($0, reply.attributes(after: 8).string(RouteNumber.label) ?? "") }
    }
  }

  private static var getAll: NetlinkMessage {
    let getAddress: UInt16 = 22  // RTM_GETADDR
    var message = NetlinkMessage(type: getAddress, flags: NetlinkFlag.request | NetlinkFlag.dump)
    message.append([UInt8(AF_INET), 0, 0, 0])
    message.append(UInt32(0))
    return message
  }

  /// struct ifaddrmsg: family, prefix length, flags, scope, link
  static func parse(_ reply: NetlinkReply) -> Held? {
    guard let address = reply.attributes(after: 8)[RouteNumber.local].flatMap({ IPv4Address(bytes: $0) }),
      let length = reply.payload.dropFirst(1).first, let link = reply.payload.number(UInt32.self, at: 4)
    else { return nil }
    return Held(address: address, length: Int(length), link: link)
  }

  /// `ip addr add ADDRESS/LENGTH broadcast + dev INDEX`
  static func add(_ address: IPv4Address, subnet: IPv4Subnet, link: UInt32) -> NetlinkMessage {
    var message = NetlinkMessage(
      type: RouteNumber.newAddress,
      flags: NetlinkFlag.request | NetlinkFlag.acknowledge | NetlinkFlag.create | NetlinkFlag.exclusive)
    message.append([UInt8(AF_INET), UInt8(subnet.length), 0, 0])  // struct ifaddrmsg
    message.append(link)
    message.attribute(RouteNumber.local, address.bytes)
    message.attribute(RouteNumber.address, address.bytes)
    message.attribute(RouteNumber.broadcast, subnet.broadcast.bytes)
    return message
  }
}

/// rtnetlink's route verbs, as far as we need them.
enum Route {
  /// `ip route add default via GATEWAY dev INDEX`
  static func addDefault(via gateway: IPv4Address, link: UInt32) -> NetlinkMessage {
    var message = NetlinkMessage(
      type: RouteNumber.newRoute,
      flags: NetlinkFlag.request | NetlinkFlag.acknowledge | NetlinkFlag.create | NetlinkFlag.exclusive)
    // struct rtmsg: family, lengths of dst and src, tos, table main, protocol boot, scope universe, type unicast
    message.append([UInt8(AF_INET), 0, 0, 0, 254, 3, 0, 1])
    message.append(UInt32(0))
    message.attribute(RouteNumber.gateway, gateway.bytes)
    message.attribute(RouteNumber.outgoingLink, number: link)
    return message
  }

  /// `ip route replace prohibit PREFIX`: what is sent there is refused.
  static func prohibit(_ prefix: IPv4Subnet) -> NetlinkMessage {
    let replace: UInt16 = 0x100  // NLM_F_REPLACE
    return prohibiting(prefix, type: RouteNumber.newRoute, flags: NetlinkFlag.create | replace)
  }

  /// `ip route delete prohibit PREFIX`
  static func permit(_ prefix: IPv4Subnet) -> NetlinkMessage {
    prohibiting(prefix, type: RouteNumber.deleteRoute, flags: 0)
  }

  private static func prohibiting(_ prefix: IPv4Subnet, type: UInt16, flags: UInt16) -> NetlinkMessage {
    var message = NetlinkMessage(type: type, flags: NetlinkFlag.request | NetlinkFlag.acknowledge | flags)
    // struct rtmsg: family, lengths of dst and src, tos, table main, protocol boot, scope universe, type prohibit
    message.append([UInt8(AF_INET), UInt8(prefix.length), 0, 0, 254, 3, 0, 8])
    message.append(UInt32(0))
    message.attribute(RouteNumber.destination, prefix.base.bytes)
    return message
  }

  /// A route of the main table.
  struct Entry: Hashable, Sendable {
    var subnet: IPv4Subnet
    var link: UInt32
    /// nil where what is sent there goes to its receiver.
    var gateway: IPv4Address?

    var text: String { "\(subnet)" + (gateway.map { " via \($0)" } ?? "") }
  }

  /// `ip -4 route show table main`
  static func entries(on socket: inout NetlinkSocket) throws(NetworkError) -> [Entry] {
    let main: UInt8 = 254  // RT_TABLE_MAIN
    return try socket.dump(getAll, "list routes").compactMap { reply in
      guard reply.payload.dropFirst(4).first == main, let prefix = parse(reply) else { return nil }
      let gateway = reply.attributes(after: 12)[RouteNumber.gateway].flatMap { IPv4Address(bytes: $0) }
      return Entry(subnet: prefix.subnet, link: prefix.link, gateway: gateway)
    }
  }

  /// `ip route get ADDRESS`: whether this network namespace has the address itself. One that there is no way to it has not.
  static func isLocal(_ address: IPAddress, on socket: inout NetlinkSocket) throws(NetworkError) -> Bool {
    let family = address.ipv4 == nil ? AF_INET6 : AF_INET
    let bytes = address.ipv4?.bytes ?? address.bytes
    var message = NetlinkMessage(type: RouteNumber.getRoute, flags: NetlinkFlag.request)
    message.append([UInt8(family), UInt8(bytes.count * 8), 0, 0, 0, 0, 0, 0])
    message.append(UInt32(0))
    message.attribute(RouteNumber.destination, bytes)
    // The last two: there is no IPv6 here. The others are what routes say (ip-route(8): unreachable, prohibit, blackhole).
    let nowhere = [ENETUNREACH, EHOSTUNREACH, EACCES, EINVAL, EAFNOSUPPORT, EOPNOTSUPP]
    let reply = try socket.get(message, "ask for the route to \(address)", absent: nowhere)
    let local: UInt8 = 2  // RTN_LOCAL
    return reply?.payload.dropFirst(7).first == local
  }

  struct Prefix: Equatable, Sendable {
    var subnet: IPv4Subnet
    /// The index of the link it leads to, 0 where none.
    var link: UInt32
  }

  /// `ip -4 route show table all`: every prefix the host has a route or an address in.
  static func prefixes(on socket: inout NetlinkSocket) throws(NetworkError) -> [Prefix] {
    try socket.dump(getAll, "list routes").compactMap(parse)
  }

  private static var getAll: NetlinkMessage {
    var message = NetlinkMessage(type: RouteNumber.getRoute, flags: NetlinkFlag.request | NetlinkFlag.dump)
    message.append([UInt8(AF_INET), 0, 0, 0, 0, 0, 0, 0])
    message.append(UInt32(0))
    return message
  }

  static func parse(_ reply: NetlinkReply) -> Prefix? {
    guard let length = reply.payload.dropFirst(1).first, length <= 32 else { return nil }
    let attributes = reply.attributes(after: 12)
    let destination = attributes[RouteNumber.destination].flatMap { IPv4Address(bytes: $0) } ?? IPv4Address(0)
    return Prefix(
      subnet: IPv4Subnet(destination, length: Int(length)), link: attributes.number(RouteNumber.outgoingLink) ?? 0)
  }
}
