internal import LinuxNS
internal import ResourceControl
internal import VirtualNet
internal import ZoneRuntime

/// A manifest that was read without a problem: the fleet, and the values of its secrets apart from it.
public struct Manifest: Sendable {
  public var fleet: FleetSpec
  public var secrets: [String: [UInt8]]

  /// Reads a manifest's text.
  /// - Parameters:
  ///   - file: the name that problems are told with.
  ///   - directory: what relative paths start from, absolute.
  ///   - environment: the caller's, for `environment: [NAME]` and secrets from variables.
  static func read(
    _ text: String, file: String, directory: String, environment: [String: String],
    readFile: @escaping (String) throws -> [UInt8] = { try FileSystem.read($0) }
  ) throws(FleetError) -> Manifest {
    var reading = ManifestReading(directory: directory, environment: environment, readFile: readFile)
    let root: ManifestNode
    do { root = try ManifestNode.document(text, file: file) } catch { throw .manifest([error]) }
    var draft = FleetFields.Draft()
    FleetFields.document.read(root, into: &draft, &reading)
    let complete = draft.apiVersion != nil && draft.kind != nil && !draft.fleet.name.isEmpty && draft.specPlace != nil
    if reading.problems.isEmpty {
      if !complete {
        let missing =
          draft.apiVersion == nil
          ? "apiVersion: zones/v1"
          : draft.kind == nil ? "kind: Fleet" : draft.specPlace == nil ? "spec" : "metadata.name"
        reading.note(root.problem("the manifest has no \(missing)"))
      } else {
        check(draft.fleet, &reading)
      }
    }
    let problems = reading.problems.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
    guard problems.isEmpty else { throw .manifest(problems) }
    return Manifest(fleet: draft.fleet, secrets: reading.secretValues)
  }

  /// Reads a manifest file (`-` is standard input, with paths relative to the working directory).
  public static func read(path: String, workingDirectory: String, environment: [String: String]) throws(FleetError)
    -> Manifest
  {
    let absolute = path.hasPrefix("/") ? path : "\(workingDirectory)/\(path)"
    let bytes: [UInt8]
    do {
      bytes = try FileSystem.read(path == "-" ? "/proc/self/fd/0" : absolute)
    } catch { throw .failed("cannot read the manifest \(path): \(SyscallError.describe(error.errno))") }
    return try read(
      String(decoding: bytes, as: UTF8.self), file: path == "-" ? "standard input" : path,
      directory: path == "-" ? workingDirectory : FileSystem.parent(of: absolute), environment: environment)
  }

  /// What no single field can tell: names that must be declared, ports that clash, circles.
  private static func check(_ fleet: FleetSpec, _ reading: inout ManifestReading) {
    for (name, service) in fleet.services.sorted(by: { $0.key < $1.key }) {
      let path = "spec.services.\(name)"
      func place(_ field: String) -> ManifestNode? { reading.places["\(path).\(field)"] ?? reading.places[path] }
      func note(_ field: String, _ why: String) { place(field).map { reading.note($0.problem(why)) } }

      let longest = fleet.zoneName(name, max(1, service.replicas))
      if longest.utf8.count > 63 {
        note("", "the zone's name '\(longest)' would be longer than 63 letters; shorten the fleet's or the service's")
      }
      for dependency in service.dependsOn.keys.sorted() where fleet.services[dependency] == nil {
        note(
          "depends_on.\(dependency)",
          "there is no service '\(dependency)'\(hint(for: dependency, in: fleet.services.keys))")
      }
      for (dependency, condition) in service.dependsOn where condition == .healthy {
        if let other = fleet.services[dependency], other.health == nil {
          note("depends_on.\(dependency)", "'\(dependency)' has no healthcheck, so it never becomes healthy")
        }
      }
      if case .fleet(let network) = service.network, network != "default", fleet.networks[network] == nil {
        note("networks", "there is no network '\(network)'\(hint(for: network, in: fleet.networks.keys))")
      }
      for (index, mount) in service.volumes.enumerated() {
        guard case .volume(let volume) = mount.source, fleet.volumes[volume] == nil else { continue }
        note("volumes[\(index)]", "there is no volume '\(volume)'\(hint(for: volume, in: fleet.volumes.keys))")
      }
      for (target, count) in Dictionary(grouping: service.volumes, by: \.target).mapValues(\.count) where count > 1 {
        let last = service.volumes.lastIndex { $0.target == target }!
        note("volumes[\(last)]", "\(count) volumes are mounted on '\(target)'")
      }
      for (index, secret) in service.secrets.enumerated() {
        if !fleet.secrets.contains(secret.source) {
          note(
            "secrets[\(index)]", "there is no secret '\(secret.source)'\(hint(for: secret.source, in: fleet.secrets))")
        }
        if service.secrets[..<index].contains(where: { $0.target == secret.target }) {
          note("secrets[\(index)]", "two secrets are called '\(secret.target)'")
        }
      }
      checkPorts(service, name, note)
      if case .none = service.network, service.health?.ports.isEmpty == false {
        note("healthcheck", "without a network there is no port to check; use test")
      }
    }
    checkClashes(fleet, &reading)
    do {
      _ = try DependencyOrder.sorted(
        fleet.services.mapValues { Set($0.dependsOn.keys) }.filter { fleet.services[$0.key] != nil })
    } catch {
      let first = error.services[0]
      let place =
        reading.places["spec.services.\(first).depends_on.\(error.services[1])"]
        ?? reading.places["spec.services.\(first)"]
      place.map {
        reading.note(
          $0.problem("the services depend on each other in a circle: \(error.services.joined(separator: " -> "))"))
      }
    }
  }

  private static func checkPorts(_ service: Service, _ name: String, _ note: (String, String) -> Void) {
    for (index, port) in service.ports.enumerated() {
      let field = "ports[\(index)]"
      switch service.network {
      case .none: note(field, "a service without a network publishes nothing")
      case .host: note(field, "a service on the host's network has the host's ports; publish nothing")
      case .fleet: break
      }
      guard service.replicas > 1 else { continue }
      if port.isPerReplica {
        if port.host.count < service.replicas {
          note(
            field, "\(service.replicas) replicas want \(service.replicas) host ports, the range has \(port.host.count)")
        }
      } else if port.transport == .udp {
        note(
          field,
          "one udp port cannot lead to \(service.replicas) replicas; give a range of \(service.replicas) host ports")
      }
    }
  }

  /// Two published ports clash where protocol and port are the same and the addresses too, or one is every address.
  private static func checkClashes(_ fleet: FleetSpec, _ reading: inout ManifestReading) {
    var taken: [(port: ServicePort, place: ManifestNode)] = []
    let all = fleet.services.flatMap { name, service in
      service.ports.enumerated().compactMap { index, port in
        reading.places["spec.services.\(name).ports[\(index)]"].map { (port, $0) }
      }
    }
    for (port, place) in all.sorted(by: {
      ($0.1.problem("").line, $0.1.problem("").column) < ($1.1.problem("").line, $1.1.problem("").column)
    }) {
      if let other = taken.first(where: { $0.port.clashes(with: port) }) {
        let shared = max(port.host.lowerBound, other.port.host.lowerBound)
        reading.note(
          place.problem(
            "host port \(shared)/\(port.transport.rawValue) is published twice, first on line \(other.place.problem("").line)"
          ))
      }
      taken.append((port, place))
    }
  }
}

extension ServicePort {
  func clashes(with other: ServicePort) -> Bool {
    transport == other.transport && host.overlaps(other.host)
      && (hostAddress == nil || other.hostAddress == nil || hostAddress == other.hostAddress)
  }
}

extension Manifest {
  /// Every field of a manifest, by the map it belongs to: the reference that `orchestrator fields` prints.
  public static var reference: [(owner: String, fields: [(field: String, takes: String, means: String)])] {
    [
      ("manifest", FleetFields.document.reference), ("metadata", FleetFields.metadata.reference),
      ("spec", FleetFields.spec.reference), ("service", Service.table.reference),
      ("healthcheck", HealthCheck.table.reference), ("deploy", Service.deployTable.reference),
      ("deploy.resources", Service.resourcesTable.reference),
      ("deploy.resources.limits", Service.limitsTable.reference),
      ("deploy.restart_policy", Service.restartTable.reference),
      ("depends_on entry", Service.dependencyTable.reference),
      ("port", ServicePort.long.reference), ("volume mount", VolumeMount.long.reference),
      ("service secret", ServiceSecret.table.reference), ("network", FleetFields.networkTable.reference),
      ("volume", FleetFields.volumeTable.reference), ("secret", FleetFields.secretTable.reference),
    ]
  }
}
