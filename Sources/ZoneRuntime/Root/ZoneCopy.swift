internal import Glibc
internal import LinuxNS

/// `cp` between the host and a living zone: regular files, directories and links, with their permission bits. What is
/// copied in belongs to the zone's root; what is copied out, to the caller. Devices, FIFOs and sockets are left out and
/// told.
extension Zones {
  /// - Parameters:
  ///   - path: in the zone.
  ///   - target: on the host: a directory to copy into, or the copy's own name.
  public func copyOut(_ name: String, from path: String, to target: String) throws(ZoneError) {
    let agent = try fileAgent(name)
    var place = target
    if Self.isDirectory(target) { place += "/" + Self.lastName(path) }
    try attempt("copy \(name):\(path) to \(target)") { () throws(SyscallError) in
      // A link that the person named is followed, in the zone; those found below it are copied as links.
      try copyOut(agent, path, place, following: true)
    }
  }

  /// - Parameters:
  ///   - source: on the host.
  ///   - path: in the zone: a directory to copy into, or the copy's own name.
  public func copyIn(_ name: String, from source: String, to path: String) throws(ZoneError) {
    let agent = try fileAgent(name)
    try attempt("copy \(source) to \(name):\(path)") { () throws(SyscallError) in
      var place = path
      if let folder = try? agent.open(path, O_PATH | O_DIRECTORY) {
        _ = consume folder
        place += "/" + Self.lastName(source)
      }
      try copyIn(agent, source, place, following: true)
    }
  }

  private func copyOut(_ agent: borrowing ZoneFileAgent, _ path: String, _ target: String, following: Bool) throws(SyscallError) {
    // Looked at before it is opened for reading: opening a FIFO would wait, and a device might do things.
    let look = try agent.open(path, O_PATH | (following ? 0 : O_NOFOLLOW))
    let kind = try Self.status(look, path)
    switch kind.st_mode & S_IFMT {
    case S_IFREG:
      let from = try agent.open(path, O_RDONLY | O_NONBLOCK | (following ? 0 : O_NOFOLLOW))
      guard try Self.status(from, path).st_mode & S_IFMT == S_IFREG else {
        throw SyscallError(call: "open", errno: EAGAIN, path: path, step: "copy a file that was swapped meanwhile")
      }
      let to = try OwnedFD.open(target, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: kind.st_mode & 0o777)
      try Self.copyBytes(from, to, path)
    case S_IFDIR:
      let made = mkdir(target, 0o700)
      let error = errno
      guard made == 0 || error == EEXIST else { throw SyscallError(call: "mkdir", errno: error, path: target) }
      let folder = try OwnedFD.open(target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      let names = try FileSystem.list(of: try agent.open(path, O_RDONLY | O_DIRECTORY | (following ? 0 : O_NOFOLLOW)), path)
      for name in names { try copyOut(agent, "\(path)/\(name)", "\(target)/\(name)", following: false) }
      try FileSystem.call("fchmod", target) { fchmod(folder.raw, kind.st_mode & 0o777) }
    case S_IFLNK:
      let text = try FileSystem.readLink(of: look, path)
      try FileSystem.call("symlink", target) { symlink(text, target) }
    default: notice("left out \(path): neither a file, a directory nor a link")
    }
  }

  private func copyIn(_ agent: borrowing ZoneFileAgent, _ source: String, _ path: String, following: Bool) throws(SyscallError) {
    let status = try FileSystem.status(source, followingLinks: following)
    switch status.st_mode & S_IFMT {
    case S_IFREG:
      let from = try OwnedFD.open(source, O_RDONLY | (following ? 0 : O_NOFOLLOW))
      let to = try agent.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK, mode: status.st_mode & 0o777)
      try Self.copyBytes(from, to, source)
    case S_IFDIR:
      do throws(SyscallError) { try agent.makeDirectory(path, mode: status.st_mode & 0o777 | 0o700) } catch {
        guard error.errno == EEXIST else { throw error }
      }
      for name in try FileSystem.list(source) { try copyIn(agent, "\(source)/\(name)", "\(path)/\(name)", following: false) }
    case S_IFLNK: try agent.makeLink(path, to: try FileSystem.readLink(source))
    default: notice("left out \(source): neither a file, a directory nor a link")
    }
  }

  private static func copyBytes(_ from: borrowing OwnedFD, _ to: borrowing OwnedFD, _ name: String) throws(SyscallError) {
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

  private static func isDirectory(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  private static func lastName(_ path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? "root"
  }
}
