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

  /// The zone's address; the lowest free one where it has none yet.
  /// - Throws: `.conflict` where the network is full.
  mutating func lease(_ zone: String, network: String) throws(NetworkError) -> IPv4Address {
    if let address = zones[zone] { return address }
    let taken = Set(zones.values.map(\.number))
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
    guard let file = try RecordFile.read(path, kind: kind, version: 1, mend: mend) else { return nil }
    return try Leases(file, path: path)
  }

  init(_ file: RecordFile, path: String) throws(NetworkError) {
    guard let first = file.records.first, first.count == 2, first[0] == "subnet", let subnet = IPv4Subnet(first[1]),
      subnet.length == 24
    else { throw .damaged(path: path, line: 2, mend: Self.mend) }
    self.subnet = subnet
    var seen: Set<IPv4Address> = []
    for (line, record) in file.records.enumerated().dropFirst() {
      guard record.count == 3, record[0] == "zone", let address = IPv4Address(record[2]),
        subnet.zones.contains(address.number), zones[record[1]] == nil, seen.insert(address).inserted
      else { throw .damaged(path: path, line: line + 2, mend: Self.mend) }
      zones[record[1]] = address
    }
  }

  var bytes: [UInt8] {
    RecordFile.text(
      kind: Self.kind, version: 1,
      [["subnet", "\(subnet)"]] + zones.sorted { $0.value < $1.value }.map { ["zone", $0.key, "\($0.value)"] })
  }
}
