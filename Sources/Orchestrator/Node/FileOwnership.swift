internal import Glibc
internal import LinuxNS

/// Whose a file is, without following a link there. In a file of its own: next to Foundation or NIO the compiler finds
/// `struct stat` in more than one module.
enum FileOwnership {
  /// A regular file that nobody but us may read or write.
  static func isPrivateFile(_ path: String) throws(SyscallError) -> Bool {
    let status = try FileSystem.status(path, followingLinks: false)
    return status.st_mode & S_IFMT == S_IFREG && status.st_uid == geteuid() && status.st_mode & 0o077 == 0
  }

  static func isOwnDirectory(_ path: String) throws(SyscallError) -> Bool {
    let status = try FileSystem.status(path, followingLinks: false)
    return status.st_mode & S_IFMT == S_IFDIR && status.st_uid == geteuid()
  }

  /// Tells a file from another, and from itself when it was replaced or written to.
  struct Version: Equatable, Sendable {
    var inode: UInt64
    var seconds: Int
    var nanoseconds: Int
  }

  static func version(_ path: String) throws(SyscallError) -> Version {
    let status = try FileSystem.status(path)
    return Version(inode: UInt64(status.st_ino), seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec)
  }

  static func size(_ path: String) throws(SyscallError) -> Int64 { Int64(try FileSystem.status(path).st_size) }

  /// A number that no two files of one file system share.
  static func inode(_ path: String) throws(SyscallError) -> UInt64 { UInt64(try FileSystem.status(path).st_ino) }

  static func device(_ path: String) throws(SyscallError) -> (major: UInt64, minor: UInt64) {
    let device = UInt64(try FileSystem.status(path).st_dev)
    // makedev(3) as glibc has it.
    return ((device >> 8) & 0xfff | (device >> 32) & ~0xfff, device & 0xff | (device >> 12) & ~0xff)
  }
}
