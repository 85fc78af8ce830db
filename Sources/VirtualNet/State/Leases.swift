/// The addresses of a network that zones hold from their first attach until they are deleted: `DATA/networks/NAME`.
///
///     zones-leases 1
///     subnet 10.88.0.0/24
///     zone web 10.88.0.2
struct Leases: Equatable, Sendable {
  var subnet: IPv4Subnet
  private(set) var zones: [String: IPv4Address] = [:]

  private static let kind = "zones-leases"
  private static let mend = "move it away; zones then get new addresses"

  init(subnet: IPv4Subnet) { self.subnet = subnet }

  /// Those of the zones that are attached.
  init(_ state: NetworkState) {
    subnet = state.subnet
    for one in state.attachments { zones[one.zone] = one.address }
  }

  /// The zone's address; the lowest free one where it has none yet.
  /// - Throws: `.conflict` where the network is full.
  mutating func lease(_ zone: String, network: String) throws(NetworkError) -> IPv4Address {
    if let address = zones[zone] { return address }
    let taken = Set(zones.values.map { $0.number })
    guard let number = subnet.zones.first(where: { !taken.contains($0) }) else {
      throw .conflict(
        "cannot lease an address to \(zone): network \(network) is full, all \(subnet.zones.count) of \(subnet) are "
          + "leased (delete zones, or use another network)")
    }
    zones[zone] = IPv4Address(number)
    return IPv4Address(number)
  }

  /// - Returns: whether the zone had one.
  mutating func release(_ zone: String) -> Bool { zones.removeValue(forKey: zone) != nil }

  /// Every zone keeps its place in another prefix of the same length.
  mutating func move(to other: IPv4Subnet) {
    zones = zones.mapValues { IPv4Address($0.number - subnet.base.number + other.base.number) }
    subnet = other
  }

  static func read(_ path: String) throws(NetworkError) -> Leases? {
    try RecordFile.read(path).map { (bytes) throws(NetworkError) in try Leases(bytes, path: path) }
  }

  init(_ bytes: [UInt8], path: String) throws(NetworkError) {
    var subnet: IPv4Subnet?
    var zones: [String: IPv4Address] = [:]
    var seen: Set<IPv4Address> = []
    try RecordFile.parse(bytes, kind: Self.kind, version: 1, path: path, mend: Self.mend) { line in
      guard let known = subnet else {
        guard line.kind == "subnet", line.count == 2 else { return false }
        subnet = IPv4Subnet(line[1])
        return subnet?.length == 24
      }
      guard line.kind == "zone", line.count == 3, let address = line.address(2), known.zones.contains(address.number),
        seen.insert(address).inserted
      else { return false }
      return zones.updateValue(address, forKey: line[1]) == nil
    }
    guard let subnet else { throw .damaged(path: path, line: 2, mend: Self.mend) }
    self.subnet = subnet
    self.zones = zones
  }

  var bytes: [UInt8] {
    var file = RecordFile.Writer(kind: Self.kind, version: 1)
    file.line("subnet", "\(subnet)")
    for (zone, address) in zones.sorted(by: { $0.value < $1.value }) { file.line("zone", zone, "\(address)") }
    return file.bytes
  }
}
