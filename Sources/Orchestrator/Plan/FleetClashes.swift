/// What two fleets of one machine cannot both have.
///
/// Names are joined by `-`, so that `db-data` of the fleet `shop` and `data` of the fleet `shop-db` are one volume. Who
/// shares on purpose says so: a volume that is `external` in one of them, a network that one of them calls by its `name`.
struct FleetClashes {
  var spec: FleetSpec
  /// All fleets that the machine knows of but this one.
  var others: [FleetRecord]

  init(_ spec: FleetSpec, among all: some Sequence<FleetRecord>) {
    self.spec = spec
    self.others = all.filter { $0.spec.name != spec.name }.sorted { $0.spec.name < $1.spec.name }
  }

  /// - Throws: `conflict` with who has it.
  func check() throws(FleetError) {
    try checkPorts()
    try checkVolumes()
    try checkNetworks()
  }

  private func checkPorts() throws(FleetError) {
    for (name, service) in spec.services.sorted(by: { $0.key < $1.key }) {
      for port in service.ports {
        for other in others where other.wanted == .running {
          guard let taken = other.spec.services.values.flatMap(\.ports).first(where: { $0.clashes(with: port) }) else {
            continue
          }
          let shared = max(port.host.lowerBound, taken.host.lowerBound)
          throw .conflict("cannot publish port \(shared) for \(name): the fleet '\(other.spec.name)' has it")
        }
      }
    }
  }

  private func checkVolumes() throws(FleetError) {
    for (name, volume) in spec.volumes.sorted(by: { $0.key < $1.key }) where !volume.external {
      let called = spec.volumeName(name)
      // Also of one that was taken down, and of services that are gone: the data is there.
      guard let other = others.first(where: { $0.volumes.contains(called) }) else { continue }
      throw .conflict(
        "cannot have the volume \(name): it would be \(called), which the fleet '\(other.spec.name)' has (give it another `name`, or `external: true` to share it)"
      )
    }
  }

  private func checkNetworks() throws(FleetError) {
    for name in spec.usedNetworks.sorted() where spec.networks[name]?.name == nil {
      let called = spec.networkName(name)
      for other in others where other.wanted != .volumesOnly {
        let same = other.spec.usedNetworks.contains {
          other.spec.networks[$0]?.name == nil && other.spec.networkName($0) == called
        }
        guard same else { continue }
        throw .conflict(
          "cannot have the network \(name): it would be \(called), which the fleet '\(other.spec.name)' has (give it another `name`, or that very one to share it)"
        )
      }
    }
  }
}
