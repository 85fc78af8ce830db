internal import Glibc
public import LinuxNS

/// What two stacks of layers show differently. Only paths that a layer of one of them alone tells of can be: the others are not
/// looked at.
public struct StackDifference: ~Copyable {
  private let old: TreeFD
  private let new: TreeFD
  private var paths: Set<BytePath> = []

  /// - Parameters:
  ///   - old: what one shows, by a mount that hides overlayfs' notes.
  ///   - new: the same of the other.
  public init(old: consuming OwnedFD, new: consuming OwnedFD) {
    self.old = TreeFD(old)
    self.new = TreeFD(new)
  }

  /// - Parameter layer: one that the two do not share, as overlayfs has written it with `userxattr`.
  public mutating func add(_ layer: consuming OwnedFD) throws(SyscallError) {
    let layer = TreeFD(layer)
    paths.insert(.root)
    var waiting: [(path: BytePath, isOpaque: Bool, hasXattrWhiteouts: Bool)] = [(.root, false, false)]
    while let folder = waiting.popLast() {
      // What it hides tells of itself nowhere else.
      if folder.isOpaque {
        for name in try Self.names(folder.path, old) + Self.names(folder.path, new) {
          paths.insert(folder.path.appending(name))
        }
      }
      for name in try layer.names(folder.path) {
        let path = folder.path.appending(name)
        guard let entry = try LayerEntry.read(layer, path, amongXattrWhiteouts: folder.hasXattrWhiteouts) else {
          continue
        }
        paths.insert(path)
        guard entry.facts.kind == .directory, !entry.isWhiteout else { continue }
        waiting.append((path, folder.isOpaque || entry.isOpaque, entry.holdsXattrWhiteouts))
      }
    }
  }

  /// In the order of paths.
  /// - Parameter top: how the old one's own directory is to look, which its layers need not tell of; nil: it is left out.
  public consuming func found(top: RootTop?) throws(SyscallError) -> LayerDifference {
    try addWhatAppears()
    var difference = LayerDifference()
    var gone: BytePath?
    for path in paths.sorted() {
      // All of a folder that is gone is told by its own row.
      if let gone, gone.covers(path) { continue }
      do throws(SyscallError) {
        var pair = try pair(path)
        if path.isRoot {
          guard let top, var real = pair.real else { continue }
          (real.facts.mode, real.facts.uid, real.facts.gid) = (top.mode, top.uid, top.gid)
          pair.real = real
        }
        guard let kind = LayerDifference.kind(of: pair) else { continue }
        difference.changes.append(LayerChange(kind, pair))
        if kind == .deleted { gone = path }
      } catch { difference.problems.append(LayerDifference.Problem(path: path, why: error.description)) }
    }
    return difference
  }

  /// What the old one hides lies in layers that the two share.
  private mutating func addWhatAppears() throws(SyscallError) {
    var waiting = Array(paths)
    while let path = waiting.popLast() {
      let there = try RealEntry.unlessBehindLink { () throws(SyscallError) in try RealEntry.read(old, path) }
      guard there?.facts.kind != .directory else { continue }
      for name in try Self.names(path, new) where paths.insert(path.appending(name)).inserted {
        waiting.append(path.appending(name))
      }
    }
  }

  private func pair(_ path: BytePath) throws(SyscallError) -> TreePair {
    let there = try RealEntry.unlessBehindLink { () throws(SyscallError) in try RealEntry.read(old, path) }
    let entry = try RealEntry.unlessBehindLink { () throws(SyscallError) in try LayerEntry.read(new, path) }
    var pair = TreePair(path: path, layer: entry, real: there)
    guard let entry, let there, entry.facts.kind == .file, there.facts.kind == .file,
      entry.facts.size == there.facts.size
    else { return pair }
    pair.hasSameContent = try FileContent.isSame(
      old.open(path, O_RDONLY | O_NOFOLLOW), new.open(path, O_RDONLY | O_NOFOLLOW), path)
    return pair
  }

  /// None of what is no folder.
  private static func names(_ path: BytePath, _ tree: borrowing TreeFD) throws(SyscallError) -> [[UInt8]] {
    do throws(SyscallError) { return try tree.names(path) } catch {
      guard [ENOENT, ENOTDIR, ELOOP].contains(error.errno) else { throw error }
      return []
    }
  }
}

extension RealEntry {
  /// Where one tree has a link another may have a folder, and what is in it.
  static func unlessBehindLink<Found>(_ body: () throws(SyscallError) -> Found?) throws(SyscallError) -> Found? {
    do throws(SyscallError) { return try body() } catch {
      guard error.errno == ELOOP else { throw error }
      return nil
    }
  }
}
