internal import Glibc
internal import LinuxNS

/// Copies a file or a tree between two places of which one is hostile: everything below the two descriptors it is given
/// is reached by descriptor and a single name, and no symbolic link is followed.
struct TreeCopy {
  /// Told of what was left out, and why.
  let leftOut: (String) -> Void
  /// Deep enough for any honest tree; descriptors of each level stay open.
  private static let mostDepth = 200

  init(leftOut: @escaping (String) -> Void) { self.leftOut = leftOut }

  /// Copies what `source` is (a file or a directory, opened O_PATH) to `name` in `target`.
  func copy(_ source: borrowing OwnedFD, to target: borrowing OwnedFD, _ name: String) throws(SyscallError) {
    let status = try status(of: source.raw, name)
    // Opened again by the descriptor: the same inode, which is known to be no device and no pipe.
    switch status.st_mode & S_IFMT {
    case S_IFREG:
      let file = try OwnedFD.open("/proc/self/fd/\(source.raw)", O_RDONLY)
      try copyFile(file, status, to: target, name, shown: name)
    case S_IFDIR:
      let directory = try OwnedFD.open("/proc/self/fd/\(source.raw)", O_RDONLY | O_DIRECTORY)
      try copyDirectory(directory, status, to: target, name, shown: name, depth: 0)
    default: throw SyscallError(call: "copy", errno: EINVAL, path: name, step: "copy what is neither file nor directory")
    }
  }

  private func copyFile(
    _ source: borrowing OwnedFD, _ status: stat, to target: borrowing OwnedFD, _ name: String, shown: String
  ) throws(SyscallError) {
    let file = try OwnedFD.openat(target.raw, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, mode: 0o600)
    // What was there already could be a device or a pipe: only then is it emptied.
    guard try self.status(of: file.raw, shown).st_mode & S_IFMT == S_IFREG else {
      throw SyscallError(call: "open", errno: EEXIST, path: shown, step: "replace what is no regular file")
    }
    try FileSystem.call("ftruncate", shown) { ftruncate(file.raw, 0) }
    var room = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let got = read(source.raw, &room, room.count)
      let error = errno
      if got == 0 { break }
      if got < 0 {
        if error == EINTR { continue }
        throw SyscallError(call: "read", errno: error, path: shown)
      }
      try FileSystem.write(room[0..<got], to: file, name: shown)
    }
    try finish(file, status, shown)
  }

  private func copyDirectory(
    _ source: borrowing OwnedFD, _ status: stat, to target: borrowing OwnedFD, _ name: String, shown: String, depth: Int
  ) throws(SyscallError) {
    guard depth < TreeCopy.mostDepth else { throw SyscallError(call: "open", errno: ELOOP, path: shown) }
    let made = mkdirat(target.raw, name, 0o700)
    let error = errno
    guard made == 0 || error == EEXIST else { throw SyscallError(call: "mkdir", errno: error, path: shown) }
    let directory = try OwnedFD.openat(target.raw, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    for entry in try FileSystem.list("/proc/self/fd/\(source.raw)") {
      try copyEntry(entry, of: source, device: status.st_dev, to: directory, shown: "\(shown)/\(entry)", depth: depth)
    }
    if made == 0 { try finish(directory, status, shown) }
  }

  private func copyEntry(
    _ name: String, of source: borrowing OwnedFD, device: dev_t, to target: borrowing OwnedFD, shown: String, depth: Int
  ) throws(SyscallError) {
    var status = stat()
    let found = fstatat(source.raw, name, &status, AT_SYMLINK_NOFOLLOW)
    let error = errno
    if found < 0 && error == ENOENT { return }  // gone meanwhile
    guard found == 0 else { throw SyscallError(call: "stat", errno: error, path: shown) }
    guard status.st_dev == device else { return leftOut("\(shown): another file system") }
    switch status.st_mode & S_IFMT {
    case S_IFREG:
      let file = try OwnedFD.openat(source.raw, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
      let now = try self.status(of: file.raw, shown)
      guard now.st_mode & S_IFMT == S_IFREG else { return leftOut("\(shown): it was replaced while we looked") }
      try copyFile(file, now, to: target, name, shown: shown)
    case S_IFDIR:
      let directory = try OwnedFD.openat(source.raw, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      try copyDirectory(directory, status, to: target, name, shown: shown, depth: depth + 1)
    case S_IFLNK: try copyLink(name, of: source, to: target, shown: shown)
    default: leftOut("\(shown): a device, socket or pipe")
    }
  }

  /// The link itself: where it leads is not looked at.
  private func copyLink(_ name: String, of source: borrowing OwnedFD, to target: borrowing OwnedFD, shown: String)
    throws(SyscallError)
  {
    var room = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
    let count = readlinkat(source.raw, name, &room, Int(PATH_MAX))
    let error = errno
    guard count >= 0 else { throw SyscallError(call: "readlink", errno: error, path: shown) }
    if symlinkat(room, target.raw, name) == 0 { return }
    guard errno == EEXIST else { throw SyscallError(call: "symlink", errno: errno, path: shown) }
    try FileSystem.call("unlink", shown) { unlinkat(target.raw, name, 0) }
    try FileSystem.call("symlink", shown) { symlinkat(room, target.raw, name) }
  }

  /// Permissions without set-id bits, and the time of the last change.
  private func finish(_ file: borrowing OwnedFD, _ status: stat, _ shown: String) throws(SyscallError) {
    try FileSystem.call("chmod", shown) { fchmod(file.raw, status.st_mode & 0o777) }
    let times = [status.st_atim, status.st_mtim]
    try FileSystem.call("utimensat", shown) { futimens(file.raw, times) }
  }

  private func status(of fd: CInt, _ shown: String) throws(SyscallError) -> stat {
    var status = stat()
    let result = fstat(fd, &status)
    let error = errno
    guard result == 0 else { throw SyscallError(call: "fstat", errno: error, path: shown) }
    return status
  }
}
