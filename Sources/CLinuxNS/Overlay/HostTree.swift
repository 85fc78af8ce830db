internal import CLinuxNS
internal import Glibc

/// Trees of the host's on their way into a zone.
public enum HostTree {
  /// What becomes of mounts that are made in a tree, here or where it came from (mount_namespaces(7)).
  public enum Propagation: Sendable {
    /// Nothing goes either way.
    case `private`
    /// What the host mounts later is seen; nothing goes back.
    case slave
    /// As on the host. Where that is shared, which systemd makes of all, a mount in the copy is one on the host too.
    case kept
  }

  /// A detached copy (open_tree(2), OPEN_TREE_CLONE). A copy is in the peer group of what it is a copy of: without
  /// another propagation everything that is mounted in it would appear on the host, at the place it was taken from.
  /// - Parameter recursive: with what is mounted below.
  public static func open(_ path: String, recursive: Bool, _ propagation: Propagation) throws(SyscallError) -> OwnedFD {
    let below: UInt32 = recursive ? 0x8000 : 0  // AT_RECURSIVE
    let cloned: UInt32 = 1  // OPEN_TREE_CLONE
    let tree = OwnedFD(raw: CInt(try check(zns_open_tree(AT_FDCWD, path, cloned | below), "open_tree", path)))
    let flag: UInt64
    switch propagation {
    case .private: flag = 1 << 18  // MS_PRIVATE
    case .slave: flag = 1 << 19  // MS_SLAVE
    case .kept: return tree
    }
    let itself: UInt32 = 0x1000  // AT_EMPTY_PATH
    try check(zns_mount_setattr(tree.raw, "", itself | below, 0, 0, flag, 0), "mount_setattr", path)
    return tree
  }
}
