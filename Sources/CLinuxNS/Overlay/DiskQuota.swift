internal import CLinuxNS
internal import Glibc

/// A bound on what a directory's tree takes of its file system (quotactl(2), btrfs-quota(8)).
///
/// ext4 and xfs count by projects: a number that each file has from the directory it was made in. btrfs counts by
/// subvolumes. A tree that is full fails writes with EDQUOT on ext4 and btrfs, and with ENOSPC on xfs.
public enum DiskQuota: Equatable, Sendable {
  case project
  case subvolume

  public enum Support: Equatable, Sendable {
    case has(DiskQuota)
    /// Why not, and what can be done.
    case lacks(String)
  }

  /// What the file system of a directory has.
  public static func support(of folder: String) throws(SyscallError) -> Support {
    let type = UInt64(UInt32(truncatingIfNeeded: try check(zns_filesystem_type(folder), "statfs", folder)))
    let directory = try OwnedFD.open(folder, O_RDONLY | O_DIRECTORY)
    if type == 0x9123_683E {
      return try check(zns_subvolume_quotas(directory.raw), "ioctl BTRFS_IOC_FS_INFO", folder) == 1
        ? .has(.subvolume) : .lacks("its btrfs counts nothing (btrfs quota enable \(folder))")
    }
    let name: String
    switch type {
    case 0xEF53: name = "ext4"
    case 0x5846_5342: name = "xfs"
    default: return .lacks("its file system has no quotas (have the zones on ext4, xfs or btrfs)")
    }
    let result = zns_project_quotas(directory.raw)
    if result == -Int(ENOSYS) { return .lacks("quotactl_fd(2) came with Linux 5.14") }
    if try check(result, "quotactl_fd", folder) == 1 {
      // What is made in there is counted for it, and nothing with another number could be moved about in there.
      let other = try project(of: directory, folder)
      return other == 0
        ? .has(.project) : .lacks("it is counted for project \(other) already (have the zones elsewhere)")
    }
    let first = name == "ext4" ? "tune2fs -O project,quota -Q prjquota its device, and " : ""
    return .lacks("its \(name) has no project quotas (\(first)mount it with prjquota)")
  }

  /// Makes a directory whose tree takes at most so much, or bounds one that `make` has made.
  /// - Parameter bytes: at least 1.
  public func make(_ path: String, bytes: Int64) throws(SyscallError) {
    switch self {
    case .project:
      try FileSystem.makeDirectories(path, mode: 0o700)
      let folder = try OwnedFD.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      var project = try Self.project(of: folder, path)
      if !Self.isOurs(project) {
        // Before the limit: a limit of a project that nothing is counted by would be found by nobody.
        project = try Self.unused(folder, path)
        try check(zns_set_project(folder.raw, project, 1), "ioctl FS_IOC_FSSETXATTR", path)
      }
      try check(zns_limit_project(folder.raw, project, UInt64(bytes)), "quotactl_fd Q_SETQUOTA", path)
    case .subvolume:
      let parent = try OwnedFD.open(FileSystem.parent(of: path), O_RDONLY | O_DIRECTORY)
      if !FileSystem.exists(path) {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        try check(zns_make_subvolume(parent.raw, name), "ioctl BTRFS_IOC_SUBVOL_CREATE", path)
        try FileSystem.call("chmod", path) { chmod(path, 0o700) }
      }
      let folder = try OwnedFD.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      guard try Self.isSubvolume(folder) else {
        throw SyscallError(
          call: "ioctl BTRFS_IOC_QGROUP_LIMIT", errno: EINVAL, path: path, step: "bound what is no subvolume")
      }
      try check(zns_limit_subvolume(folder.raw, parent.raw, UInt64(bytes)), "ioctl BTRFS_IOC_QGROUP_LIMIT", path)
    }
  }

  /// Takes the bound away, where there is one of ours. What is counted goes on being counted by itself.
  public static func lift(_ path: String) throws(SyscallError) {
    guard FileSystem.exists(path) else { return }
    let folder = try OwnedFD.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    guard let (kind, use) = try counted(folder, path), use.limit > 0 else { return }
    switch kind {
    case .project:
      let project = try project(of: folder, path)
      try check(zns_limit_project(folder.raw, project, 0), "quotactl_fd Q_SETQUOTA", path)
    case .subvolume:
      let parent = try OwnedFD.open(FileSystem.parent(of: path), O_RDONLY | O_DIRECTORY)
      try check(zns_limit_subvolume(folder.raw, parent.raw, 0), "ioctl BTRFS_IOC_QGROUP_LIMIT", path)
    }
  }

  public struct Use: Equatable, Sendable {
    /// As far as the file system has written it down.
    public var bytes: Int64
    /// In bytes.
    public var limit: Int64
    /// No file more can be made.
    public var isOutOfFiles: Bool
  }

  /// - Returns: nil where nothing of ours bounds the directory.
  public static func use(of path: String) throws(SyscallError) -> Use? {
    let folder = try OwnedFD.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    guard let (_, use) = try counted(folder, path), use.limit > 0 else { return nil }
    return Use(
      bytes: Int64(clamping: use.bytes), limit: Int64(clamping: use.limit),
      isOutOfFiles: use.file_limit > 0 && use.files >= use.file_limit)
  }

  /// Whether `make` has made it, so that what it has is counted by itself.
  public static func isCounted(_ path: String) throws(SyscallError) -> Bool {
    try counted(try OwnedFD.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), path) != nil
  }

  private static func counted(
    _ folder: borrowing OwnedFD, _ path: String
  ) throws(SyscallError) -> (DiskQuota, zns_quota_use)? {
    var use = zns_quota_use()
    if try isSubvolume(folder), zns_subvolume_use(folder.raw, &use) == 0 { return (.subvolume, use) }
    var project: UInt32 = 0
    guard zns_project(folder.raw, &project) == 0, isOurs(project), zns_project_use(folder.raw, project, &use) == 0
    else { return nil }
    return (.project, use)
  }

  /// Has a new directory counted, with all that is made in it, for what another one is; where that is not bounded nothing is
  /// done.
  public static func share(_ path: String, with new: String) throws(SyscallError) {
    let folder = try OwnedFD.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    guard case .project? = try counted(folder, path)?.0 else { return }
    let other = try OwnedFD.open(new, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    try check(zns_set_project(other.raw, project(of: folder, path), 1), "ioctl FS_IOC_FSSETXATTR", new)
  }

  private static func project(of folder: borrowing OwnedFD, _ path: String) throws(SyscallError) -> UInt32 {
    var project: UInt32 = 0
    try check(zns_project(folder.raw, &project), "ioctl FS_IOC_FSGETXATTR", path)
    return project
  }

  /// Numbers that people give (projid(5)) are small; ours have this bit. Whatever else a directory has by inheritance is
  /// somebody else's, and his limits too.
  private static func isOurs(_ project: UInt32) -> Bool { project & 0xC000_0000 == 0x4000_0000 }

  /// A number by which nothing is counted and that has no limit.
  private static func unused(_ folder: borrowing OwnedFD, _ path: String) throws(SyscallError) -> UInt32 {
    for _ in 0..<64 {
      var number: UInt32 = 0
      try check(zns_random(&number, 4), "getrandom")
      number = number & 0x3FFF_FFFF | 0x4000_0000
      var use = zns_quota_use()
      try check(zns_project_use(folder.raw, number, &use), "quotactl_fd Q_GETQUOTA", path)
      if use.bytes == 0, use.files == 0, use.limit == 0 { return number }
    }
    throw SyscallError(
      call: "quotactl_fd Q_GETQUOTA", errno: EEXIST, path: path, step: "find a project that nobody has")
  }

  /// The top of a subvolume has inode 256 (btrfs-subvolume(8)); that of a directory elsewhere may be 256 too, and then
  /// btrfs' own calls are refused.
  private static func isSubvolume(_ folder: borrowing OwnedFD) throws(SyscallError) -> Bool {
    try FileFacts.of(open: folder).inode == 256
  }
}
