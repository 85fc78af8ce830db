internal import CLinuxNS
public import LinuxNS

/// What a directory has is exchanged for what another one has, by renames: in no time, however much it is. What is mounted
/// there, or opened, sees it.
public enum TreeSwap {
  /// - Parameters:
  ///   - new: what is in it goes into the directory, which gets its owner, mode, attributes and time too.
  ///   - old: an empty one, which takes what was in the directory.
  ///   - keeping: names in the directory that stay.
  ///   - top: whether the directory gets the new one's attributes.
  /// - Throws: when all is as it was again, as far as that can be.
  public static func run(
    _ directory: consuming OwnedFD, new: consuming OwnedFD, old: consuming OwnedFD, keeping: [[UInt8]], top: Bool
  ) throws(SyscallError) {
    let tree = TreeFD(directory)
    let source = TreeFD(new)
    let rest = TreeFD(old)
    let attributes = try JointWriter.attributes(.root, in: source)
    let there = try tree.names(.root).filter { !keeping.contains($0) }
    var moved: [[UInt8]] = []
    var put: [[UInt8]] = []
    do throws(SyscallError) {
      for name in there {
        try move(name, from: tree, to: rest)
        moved.append(name)
      }
      for name in try source.names(.root) {
        try move(name, from: source, to: tree)
        put.append(name)
      }
    } catch {
      for name in put { try? move(name, from: tree, to: source) }
      for name in moved { try? move(name, from: rest, to: tree) }
      throw error
    }
    guard top else { return }
    let writer = LayerWriter(try tree.directory(.root))
    try writer.carryOut(.attributes(.root, attributes))
    try writer.carryOut(.modified(.root, attributes.modified))
  }

  private static func move(_ name: [UInt8], from: borrowing TreeFD, to: borrowing TreeFD)
    throws(SyscallError)
  {
    let (one, two) = (from.fd.raw, to.fd.raw)
    let result = name.withCString { zns_renameat2(one, $0, two, $0, 1 /* RENAME_NOREPLACE */) }
    try check(result, "rename", BytePath(name).words)
  }
}
