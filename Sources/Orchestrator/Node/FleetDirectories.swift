internal import Glibc
internal import LinuxNS

/// Where the orchestrator's own files lie, beside the runtime's.
public struct FleetDirectories: Equatable, Sendable {
  /// The runtime's data and run directories. Ours are folders in them whose name is no zone's.
  public var data: String
  public var run: String

  public init(data: String, run: String) {
    self.data = data
    self.run = run
  }

  public var stateDirectory: String { "\(data)/.orchestrator" }
  public var database: String { "\(stateDirectory)/state.db" }
  public var key: String { "\(stateDirectory)/key" }
  public var log: String { "\(stateDirectory)/log" }

  public var runDirectory: String { "\(run)/.orchestrator" }
  public var socket: String { "\(runDirectory)/api.sock" }
  public var lock: String { "\(runDirectory)/lock" }
  public func balancers(_ fleet: String) -> String { "\(runDirectory)/balance/\(fleet)" }

  /// The secrets of a fleet as files. Never on a disk: where the run directory is none of memory's (`--root`), they go
  /// below /dev/shm, in a folder of the owner's that is called after the run directory.
  public func secrets(_ fleet: String) -> String { "\(secretsRoot)/\(fleet)" }

  public var secretsRoot: String {
    if Self.isMemory(run) { return "\(runDirectory)/secrets" }
    let hash = runDirectory.utf8.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    return "/dev/shm/zones-secrets-\(geteuid())-\(String(hash, radix: 16))"
  }

  /// Makes the directories, 0700, and refuses ones that somebody else could write.
  public func make() throws(FleetError) {
    for path in [stateDirectory, runDirectory] { try Self.makePrivate(path) }
    let limit = 107  // unix(7): sun_path has 108 bytes, the last for the zero
    guard socket.utf8.count <= limit else {
      throw .failed(
        "cannot make the socket \(socket): its path is longer than \(limit) bytes (choose a shorter --root)")
    }
  }

  static func makePrivate(_ path: String) throws(FleetError) {
    do {
      try FileSystem.makeDirectories(FileSystem.parent(of: path), mode: 0o700)
      try FileSystem.makeDirectories(path, mode: 0o700)
      guard try FileOwnership.isOwnDirectory(path) else {
        throw FleetError.refused("cannot use \(path): it is not a directory of this user")
      }
      try FileSystem.call("chmod", path) { chmod(path, 0o700) }
    } catch let error as FleetError { throw error } catch { throw .failed("cannot make \(path): \(error)") }
  }

  private static func isMemory(_ path: String) -> Bool {
    var path = path
    while !FileSystem.exists(path), path != "/", path != "." { path = FileSystem.parent(of: path) }
    guard let device = try? FileOwnership.device(path), let mounts = try? FileSystem.read("/proc/self/mountinfo") else {
      return false
    }
    // proc_pid_mountinfo(5): the third field is the device, the first after the dash the file system's type.
    let wanted = "\(device.major):\(device.minor)"
    return String(decoding: mounts, as: UTF8.self).split(separator: "\n").contains { line in
      let fields = line.split(separator: " ")
      guard fields.count > 2, fields[2] == wanted, let dash = fields.firstIndex(of: "-"), dash + 1 < fields.count else {
        return false
      }
      return fields[dash + 1] == "tmpfs" || fields[dash + 1] == "ramfs"
    }
  }
}
