/// A network that stands, and who is attached to it: `RUN/networks/NAME`.
///
/// Written before things are made, so that whoever finds it after a kill knows what to look for.
///
///     zones-network 1
///     network zbr-default 10.88.0.0/24 BOOT
///     helper PID STARTED
///     zone web up dzv-0000001 17 10.88.0.2 02:…
///     alias web www
///     port web tcp * 8080 80
struct NetworkState: Equatable, Sendable {
  struct Attachment: Equatable, Sendable {
    /// `making` only while the lock is held: found otherwise, its maker was killed.
    enum Phase: String, Sendable { case making, up }
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
  var attachments: [Attachment] = []

  private static let kind = "zones-network"
  private static let mend = "stop the zones of this network, then remove the file"

  static func read(_ path: String) throws(NetworkError) -> NetworkState? {
    guard let file = try RecordFile.read(path, kind: kind, version: 1, mend: mend) else { return nil }
    return try NetworkState(file, path: path)
  }

  init(bridge: String, subnet: IPv4Subnet, boot: String) {
    self.bridge = bridge
    self.subnet = subnet
    self.boot = boot
  }

  init(_ file: RecordFile, path: String) throws(NetworkError) {
    guard let first = file.records.first, first.count == 4, first[0] == "network", let subnet = IPv4Subnet(first[2]),
      subnet.length == 24
    else {
      throw .damaged(path: path, line: 2, mend: Self.mend)
    }
    self.init(bridge: first[1], subnet: subnet, boot: first[3])
    for (line, words) in file.records.enumerated().dropFirst() where !take(words) {
      throw .damaged(path: path, line: line + 2, mend: Self.mend)
    }
  }

  private mutating func take(_ words: [String]) -> Bool {
    switch (words.first, words.count) {
    case ("helper", 3):
      guard let pid = Int32(words[1]), let started = UInt64(words[2]) else { return false }
      helper = ProcessRecord(pid: pid, started: started)
    case ("zone", 7):
      guard let phase = Attachment.Phase(rawValue: words[2]), let index = UInt32(words[4]),
        let address = IPv4Address(words[5]), let mac = MACAddress(words[6])
      else { return false }
      attachments.append(
        Attachment(zone: words[1], phase: phase, interface: words[3], index: index, address: address, mac: mac))
    case ("alias", 3):
      guard let zone = attachments.firstIndex(where: { $0.zone == words[1] }) else { return false }
      attachments[zone].aliases.append(words[2])
    case ("port", 6):
      guard let zone = attachments.firstIndex(where: { $0.zone == words[1] }),
        let transport = PublishedPort.Transport(rawValue: words[2]), let host = UInt16(words[4]),
        let inside = UInt16(words[5])
      else { return false }
      attachments[zone].ports.append(
        PublishedPort(
          hostAddress: words[3] == "*" ? nil : words[3], hostPort: host, zonePort: inside, transport: transport))
    default: return false
    }
    return true
  }

  var bytes: [UInt8] {
    var records = [["network", bridge, "\(subnet)", boot]]
    if let helper { records.append(["helper", "\(helper.pid)", "\(helper.started)"]) }
    for one in attachments {
      records.append(["zone", one.zone, one.phase.rawValue, one.interface, "\(one.index)", "\(one.address)", "\(one.mac)"])
      for alias in one.aliases { records.append(["alias", one.zone, alias]) }
      for port in one.ports {
        records.append([
          "port", one.zone, port.transport.rawValue, port.hostAddress ?? "*", "\(port.hostPort)", "\(port.zonePort)",
        ])
      }
    }
    return RecordFile.text(kind: Self.kind, version: 1, records)
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
