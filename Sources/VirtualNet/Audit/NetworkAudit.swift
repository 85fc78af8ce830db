public import LinuxNS

/// What the kernel says of a zone's place on its network, beside what `attach` would make.
public struct NetworkAudit: Equatable, Sendable {
  public struct Difference: Equatable, Sendable {
    public var what: String
    public var wanted: String
    public var found: String
  }
  /// Links, addresses and routes.
  public var seen = ""
  public var links: [Difference] = []
  /// The rules.
  public var walls: [Difference] = []
}

extension Networks {
  /// Reads the links, addresses and routes of a zone's namespace, the host's side of them, and the rules; changes nothing.
  /// - Parameters:
  ///   - request: what the zone asks of its network.
  ///   - netns: its network namespace.
  ///   - mayChange: it was given power over that, so that what is more than asked for there is its own.
  public func audit(_ request: AttachRequest, netns: borrowing OwnedFD, mayChange: Bool) throws(NetworkError)
    -> NetworkAudit
  {
    try HostNames.check(request.zone, "zone")
    try HostNames.check(request.network, "network")
    var session = try NetworkSession(self)
    return try session.audit(request, netns: netns, mayChange: mayChange)
  }

  /// As above of a zone without a network: a loopback, and nothing that leads anywhere.
  public static func auditWithout(netns: borrowing OwnedFD, ofUser: Bool, mayChange: Bool) throws(NetworkError)
    -> NetworkAudit
  {
    var audit = NetworkAudit(seen: "a loopback and no other link")
    var inside = try ofUser ? NetlinkSocket(.route, ofUser: netns) : NetlinkSocket.inside(netns, .route)
    let links = try Link.all(on: &inside)
    audit.checkLoopback(links)
    if !mayChange { audit.refuseLinks(links.filter { $0.index != 1 }) }
    return audit
  }
}

extension NetworkAudit {
  mutating func expect(_ holds: Bool, _ what: String, wanted: String, found: @autoclosure () -> String) {
    if !holds { links.append(Difference(what: what, wanted: wanted, found: found())) }
  }

  fileprivate mutating func checkLoopback(_ all: [LinkState]) {
    expect(all.contains { $0.index == 1 && $0.isUp }, "lo", wanted: "up", found: "down")
  }

  /// The kernel's own fallback tunnels are in every namespace, down and led nowhere.
  fileprivate mutating func refuseLinks(_ others: [LinkState]) {
    for link in others where link.isUp || link.leadsElsewhere {
      links.append(
        Difference(what: link.name, wanted: "no such link", found: link.kind ?? "a device of the host's"))
    }
  }
}

extension NetworkSession {
  mutating func audit(_ request: AttachRequest, netns: borrowing OwnedFD, mayChange: Bool) throws(NetworkError)
    -> NetworkAudit
  {
    var audit = NetworkAudit()
    let network = request.network
    guard let leases = try Leases.read(directories.leases(network)), let address = leases.zones[request.zone] else {
      audit.expect(false, "address", wanted: "one of network \(network)", found: "no lease")
      return audit
    }
    let subnet = leases.subnet
    let standing = try state(network)
    let isUser = networks.user != nil
    let port = try auditInside(request, address, subnet, netns, isUser, mayChange, &audit)
    audit.seen = "\(address)/\(subnet.length) on \(network), default route by \(subnet.gateway)"

    if !networks.helper.isEmpty {
      audit.expect(standing?.helper?.isAlive == true, "helper of \(network)", wanted: "alive", found: "not running")
    }
    if isUser {
      audit.expect(standing?.pasta?.isAlive == true, "pasta of \(network)", wanted: "alive", found: "not running")
    }
    guard let standing, try enter(network, standing) else {
      audit.expect(false, "network \(network)", wanted: "its namespaces and rules", found: "out of reach")
      return audit
    }
    try auditOutside(network, subnet, port, &audit)

    let mac = MACAddress(zone: request.zone, network: "\(networks.names.tag)/\(network)")
    let bridge = networks.names.bridge(network)
    var elements = Ruleset.network(bridge: bridge, subnet: subnet)
    elements += request.ports.flatMap { Ruleset.published($0, to: address) }
    if let port { elements.append(Ruleset.port(index: port, mac: mac, address: address)) }
    let about = Firewall.Concern(port: port, bridge: bridge, address: address)
    audit.walls = try firewall.audit(elements, about)
    return audit
  }

  /// The zone's side.
  /// - Returns: the index of its link's other end.
  private func auditInside(
    _ request: AttachRequest, _ address: IPv4Address, _ subnet: IPv4Subnet, _ netns: borrowing OwnedFD, _ isUser: Bool,
    _ mayChange: Bool, _ audit: inout NetworkAudit
  ) throws(NetworkError) -> UInt32? {
    var inside = try isUser ? NetlinkSocket(.route, ofUser: netns) : NetlinkSocket.inside(netns, .route)
    let all = try Link.all(on: &inside)
    audit.checkLoopback(all)
    guard let link = all.first(where: { $0.name == request.interface }) else {
      audit.expect(false, request.interface, wanted: "a link of network \(request.network)", found: "no such link")
      return nil
    }
    let mac = MACAddress(zone: request.zone, network: "\(networks.names.tag)/\(request.network)")
    audit.expect(link.isUp, request.interface, wanted: "up", found: "down")
    audit.expect(link.kind == "veth", request.interface, wanted: "veth", found: link.kind ?? "a device")
    audit.expect(
      link.address == mac.bytes, "\(request.interface) address", wanted: "\(mac)",
      found: MACAddress(bytes: link.address).map { "\($0)" } ?? "none")
    if !mayChange { audit.refuseLinks(all.filter { $0.index != 1 && $0.index != link.index }) }

    let held = try Address.held(on: &inside).filter { $0.link != 1 }
    let wanted = Address.Held(address: address, length: subnet.length, link: link.index)
    audit.expect(
      mayChange ? held.contains(wanted) : held == [wanted], "addresses", wanted: "\(address)/\(subnet.length)",
      found: held.isEmpty ? "none" : held.map { "\($0.address)/\($0.length)" }.joined(separator: " "))

    var routes = [Route.Entry(subnet: subnet, link: link.index, gateway: nil)]
    if request.defaultRoute {
      routes.append(
        Route.Entry(subnet: IPv4Subnet(IPv4Address(0), length: 0), link: link.index, gateway: subnet.gateway))
    }
    let found = try Route.entries(on: &inside)
    let same = mayChange ? routes.allSatisfy(found.contains) : Set(routes) == Set(found)
    audit.expect(
      same, "routes", wanted: routes.map { $0.text }.joined(separator: ", "),
      found: found.isEmpty ? "none" : found.map { $0.text }.joined(separator: ", "))
    return link.peer == 0 ? nil : link.peer
  }

  /// The bridge and the zone's port of it.
  private mutating func auditOutside(
    _ network: String, _ subnet: IPv4Subnet, _ port: UInt32?, _ audit: inout NetworkAudit
  ) throws(NetworkError) {
    let name = networks.names.bridge(network)
    let all = try Link.all(on: &route)
    guard let bridge = all.first(where: { $0.name == name && $0.alias == networks.names.mark(network) }) else {
      audit.expect(false, name, wanted: "the bridge of network \(network)", found: "no such link")
      return
    }
    audit.expect(bridge.isUp, name, wanted: "up", found: "down")
    let gateway = Address.Held(address: subnet.gateway, length: subnet.length, link: bridge.index)
    audit.expect(
      try Address.held(on: &route).contains(gateway), name, wanted: "\(subnet.gateway)/\(subnet.length)",
      found: "not its address")
    // The number alone could be another's: a port's name is ours.
    if let port, let link = all.first(where: { $0.index == port }), link.name.hasPrefix(networks.names.portPrefix) {
      audit.expect(
        link.master == bridge.index && link.isUp, link.name, wanted: "up, a port of \(name)",
        found: link.isUp ? "no port of it" : "down")
    } else {
      audit.expect(false, "the zone's link", wanted: "a port of \(name)", found: "no such port")
    }
    if networks.user == nil {
      let value = try Sysctls.value(Sysctls.forwarding)
      audit.expect(value == "1", Sysctls.dotted(Sysctls.forwarding), wanted: "1", found: value)
    }
  }
}
