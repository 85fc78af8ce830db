internal import Glibc
public import LinuxNS

/// What a zone has written, against what a newer image has changed: where both have, only the zone's is seen afterwards.
public struct RebaseLook: ~Copyable {
  /// What the image showed, and what the newer one shows.
  private let old: TreeFD
  private let new: TreeFD
  private var conflicts: Set<BytePath> = []

  public init(old: consuming OwnedFD, new: consuming OwnedFD) {
    self.old = TreeFD(old)
    self.new = TreeFD(new)
  }

  /// In the order of paths.
  public consuming func found() -> [BytePath] { conflicts.sorted() }

  /// - Parameter layer: one that the zone has written, by overlayfs with `userxattr`; nobody writes in it meanwhile.
  public mutating func look(at layer: consuming OwnedFD) throws(SyscallError) {
    let layer = TreeFD(layer)
    var waiting: [(path: BytePath, hasXattrWhiteouts: Bool)] = [(.root, false)]
    while let (folder, amongXattrWhiteouts) = waiting.popLast() {
      for name in try layer.names(folder) {
        let path = folder.appending(name)
        guard let entry = try LayerEntry.read(layer, path, amongXattrWhiteouts: amongXattrWhiteouts) else { continue }
        if entry.facts.kind == .directory, !entry.isOpaque {
          if try isSame(path, deep: false) {
            waiting.append((path, entry.holdsXattrWhiteouts))
          } else {
            conflicts.insert(path)
          }
        } else if try !isSame(path, deep: true), try !agrees(entry, layer, path) {
          conflicts.insert(path)
        }
      }
    }
  }

  /// The zone has made of it what the newer image has.
  private func agrees(_ entry: LayerEntry, _ layer: borrowing TreeFD, _ path: BytePath) throws(SyscallError) -> Bool {
    guard let theirs = try Self.entry(path, new) else { return entry.isWhiteout }
    guard !entry.isWhiteout, entry.facts.kind != .directory, Self.isSame(entry.facts, theirs.facts),
      entry.target == theirs.target
    else { return false }
    guard entry.facts.kind == .file else { return true }
    return try Self.hasSameContent(path, layer, new)
  }

  /// - Parameter deep: with what is below it, and content; otherwise of a folder itself. Times are nobody's change.
  private func isSame(_ path: BytePath, deep: Bool) throws(SyscallError) -> Bool {
    var waiting = [path]
    while let path = waiting.popLast() {
      let (one, other) = (try Self.entry(path, old), try Self.entry(path, new))
      guard let one, let other else {
        if one == nil, other == nil { continue }
        // A folder that the zone alone has is nobody else's.
        if !deep, one == nil { return other?.facts.kind == .directory }
        return false
      }
      guard Self.isSame(one.facts, other.facts), one.target == other.target, one.xattrs == other.xattrs,
        one.powers == other.powers
      else { return false }
      guard deep else { continue }
      if one.facts.kind == .file {
        guard try Self.hasSameContent(path, old, new) else { return false }
      } else if one.facts.kind == .directory {
        let names = try old.names(path)
        guard try names == new.names(path) else { return false }
        waiting += names.map(path.appending)
      }
    }
    return true
  }

  private static func entry(_ path: BytePath, _ tree: borrowing TreeFD) throws(SyscallError) -> RealEntry? {
    try RealEntry.unlessBehindLink { () throws(SyscallError) in try RealEntry.read(tree, path) }
  }

  private static func isSame(_ one: FileFacts, _ other: FileFacts) -> Bool {
    one.kind == other.kind && one.mode == other.mode && one.uid == other.uid && one.gid == other.gid
      && (one.kind != .file || one.size == other.size) && one.special == other.special
  }

  private static func hasSameContent(_ path: BytePath, _ one: borrowing TreeFD, _ other: borrowing TreeFD)
    throws(SyscallError) -> Bool
  {
    try FileContent.isSame(one.open(path, O_RDONLY | O_NOFOLLOW), other.open(path, O_RDONLY | O_NOFOLLOW), path)
  }
}
