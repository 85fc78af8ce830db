internal import Glibc
internal import LinuxNS
internal import ZoneRuntime

/// There is nothing to say but what the descriptors are.
struct NoOrder: JSONObject {
  static var blank: NoOrder { NoOrder() }
  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {}
}

struct SwapOrder: JSONObject {
  var keeping: [String]
  var top: Bool
  static var blank: SwapOrder { SwapOrder(keeping: [], top: false) }

  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("keeping", &keeping)
    try json.field("top", &top)
  }
}

/// `orchestrator pack-tree`, `copy-tree` and `swap`, hidden: what `VolumeKeeper` starts.
public enum VolumeProgram {
  /// Descriptor 3 is the tree, 4 takes the archive; 5 is an empty directory.
  public static func pack() -> Int32 {
    OwnerProcess.run("pack-tree") { (_: NoOrder) throws -> PackAnswer in
      PackAnswer(
        read: try LayerArchive.write(tree: OwnedFD(raw: 3), nothing: OwnedFD(raw: 5), to: OwnedFD(raw: 4)))
    }
  }

  /// Descriptor 3 is the tree, 4 and 5 are empty directories.
  public static func copy() -> Int32 {
    OwnerProcess.run("copy-tree") { (_: NoOrder) throws -> PackAnswer in
      PackAnswer(read: try LayerCopy.make(OwnedFD(raw: 3), over: OwnedFD(raw: 5), in: OwnedFD(raw: 4)))
    }
  }

  /// Descriptor 3 is a directory, 4 has what is to be in it, 5 takes what is.
  public static func swap() -> Int32 {
    OwnerProcess.run("swap") { (order: SwapOrder) throws -> PackAnswer in
      try TreeSwap.run(
        OwnedFD(raw: 3), new: OwnedFD(raw: 4), old: OwnedFD(raw: 5), keeping: order.keeping.map { Array($0.utf8) },
        top: order.top)
      return PackAnswer()
    }
  }
}
