internal import CLinuxNS
internal import Glibc

/// A file system in a file: a disk of a zone's own.
public enum DiskFile {
  /// Mounts the ext4 in a file, detached (fsmount(2)) and without set-uid programs and devices. However often a file is
  /// mounted it is one file system; its loop device (loop(4)) goes with the last mount. Takes CAP_SYS_ADMIN.
  public static func mount(_ path: String) throws(SyscallError) -> OwnedFD {
    var step: UnsafePointer<CChar>?
    let raw = zns_mount_disk(path, &step)
    return OwnedFD(raw: CInt(try check(raw, step.map { String(cString: $0) } ?? "mount", path)))
  }

  /// The loop device that has a file, as proc_pid_mountinfo(5) tells of it: `7:0`; nil where none has it. By the file itself
  /// (LOOP_GET_STATUS64): the path that sysfs tells is not ours where a link is on the way.
  public static func device(of path: String) throws(SyscallError) -> String? {
    var (major, minor): (UInt32, UInt32) = (0, 0)
    let found = zns_disk_device(path, &major, &minor)
    if found == -CLong(ENOENT) { return nil }
    try check(found, "open", path)
    return "\(major):\(minor)"
  }

  /// Mounts it on a directory, for this thread and what it starts from now on: nobody else sees it, and it goes with them.
  public static func show(_ path: String, on directory: String) throws(SyscallError) {
    let disk = try mount(path)
    var step: UnsafePointer<CChar>?
    try check(zns_show_mount(disk.raw, directory, &step), step.map { String(cString: $0) } ?? "mount", directory)
  }
}
