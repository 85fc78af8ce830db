/// Addresses that do not lead to the world: this machine's own, its networks', and those of no single host. A name that
/// resolves to one would reach what the rules never meant (DNS rebinding).
enum SpecialAddress {
  enum Use: String {
    case unspecified = "unspecified"
    case loopback = "loopback"
    case linkLocal = "link-local"
    case privateUse = "private-use"
    case multicast = "multicast"
    case reserved = "reserved"
    /// Leads to an address of IPv4 that cannot be told from it alone.
    case translated = "translated"
  }

  struct Block: Equatable {
    /// The whole block, in the form in which the address was given.
    let prefix: IPPrefix
    let use: Use
  }

  /// The registries of RFC 6890, as they stand, without the addresses for examples.
  private static let blocks: [Block] = [
    ("0.0.0.0/8", .unspecified), ("10.0.0.0/8", .privateUse), ("100.64.0.0/10", .privateUse),
    ("127.0.0.0/8", .loopback), ("169.254.0.0/16", .linkLocal), ("172.16.0.0/12", .privateUse),
    ("192.0.0.0/24", .reserved), ("192.168.0.0/16", .privateUse), ("198.18.0.0/15", .privateUse),
    ("224.0.0.0/4", .multicast), ("240.0.0.0/4", .reserved),
    ("::", .unspecified), ("::1", .loopback), ("fe80::/10", .linkLocal), ("fec0::/10", .privateUse),
    ("fc00::/7", .privateUse), ("ff00::/8", .multicast),
    // RFC 8215, and Teredo (RFC 4380), whose end is an address that is written inverted.
    ("64:ff9b:1::/48", .translated), ("2001::/32", .translated),
  ].map { (text: String, use: Use) in Block(prefix: IPPrefix(text)!, use: use) }

  /// Forms of IPv6 that carry an address of IPv4 behind so many bits: NAT64 (RFC 6052), 6to4 (RFC 3056), IPv4-compatible
  /// (RFC 4291) and IPv4-translated ones (RFC 2765). IPv4-mapped ones are IPv4 already.
  private static let carriers = ["64:ff9b::/96", "2002::/16", "::/96", "::ffff:0:0:0/96"].map { IPPrefix($0)! }

  /// nil: an ordinary address.
  static func block(of address: IPAddress) -> Block? {
    if let block = blocks.first(where: { $0.prefix.contains(address) }) { return block }
    guard let (carrier, carried) = within(address),
      let block = blocks.first(where: { $0.prefix.contains(carried) })
    else { return nil }
    return Block(prefix: IPPrefix(address, length: carrier.length + block.prefix.length - 96), use: block.use)
  }

  /// The address of IPv4 that one of IPv6 carries.
  static func carried(by address: IPAddress) -> IPAddress? { within(address)?.carried }

  private static func within(_ address: IPAddress) -> (carrier: IPPrefix, carried: IPAddress)? {
    guard let carrier = carriers.first(where: { $0.contains(address) }) else { return nil }
    let number = carrier.length == 16 ? address.high >> 16 : address.low
    return (carrier, IPAddress(IPv4Address(UInt32(truncatingIfNeeded: number))))
  }
}
