internal import ResourceControl
internal import ZoneRuntime

/// The rows of a manifest outside of its services.
enum FleetFields {
  /// A manifest on its way: header and spec.
  struct Draft {
    var apiVersion: String?
    var kind: String?
    var fleet = FleetSpec(name: "")
    var specPlace: ManifestNode?
  }

  static let document = FieldTable<Draft>(
    "a manifest",
    [
      Field("apiVersion", "text", "zones/v1") { (node, draft, _) throws(ManifestProblem) in
        draft.apiVersion = try node.choice(["zones/v1"])
      },
      Field("kind", "text", "Fleet") { (node, draft, _) throws(ManifestProblem) in
        draft.kind = try node.choice(["Fleet"])
      },
      Field("metadata", "map", "name and labels") { (node, draft, reading) throws(ManifestProblem) in
        metadata.read(node, into: &draft.fleet, &reading)
      },
      Field("spec", "map", "services, networks, volumes and secrets") {
        (node, draft, reading) throws(ManifestProblem) in
        draft.specPlace = node
        spec.read(node, into: &draft.fleet, &reading)
      },
    ])

  static let metadata = FieldTable<FleetSpec>(
    "metadata",
    [
      Field("name", "text", "the fleet's name, the first part of its zones' names") {
        (node, fleet, reading) throws(ManifestProblem) in
        let name = try node.text()
        guard isDNSLabel(name) else {
          throw node.problem("\(node.name) '\(name)' is not a name (a-z, 0-9 and -, at most 63)")
        }
        guard !reserved.contains(name) else {
          throw node.problem("\(node.name) '\(name)' would take a network's name; choose another")
        }
        fleet.name = name
      },
      Field("labels", "map or list", "names and values of your own, kept with each zone") {
        (node, fleet, _) throws(ManifestProblem) in
        fleet.labels = try node.labels()
      },
    ])

  /// The fleet's network is called as the fleet, so a fleet cannot be called as these.
  static let reserved = ["none", "host", "default"]

  static let spec = FieldTable<FleetSpec>(
    "spec",
    [
      Field("services", "map", "what runs: a service's fields by its name") {
        (node, fleet, reading) throws(ManifestProblem) in
        for (key, value) in try node.entries() {
          reading.places[value.name] = key
          reading.attempt { (reading) throws(ManifestProblem) in
            try checkName(key)
            fleet.services[key.key] = try Service.read(value, &reading)
          }
        }
      },
      Field("networks", "map", "networks of this fleet; `default` is the one of services that name none") {
        (node, fleet, reading) throws(ManifestProblem) in
        for (key, value) in try node.entries() {
          try checkName(key)
          var network = FleetNetwork()
          if !value.isNull { networkTable.read(value, into: &network, &reading) }
          fleet.networks[key.key] = network
        }
      },
      Field("volumes", "map", "volumes of this fleet, kept by `down` without --volumes") {
        (node, fleet, reading) throws(ManifestProblem) in
        for (key, value) in try node.entries() {
          try checkName(key)
          var volume = FleetVolume()
          if !value.isNull { volumeTable.read(value, into: &volume, &reading) }
          if volume.external, volume.name == nil { volume.name = key.key }
          fleet.volumes[key.key] = volume
        }
      },
      Field("secrets", "map", "secrets of this fleet, read now and kept encrypted") {
        (node, fleet, reading) throws(ManifestProblem) in
        for (key, value) in try node.entries() {
          reading.attempt { (reading) throws(ManifestProblem) in
            try checkName(key, allowing: "_.")
            var secret = SecretSource()
            let before = reading.problems.count
            secretTable.read(value, into: &secret, &reading)
            guard reading.problems.count == before else { return }
            guard secret.values.count == 1 else {
              throw key.problem("the secret '\(key.key)' wants one of file and environment")
            }
            reading.secretValues[key.key] = secret.values[0]
            fleet.secrets.append(key.key)
          }
        }
        fleet.secrets.sort()
      },
    ])

  static let networkTable = FieldTable<FleetNetwork>(
    "a network",
    [
      Field("name", "text", "the network's name on this machine; FLEET-NAME without it, which no other fleet may have")
      {
        (node, network, _) throws(ManifestProblem) in
        let name = try node.text()
        guard isDNSLabel(name), name != "none", name != "host" else {
          throw node.problem("\(node.name) '\(name)' cannot be a network's name")
        }
        network.name = name
      },
      Field("driver", "text", "nat") { (node, _, _) throws(ManifestProblem) in _ = try node.choice(["nat"]) },
    ])

  static let volumeTable = FieldTable<FleetVolume>(
    "a volume",
    [
      Field("name", "text", "the volume's name on this machine; FLEET-NAME without it; no other fleet may have it") {
        (node, volume, _) throws(ManifestProblem) in
        let name = try node.text()
        guard isDNSLabel(name) else {
          throw node.problem("\(node.name) '\(name)' is not a volume's name (a-z, 0-9 and -)")
        }
        volume.name = name
      },
      Field("external", "true or false", "not this fleet's: never removed by it, and may be another's") {
        (node, volume, _) throws(ManifestProblem) in
        volume.external = try node.bool()
      },
    ])

  struct SecretSource { var values: [[UInt8]] = [] }

  static let secretTable = FieldTable<SecretSource>(
    "a secret",
    [
      Field("file", "path", "the file that holds it") { (node, secret, reading) throws(ManifestProblem) in
        let value = try node.contents(of: reading.absolute(try node.text()), reading)
        guard value.count <= 1 << 20 else {
          throw node.problem("\(node.name): a secret may have 1 MiB, this has \(value.count) bytes")
        }
        secret.values.append(value)
      },
      Field("environment", "text", "the variable of the caller that holds it") {
        (node, secret, reading) throws(ManifestProblem) in
        let name = try node.text()
        guard let value = reading.environment[name] else {
          throw node.problem("\(node.name): the variable '\(name)' is not set")
        }
        secret.values.append(Array(value.utf8))
      },
    ])

  private static func checkName(_ key: ManifestNode, allowing more: String = "") throws(ManifestProblem) {
    let plain = key.key.filter { !more.contains($0) }
    guard isDNSLabel(more.isEmpty ? key.key : plain.lowercased()), !key.key.hasPrefix(".") else {
      throw key.problem("'\(key.key)' is not a name (a-z, 0-9 and -, at most 63)")
    }
  }
}

extension Service {
  static func read(_ node: ManifestNode, _ reading: inout ManifestReading) throws(ManifestProblem) -> Service {
    var draft = Draft()
    guard !node.isNull else { return Service() }
    table.read(node, into: &draft, &reading)
    var service = draft.service
    service.environment.merge(draft.environmentFiles) { own, _ in own }
    service.limits = try merged(draft, node)
    if let profile = draft.profile { try service.take(profile, &draft, node) }
    switch (draft.networkMode, draft.networks) {
    case (let mode?, nil): service.network = mode
    case (nil, let network?): service.network = network
    case (nil, nil): break
    default: throw node.problem("\(node.name) has both networks and network_mode")
    }
    if let policy = draft.deployRestart {
      guard !draft.restartGiven || service.restart == policy else {
        throw node.problem("\(node.name): restart and deploy.restart_policy say different things")
      }
      service.restart = policy
    }
    return service
  }

  private static func merged(_ draft: Draft, _ node: ManifestNode) throws(ManifestProblem) -> ResourceLimits {
    var limits = draft.topLimits
    func agree<Value: Equatable>(_ top: Value?, _ deploy: Value?, _ names: String) throws(ManifestProblem) -> Value? {
      if let top, let deploy, top != deploy { throw node.problem("\(node.name): \(names) say different things") }
      return top ?? deploy
    }
    limits.cpus = try agree(limits.cpus, draft.deployLimits.cpus, "cpus and deploy.resources.limits.cpus")
    limits.memory = try agree(limits.memory, draft.deployLimits.memory, "mem_limit and deploy.resources.limits.memory")
    limits.pids = try agree(limits.pids, draft.deployLimits.pids, "pids_limit and deploy.resources.limits.pids")
    return limits
  }
}
