internal import CLinuxNS
internal import Glibc
public import LinuxNS

/// Makes the joint of a stack from layers that lie on disk.
public enum JointWriter {
  /// What a stack of layers needs.
  /// - Parameters:
  ///   - layers: the directories that they were unpacked into, the lowest first, in the store that is ours alone.
  ///   - notes: what was noted of each.
  public static func plan(_ layers: [String], _ notes: [LayerNotes]) throws(JointError) -> JointPlan {
    try JointPlan.make(notes) { (layer, path) throws(SyscallError) in try finding(try tree(layers[layer]), path) }
  }

  /// Carries a plan out in an empty directory.
  public static func make(_ plan: JointPlan, of layers: [String], in root: consuming OwnedFD) throws(SyscallError) {
    let writer = LayerWriter(root)
    var times: [LayerOp] = []
    for folder in plan.folders {
      var attributes = LayerAttributes(mode: 0o755)
      if let layer = folder.layer { attributes = try Self.attributes(folder.path, in: try tree(layers[layer])) }
      try writer.carryOut(.directory(folder.path, attributes))
      if folder.layer != nil { times.append(.modified(folder.path, attributes.modified)) }
    }
    for op in times { try writer.carryOut(op) }
  }

  /// What a directory of a layer looks like; of the plan's `top`, what a zone's own layer is to look like.
  public static func attributes(_ path: BytePath, in layer: borrowing TreeFD) throws(SyscallError) -> LayerAttributes {
    let folder = try layer.directory(path)
    let facts = try FileFacts.of(open: folder)
    return LayerAttributes(
      mode: facts.mode, uid: facts.uid, gid: facts.gid, modified: facts.modified,
      xattrs: try Xattr.all(of: folder, path).filter { LayerAttribute($0) == .kept })
  }

  private static func tree(_ path: String) throws(SyscallError) -> TreeFD {
    TreeFD(try OwnedFD.open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW))
  }

  static func finding(_ layer: borrowing TreeFD, _ path: BytePath) throws(SyscallError) -> LayerFinding {
    guard let look = try layer.look(path) else { return .nothing }
    let facts = try FileFacts.of(open: look)
    switch facts.kind {
    case .directory:
      let notes = path.isRoot ? [] : try Xattr.all(of: look, path)
      return .directory(isOpaque: notes.contains { $0 == LayerWriter.opaqueNote })
    case .link: return .link
    default: return facts.isWhiteout ? .whiteout : .other
    }
  }
}
