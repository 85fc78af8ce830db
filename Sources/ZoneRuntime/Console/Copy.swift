internal import CLinuxNS
internal import Glibc
internal import LinuxNS

extension Zones {
  /// Copies files between a living zone and here (`zonectl cp`).
  public enum CopyDirection: Sendable {
    /// From a path of the host into the zone.
    case into(String, zonePath: String)
    /// From the zone to a path of the host.
    case out(zonePath: String, String)
  }

  /// Paths of the zone are resolved below its root as its own processes see it (openat2(2), RESOLVE_IN_ROOT), and the
  /// tree below is walked without following links. What comes in belongs to the zone's root, what goes out to the caller.
  /// - Parameter leftOut: told of what was not copied, and why.
  public func copy(_ name: String, _ direction: CopyDirection, leftOut: @escaping (String) -> Void) throws(ZoneError) {
    let files = try files(name)
    guard files.exists else { throw .notFound(name) }
    guard let link = try KeeperLink.connect(files), let keeper = try files.readKeeper(), let record = try files.readRecord() else {
      throw .state(zone: name, state: try state(of: files), verb: "copy files of", hint: "start it first")
    }
    let root = try attempt("look into zone \(name)") { () throws(SyscallError) in
      let pidfd = try Pidfd.open(keeper.`init`)
      let root = try RootFD.open("/proc/\(keeper.`init`)/root")
      // Still the process we asked for: its pid was not given to another between the two calls.
      try check(zns_pidfd_send_signal(pidfd.fd.raw, 0), "pidfd_send_signal")
      return root
    }
    _ = consume link  // the keeper lived until here, and so did its zone
    try attempt("copy") { () throws(SyscallError) in
      switch direction {
      case .into(let path, let zonePath):
        let source = try OwnedFD.open(path, O_PATH)
        let own = geteuid()
        // Made as the zone's root: on a mount with mapped ids nobody else can own files.
        if own == 0, let uid = record.uids.outside(of: 0), let gid = record.gids.outside(of: 0) {
          try check(zns_set_fsids(uid, gid), "setfsuid", String(uid))
        }
        defer { if own == 0 { _ = zns_set_fsids(0, getegid()) } }
        let place = try CopyPlace(zonePath, base: CopyPlace.lastPart(path)) { (path, flags) throws(SyscallError) in
          try root.open(path, flags)
        }
        try TreeCopy(leftOut: leftOut).copy(source, to: place.folder, place.name)
      case .out(let zonePath, let path):
        let source = try root.open(zonePath, O_PATH)
        let place = try CopyPlace(path, base: CopyPlace.lastPart(zonePath)) { (path, flags) throws(SyscallError) in
          try OwnedFD.open(path, flags)
        }
        try TreeCopy(leftOut: leftOut).copy(source, to: place.folder, place.name)
      }
    }
  }
}

/// Where a copy goes, as cp(1) has it: below a directory that is there under the source's own name, otherwise to that
/// very path, whose parent must be there.
private struct CopyPlace: ~Copyable {
  let folder: OwnedFD
  let name: String

  init(
    _ path: String, base: String, open: (String, CInt) throws(SyscallError) -> OwnedFD
  ) throws(SyscallError) {
    let found = try CopyPlace.directory(path, open)
    let isThere = found != nil
    let name = isThere ? base : CopyPlace.lastPart(path)
    guard !name.isEmpty, name != ".", name != ".." else {
      throw SyscallError(call: "open", errno: EINVAL, path: path, step: "find a name for the copy (give one)")
    }
    self.folder = isThere ? found! : try open(FileSystem.parent(of: path), O_PATH | O_DIRECTORY)
    self.name = name
  }

  private static func directory(_ path: String, _ open: (String, CInt) throws(SyscallError) -> OwnedFD)
    throws(SyscallError) -> OwnedFD?
  {
    do { return try open(path, O_PATH | O_DIRECTORY) } catch {
      guard error.errno == ENOENT || error.errno == ENOTDIR, !path.hasSuffix("/") else { throw error }
      return nil
    }
  }

  static func lastPart(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? "" }
}
