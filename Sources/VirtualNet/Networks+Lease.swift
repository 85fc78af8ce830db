/// What a zone will have on a network, known before it is attached.
public struct PreparedAddress: Equatable, Sendable {
  public var address: IPv4Address
  public var gateway: IPv4Address
  /// Who answers names: goes into the zone's resolv.conf.
  public var nameServer: IPv4Address
}

extension Networks {
  /// Leases the zone's address, and the network's prefix where it has none yet; makes nothing on the host.
  public func prepare(zone: String, network: String) throws(NetworkError) -> PreparedAddress {
    try HostNames.check(zone, "zone")
    try HostNames.check(network, "network")
    var session = try NetworkSession(self)
    return try session.prepare(zone: zone, network: network)
  }
}

extension NetworkSession {
  mutating func prepare(zone: String, network: String) throws(NetworkError) -> PreparedAddress {
    var leases = try Leases.read(directories.leases(network))
    let subnet: IPv4Subnet
    if let state = try state(network) {
      (subnet, leases) = (state.subnet, try held(leases, by: state, network))
    } else {
      subnet = try choose(network, leases: &leases, avoiding: [])
    }
    var held = leases ?? Leases(subnet: subnet)
    let had = held.zones[zone] != nil
    let address = try held.lease(zone, network: network)
    if !had { try write(held, network) }
    return PreparedAddress(address: address, gateway: subnet.gateway, nameServer: subnet.gateway)
  }
}
