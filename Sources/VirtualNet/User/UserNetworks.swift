internal import LinuxNS

/// What the networks of an ordinary user need beside the helper.
public struct UserNetworks: Sendable {
  let searchPath: String?
  let lives: @Sendable (String) -> Bool
  let namespace: @Sendable (String) -> CInt?

  /// - Parameters:
  ///   - searchPath: $PATH, for pasta.
  ///   - lives: whether a zone of that name does.
  ///   - namespace: a zone's network namespace as a descriptor, which is ours then; nil where it has gone. By it a living
  ///     zone is connected anew to a network whose namespaces were lost.
  public init(
    searchPath: String?, lives: @escaping @Sendable (String) -> Bool, namespace: @escaping @Sendable (String) -> CInt?
  ) {
    self.searchPath = searchPath
    self.lives = lives
    self.namespace = namespace
  }

  /// What of the host a user's network of this prefix is not to reach, though pasta could: its addresses, and root's zones.
  static func closed(to subnet: IPv4Subnet, of host: [(held: Address.Held, label: String)]) -> [IPv4Subnet] {
    var found: Set<IPv4Subnet> = []
    for (held, label) in host where held.address.number >> 24 != 127 {
      found.insert(IPv4Subnet(held.address, length: 32))
      let prefix = IPv4Subnet(held.address, length: held.length)
      if label.hasPrefix(HostNames.bridgePrefix), !prefix.overlaps(subnet) { found.insert(prefix) }
    }
    return found.sorted { ($0.base.number, $0.length) < ($1.base.number, $1.length) }
  }

  /// The host's addresses, also where we speak in a user's network.
  static func hostAddresses() throws(NetworkError) -> [(held: Address.Held, label: String)] {
    var host = try NetlinkSocket(.route)
    return try Address.labelled(on: &host)
  }

  /// Whether this user can have networks.
  /// - Throws: what is missing, and the mend.
  public static func check(searchPath: String?) throws(NetworkError) {
    _ = try Pasta.find(searchPath: searchPath)
    try Pasta.checkDevice()
  }
}
