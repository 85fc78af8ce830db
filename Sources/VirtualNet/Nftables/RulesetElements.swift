internal import Glibc

/// What networks and zones are to the rules.
extension Ruleset {
  /// A network: its bridge, crossings of it with itself (bridged frames are routed ones where br_netfilter is on),
  /// and the one service of the host its zones reach, names.
  static func network(bridge: String, subnet: IPv4Subnet) -> [NftElement] {
    precondition(subnet.length == 24, "the rules mask addresses with 24 bits")
    let name = NftElement.name(bridge)
    return [
      NftElement(family: .inet, set: "nets", key: name),
      NftElement(family: .inet, set: "prefixes", key: subnet.base.bytes),
      NftElement(family: .inet, set: "crossings", key: name + name),
    ]
      + [UInt8(6), 17].map {
        NftElement(
          family: .inet, set: "services",
          key: NftElement.concatenate([name, subnet.gateway.bytes, [$0], NftElement.bytes(big: UInt16(53))]))
      }
  }

  /// A zone's port: the only sender it may be.
  static func port(index: UInt32, mac: MACAddress, address: IPv4Address) -> NftElement {
    NftElement(
      family: .bridge, set: "own4",
      key: NftElement.concatenate([NftElement.bytes(host: index), mac.bytes, address.bytes]))
  }

  /// A published port: where to translate it, and that flows through it live.
  static func published(_ port: PublishedPort, to zone: IPv4Address) -> [NftElement] {
    let transport: UInt8 = port.transport == .tcp ? 6 : 17
    let host = NftElement.bytes(big: port.hostPort)
    let target = NftElement.concatenate([zone.bytes, NftElement.bytes(big: port.zonePort)])
    guard let address = port.hostAddress.flatMap({ IPv4Address($0) }) else {
      return [
        NftElement(family: .inet, set: "ports4", key: NftElement.concatenate([[transport], host]), value: target),
        NftElement(family: .inet, set: "\(port.transport.rawValue)4", key: NftElement.concatenate([host]) + target),
      ]
    }
    return [
      NftElement(
        family: .inet, set: "ports4a", key: NftElement.concatenate([[transport], address.bytes, host]), value: target),
      NftElement(
        family: .inet, set: "\(port.transport.rawValue)4a", key: NftElement.concatenate([address.bytes, host]) + target),
    ]
  }
}
