internal import Glibc
internal import LinuxNS

/// One command's work on networks, under the lock: reads what stands, changes it, writes it down.
struct NetworkSession: ~Copyable {
  let networks: Networks
  let boot: String
  var route: NetlinkSocket
  var firewall: Firewall
  /// The ordinary user's network in which `route` and `firewall` speak; nil: in the caller's own namespace.
  var space: UserSpace?
  /// Which network that is.
  var entered: String?
  private let lock: FileLock

  var directories: NetworkDirectories { networks.directories }

  init(_ networks: Networks) throws(NetworkError) {
    let folders = networks.directories
    let lock = try system("lock the networks") { () throws(SyscallError) in
      try FileSystem.makeDirectories(folders.stateFolder, mode: 0o700)
      try FileSystem.makeDirectories(folders.leaseFolder, mode: 0o700)
      return try FileLock(folders.stateFolder)
    }
    let boot = try ProcessRecord.bootId()
    let route = try NetlinkSocket(.route)
    let firewall = try Firewall(networks.ruleset)
    // A move-only value must be whole or not be at all, so nothing is assigned before all that may throw is done.
    self.networks = networks
    self.lock = lock
    self.boot = boot
    self.route = route
    self.firewall = firewall
  }

  // MARK: what is written

  /// The network's state; one of an earlier start of the machine is nothing.
  func state(_ network: String) throws(NetworkError) -> NetworkState? {
    guard let state = try NetworkState.read(directories.state(network)) else { return nil }
    if state.boot == boot { return state }
    try RecordFile.remove(directories.state(network))
    return nil
  }

  func states() throws(NetworkError) -> [(network: String, state: NetworkState)] {
    var found: [(network: String, state: NetworkState)] = []
    for network in try Networks.names(in: directories.stateFolder) {
      if let state = try state(network) { found.append((network, state)) }
    }
    return found
  }

  func write(_ state: NetworkState, _ network: String) throws(NetworkError) {
    try RecordFile.write(directories.state(network), state.bytes)
  }

  func write(_ leases: Leases, _ network: String) throws(NetworkError) {
    if leases.zones.isEmpty { return try RecordFile.remove(directories.leases(network)) }
    try RecordFile.write(directories.leases(network), leases.bytes)
  }

  // MARK: verbs

  mutating func attach(_ request: AttachRequest, netns: borrowing OwnedFD) throws(NetworkError) -> Attachment {
    let network = request.network
    var leases = try Leases.read(directories.leases(network))
    var standing = try state(network)
    if standing?.attachments.contains(where: { $0.zone == request.zone }) == true {
      try detach(zone: request.zone, network: network, deleteLink: true)
      standing = try state(network)
    }
    let bridge = networks.names.bridge(network)
    if networks.user == nil, let finding = try firewall.foreignDrop(.forward, bridge: bridge) {
      throw .foreignFirewall(chain: finding.chain, mend: finding.mend)
    }
    if try checkFree(request.ports, except: request.zone, on: network) { standing = try state(network) }

    let hadLease = leases?.zones[request.zone] != nil
    var state = try raise(network, standing, leases: &leases)
    do throws(NetworkError) {
      // raise() has seen to it that there are leases.
      var held = leases ?? Leases(subnet: state.subnet)
      let address = try held.lease(request.zone, network: network)
      if !hadLease { try write(held, network) }
      leases = held
      return try plug(request, address: address, into: &state, netns: netns)
    } catch {
      // The first error is the one to report; what clean-up leaves, recover() finds by the state that is written.
      try? detach(zone: request.zone, network: network, deleteLink: true)
      try? lowerIfEmpty(network)
      if !hadLease, var held = leases, held.release(request.zone) { try? write(held, network) }
      throw error
    }
  }

  /// Makes the zone's pair of links and lets it speak. Intent is written first; elements stand before the port is up.
  /// - Parameter phase: what stands on disk until it is done.
  mutating func plug(
    _ request: AttachRequest, address: IPv4Address, into state: inout NetworkState, netns: borrowing OwnedFD,
    phase: NetworkState.Attachment.Phase = .making
  ) throws(NetworkError) -> Attachment {
    let network = request.network
    guard let bridge = try Link.find(state.bridge, on: &route) else {
      throw .conflict(
        "cannot find bridge \(state.bridge) of network \(network): somebody deleted it (stop its zones first)")
    }
    if networks.user == nil { try answerNames(network, &state) }  // a user's was started when the network was made
    var record = NetworkState.Attachment(
      zone: request.zone, phase: phase, interface: networks.names.port(Self.random()), index: 0, address: address,
      mac: MACAddress(zone: request.zone, network: "\(networks.names.tag)/\(network)"), aliases: request.aliases,
      ports: request.ports)
    state.attachments.append(record)
    try write(state, network)

    try route.perform(
      "make the zone's link \(request.interface)",
      Veth.make(record.interface, bridge: bridge.index, peer: request.interface, mac: record.mac, zone: netns.raw))
    guard let port = try Link.find(record.interface, on: &route) else {
      throw .conflict("cannot find link \(record.interface): it was taken away while it was made")
    }
    record.index = port.index
    let elements = record.elements
    try ensureTables()
    try firewall.change(add: elements)
    var inside = try networks.user == nil ? NetlinkSocket.inside(netns, .route) : NetlinkSocket(.route, ofUser: netns)
    try Veth.configurePeer(
      request.interface, address: address, subnet: state.subnet, defaultRoute: request.defaultRoute, on: &inside)
    try route.perform([
      ("quiet IPv6 on \(record.interface)", Link.quietIPv6(port.index), [EAFNOSUPPORT, EOPNOTSUPP]),
      ("set \(record.interface) up", Bridge.openPort(port.index), []),
    ])
    try Link.settle(record.interface, on: &route)
    try Link.settle(request.interface, on: &inside)
    try Link.settle(state.bridge, on: &route)
    try relay(.add, record, record.ports, network)
    record.phase = .up
    state.attachments[state.attachments.count - 1] = record
    try write(state, network)
    return Attachment(
      network: network, interface: request.interface, hostInterface: record.interface, hostIndex: record.index,
      bridge: state.bridge, address: address, prefixLength: state.subnet.length, gateway: state.subnet.gateway,
      nameServer: state.subnet.gateway, mac: record.mac)
  }

  mutating func detach(zone: String, network: String, deleteLink: Bool) throws(NetworkError) {
    guard var state = try state(network) else { return }
    guard let place = state.attachments.firstIndex(where: { $0.zone == zone }) else {
      // Who made the network for it may have been killed before it was written down there.
      return try lowerIfEmpty(network)
    }
    let record = state.attachments[place]
    if try enter(network, state) {
      do throws(NetworkError) { try relay(.drop, record, record.ports, network) } catch {
        // A relay that does not answer keeps its ports open: it goes, and the network is mended without it.
        networks.notice("\(error); the helper of network \(network) is ended")
        try state.helper?.end()
      }
      var gone = record.elements
      if record.index == 0 { gone += try firewall.strayPorts(mac: record.mac, address: record.address) }
      try firewall.change(delete: gone)
      try Conntrack.forget(record.ports, of: record.address, in: space)
      if let link = try Link.find(record.interface, on: &route) {
        if deleteLink || record.phase == .making {
          try route.perform("delete link \(record.interface)", Link.delete(link.index), tolerating: [ENODEV])
        } else {
          // It goes with its namespace; but that one stays for as long as the zone's sockets have something to send that
          // nobody takes, which may be minutes. Without it they come to an end as well. Best effort.
          try? route.leave(Link.delete(link.index, tells: false))
        }
      }
    }
    state.attachments.remove(at: place)
    try write(state, network)
    try lowerIfEmpty(network)
  }

  mutating func release(_ zone: String) throws(NetworkError) {
    for (network, state) in try states() where state.attachments.contains(where: { $0.zone == zone }) {
      try detach(zone: zone, network: network, deleteLink: false)
    }
    for network in try Networks.names(in: directories.leaseFolder) {
      guard var leases = try Leases.read(directories.leases(network)), leases.release(zone) else { continue }
      try write(leases, network)
    }
  }

  mutating func release(where isGone: (String) -> Bool) throws(NetworkError) {
    for network in try Networks.names(in: directories.leaseFolder) {
      guard var leases = try Leases.read(directories.leases(network)) else { continue }
      for zone in leases.zones.keys.filter(isGone) { _ = leases.release(zone) }
      try write(leases, network)
    }
  }

  mutating func republish(zone: String, network: String, ports: [PublishedPort]) throws(NetworkError) {
    let held = try state(network)?.attachments.first { $0.zone == zone }?.ports ?? []
    _ = try checkFree(ports.filter { !held.contains($0) }, except: zone, on: network)
    guard var state = try state(network), let place = state.attachments.firstIndex(where: { $0.zone == zone }) else {
      throw .notFound("cannot publish ports of \(zone): it is not on network \(network)")
    }
    guard try enter(network, state) else {
      throw .conflict(
        "cannot publish ports of \(zone): the helper of network \(network) was killed (zonectl list mends it)")
    }
    let before = state.attachments[place]
    let going = before.ports.filter { !ports.contains($0) }
    let coming = ports.filter { !before.ports.contains($0) }
    // Both are noted while neither is certain, so that a detach after a kill looks for both.
    state.attachments[place].ports = before.ports + coming
    try write(state, network)
    do throws(NetworkError) {
      try relay(.add, before, coming, network)
      try relay(.drop, before, going, network)
      try firewall.change(
        add: coming.flatMap { Ruleset.published($0, to: before.address) },
        delete: going.flatMap { Ruleset.published($0, to: before.address) })
    } catch {
      try? relay(.drop, before, coming, network)
      state.attachments[place].ports = before.ports
      try? write(state, network)  // the transaction's error is the one to report
      throw error
    }
    state.attachments[place].ports = ports
    try write(state, network)
    try Conntrack.forget(going, of: before.address, in: space)
  }

  mutating func recover() throws(NetworkError) {
    for folder in directories.folders {
      for draft in try RecordFile.drafts(in: folder) { try RecordFile.remove(draft) }
    }
    if networks.user != nil { return try recoverUser() }
    let links = try Link.all(on: &route)
    for (network, state) in try states() {
      for record in state.attachments {
        let alive = links.contains { $0.name == record.interface && $0.index == record.index }
        if record.phase == .making || !alive {
          try detach(zone: record.zone, network: network, deleteLink: record.phase == .making)
        }
      }
      try lowerIfEmpty(network)
    }
    try mendHost()
  }

  /// Of root's networks that stand in this network namespace: names are answered, and the rules are there. Without them
  /// zones reach each other, the host, and nothing outside.
  mutating func mendHost() throws(NetworkError) {
    var stands = false
    for (network, state) in try states() where try networks.isHere(state, network, on: &route) {
      stands = true
      var state = state
      try answerNames(network, &state)
    }
    guard stands, try ensureTables() else { return }
    networks.notice("put the rules of the zones' networks back: another program had flushed them")
  }

  // MARK: ports

  /// - Returns: whether a zone that died without a word was taken off its network for it.
  /// - Throws: `.portTaken` with the holder: a zone of ours, of another instance, or a socket of the host.
  private mutating func checkFree(_ ports: [PublishedPort], except zone: String, on own: String)
    throws(NetworkError) -> Bool
  {
    var changed = false
    guard !ports.isEmpty else { return changed }
    let standing = try states()
    for port in ports {
      for (network, state) in standing {
        for other in state.attachments
        where (other.zone != zone || network != own) && other.ports.contains(where: port.clashes) {
          guard other.phase == .up, try isAlive(other) else {
            // Its zone died without a word, and its ports with it.
            try detach(zone: other.zone, network: network, deleteLink: other.phase == .making)
            changed = true
            continue
          }
          throw .portTaken(port.hostText, holder: "zone \(other.zone)")
        }
      }
      if let holder = try PortHolder.find(port) { throw .portTaken(port.hostText, holder: holder) }
    }
    if networks.user != nil { return changed }  // another instance's ports are sockets, which were looked for
    for (table, _) in try firewall.otherInstances() {
      for port in ports {
        // Only the key matters to the look-up, so the target may be anything.
        guard let element = Ruleset.published(port, to: IPv4Address(0)).first,
          try firewall.contains(element, table: table)
        else { continue }
        throw .portTaken(port.hostText, holder: "a zone of another --root (nft table \(table))")
      }
    }
    return changed
  }

  private mutating func isAlive(_ attachment: NetworkState.Attachment) throws(NetworkError) -> Bool {
    if let user = networks.user { return user.lives(attachment.zone) }
    return try Link.find(attachment.interface, on: &route)?.index == attachment.index
  }

  /// Starts the network's helper where none lives.
  private func answerNames(_ network: String, _ state: inout NetworkState) throws(NetworkError) {
    guard !networks.helper.isEmpty, state.helper?.isAlive != true else { return }
    try state.helper?.end()  // reaps it where it was our child
    let started = try HelperProcess.start(
      networks.helper + [network], gateway: state.subnet.gateway, user: nil, group: networks.group)
    state.helper = started.record
    try write(state, network)
    try started.release()
  }

  static func random() -> UInt64 { UInt64.random(in: .min ... .max) }
}
