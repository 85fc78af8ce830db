internal import Glibc
internal import LinuxNS

/// A network's own things: bridge, prefix, tables, forwarding.
extension NetworkSession {
  /// The network as it stands, made where it does not.
  mutating func raise(_ network: String, _ standing: NetworkState?, leases: inout Leases?) throws(NetworkError)
    -> NetworkState
  {
    if let state = standing, !state.attachments.isEmpty {
      leases = try held(leases, by: state, network)
      return networks.user == nil ? state : try mended(network, state)
    }
    if let half = standing { try lower(network, half) }  // its maker was killed, or who took its last zone off
    if networks.user != nil { return try raiseUser(network, leases: &leases) }
    if try states().isEmpty { try firewall.removeTables() }  // of a run whose state was deleted
    let bridge = networks.names.bridge(network)
    if let old = try Link.find(bridge, on: &route) {
      guard old.alias == networks.names.mark(network) else {
        throw .conflict(
          "cannot make bridge \(bridge): a link of that name is there and is not ours (rename or delete it)")
      }
      try route.perform("delete the left-over bridge \(bridge)", Link.delete(old.index), tolerating: [ENODEV])
    }
    var avoid: [IPv4Subnet] = []
    for _ in 0..<8 {
      let subnet = try choose(network, leases: &leases, avoiding: avoid)
      let state = NetworkState(bridge: bridge, subnet: subnet, boot: boot)
      try write(state, network)
      do throws(NetworkError) {
        if try build(state, network) { return state }
      } catch {
        try? lower(network, state)  // the first error is the one to report
        throw error
      }
      // Another instance took the same prefix in the same moment.
      try lower(network, state)
      avoid.append(subnet)
    }
    throw .conflict("cannot make network \(network): every prefix tried was taken meanwhile by another program")
  }

  /// The leases of a network that stands. Where somebody deleted them, who is attached still holds his.
  func held(_ leases: Leases?, by state: NetworkState, _ network: String) throws(NetworkError) -> Leases {
    guard let leases else { return Leases(state) }
    guard leases.subnet == state.subnet else {
      throw .conflict(
        "network \(network) stands on \(state.subnet), but its leases are of \(leases.subnet) (stop its zones first)")
    }
    return leases
  }

  mutating func choose(_ network: String, leases: inout Leases?, avoiding: [IPv4Subnet]) throws(NetworkError)
    -> IPv4Subnet
  {
    // The host's routes, also where we speak in a user's network.
    var host = try NetlinkSocket(.route)
    var taken = try Route.prefixes(on: &host).map { $0.subnet } + avoiding
    taken += Resolvers.host().compactMap { $0.ipv4.map { IPv4Subnet($0, length: 32) } }
    for other in try Networks.names(in: directories.leaseFolder) where other != network {
      if let subnet = try Leases.read(directories.leases(other))?.subnet { taken.append(subnet) }
    }
    if let held = leases?.subnet, !taken.contains(where: { $0.length >= 8 && $0.overlaps(held) }) { return held }
    guard let subnet = SubnetChoice.choose(avoiding: taken) else {
      throw .conflict(
        "cannot make network \(network): the host has routes into every private prefix we use (10.88.0.0/16, 10.89.0.0/16, 172.29.0.0/16, 192.168.128.0/17)"
      )
    }
    if var held = leases {
      networks.notice("network \(network) moves from \(held.subnet) to \(subnet): the host now has a route there")
      held.move(to: subnet)
      try write(held, network)
      leases = held
    } else {
      leases = Leases(subnet: subnet)
    }
    return subnet
  }

  /// Walls first, then the bridge, then forwarding.
  /// - Returns: false where somebody else's route into the prefix appeared meanwhile.
  private mutating func build(_ state: NetworkState, _ network: String) throws(NetworkError) -> Bool {
    noteLegacyTables()
    if !networks.helper.isEmpty, let finding = try firewall.foreignDrop(.input, bridge: state.bridge) {
      // Only names need it, and our own input chain lets nothing else through; so it is told and not refused.
      networks.notice(
        "zones of network \(network) may find no names: the host's firewall drops what comes in, in \(finding.chain) (\(finding.mend))"
      )
    }
    try noteForwarding(network)
    let bridge = try makeBridge(state, network)
    try Sysctls.write(Sysctls.routeLocalnet(state.bridge), "1")
    // Another instance that has just given it back has seen our tables by now, or we see what it has done.
    if try Sysctls.value(Sysctls.forwarding) == "0" {
      try Sysctls.write(Sysctls.forwarding, "1")
      networks.notice(
        "set net.ipv4.ip_forward to 1 for network \(network); it is put back to 0 with the last network")
    }
    return try !Route.prefixes(on: &route).contains {
      $0.link != bridge && $0.link != 1 && $0.subnet.length >= 8 && $0.subnet.overlaps(state.subnet)
    }
  }

  /// - Returns: its index.
  @discardableResult
  mutating func makeBridge(_ state: NetworkState, _ network: String) throws(NetworkError) -> UInt32 {
    try ensureTables()
    try firewall.change(add: state.elements)
    let mac = MACAddress(zone: "", network: "\(networks.names.tag)/\(network)")
    try route.perform("make bridge \(state.bridge)", Bridge.make(state.bridge, mac: mac))
    guard let bridge = try Link.find(state.bridge, on: &route) else {
      throw .conflict("cannot find bridge \(state.bridge): it was taken away while it was made")
    }
    try route.perform([
      ("mark bridge \(state.bridge)", Bridge.mark(bridge.index, networks.names.mark(network)), []),
      ("quiet IPv6 on \(state.bridge)", Link.quietIPv6(bridge.index), [EAFNOSUPPORT, EOPNOTSUPP]),
      (
        "add \(state.subnet.gateway) to \(state.bridge)",
        Address.add(state.subnet.gateway, subnet: state.subnet, link: bridge.index), []
      ),
      ("set \(state.bridge) up", Link.setUp(bridge.index), []),
    ])
    return bridge.index
  }

  mutating func lowerIfEmpty(_ network: String) throws(NetworkError) {
    guard let state = try state(network), state.attachments.isEmpty else { return }
    try lower(network, state)
  }

  /// Takes the network away; what is not there any more is passed over, so it may be repeated.
  mutating func lower(_ network: String, _ state: NetworkState) throws(NetworkError) {
    if networks.user != nil { return try lowerUser(network, state) }
    try state.helper?.end()
    networks.group?.leave()
    if let bridge = try Link.find(state.bridge, on: &route),
      bridge.alias == networks.names.mark(network) || bridge.alias == nil
    {
      try route.perform("delete bridge \(state.bridge)", Link.delete(bridge.index), tolerating: [ENODEV])
    }
    if try states().contains(where: { $0.network != network }) {
      try firewall.change(delete: state.elements)
    } else {
      try firewall.removeTables()
    }
    try giveForwardingBack(network)
    try RecordFile.remove(directories.state(network))
  }

  /// Our tables, whole: where another program flushed them, all that is attached comes back.
  /// - Returns: whether they had to be made.
  @discardableResult mutating func ensureTables() throws(NetworkError) -> Bool {
    if try firewall.stands() { return false }
    var elements: [NftElement] = []
    for (network, state) in try states() where entered == nil || entered == network { elements += state.elements }
    try firewall.make(marker(), elements)
    return true
  }

  // MARK: forwarding

  /// The tables' comment tells other instances what forwarding was before.
  private func marker() throws(NetworkError) -> Firewall.Marker {
    let note = try Sysctls.read(directories.sysctls, boot: boot)
    return .init(
      version: Ruleset.version,
      forwardingBefore: note.changes.first { $0.path == Sysctls.forwarding }?.before)
  }

  /// Counts the network among the users of forwarding and notes what it was.
  private mutating func noteForwarding(_ network: String) throws(NetworkError) {
    var note = try Sysctls.read(directories.sysctls, boot: boot)
    let value = try Sysctls.value(Sysctls.forwarding)
    if !note.users.contains(network) { note.users.append(network) }
    if !note.changes.contains(where: { $0.path == Sysctls.forwarding }) {
      if value == "0" {
        note.changes.append(.init(path: Sysctls.forwarding, before: value, set: "1"))
      } else if let before = try firewall.otherInstances().compactMap({ $0.marker.forwardingBefore }).first {
        // Another instance set it; whoever of us leaves last puts it back.
        note.changes.append(.init(path: Sysctls.forwarding, before: before, set: "1"))
      }
    }
    try RecordFile.write(directories.sysctls, note.bytes)
  }

  private mutating func giveForwardingBack(_ network: String) throws(NetworkError) {
    var note = try Sysctls.read(directories.sysctls, boot: boot)
    note.users.removeAll { $0 == network }
    guard note.users.isEmpty else { return try RecordFile.write(directories.sysctls, note.bytes) }
    for change in note.changes where try Sysctls.value(change.path) == change.set {
      guard try firewall.otherInstances().isEmpty else { continue }
      // Who came later found it set, and will not set it again: Docker, libvirt.
      if let other = try firewall.foreignTranslation() {
        networks.notice("left \(Sysctls.dotted(change.path)) at \(change.set): \(other) needs it")
        continue
      }
      try Sysctls.write(change.path, change.before)
      guard try firewall.otherInstances().isEmpty else {
        // Another instance began meanwhile, and found it set.
        try Sysctls.write(change.path, change.set)
        continue
      }
      networks.notice("put \(Sysctls.dotted(change.path)) back to \(change.before)")
    }
    try RecordFile.remove(directories.sysctls)
  }

  /// Legacy iptables keep their rules where nf_tables cannot list them.
  private func noteLegacyTables() {
    guard let tables = try? FileSystem.readLine("/proc/thread-self/net/ip_tables_names"),
      tables.split(whereSeparator: { $0 == "\n" || $0 == " " }).contains("filter")
    else { return }
    networks.notice(
      "legacy iptables rules are loaded, which we cannot read; where zones reach nothing outside, look at iptables-legacy -S FORWARD"
    )
  }
}
