internal import Glibc
internal import LinuxNS
internal import ZoneRuntime

/// Changes to what layers show, made in the empty layer of a zone above them: folders on the way are made there as they look
/// below.
struct LayerEdit: ~Copyable {
  private let below: TreeFD
  private let writer: LayerWriter
  private let now = Int64(clamping: Clock.realtimeNanoseconds())
  /// Folders that are in the layer.
  private var made: Set<BytePath> = [.root]

  private init(_ below: consuming TreeFD, _ layer: consuming OwnedFD) {
    self.below = below
    writer = LayerWriter(layer)
  }

  /// - Parameter layer: nothing is in it, and nobody else writes in it.
  static func carryOut(_ changes: [MachinePlan.Change], over below: borrowing TreeFD, in layer: consuming OwnedFD)
    throws
  {
    var edit = LayerEdit(TreeFD(try below.fd.duplicate()), layer)
    for change in changes {
      switch change {
      case .remove(let path): try edit.remove(BytePath(path))
      case .replace(let path, let text): try edit.replace(BytePath(path), Array(text.utf8))
      case .mask(let unit): try edit.mask(BytePath("\(MachinePlan.units)/\(unit)"))
      }
    }
  }

  private mutating func remove(_ path: BytePath) throws {
    try makeFolders(to: path.parent)
    try writer.carryOut(.whiteout(path))
  }

  private mutating func replace(_ path: BytePath, _ content: [UInt8]) throws {
    try makeFolders(to: path.parent)
    let old = try FileFacts.of(open: try below.open(path, O_PATH | O_NOFOLLOW))
    let file = try writer.makeFile(path)
    try FileSystem.write(content, to: file, name: path.words)
    try writer.finish(
      file, path, size: nil, LayerAttributes(mode: old.mode, uid: old.uid, gid: old.gid, modified: now))
  }

  private mutating func mask(_ path: BytePath) throws {
    try makeFolders(to: path.parent)
    try writer.carryOut(.link(path, target: Array("/dev/null".utf8), LayerAttributes(mode: 0o777, modified: now)))
  }

  private mutating func makeFolders(to folder: BytePath) throws {
    guard made.insert(folder).inserted else { return }
    try makeFolders(to: folder.parent)
    guard try below.look(folder) != nil else {
      return try writer.carryOut(.directory(folder, LayerAttributes(mode: 0o755, modified: now)))
    }
    try writer.carryOut(.directory(folder, JointWriter.attributes(folder, in: below)))
  }
}
