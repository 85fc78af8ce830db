internal import Glibc
internal import LinuxNS

/// Ids in a zone's tree or folder are those on disk, so its root can leave a set-uid file of uid 0 there (of the caller's
/// uid, where that is an ordinary user). Inside it is held by the zone's walls; on the host whoever can reach the file
/// becomes its owner. What lies below the zones' data is behind its 0700 (`Directories.checkTrust`); for a place that was
/// named, its owner decides, as with every other runtime: he is told.
extension Zones {
  /// After a zone was made with it.
  func warnOfReach(_ spec: ZoneSpec) {
    for path in reachedPlaces(spec) {
      notice(
        "other users of this host can reach \(path), and run what zone \(spec.name) leaves there with a set-uid bit (chmod 700 a directory above it, or mount it nosuid)"
      )
    }
  }

  func reachedPlaces(_ spec: ZoneSpec) -> [String] {
    var places: [String] = spec.volumes.compactMap { volume in
      if case .path(let path) = volume.source, !volume.readOnly { return path }
      return nil
    }
    if case .directory(let path) = spec.brand, !spec.readOnly { places.append(path) }
    return places.filter(SetUidReach.isReached)
  }
}

enum SetUidReach {
  /// Whether others can come as far as a path, and its file system lets them run set-uid files. Groups are not looked at:
  /// who is in one was let in by somebody.
  static func isReached(_ path: String) -> Bool {
    var information = statvfs()
    // ST_NOSUID. A path that is not there is nobody's way.
    guard statvfs(path, &information) == 0, information.f_flag & 2 == 0 else { return false }
    var at = path
    while true {
      var status = stat()
      guard stat(at, &status) == 0, status.st_mode & 0o001 != 0 || status.st_mode & S_IFMT != S_IFDIR else {
        return false
      }
      if at == "/" || at.isEmpty { return true }
      at = FileSystem.parent(of: at)
    }
  }
}
