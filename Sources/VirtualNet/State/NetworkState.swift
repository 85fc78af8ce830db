/// A network that stands, and who is attached to it: `RUN/networks/NAME`.
///
/// Written before things are made, so that whoever finds it after a kill knows what to look for.
///
///     zones-network 1
///     network zbr-default 10.88.0.0/24 BOOT
///     helper PID STARTED
///     pasta PID STARTED
///     closed 192.0.2.7/32
///     zone web up dzv-0000001 17 10.88.0.2 02:…
///     alias web www
///     port web tcp * 8080 80
struct NetworkState: Equatable, Sendable {
  struct Attachment: Equatable, Sendable {
    /// `making` only while the lock is held: found otherwise, its maker was killed. `lost`: an ordinary user's network
    /// lost its namespaces, and the zone is to be connected to the new ones.
    enum Phase: String, Sendable { case making, up, lost }
    var zone: String
    var phase: Phase
    var interface: String
    /// 0 while making.
    var index: UInt32
    var address: IPv4Address
    var mac: MACAddress
    var aliases: [String] = []
    var ports: [PublishedPort] = []
  }

  var bridge: String
  var subnet: IPv4Subnet
  /// The machine's start it belongs to.
  var boot: String
  var helper: ProcessRecord?
  /// Of an ordinary user's network.
  var pasta: ProcessRecord?
  /// A pasta is being started, or its starter was killed meanwhile: `pasta starting`.
  var pastaIsStarting = false
  /// What of the host an ordinary user's network does not reach.
  var closed: [IPv4Subnet] = []
  var attachments: [Attachment] = []

  private static let kind = "zones-network"
  private static let mend = "stop the zones of this network, then remove the file"

  static func read(_ path: String) throws(NetworkError) -> NetworkState? {
    try RecordFile.read(path).map { (bytes) throws(NetworkError) in try NetworkState(bytes, path: path) }
  }

  init(bridge: String, subnet: IPv4Subnet, boot: String) {
    self.bridge = bridge
    self.subnet = subnet
    self.boot = boot
  }

  init(_ bytes: [UInt8], path: String) throws(NetworkError) {
    var state: NetworkState?
    var seen: Set<UInt32> = []
    try RecordFile.parse(bytes, kind: Self.kind, version: 1, path: path, mend: Self.mend) { line in
      if state != nil {
        guard state!.take(line) else { return false }
        // Leases that are made of this must be ones that can be read.
        guard line.kind == "zone", let address = state!.attachments.last?.address else { return true }
        return state!.subnet.zones.contains(address.number) && seen.insert(address.number).inserted
      }
      guard line.kind == "network", line.count == 4, let subnet = IPv4Subnet(line[2]), subnet.length == 24 else {
        return false
      }
      state = NetworkState(bridge: line[1], subnet: subnet, boot: line[3])
      return true
    }
    guard let state else { throw .damaged(path: path, line: 2, mend: Self.mend) }
    self = state
  }

  /// Aliases and ports follow their zone.
  private mutating func take(_ line: RecordFile.Line) -> Bool {
    let last = attachments.count - 1
    switch (line.kind, line.count) {
    case ("helper", 3):
      guard let pid = Int32(line[1]), let started = line.unsigned(2, as: UInt64.self) else { return false }
      helper = ProcessRecord(pid: pid, started: started)
    case ("pasta", 2) where line[1] == "starting": pastaIsStarting = true
    case ("pasta", 3):
      guard let pid = Int32(line[1]), let started = line.unsigned(2, as: UInt64.self) else { return false }
      pasta = ProcessRecord(pid: pid, started: started)
    case ("closed", 2):
      guard let prefix = IPv4Subnet(line[1]) else { return false }
      closed.append(prefix)
    case ("zone", 7):
      guard let phase = Attachment.Phase(rawValue: line[2]), let index = line.unsigned(4, as: UInt32.self),
        let address = line.address(5), let mac = line.mac(6)
      else { return false }
      attachments.append(
        Attachment(zone: line[1], phase: phase, interface: line[3], index: index, address: address, mac: mac))
    case ("alias", 3):
      guard last >= 0, attachments[last].zone == line[1] else { return false }
      attachments[last].aliases.append(line[2])
    case ("port", 6):
      guard last >= 0, attachments[last].zone == line[1], let transport = PublishedPort.Transport(rawValue: line[2]),
        let host = line.unsigned(4, as: UInt16.self), let inside = line.unsigned(5, as: UInt16.self)
      else { return false }
      attachments[last].ports.append(
        PublishedPort(
          hostAddress: line[3] == "*" ? nil : line[3], hostPort: host, zonePort: inside, transport: transport))
    default: return false
    }
    return true
  }

  var bytes: [UInt8] {
    var file = RecordFile.Writer(kind: Self.kind, version: 1)
    file.line("network", bridge, "\(subnet)", boot)
    if let helper { file.line("helper", "\(helper.pid)", "\(helper.started)") }
    if let pasta { file.line("pasta", "\(pasta.pid)", "\(pasta.started)") }
    if pastaIsStarting { file.line("pasta", "starting") }
    for prefix in closed { file.line("closed", "\(prefix)") }
    for one in attachments {
      file.line(
        "zone", one.zone, one.phase.rawValue, one.interface, String(one.index), one.address.description,
        one.mac.description)
      for alias in one.aliases { file.line("alias", one.zone, alias) }
      for port in one.ports {
        file.line(
          "port", one.zone, port.transport.rawValue, port.hostAddress ?? "*", String(port.hostPort),
          String(port.zonePort))
      }
    }
    return file.bytes
  }

  /// What the rules must hold for it.
  var elements: [NftElement] {
    Ruleset.network(bridge: bridge, subnet: subnet)
      + attachments.flatMap { $0.phase == .up ? $0.elements : [] }
  }
}

extension NetworkState.Attachment {
  /// What the rules must hold for it; its own port only where the index is known.
  var elements: [NftElement] {
    (index == 0 ? [] : [Ruleset.port(index: index, mac: mac, address: address)])
      + ports.flatMap { Ruleset.published($0, to: address) }
  }
}
