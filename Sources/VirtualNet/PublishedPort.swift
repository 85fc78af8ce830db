/// A port of the host that leads to a port of a zone: `[ADDRESS:]HOST:ZONE[/tcp|udp]`.
public struct PublishedPort: Equatable, Hashable, Sendable {
  public enum Transport: String, Sendable, CaseIterable { case tcp, udp }

  /// The host's address it is published on, IPv4 or IPv6; nil is every address.
  public var hostAddress: String?
  public var hostPort: UInt16
  public var zonePort: UInt16
  public var transport: Transport

  public init(hostAddress: String? = nil, hostPort: UInt16, zonePort: UInt16, transport: Transport = .tcp) {
    self.hostAddress = hostAddress
    self.hostPort = hostPort
    self.zonePort = zonePort
    self.transport = transport
  }
}

#if !hasFeature(Embedded)
  /// As part of what a fleet keeps.
  extension PublishedPort.Transport: Codable {}
#endif
