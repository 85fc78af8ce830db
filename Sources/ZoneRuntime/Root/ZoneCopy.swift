internal import Glibc
internal import LinuxNS

/// `cp` between the host and a living zone: regular files, directories and links, with their permission bits. What is
/// copied in belongs to the zone's root; what is copied out, to the caller. Devices, FIFOs and sockets are left out and
/// told.
extension Zones {
  public enum CopyDirection: Sendable {
    /// From a path of the host into the zone: into a directory that is there, or to that very name.
    case into(String, zonePath: String)
    /// From the zone to a path of the host, likewise.
    case out(zonePath: String, String)
  }

  /// A link that the person named is followed, on its own side; those found below are copied as links.
  /// - Parameter leftOut: told of what was not copied, and why.
  public func copy(_ name: String, _ direction: CopyDirection, leftOut: @escaping (String) -> Void) throws(ZoneError) {
    let agent = try fileAgent(name)
    let copy = ZoneCopy(leftOut: leftOut)
    switch direction {
    case .into(let source, let path):
      try attempt("copy \(source) to \(name):\(path)") { () throws(SyscallError) in
        var place = path
        if try ZoneCopy.isThere({ () throws(SyscallError) in try agent.open(path, O_PATH | O_DIRECTORY) }) {
          place = try ZoneCopy.below(path, source)
        }
        try copy.into(agent, source, place, following: true, depth: 0)
      }
    case .out(let path, let target):
      try attempt("copy \(name):\(path) to \(target)") { () throws(SyscallError) in
        var place = target
        if try ZoneCopy.isThere({ () throws(SyscallError) in try OwnedFD.open(target, O_PATH | O_DIRECTORY) }) {
          place = try ZoneCopy.below(target, path)
        }
        try copy.out(agent, path, place, following: true, depth: 0)
      }
    }
  }
}

private struct ZoneCopy {
  let leftOut: (String) -> Void
  /// Deep enough for any honest tree.
  static let mostDepth = 200

  /// Whether a directory can be opened there; a missing one is an answer, everything else an error.
  static func isThere(_ open: () throws(SyscallError) -> OwnedFD) throws(SyscallError) -> Bool {
    do throws(SyscallError) {
      _ = try open()
      return true
    } catch {
      guard error.errno == ENOENT || error.errno == ENOTDIR else { throw error }
      return false
    }
  }

  /// The copy's place in a directory: under the source's own name.
  static func below(_ folder: String, _ source: String) throws(SyscallError) -> String {
    guard let name = source.split(separator: "/").last, name != ".", name != ".." else {
      throw SyscallError(call: "open", errno: EINVAL, path: source, step: "find a name for the copy (give one)")
    }
    return "\(folder)/\(name)"
  }

  func out(_ agent: borrowing ZoneFileAgent, _ path: String, _ target: String, following: Bool, depth: Int)
    throws(SyscallError)
  {
    guard depth < Self.mostDepth else { throw SyscallError(call: "open", errno: ELOOP, path: path) }
    // Looked at before it is opened for reading: opening a FIFO would wait, and a device might do things.
    let look = try agent.open(path, O_PATH | (following ? 0 : O_NOFOLLOW))
    let kind = try Self.status(look, path)
    switch kind.st_mode & S_IFMT {
    case S_IFREG:
      let from = try agent.open(path, O_RDONLY | O_NONBLOCK | (following ? 0 : O_NOFOLLOW))
      guard try Self.isRegular(from, path) else { return leftOut("\(path): it was replaced while we looked") }
      let to = try OwnedFD.open(target, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, mode: kind.st_mode & 0o777)
      try Self.fill(to, from: from, target)
      try FileSystem.call("fchmod", target) { fchmod(to.raw, kind.st_mode & 0o777) }
      Self.keepTimes(to, kind)
    case S_IFDIR:
      let made = mkdir(target, 0o700)
      let error = errno
      guard made == 0 || error == EEXIST else { throw SyscallError(call: "mkdir", errno: error, path: target) }
      let folder = try OwnedFD.open(target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      let names = try FileSystem.list(
        of: try agent.open(path, O_RDONLY | O_DIRECTORY | (following ? 0 : O_NOFOLLOW)), path)
      for name in names { try out(agent, "\(path)/\(name)", "\(target)/\(name)", following: false, depth: depth + 1) }
      if made == 0 {
        try FileSystem.call("fchmod", target) { fchmod(folder.raw, kind.st_mode & 0o777) }
        Self.keepTimes(folder, kind)
      }
    case S_IFLNK:
      let text = try FileSystem.readLink(of: look, path)
      if symlink(text, target) == 0 { return }
      guard errno == EEXIST else { throw SyscallError(call: "symlink", errno: errno, path: target) }
      try FileSystem.call("unlink", target) { unlink(target) }
      try FileSystem.call("symlink", target) { symlink(text, target) }
    default: leftOut("\(path): neither a file, a directory nor a link")
    }
  }

  func into(_ agent: borrowing ZoneFileAgent, _ source: String, _ path: String, following: Bool, depth: Int)
    throws(SyscallError)
  {
    guard depth < Self.mostDepth else { throw SyscallError(call: "open", errno: ELOOP, path: source) }
    let status = try FileSystem.status(source, followingLinks: following)
    switch status.st_mode & S_IFMT {
    case S_IFREG:
      let from = try OwnedFD.open(source, O_RDONLY | (following ? 0 : O_NOFOLLOW))
      let to = try agent.open(path, O_WRONLY | O_CREAT | O_NONBLOCK, mode: status.st_mode & 0o777)
      try Self.fill(to, from: from, path)
      Self.keepTimes(to, status)
    case S_IFDIR:
      do throws(SyscallError) { try agent.makeDirectory(path, mode: status.st_mode & 0o777 | 0o700) } catch {
        guard error.errno == EEXIST else { throw error }
      }
      for name in try FileSystem.list(source) {
        try into(agent, "\(source)/\(name)", "\(path)/\(name)", following: false, depth: depth + 1)
      }
    case S_IFLNK: try agent.makeLink(path, to: try FileSystem.readLink(source))
    default: leftOut("\(source): neither a file, a directory nor a link")
    }
  }

  /// What was there already could be a device or a pipe; only a regular file is emptied and written.
  private static func fill(_ to: borrowing OwnedFD, from: borrowing OwnedFD, _ name: String) throws(SyscallError) {
    guard try isRegular(to, name) else {
      throw SyscallError(call: "open", errno: EEXIST, path: name, step: "replace what is no regular file")
    }
    try FileSystem.call("ftruncate", name) { ftruncate(to.raw, 0) }
    try copyBytes(from, to, name)
  }

  private static func isRegular(_ file: borrowing OwnedFD, _ name: String) throws(SyscallError) -> Bool {
    try status(file, name).st_mode & S_IFMT == S_IFREG
  }

  /// Best effort: a file that was there before may belong to somebody else.
  private static func keepTimes(_ file: borrowing OwnedFD, _ status: stat) {
    let times = [status.st_atim, status.st_mtim]
    _ = futimens(file.raw, times)
  }

  private static func copyBytes(_ from: borrowing OwnedFD, _ to: borrowing OwnedFD, _ name: String) throws(SyscallError)
  {
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let got = read(from.raw, &chunk, chunk.count)
      let error = errno
      if got == 0 { return }
      if got < 0 {
        if error == EINTR { continue }
        throw SyscallError(call: "read", errno: error, path: name)
      }
      try FileSystem.write(chunk[0..<got], to: to, name: name)
    }
  }

  private static func status(_ file: borrowing OwnedFD, _ name: String) throws(SyscallError) -> stat {
    var status = stat()
    let result = fstat(file.raw, &status)
    let error = errno
    guard result == 0 else { throw SyscallError(call: "fstat", errno: error, path: name) }
    return status
  }
}
