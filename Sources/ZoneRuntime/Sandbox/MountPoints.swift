internal import Glibc
internal import LinuxNS

/// Empty directories that had to be made in the caller's project, so that what is not there could be covered: gone when
/// the last sandbox that needs them has ended. Which are whose is written down before they are made; a sandbox that was
/// killed is cleaned up after by the next one at the latest.
///
/// To remove a directory takes away what others have mounted on it (rmdir(2) since Linux 3.18), so one that two sandboxes
/// cover belongs to both.
struct MountPoints {
  private let directories: Directories

  init(_ directories: Directories) { self.directories = directories }

  private static let file = "mount-points"

  /// - Parameter protected: what is to be covered, there or not.
  func make(_ protected: [String], for zone: String) throws(ZoneError) {
    guard !protected.isEmpty else { return }
    let lock = try lock()
    let others = try needed(by: { $0 != zone })
    let ours = protected.filter { Paths.look($0) == nil || others.contains($0) }
    guard !ours.isEmpty else { return }
    try attempt("protect what is not there in the project") { () throws(SyscallError) in
      let text = ours.joined(separator: "\0")
      try FileSystem.replace("\(directories.run(of: zone))/\(Self.file)", with: Array(text.utf8), mode: 0o600)
      for path in ours {
        let made = mkdir(path, 0o755)
        let error = errno
        guard made == 0 || error == EEXIST else {
          throw SyscallError(call: "mkdir", errno: error, path: path, step: "make a place for what covers it")
        }
      }
    }
    withExtendedLifetime(lock) {}
  }

  /// Takes away what no other sandbox needs. What is no empty directory any more was put there by somebody else.
  func remove(of zone: String) throws(ZoneError) {
    let path = "\(directories.run(of: zone))/\(Self.file)"
    guard FileSystem.exists(path) else { return }
    let lock = try lock()
    let ours = try read(zone)
    let others = try needed(by: { $0 != zone })
    for path in ours where !others.contains(path) { rmdir(path) }
    unlink(path)
    withExtendedLifetime(lock) {}
  }

  /// Whether a zone has any: a sandbox, then, which must not outlive its launcher.
  func has(_ zone: String) -> Bool { FileSystem.exists("\(directories.run(of: zone))/\(Self.file)") }

  private func needed(by isMeant: (String) -> Bool) throws(ZoneError) -> Set<String> {
    var all: Set<String> = []
    let names = try attempt("look at the sandboxes") { () throws(SyscallError) in
      try FileSystem.list(directories.run)
    }
    for name in names where isMeant(name) && isDNSLabel(name) { all.formUnion(try read(name)) }
    return all
  }

  private func read(_ zone: String) throws(ZoneError) -> [String] {
    do throws(SyscallError) {
      let bytes = try FileSystem.read("\(directories.run(of: zone))/\(Self.file)", limit: 1 << 20)
      return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    } catch {
      guard error.errno == ENOENT || error.errno == ENOTDIR else {
        throw .call("look at what the sandbox \(zone) has made", error)
      }
      return []
    }
  }

  private func lock() throws(ZoneError) -> FileLock {
    try attempt("look at the sandboxes") { () throws(SyscallError) in
      try FileLock("\(directories.sharedRun)/\(Self.file).lock", create: true)
    }
  }
}
