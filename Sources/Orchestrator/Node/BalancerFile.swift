internal import Foundation
internal import LinuxNS

/// What the daemon tells a balancer, in a file that it replaces: the ports to listen on, and where each leads.
struct BalancerFile: Codable, Equatable, Sendable {
  static let currentVersion = 1
  var version = BalancerFile.currentVersion
  var balancer: Balancer
  /// For each listener the endpoints that serve it now.
  var backends: [[Endpoint]]

  func write(_ path: String) throws(FleetError) {
    do { try FileSystem.replace(path, with: Array(try JSONEncoder().encode(self))) } catch {
      throw .failed("cannot write \(path): \(error)")
    }
  }

  static func read(_ path: String) throws(FleetError) -> BalancerFile {
    do {
      let file = try JSONDecoder().decode(BalancerFile.self, from: Data(FileSystem.read(path)))
      guard file.version == currentVersion else { throw FleetError.failed("it is of version \(file.version)") }
      return file
    } catch { throw .failed("cannot read \(path): \(error)") }
  }
}

/// What a balancer writes beside it once it listens: who it is.
struct BalancerIdentity: Codable, Equatable, Sendable {
  var version = 1
  var process: ProcessIdentity
  var balancer: Balancer
}
