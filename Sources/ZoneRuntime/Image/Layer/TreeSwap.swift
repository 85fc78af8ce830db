internal import Glibc
public import LinuxNS

/// What a directory has is exchanged for what another one has, by renames: in no time, however much it is. What is mounted
/// there, or opened, sees it.
public enum TreeSwap {
  /// - Parameters:
  ///   - new: what is in it goes into the directory, which gets its owner, mode, attributes and time too.
  ///   - old: takes what was in the directory, over what is in it.
  ///   - keeping: names in the directory that stay.
  /// - Throws: when all is as it was again, as far as that can be.
  public static func run(
    _ directory: consuming OwnedFD, new: consuming OwnedFD, old: consuming OwnedFD, keeping: [[UInt8]]
  ) throws(SyscallError) {
    let tree = TreeFD(directory)
    let source = TreeFD(new)
    let rest = TreeFD(old)
    let attributes = try JointWriter.attributes(.root, in: source)
    let there = try tree.names(.root).filter { !keeping.contains($0) }
    let taken = Set(try rest.names(.root))
    var moved: [[UInt8]] = []
    var put: [[UInt8]] = []
    do throws(SyscallError) {
      for name in there {
        // Of a turn that was stopped: one name more for what has it already.
        var other = name
        while taken.contains(other) { other += Array("~".utf8) }
        try move(name, from: tree, to: rest, as: other)
        if other == name { moved.append(name) }
      }
      for name in try source.names(.root) {
        try move(name, from: source, to: tree, as: name)
        put.append(name)
      }
    } catch {
      for name in put { try? move(name, from: tree, to: source, as: name) }
      for name in moved { try? move(name, from: rest, to: tree, as: name) }
      throw error
    }
    let writer = LayerWriter(try tree.directory(.root))
    try writer.carryOut(.attributes(.root, attributes))
    try writer.carryOut(.modified(.root, attributes.modified))
  }

  private static func move(_ name: [UInt8], from: borrowing TreeFD, to: borrowing TreeFD, as other: [UInt8])
    throws(SyscallError)
  {
    let (one, two) = (from.fd.raw, to.fd.raw)
    try FileSystem.call("rename", BytePath(name).words) {
      name.withCString { old in other.withCString { renameat(one, old, two, $0) } }
    }
  }
}
