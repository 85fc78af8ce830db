internal import CLinuxNS
internal import Glibc

/// The root of a tree in which nothing is trusted, also not to stay as it is: no path leads through a link, of whatever
/// kind, out of the tree, or into something that is mounted in it (openat2(2)).
public struct TreeFD: ~Copyable, Sendable {
  public let fd: OwnedFD

  public init(_ fd: consuming OwnedFD) { self.fd = fd }

  /// - Parameter flags: with O_PATH and O_NOFOLLOW a link is opened itself; otherwise a link at the end is ELOOP.
  public borrowing func open(_ path: BytePath, _ flags: CInt) throws(SyscallError) -> OwnedFD {
    guard path.bytes.count <= BytePath.mostBytes else {
      throw SyscallError(call: "openat2", errno: ENAMETOOLONG, step: "go so deep (a path has at most 4095 bytes)")
    }
    let wanted = flags & O_PATH != 0 ? flags : flags | O_NOCTTY | O_NONBLOCK
    let resolve = UInt64(
      ZNS_RESOLVE_BENEATH | ZNS_RESOLVE_NO_SYMLINKS | ZNS_RESOLVE_NO_MAGICLINKS | ZNS_RESOLVE_NO_XDEV)
    let place = path.isRoot ? BytePath(".") : path
    let result = place.withCString { zns_openat2(fd.raw, $0, UInt64(UInt32(bitPattern: wanted)), 0, resolve) }
    guard result >= 0 else {
      let error = CInt(-result)
      // With O_NOFOLLOW a link in the way of a directory is ENOTDIR.
      let step: String? =
        switch error {
        case EXDEV: "go into what is mounted there (umount it first), or was moved away meanwhile"
        case ELOOP: "follow a link there"
        default: nil
        }
      throw SyscallError(call: "openat2", errno: error, path: path.words, step: step)
    }
    return OwnedFD(raw: CInt(result))
  }

  /// nil where nothing is there, or no directory on the way to it.
  public borrowing func look(_ path: BytePath) throws(SyscallError) -> OwnedFD? {
    do throws(SyscallError) { return try open(path, O_PATH | O_NOFOLLOW) } catch {
      guard error.errno == ENOENT || error.errno == ENOTDIR else { throw error }
      return nil
    }
  }

  public borrowing func directory(_ path: BytePath) throws(SyscallError) -> OwnedFD {
    try open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW)
  }

  /// The names in a directory, as bytes, in the order of their bytes.
  public borrowing func names(_ path: BytePath) throws(SyscallError) -> [[UInt8]] {
    let directory = try open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    guard let stream = fdopendir(directory.raw) else {
      throw SyscallError(call: "fdopendir", errno: errno, path: path.words)
    }
    _ = directory.take()  // the stream's now
    defer { closedir(stream) }
    var names: [[UInt8]] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else {
        let error = errno
        guard error == 0 else { throw SyscallError(call: "getdents64", errno: error, path: path.words) }
        break
      }
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      if name != [46] && name != [46, 46] { names.append(name) }
    }
    return names.sorted { $0.lexicographicallyPrecedes($1) }
  }
}

extension OwnedFD {
  /// The same file opened anew, by the link that /proc has of this descriptor: for one that was opened with O_PATH to be
  /// looked at first.
  public borrowing func reopened(_ flags: CInt, _ name: BytePath) throws(SyscallError) -> OwnedFD {
    OwnedFD(raw: CInt(try check(zns_reopen(raw, flags | O_NONBLOCK), "open", name.words)))
  }

  /// chmod(2), also of one that was opened with O_PATH.
  public borrowing func setMode(_ mode: UInt32, _ name: BytePath) throws(SyscallError) {
    try check(zns_change_mode(raw, mode), "chmod", name.words)
  }

  /// - Parameters:
  ///   - time: nanoseconds since 1970.
  ///   - entry: one name in this directory; the empty one is the file itself.
  public borrowing func setModified(_ time: Int64, of entry: [UInt8] = [], _ name: BytePath) throws(SyscallError) {
    try check(entry.withCString { zns_set_modified(raw, $0, time) }, "utimensat", name.words)
  }
}

extension OwnedFD {
  /// statfs(2)'s f_fsid: the same after a reboot where the file system has a UUID.
  public borrowing func filesystemId() throws(SyscallError) -> UInt64 {
    var id: UInt64 = 0
    try check(zns_filesystem_id(raw, &id), "statfs")
    return id
  }
}
