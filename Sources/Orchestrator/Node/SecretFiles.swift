internal import Glibc
internal import LinuxNS

/// A fleet's secrets as the files that zones are given: 0400, in memory only, written anew by each daemon.
struct SecretFiles: Sendable {
  let directories: FleetDirectories

  func write(_ secrets: [String: [UInt8]], of fleet: String) throws(FleetError) {
    let folder = directories.secrets(fleet)
    if secrets.isEmpty { return try remove(fleet) }
    try FleetDirectories.makePrivate(directories.secretsRoot)
    try FleetDirectories.makePrivate(folder)
    do {
      for name in try FileSystem.list(folder) where secrets[name] == nil {
        try FileSystem.removeTree("\(folder)/\(name)")
      }
      for (name, value) in secrets {
        let path = "\(folder)/\(name)"
        if let same = try? FileSystem.read(path), same == value { continue }
        try FileSystem.replace(path, with: value, mode: 0o400)
      }
    } catch { throw .failed("cannot write the secrets of '\(fleet)': \(error)") }
  }

  func remove(_ fleet: String) throws(FleetError) {
    do {
      try FileSystem.removeTree(directories.secrets(fleet))
      _ = rmdir(directories.secretsRoot)  // only the last fleet's removal finds it empty
    } catch { throw .failed("cannot remove the secrets of '\(fleet)': \(error)") }
  }
}
