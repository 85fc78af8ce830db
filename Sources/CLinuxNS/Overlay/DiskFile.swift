internal import CLinuxNS

/// A file system in a file: a disk of a zone's own.
public enum DiskFile {
  /// Mounts the ext4 in a file, detached (fsmount(2)) and without set-uid programs and devices. However often a file is
  /// mounted it is one file system; its loop device (loop(4)) goes with the last mount. Takes CAP_SYS_ADMIN.
  public static func mount(_ path: String) throws(SyscallError) -> OwnedFD {
    var step: UnsafePointer<CChar>?
    let raw = zns_mount_disk(path, &step)
    return OwnedFD(raw: CInt(try check(raw, step.map { String(cString: $0) } ?? "mount", path)))
  }

  /// Mounts it on a directory, for this thread and what it starts from now on: nobody else sees it, and it goes with them.
  public static func show(_ path: String, on directory: String) throws(SyscallError) {
    let disk = try mount(path)
    var step: UnsafePointer<CChar>?
    try check(zns_show_mount(disk.raw, directory, &step), step.map { String(cString: $0) } ?? "mount", directory)
  }
}
