internal import Foundation
internal import LinuxNS
internal import Orchestrator
internal import ZoneRuntime

/// Which zones a command is about, and the programs that belong together.
struct Place {
  let zones: Directories
  var root: String? { zones.root }
  var directories: FleetDirectories { FleetDirectories(data: zones.data, run: zones.run) }

  /// - Parameter root: `--root`; a relative one is taken from the working directory.
  init(root: String?) throws {
    let absolute = root.map { $0.hasPrefix("/") ? $0 : "\(FileManager.default.currentDirectoryPath)/\($0)" }
    do { zones = try Directories.standard(root: absolute) } catch { throw FleetError.failed(error.description) }
  }

  func driver(notice: @escaping @Sendable (String) -> Void = { _ in }) throws -> RuntimeDriver {
    let zonectl = try Self.zonectl()
    return RuntimeDriver(zones, zonectl: zonectl, notice: notice)
  }

  /// Beside us.
  static func zonectl() throws -> String {
    let zonectl = FileSystem.parent(of: try executable()) + "/zonectl"
    guard FileSystem.exists(zonectl) else {
      throw FleetError.failed("cannot find zonectl beside orchestrator: \(zonectl) (install both into one directory)")
    }
    return zonectl
  }

  /// This program, as an absolute path.
  static func executable() throws -> String {
    do { return try FileSystem.readLink("/proc/self/exe") } catch {
      throw FleetError.failed("cannot find this program: \(error)")
    }
  }
}
