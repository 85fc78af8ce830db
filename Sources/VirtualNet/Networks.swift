internal import Glibc
public import LinuxNS

/// What a zone asks of a network.
public struct AttachRequest: Equatable, Sendable {
  /// A DNS label; the zone is found by it.
  public var zone: String
  /// A DNS label; the network is made with its first zone and goes with its last.
  public var network: String
  /// Further names by which it is found; zones may share one, and all their addresses are then answered.
  public var aliases: [String]
  public var ports: [PublishedPort]
  /// The link's name in the zone, at most 15 bytes.
  public var interface: String
  /// Whether its default route leads here; at most one network of a zone.
  public var defaultRoute: Bool

  public init(
    zone: String, network: String = "default", aliases: [String] = [], ports: [PublishedPort] = [],
    interface: String = "eth0", defaultRoute: Bool = true
  ) {
    self.zone = zone
    self.network = network
    self.aliases = aliases
    self.ports = ports
    self.interface = interface
    self.defaultRoute = defaultRoute
  }
}

/// A zone's place on a network.
public struct Attachment: Equatable, Sendable {
  public var network: String
  /// The link in the zone.
  public var interface: String
  /// The link on the host's side and its index.
  public var hostInterface: String
  public var hostIndex: UInt32
  public var bridge: String
  public var address: IPv4Address
  /// Bits of the network's prefix.
  public var prefixLength: Int
  public var gateway: IPv4Address
  /// Who answers names; for the zone's resolv.conf, with `options ndots:0`, so that a zone's name is asked as it is.
  public var nameServer: IPv4Address
  public var mac: MACAddress

  public init(
    network: String, interface: String, hostInterface: String, hostIndex: UInt32, bridge: String, address: IPv4Address,
    prefixLength: Int, gateway: IPv4Address, nameServer: IPv4Address, mac: MACAddress
  ) {
    self.network = network
    self.interface = interface
    self.hostInterface = hostInterface
    self.hostIndex = hostIndex
    self.bridge = bridge
    self.address = address
    self.prefixLength = prefixLength
    self.gateway = gateway
    self.nameServer = nameServer
    self.mac = mac
  }
}

/// An address that a zone holds on a network, attached or not.
public struct LeasedAddress: Equatable, Sendable {
  public var network: String
  public var address: IPv4Address
}

/// A network that stands.
public struct NetworkSummary: Equatable, Sendable {
  public struct Member: Equatable, Sendable {
    public var zone: String
    public var address: IPv4Address
    public var aliases: [String]
    public var ports: [PublishedPort]
  }
  public var name: String
  public var bridge: String
  /// `10.88.0.0/24`
  public var subnet: String
  public var members: [Member]
}

/// The `nat` networks of this host, or those of an ordinary user: made with the first zone, taken away with the last.
///
/// Every change is made under one lock and written down before it is made, so that after a kill at any point the next
/// `attach`, `detach` or `recover` finds what was left and takes it away.
///
/// Root's networks are bridges of the host. An ordinary user's are the same in namespaces of his own (`UserSpace`), with
/// pasta as the way out and a relay for published ports.
public struct Networks: Sendable {
  let directories: NetworkDirectories
  let names: HostNames
  let helper: [String]
  let group: HelperGroup?
  let user: UserNetworks?
  let notice: @Sendable (String) -> Void

  /// - Parameters:
  ///   - helper: the command that runs `NamesServer.run`; the network's name is appended. Empty: names are not answered.
  ///   - group: where what serves a network is born; nil: with who starts its first zone.
  ///   - user: for the networks of an ordinary user, which need a helper.
  ///   - notice: gets one line for each thing changed on the host that is not ours.
  public init(
    _ directories: NetworkDirectories, helper: [String], group: HelperGroup? = nil, user: UserNetworks? = nil,
    notice: @escaping @Sendable (String) -> Void = { _ in }
  ) throws(NetworkError) {
    self.directories = directories
    self.helper = helper
    self.group = group
    self.user = user
    self.notice = notice
    names = try HostNames(tag: directories.instanceTag)
  }

  /// Puts a zone on a network: lease, link, address, routes, rules, published ports, names.
  ///
  /// What it did is undone where it fails. A zone that is already on the network is taken off it first.
  /// - Parameter netns: the zone's network namespace.
  /// - Throws: `.foreignFirewall`, `.portTaken`, `.conflict` (full, or a name of ours taken), `.invalid`, kernel errors.
  public func attach(_ request: AttachRequest, netns: borrowing OwnedFD) throws(NetworkError) -> Attachment {
    try HostNames.check(request.zone, "zone")
    try HostNames.check(request.network, "network")
    for alias in request.aliases { try HostNames.check(alias, "alias") }
    guard (1...15).contains(request.interface.utf8.count),
      !request.interface.utf8.contains(where: { $0 <= 32 || $0 == 47 })
    else { throw .invalid("interface '\(request.interface)': not a link's name of 1 to 15 bytes") }
    try check(request.ports)
    var session = try NetworkSession(self)
    return try session.attach(request, netns: netns)
  }

  /// Takes a zone off a network; one that is not on it is fine. Its lease stays.
  /// - Parameter namespaceEnds: the zone's namespace is dying: its link goes without anybody waiting for it (taking it away
  ///   waits for every other processor, 34 ms). false where the namespace lives on.
  public func detach(zone: String, network: String, namespaceEnds: Bool = true) throws(NetworkError) {
    try HostNames.check(zone, "zone")
    try HostNames.check(network, "network")
    guard FileSystem.exists(directories.state(network)) else { return }
    var session = try NetworkSession(self)
    try session.detach(zone: zone, network: network, deleteLink: !namespaceEnds)
  }

  /// Forgets the leases of a zone that is deleted, and takes it off every network first.
  public func release(zone: String) throws(NetworkError) {
    try HostNames.check(zone, "zone")
    var session = try NetworkSession(self)
    try session.release(zone)
  }

  /// Forgets the leases of zones that went with an earlier start of the machine, and could not do it themselves.
  /// - Parameter isGone: is asked while nobody else can lease; a zone that is being made must not be gone before it does.
  public func release(where isGone: (String) -> Bool) throws(NetworkError) {
    var session = try NetworkSession(self)
    try session.release(where: isGone)
  }

  /// Changes the published ports of an attached zone. Flows through ports that go are cut, others go on.
  public func republish(zone: String, network: String, ports: [PublishedPort]) throws(NetworkError) {
    try HostNames.check(zone, "zone")
    try HostNames.check(network, "network")
    try check(ports)
    var session = try NetworkSession(self)
    try session.republish(zone: zone, network: network, ports: ports)
  }

  /// Takes away attachments whose links are gone or were half made, networks without zones, starts helpers that died again
  /// and puts rules back that were flushed; of an ordinary user's network mends whatever else was killed, too.
  func recover() throws(NetworkError) {
    guard FileSystem.exists(directories.stateFolder) else { return }
    var session = try NetworkSession(self)
    try session.recover()
  }

  /// What was killed of the networks, or flushed by another program, is put right, where something was: to be called by
  /// whoever looks at the zones.
  public func mend() throws(NetworkError) {
    guard try needMending() else { return }
    var session = try NetworkSession(self)
    if user == nil { try session.mendHost() } else { try session.recover() }
  }

  /// The addresses a zone holds.
  public func addresses(zone: String) throws(NetworkError) -> [LeasedAddress] {
    var found: [LeasedAddress] = []
    for network in try Self.names(in: directories.leaseFolder) {
      guard let address = try Leases.read(directories.leases(network))?.zones[zone] else { continue }
      found.append(LeasedAddress(network: network, address: address))
    }
    return found
  }

  /// The networks that stand.
  public func list() throws(NetworkError) -> [NetworkSummary] {
    let boot = try ProcessRecord.bootId()
    var found: [NetworkSummary] = []
    for network in try Self.names(in: directories.stateFolder) {
      guard let state = try NetworkState.read(directories.state(network)), state.boot == boot else { continue }
      found.append(
        NetworkSummary(
          name: network, bridge: state.bridge, subnet: "\(state.subnet)",
          members: state.attachments.filter { $0.phase == .up }.map {
            .init(zone: $0.zone, address: $0.address, aliases: $0.aliases, ports: $0.ports)
          }))
    }
    return found
  }

  /// Files of networks in a folder; not temporary ones, nor those with a leading dot.
  static func names(in folder: String) throws(NetworkError) -> [String] {
    do { return try FileSystem.list(folder).filter { !$0.contains(".") } } catch {
      if error.errno == ENOENT { return [] }
      throw .system("list the networks", error)
    }
  }

  private func check(_ ports: [PublishedPort]) throws(NetworkError) {
    for (index, port) in ports.enumerated() {
      guard port.hostPort > 0, port.zonePort > 0 else { throw .invalid("publish '\(port.text)': port 0 is none") }
      if let address = port.hostAddress, IPv4Address(address) == nil {
        throw .invalid(
          "publish '\(port.text)': networks translate IPv4 only (name an IPv4 address of the host, or none)")
      }
      if let other = ports[..<index].first(where: port.clashes) {
        throw .invalid("publish '\(port.text)': the same zone also publishes '\(other.text)'")
      }
    }
  }
}
