/// Which private prefix a new network gets.
enum SubnetChoice {
  /// In order of preference: each is cut into networks of 254 addresses.
  static let pools = ["10.88.0.0/16", "10.89.0.0/16", "172.29.0.0/16", "192.168.128.0/17"].map { IPv4Subnet($0)! }

  /// The first free /24.
  /// - Parameter taken: the host's routes, the resolvers it asks and the networks of ours. Prefixes shorter than 8
  ///   bits (a default route, or a VPN's two halves of it) claim nothing.
  /// - Returns: nil where every pool is taken.
  static func choose(avoiding taken: [IPv4Subnet], pools: [IPv4Subnet] = pools) -> IPv4Subnet? {
    let claims = taken.filter { $0.length >= 8 }
    for pool in pools {
      let relevant = claims.filter(pool.overlaps)
      var number = pool.base.number
      while number <= pool.broadcast.number {
        let candidate = IPv4Subnet(IPv4Address(number), length: 24)
        if !relevant.contains(where: candidate.overlaps) { return candidate }
        number += 256
      }
    }
    return nil
  }
}
