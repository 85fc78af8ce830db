internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// Whose a file is and which one, from stat(2).
enum FileOwnership {
  /// A regular file that nobody but us may read or write; a link there is not followed.
  static func isPrivateFile(_ path: String) throws(SyscallError) -> Bool {
    let facts = try facts(path, followingLinks: false)
    return facts.mode & UInt32(S_IFMT) == UInt32(S_IFREG) && facts.uid == geteuid() && facts.mode & 0o077 == 0
  }

  static func isOwnDirectory(_ path: String) throws(SyscallError) -> Bool {
    let facts = try facts(path, followingLinks: false)
    return facts.mode & UInt32(S_IFMT) == UInt32(S_IFDIR) && facts.uid == geteuid()
  }

  /// Tells a file from another, and from itself when it was replaced or written to.
  struct Version: Equatable, Sendable {
    var inode: UInt64
    var seconds: Int64
    var nanoseconds: Int64
  }

  static func version(_ path: String) throws(SyscallError) -> Version {
    let facts = try facts(path)
    return Version(inode: facts.inode, seconds: facts.modified_seconds, nanoseconds: facts.modified_nanoseconds)
  }

  static func size(_ path: String) throws(SyscallError) -> Int64 { try facts(path).size }

  /// A number that no two files of one file system share.
  static func inode(_ path: String) throws(SyscallError) -> UInt64 { try facts(path).inode }

  static func device(_ path: String) throws(SyscallError) -> (major: UInt64, minor: UInt64) {
    let facts = try facts(path)
    return (facts.device_major, facts.device_minor)
  }

  private static func facts(_ path: String, followingLinks: Bool = true) throws(SyscallError) -> zns_file_facts {
    var facts = zns_file_facts()
    try check(zns_file_facts(path, followingLinks ? 1 : 0, &facts), "stat", path)
    return facts
  }
}
