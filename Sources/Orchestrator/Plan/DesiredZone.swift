internal import VirtualNet
public import ZoneRuntime

/// What is to be: one zone, or one balancer, made from the manifest.
public struct DesiredZone: Equatable, Sendable {
  public var spec: ZoneSpec
  public var service: String
  public var ordinal: Int
  /// Stands for the secrets' contents: changes when one of them does, and tells nothing about them.
  public var secretsDigest: String
}

/// The process that shares published ports among the replicas of a service.
public struct Balancer: Codable, Equatable, Sendable {
  public struct Listener: Codable, Equatable, Hashable, Sendable {
    public var hostAddress: String?
    public var hostPort: UInt16
    public var zonePort: UInt16
  }
  public var fleet: String
  public var service: String
  public var listeners: [Listener]
  public var name: String { "\(fleet)-\(service)" }
}

/// A service's zone port that the host must reach, and the loopback port that leads there where zones have no
/// reachable address of their own.
public struct LoopbackPort: Codable, Hashable, Sendable {
  public var zone: String
  public var zonePort: UInt16

  public init(zone: String, zonePort: UInt16) {
    self.zone = zone
    self.zonePort = zonePort
  }
}

/// How this machine places zones: an input of the planner.
public struct Placement: Sendable {
  /// Zones have addresses that the host reaches.
  public var zonesAreReachable: Bool
  /// Loopback ports that were chosen for zones; used where zones are not reachable.
  public var loopbackPorts: [LoopbackPort: UInt16]
  /// The host's folder that holds this fleet's secrets as files.
  public var secretsDirectory: String
  /// A digest of each secret's content.
  public var secretDigests: [String: String]

  public init(
    zonesAreReachable: Bool, loopbackPorts: [LoopbackPort: UInt16] = [:], secretsDirectory: String,
    secretDigests: [String: String] = [:]
  ) {
    self.zonesAreReachable = zonesAreReachable
    self.loopbackPorts = loopbackPorts
    self.secretsDirectory = secretsDirectory
    self.secretDigests = secretDigests
  }
}

extension FleetSpec {
  public static let serviceLabel = "zones.service"
  public static let fleetLabel = "zones.fleet"

  /// The services, each after those it depends on. A manifest with a circle is refused before it comes here.
  public var servicesInOrder: [String] {
    let edges = services.mapValues { Set($0.dependsOn.keys).intersection(services.keys) }
    return (try? DependencyOrder.sorted(edges)) ?? services.keys.sorted()
  }

  /// The zones of a service, by their number.
  public func zones(of name: String, on placement: Placement) -> [DesiredZone] {
    guard let service = services[name], service.replicas > 0 else { return [] }
    return (1...service.replicas).map { ordinal in
      let secrets = service.secrets.map { "\($0.source)=\(placement.secretDigests[$0.source] ?? "")" }
      return DesiredZone(
        spec: spec(of: service, called: name, ordinal, placement), service: name, ordinal: ordinal,
        secretsDigest: secrets.joined(separator: ","))
    }
  }

  /// The balancer of a service, where one of its ports is shared by replicas.
  public func balancer(of name: String) -> Balancer? {
    guard let service = services[name] else { return nil }
    let listeners = service.balancedPorts.flatMap { port in
      zip(port.host, port.zone).map { Balancer.Listener(hostAddress: port.hostAddress, hostPort: $0, zonePort: $1) }
    }
    return listeners.isEmpty ? nil : Balancer(fleet: self.name, service: name, listeners: listeners)
  }

  /// The loopback ports that a fleet's zones need where they are not reachable.
  public func neededLoopbackPorts() -> [LoopbackPort] {
    services.sorted { $0.key < $1.key }.flatMap { name, service in
      let ports = service.portsReachedFromHost
      return (0..<service.replicas).flatMap { index in
        ports.map { LoopbackPort(zone: zoneName(name, index + 1), zonePort: $0) }
      }
    }
  }

  private func spec(of service: Service, called name: String, _ ordinal: Int, _ placement: Placement) -> ZoneSpec {
    var zone = ZoneSpec(name: zoneName(name, ordinal))
    zone.brand = service.image
    zone.command = service.command
    zone.environment = service.environment
    zone.workdir = service.workdir
    zone.user = service.user
    zone.hostname = service.hostname
    zone.volumes = service.volumes.map { mount in
      guard case .volume(let volume) = mount.source else { return mount }
      return VolumeMount(source: .volume(volumeName(volume)), target: mount.target, readOnly: mount.readOnly)
    }
    zone.volumes = ZoneProfile.joined(service.profileBinds ?? [], with: zone.volumes)
    zone.calls = service.calls ?? []
    zone.secrets = service.secrets.map {
      SecretMount(name: $0.target, file: "\(placement.secretsDirectory)/\($0.source)", uid: $0.uid)
    }
    zone.limits = service.limits
    zone.quota = service.quota
    zone.readOnly = service.readOnly
    zone.capAdd = service.capAdd
    zone.capDrop = service.capDrop
    zone.restart = service.restart
    zone.autostart = service.autostart
    zone.terminal = service.terminal
    zone.ownInit = service.ownInit
    zone.nesting = service.nesting
    zone.stopSignal = service.stopSignal
    zone.stopGrace = service.stopGrace
    zone.labels = labels.merging(service.labels) { $1 }
    zone.labels[Self.serviceLabel] = name
    zone.labels[Self.fleetLabel] = self.name
    zone.fleet = self.name
    switch service.network {
    case .none: zone.network = .none
    case .host: zone.network = .host
    case .fleet(let network):
      zone.network = .named(networkName(network))
      zone.aliases = [name]
      zone.publish = service.ownPorts(ordinal)
      if !placement.zonesAreReachable {
        for port in service.portsReachedFromHost {
          guard let host = placement.loopbackPorts[LoopbackPort(zone: zone.name, zonePort: port)] else { continue }
          zone.publish.append(PublishedPort(hostAddress: "127.0.0.1", hostPort: host, zonePort: port))
        }
      }
    }
    return zone
  }
}

extension Service {
  /// Ports that one balancer shares among all replicas.
  var balancedPorts: [ServicePort] { replicas > 1 ? ports.filter { !$0.isPerReplica } : [] }

  /// Ports inside that the host itself connects to: for a balancer or a check.
  var portsReachedFromHost: [UInt16] {
    guard case .fleet = network else { return [] }
    var wanted = Set(balancedPorts.flatMap { Array($0.zone) })
    wanted.formUnion(health?.ports ?? [])
    return wanted.sorted()
  }

  /// What the N-th replica publishes itself.
  func ownPorts(_ ordinal: Int) -> [PublishedPort] {
    ports.flatMap { port -> [PublishedPort] in
      if port.isPerReplica {
        guard ordinal <= port.host.count else { return [] }
        return [
          PublishedPort(
            hostAddress: port.hostAddress, hostPort: port.host.lowerBound + UInt16(ordinal - 1),
            zonePort: port.zone.lowerBound, transport: port.transport)
        ]
      }
      guard replicas == 1 else { return [] }
      return zip(port.host, port.zone).map {
        PublishedPort(hostAddress: port.hostAddress, hostPort: $0, zonePort: $1, transport: port.transport)
      }
    }
  }
}
