internal import CLinuxNS
internal import Glibc

/// What stat(2) tells of a file, no link followed.
public struct FileFacts: Equatable, Sendable {
  public enum Kind: String, Sendable {
    case file, directory, link, fifo, socket, device
  }

  public var kind: Kind
  /// The twelve bits of chmod(2).
  public var mode: UInt32
  public var inode: UInt64
  public var device: UInt64
  /// A device's own number.
  public var special: UInt64
  public var links: UInt64
  public var size: Int64
  /// Nanoseconds since 1970: of the content, and of the content or anything else.
  public var modified: Int64
  public var changed: Int64
  public var uid: UInt32
  public var gid: UInt32

  public init(
    kind: Kind, mode: UInt32 = 0o644, inode: UInt64 = 0, device: UInt64 = 0, special: UInt64 = 0, links: UInt64 = 1,
    size: Int64 = 0, modified: Int64 = 0, changed: Int64 = 0, uid: UInt32 = 0, gid: UInt32 = 0
  ) {
    self.kind = kind
    self.mode = mode
    self.inode = inode
    self.device = device
    self.special = special
    self.links = links
    self.size = size
    self.modified = modified
    self.changed = changed
    self.uid = uid
    self.gid = gid
  }

  /// - Parameter name: one name in the directory; the empty one is the descriptor's own file.
  /// - Returns: nil where there is no such name.
  public static func of(_ directory: borrowing OwnedFD, _ name: [UInt8] = []) throws(SyscallError) -> FileFacts? {
    var raw = zns_tree_facts()
    let result = name.withCString { zns_tree_facts(directory.raw, $0, &raw) }
    if result == -Int(ENOENT) { return nil }
    try check(result, "fstatat", BytePath(name).words)
    return FileFacts(raw)
  }

  /// - Returns: nil where there is no such file.
  public static func at(_ path: String) throws(SyscallError) -> FileFacts? {
    var raw = zns_tree_facts()
    let result = zns_tree_facts(AT_FDCWD, path, &raw)
    if result == -Int(ENOENT) { return nil }
    try check(result, "fstatat", path)
    return FileFacts(raw)
  }

  /// Of what is open.
  public static func of(open file: borrowing OwnedFD) throws(SyscallError) -> FileFacts {
    guard let facts = try of(file) else { throw SyscallError(call: "fstatat", errno: ENOENT) }
    return facts
  }

  private init(_ raw: zns_tree_facts) {
    let kind: Kind =
      switch raw.mode & S_IFMT {
      case S_IFREG: .file
      case S_IFDIR: .directory
      case S_IFLNK: .link
      case S_IFIFO: .fifo
      case S_IFSOCK: .socket
      default: .device
      }
    self.init(
      kind: kind, mode: raw.mode & 0o7777, inode: raw.inode, device: raw.device, special: raw.special,
      links: raw.links, size: raw.size, modified: raw.modified, changed: raw.changed, uid: raw.uid, gid: raw.gid)
  }

  /// A character device 0:0: what overlayfs leaves for a deleted name.
  public var isWhiteout: Bool { kind == .device && special == 0 }
}
