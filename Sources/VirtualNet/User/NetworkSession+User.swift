internal import Glibc
internal import LinuxNS

/// An ordinary user's network: made, mended and taken away.
extension NetworkSession {
  /// Has `route` and `firewall` speak in the network's namespaces.
  /// - Returns: false where they are lost, or were never made. For root's networks there is nothing to enter.
  mutating func enter(_ network: String, _ state: NetworkState) throws(NetworkError) -> Bool {
    guard networks.user != nil else { return true }
    if entered == network { return true }
    guard let space = try UserSpace.held(by: state.helper) else { return false }
    try enter(network, space)
    return true
  }

  private mutating func enter(_ network: String, _ space: UserSpace) throws(NetworkError) {
    let firewall = try Firewall(networks.ruleset, in: space)
    route = try NetlinkSocket(.route, ofUser: space.network)
    self.firewall = firewall
    self.space = space
    entered = network
  }

  /// Namespaces, walls, bridge; then the helper, which holds them; then pasta.
  ///
  /// Until the helper is written down nobody but us holds the namespaces: where we are killed they are gone.
  mutating func raiseUser(_ network: String, leases: inout Leases?) throws(NetworkError) -> NetworkState {
    // What is missing on this machine is told before anything is made.
    try UserNetworks.check(searchPath: networks.user?.searchPath)
    let subnet = try choose(network, leases: &leases, avoiding: [])
    var state = NetworkState(bridge: networks.names.bridge(network), subnet: subnet, boot: boot)
    try write(state, network)
    do throws(NetworkError) {
      try build(network, &state)
      return state
    } catch {
      try? lower(network, state)  // the first error is the one to report
      throw error
    }
  }

  private mutating func build(_ network: String, _ state: inout NetworkState) throws(NetworkError) {
    let space = try UserSpace.make()
    try enter(network, space)
    try route.perform("set the network's loopback up", Link.setUp(1))
    try makeBridge(state, network)
    state.closed = []
    try closeHost(network, &state)
    let part: HelperProcess.UserPart? = HelperProcess.UserPart(
      space: space, relay: try RelayControl.bind(directories, network))
    let started = try HelperProcess.start(
      networks.helper + [network], gateway: state.subnet.gateway, user: part, group: networks.group)
    state.helper = started.record
    try write(state, network)
    try started.release()
    try connectOutside(network, &state)
  }

  /// The host's own services are out of reach, as from root's networks: pasta would connect to them, since its user may.
  /// Not the address that pasta gives the network itself, which is the network's own there, and behind its walls.
  /// It may have others by now than when that was last done.
  private mutating func closeHost(_ network: String, _ state: inout NetworkState) throws(NetworkError) {
    let wanted = UserNetworks.closed(to: state.subnet, of: try UserNetworks.hostAddresses())
    let (new, old) = (wanted.filter { !state.closed.contains($0) }, state.closed.filter { !wanted.contains($0) })
    guard !new.isEmpty || !old.isEmpty else { return }
    try route.perform(
      new.map { ("close the host's \($0)", Route.prohibit($0), []) }
        + old.map { ("open \($0) again", Route.permit($0), [ESRCH]) })
    state.closed = wanted
    try write(state, network)
  }

  private func connectOutside(_ network: String, _ state: inout NetworkState) throws(NetworkError) {
    guard let user = networks.user, let helper = state.helper else { return }
    let program = try Pasta.find(searchPath: user.searchPath)
    state.pasta = nil
    state.pastaIsStarting = true
    try write(state, network)
    state.pasta = try Pasta.start(
      program, helper: helper, pidFile: directories.pastaPid(network), group: networks.group)
    state.pastaIsStarting = false
    try write(state, network)
  }

  /// Nothing in the namespaces is taken down: they end with the last who holds them.
  mutating func lowerUser(_ network: String, _ state: NetworkState) throws(NetworkError) {
    try endPasta(network, state)
    try state.helper?.end()
    networks.group?.leave()
    if entered == network {
      // Our own sockets hold them, too.
      route = try NetlinkSocket(.route)
      firewall = try Firewall(networks.ruleset)
      (space, entered) = (nil, nil)
    }
    try RecordFile.remove(directories.relay(network))
    try RecordFile.remove(directories.state(network))
  }

  private func endPasta(_ network: String, _ state: NetworkState) throws(NetworkError) {
    try state.pasta?.end()
    if state.pastaIsStarting { try Pasta.endStray(pidFile: directories.pastaPid(network)) }
  }

  // MARK: after a kill

  /// The network with everything that serves it alive again.
  mutating func mended(_ network: String, _ standing: NetworkState) throws(NetworkError) -> NetworkState {
    var state = standing
    if try !enter(network, state) {
      // The helper was killed, and the namespaces are out of reach, though pasta may still hold them: others take their
      // place. On disk the zones are lost ones until each is connected again, so a kill in the midst leads here anew.
      try endPasta(network, state)
      (state.helper, state.pasta, state.pastaIsStarting) = (nil, nil, false)
      for index in state.attachments.indices { state.attachments[index].phase = .lost }
      try write(state, network)
      try build(network, &state)
      networks.notice("network \(network): its helper was killed; it is made anew and its zones are connected again")
    } else if state.pastaIsStarting || state.pasta?.isAlive != true {
      try endPasta(network, state)
      try connectOutside(network, &state)
      networks.notice("network \(network): pasta was killed, and started again")
    }
    try closeHost(network, &state)
    for lost in state.attachments where lost.phase == .lost { try reconnect(lost, network, &state) }
    return state
  }

  /// Connects a living zone anew, under its old address.
  private mutating func reconnect(
    _ lost: NetworkState.Attachment, _ network: String, _ state: inout NetworkState
  ) throws(NetworkError) {
    if let half = try Link.find(lost.interface, on: &route) {
      try route.perform("delete link \(lost.interface)", Link.delete(half.index), tolerating: [ENODEV])
    }
    try firewall.change(delete: firewall.strayPorts(mac: lost.mac, address: lost.address))
    try relay(.drop, lost, lost.ports, network)
    guard let number = networks.user?.namespace(lost.zone) else {
      if networks.user?.lives(lost.zone) == true {
        throw .conflict(
          "cannot connect zone \(lost.zone) to network \(network) again: its keeper gives no answer (restart the zone)")
      }
      state.attachments.removeAll { $0.zone == lost.zone }
      return try write(state, network)
    }
    state.attachments.removeAll { $0.zone == lost.zone }
    let namespace = OwnedFD(raw: number)
    var inside = try NetlinkSocket(.route, ofUser: namespace)
    let request = AttachRequest(zone: lost.zone, network: network, aliases: lost.aliases, ports: lost.ports)
    if let link = try Link.find(request.interface, on: &inside) {
      // Its other end may end in this moment, and it with it.
      try inside.perform("delete the lost link of \(lost.zone)", Link.delete(link.index), tolerating: [ENODEV])
    }
    _ = try plug(request, address: lost.address, into: &state, netns: namespace, phase: .lost)
  }

  mutating func recoverUser() throws(NetworkError) {
    for (network, state) in try states() {
      for record in state.attachments
      where record.phase == .making || networks.user?.lives(record.zone) != true {
        try detach(zone: record.zone, network: network, deleteLink: record.phase == .making)
      }
      try lowerIfEmpty(network)
      if let left = try self.state(network) { _ = try mended(network, left) }
    }
  }

  // MARK: published ports

  /// Tells the network's relay; root's networks have none.
  func relay(
    _ verb: RelayMessage.Verb, _ attachment: NetworkState.Attachment, _ ports: [PublishedPort], _ network: String
  ) throws(NetworkError) {
    guard networks.user != nil, !ports.isEmpty else { return }
    let link = try RelayControl.connect(directories, network)
    switch verb {
    case .add: try RelayControl.add(attachment.zone, attachment.address, ports, link)
    case .drop: try RelayControl.drop(attachment.zone, attachment.address, ports, link)
    }
  }
}
