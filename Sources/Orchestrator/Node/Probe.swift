internal import LinuxNS
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// Where the host reaches a port of a zone.
public struct Endpoint: Codable, Equatable, Hashable, Sendable, CustomStringConvertible {
  public var host: String
  public var port: UInt16

  public init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// One look at whether a zone works.
struct Probe: Sendable {
  let node: ZoneNode
  let group: any EventLoopGroup

  /// - Parameter endpoint: where a port of the zone is reached; nil where it has no address yet.
  /// - Returns: nil where it works, else why not.
  func run(_ check: HealthCheck, zone: String, endpoint: @Sendable (UInt16) -> Endpoint?) async -> String? {
    for probe in check.probes {
      var why: String?
      switch probe {
      case .command(let command):
        why = await self.command(command, zone: zone, timeout: check.timeout)
      case .tcp(let port):
        guard let endpoint = endpoint(port) else { return "the zone has no address" }
        why = await connect(endpoint, timeout: check.timeout)
      case .http(let port, let path):
        guard let endpoint = endpoint(port) else { return "the zone has no address" }
        why = await get(endpoint, path, timeout: check.timeout)
      }
      if let why { return why }
    }
    return nil
  }

  private func command(_ command: [String], zone: String, timeout: Double) async -> String? {
    do {
      let outcome = try await node.check { try $0.execute(zone, command, timeout: timeout) }
      guard outcome.shellCode != 0 else { return nil }
      let output = outcome.output.split(whereSeparator: \.isNewline).last.map { ": \($0.prefix(200))" } ?? ""
      return "\(command[0]) ended with \(outcome.shellCode)\(output)"
    } catch {
      if case .timedOut = error { return "\(command[0]) took longer than \(Units.text(seconds: timeout))" }
      return error.description
    }
  }

  private func connect(_ endpoint: Endpoint, timeout: Double) async -> String? {
    do {
      let channel = try await ClientBootstrap(group: group).connectTimeout(.seconds(timeout))
        .connect(host: endpoint.host, port: Int(endpoint.port)).get()
      try? await channel.close().get()  // the peer may have closed it first
      return nil
    } catch { return "cannot connect to \(endpoint): \(Self.reason(error))" }
  }

  private func get(_ endpoint: Endpoint, _ path: String, timeout: Double) async -> String? {
    let request = HTTPCall(method: .GET, uri: path, host: endpoint.description)
    do {
      let status = try await HTTPClient(group: group).status(of: request, at: .tcp(endpoint), timeout: timeout)
      return (200...399).contains(status) ? nil : "GET \(endpoint)\(path) answered \(status)"
    } catch { return "GET \(endpoint)\(path): \(Self.reason(error))" }
  }

  static func reason(_ error: any Error) -> String {
    switch error {
    case let error as NIOConnectionError:
      return error.connectionErrors.first.map { reason($0.error) } ?? "no such host"
    case let error as IOError: return SyscallError.describe(error.errnoCode)
    case ChannelError.connectTimeout: return "it did not answer in time"
    case let error as FleetError: return error.description
    default: return "\(error)"
    }
  }
}

extension TimeAmount {
  static func seconds(_ seconds: Double) -> TimeAmount { .nanoseconds(Int64(min(seconds, 1e9) * 1e9)) }
}
