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
  func make(_ protected: [SandboxPlace], for zone: String) throws(ZoneError) {
    guard !protected.isEmpty else { return }
    let lock = try lock()
    let others = try needed(by: { $0 != zone })
    let ours = protected.filter { Paths.look($0.path) == nil || others.contains($0.path) }
    guard !ours.isEmpty else { return }
    try attempt("protect what is not there in the project") { () throws(SyscallError) in
      let text = ours.map { $0.path }.joined(separator: "\0")
      try FileSystem.replace("\(directories.run(of: zone))/\(Self.file)", with: Array(text.utf8), mode: 0o600)
      for place in ours { try Self.make(place) }
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
    for path in ours where !others.contains(path) { Self.takeAway(path) }
    unlink(path)
    withExtendedLifetime(lock) {}
  }

  private static func make(_ place: SandboxPlace) throws(SyscallError) {
    do throws(SyscallError) {
      if let text = place.placeholder {
        let file = try OwnedFD.open(place.path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o644)
        try FileSystem.write(Array(text.utf8), to: file, name: place.path)
      } else {
        try FileSystem.call("mkdir", place.path) { mkdir(place.path, 0o755) }
      }
    } catch {
      guard error.errno != EEXIST else { return }
      throw SyscallError(
        call: error.call, errno: error.errno, path: place.path, step: "make a place for what covers it")
    }
  }

  /// An empty directory, or a file with what we put in. Best effort: what is something else by now is somebody's.
  private static func takeAway(_ path: String) {
    let folder = FileSystem.parent(of: path)
    var status = stat()
    // A command may have taken its right to write from the folder.
    let isClosed = lstat(folder, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR && status.st_mode & 0o200 == 0
    if isClosed { chmod(folder, status.st_mode & 0o7777 | 0o700) }
    defer { if isClosed { chmod(folder, status.st_mode & 0o7777) } }
    if rmdir(path) == 0 || errno != ENOTDIR { return }
    guard Paths.look(path) == .file, let text = try? FileSystem.read(path, limit: 64) else { return }
    if ProtectedPaths.filesOfGit.contains(where: { path.hasSuffix("/.git/\($0.name)") && Array($0.text.utf8) == text })
    {
      unlink(path)
    }
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
