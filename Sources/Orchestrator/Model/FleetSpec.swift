public import ResourceControl
public import VirtualNet
public import ZoneRuntime

/// A fleet as a manifest declares it, with every path absolute and every default filled in; secrets by name only.
public struct FleetSpec: Codable, Equatable, Sendable {
  public static let currentVersion = 1

  public var version = FleetSpec.currentVersion
  /// A DNS label; the first part of every zone's name.
  public var name: String
  public var labels: [String: String] = [:]
  public var services: [String: Service] = [:]
  public var networks: [String: FleetNetwork] = [:]
  public var volumes: [String: FleetVolume] = [:]
  /// The names of the secrets; their values travel and lie apart, encrypted.
  public var secrets: [String] = []

  public init(name: String) { self.name = name }

  /// `FLEET-SERVICE-N`, N from 1.
  public func zoneName(_ service: String, _ ordinal: Int) -> String { "\(name)-\(service)-\(ordinal)" }

  /// The runtime's name of a network declared here; `default` is the fleet's own, called as the fleet.
  public func networkName(_ network: String) -> String {
    if let own = networks[network]?.name { return own }
    return network == "default" ? name : "\(name)-\(network)"
  }

  /// The networks that services are on, by their names here.
  var usedNetworks: Set<String> {
    services.values.reduce(into: []) { used, service in
      if case .fleet(let network) = service.network { used.insert(network) }
    }
  }

  /// The runtime's name of a volume declared here.
  public func volumeName(_ volume: String) -> String { volumes[volume]?.name ?? "\(name)-\(volume)" }
}

/// `networks: NAME:`.
public struct FleetNetwork: Codable, Equatable, Sendable {
  /// The runtime's name where it is not made from the fleet's.
  public var name: String?
  public init() {}
}

/// `volumes: NAME:`.
public struct FleetVolume: Codable, Equatable, Sendable {
  /// The runtime's name where it is not made from the fleet's.
  public var name: String?
  /// Not ours: `down --volumes` leaves it.
  public var external = false
  public init() {}
}

/// One entry of `services`: what each of its replicas is and how many there are.
public struct Service: Codable, Equatable, Sendable {
  public var image: Brand = .sparse
  public var command: [String] = []
  public var environment: [String: String] = [:]
  public var ports: [ServicePort] = []
  public var volumes: [VolumeMount] = []
  public var network: ServiceNetwork = .fleet("default")
  public var secrets: [ServiceSecret] = []
  public var restart: RestartPolicy = .no
  public var health: HealthCheck?
  public var dependsOn: [String: DependencyCondition] = [:]
  public var replicas = 1
  public var limits = ResourceLimits()
  public var readOnly = false
  public var capAdd: [String] = []
  public var capDrop: [String] = []
  public var user: String?
  public var workdir: String?
  public var hostname: String?
  public var labels: [String: String] = [:]
  public var stopSignal = "TERM"
  /// Seconds.
  public var stopGrace: Double = 10
  public var ownInit = false
  public var terminal = false
  public var nesting = false
  public var autostart = false
  /// What `profile` gives of the host's files, at its own place; nil: nothing, as in what earlier releases kept.
  public var profileBinds: [VolumeMount]?
  /// Groups of system calls that are left, by `profile`; nil: all.
  public var calls: [String]?
  /// Bytes that each zone may write to its root; nil: as much as there is room, and what earlier releases kept.
  public var quota: Int64?

  public init() {}
}

public enum ServiceNetwork: Codable, Equatable, Sendable {
  case none
  case host
  /// A network by the manifest's name for it.
  case fleet(String)
}

/// One entry of `ports`. A range of host ports over one port inside gives each replica its own;
/// equally long ranges pair up, and each pair is shared by all replicas.
public struct ServicePort: Codable, Equatable, Sendable {
  public var hostAddress: String?
  public var host: ClosedRange<UInt16>
  public var zone: ClosedRange<UInt16>
  public var transport: PublishedPort.Transport

  /// Replica N has the N-th host port for itself.
  public var isPerReplica: Bool { host.count > zone.count }
}

/// One entry of a service's `secrets`.
public struct ServiceSecret: Codable, Equatable, Sendable {
  /// The manifest's name of it.
  public var source: String
  /// The file's name below /run/secrets.
  public var target: String
  public var uid: UInt32 = 0
}

/// `depends_on`'s conditions (compose-spec, "depends_on").
public enum DependencyCondition: String, Codable, Sendable, CaseIterable {
  case started = "service_started"
  case healthy = "service_healthy"
  case completed = "service_completed_successfully"
}

/// `healthcheck`; times in seconds, defaults Compose's.
public struct HealthCheck: Codable, Equatable, Sendable {
  public enum Probe: Codable, Equatable, Sendable {
    /// Run in the zone; healthy is status 0.
    case command([String])
    /// GET from the host; healthy is a status of 200 to 399.
    case http(port: UInt16, path: String)
    /// A connection from the host.
    case tcp(port: UInt16)
  }
  /// One or more; all must succeed.
  public var probes: [Probe]
  public var interval: Double = 30
  public var timeout: Double = 30
  public var retries = 3
  /// Failures in this time after the start do not count.
  public var startPeriod: Double = 0
  /// The interval during `startPeriod`.
  public var startInterval: Double = 5

  public init(_ probes: [Probe]) { self.probes = probes }

  /// The ports that the host looks at.
  var ports: [UInt16] {
    probes.compactMap { probe in
      switch probe {
      case .http(let port, _), .tcp(let port): port
      case .command: nil
      }
    }
  }
}
