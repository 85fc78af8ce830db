internal import LinuxNS

extension Networks {
  var ruleset: Ruleset { Ruleset(tableName: names.table, portPrefix: names.portPrefix) }

  /// Whether something of a network was killed, or another program has flushed the rules. Looks, and locks nothing.
  func needMending() throws(NetworkError) -> Bool {
    guard FileSystem.exists(directories.stateFolder) else { return false }
    var states: [(network: String, state: NetworkState)] = []
    for network in try Self.names(in: directories.stateFolder) {
      if let state = try NetworkState.read(directories.state(network)) { states.append((network, state)) }
    }
    guard user != nil else { return try hostNeedsMending(states) }
    for (_, state) in states
    where state.helper?.isAlive != true || state.pasta?.isAlive != true
      || state.attachments.contains(where: { $0.phase == .lost })
    {
      return true
    }
    // The host may have other addresses by now.
    if !states.isEmpty {
      let host = try UserNetworks.hostAddresses()
      for (_, state) in states where UserNetworks.closed(to: state.subnet, of: host) != state.closed { return true }
    }
    for folder in directories.folders where try !RecordFile.drafts(in: folder).isEmpty { return true }
    return false
  }

  private func hostNeedsMending(_ states: [(network: String, state: NetworkState)]) throws(NetworkError) -> Bool {
    guard !states.isEmpty else { return false }
    var firewall = try Firewall(ruleset)
    let hasRules = try firewall.stands()
    let suspects = states.filter { !hasRules || !helper.isEmpty && $0.state.helper?.isAlive != true }
    guard !suspects.isEmpty else { return false }
    var route = try NetlinkSocket(.route)
    for (network, state) in suspects where try isHere(state, network, on: &route) { return true }
    return false
  }

  /// Whoever looks from another network namespace (ip-netns(8)) sees nothing of what stands on the host.
  func isHere(_ state: NetworkState, _ network: String, on route: inout NetlinkSocket) throws(NetworkError) -> Bool {
    try Link.find(state.bridge, on: &route)?.alias == names.mark(network)
  }
}
