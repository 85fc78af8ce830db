internal import Glibc
internal import LinuxNS

extension ReviewTrees {
  private struct Visit {
    var path: BytePath
    /// Nothing of the real directory is seen here.
    var isOpaque: Bool
    var holdsXattrWhiteouts: Bool
    var isRealDirectory: Bool
  }

  /// Walks the layer without recursion: a hostile one may be deep. What cannot be looked at is told by its name, and the
  /// rest goes on.
  func look() throws(SyscallError) -> ReviewLook {
    var look = ReviewLook()
    guard let top = try LayerEntry.read(layer, .root) else {
      throw SyscallError(call: "openat2", errno: ENOENT, step: "find the layer")
    }
    look.pairs.append(TreePair(path: .root, layer: top, real: try RealEntry.read(real, .root)))
    var waiting = [
      Visit(path: .root, isOpaque: top.isOpaque, holdsXattrWhiteouts: top.holdsXattrWhiteouts, isRealDirectory: true)
    ]
    while let visit = waiting.popLast() {
      do throws(SyscallError) { try go(through: visit, &look, &waiting) } catch {
        look.problems.append(Refusal(path: visit.path, why: error.description))
      }
    }
    look.pairs.sort { $0.path < $1.path }
    look.problems.sort { $0.path < $1.path }
    return look
  }

  private func go(through visit: Visit, _ look: inout ReviewLook, _ waiting: inout [Visit]) throws(SyscallError) {
    let names = try layer.names(visit.path)
    for name in names {
      let path = visit.path.appending(name)
      do throws(SyscallError) {
        guard
          let entry = try LayerEntry.read(layer, path, amongXattrWhiteouts: visit.holdsXattrWhiteouts)
        else { continue }
        let pair = try compare(path, entry, visit.isRealDirectory ? try RealEntry.read(real, path) : nil)
        look.pairs.append(pair)
        guard entry.facts.kind == .directory, !entry.isWhiteout else { continue }
        waiting.append(
          Visit(
            path: path, isOpaque: visit.isOpaque || entry.isOpaque, holdsXattrWhiteouts: entry.holdsXattrWhiteouts,
            isRealDirectory: pair.real?.facts.kind == .directory))
      } catch {
        look.problems.append(Refusal(path: path, why: error.description))
      }
    }
    guard visit.isOpaque, visit.isRealDirectory else { return }
    for name in try hidden(visit.path, names) {
      let path = visit.path.appending(name)
      do throws(SyscallError) {
        guard let entry = try RealEntry.read(real, path) else { continue }
        look.pairs.append(try goingAway(TreePair(path: path, real: entry)))
      } catch {
        look.problems.append(Refusal(path: path, why: error.description))
      }
    }
  }

  /// The names of a real directory that the layer's, which is opaque, has not.
  /// - Parameter names: the layer's, sorted.
  func hidden(_ path: BytePath, _ names: [[UInt8]]) throws(SyscallError) -> [[UInt8]] {
    let there = Set(names)
    return try real.names(path).filter { !there.contains($0) }
  }

  private func compare(_ path: BytePath, _ entry: LayerEntry, _ there: RealEntry?) throws(SyscallError) -> TreePair {
    var pair = TreePair(path: path, layer: entry, real: there)
    guard let there else { return pair }
    if entry.facts.kind == .file, there.facts.kind == .file, !entry.isWhiteout, entry.facts.size == there.facts.size {
      pair.hasSameContent = try isSame(path, entry, there)
    }
    if there.facts.kind == .directory, entry.isWhiteout || entry.facts.kind != .directory {
      pair = try goingAway(pair)
    }
    return pair
  }

  private func isSame(_ path: BytePath, _ entry: LayerEntry, _ there: RealEntry) throws(SyscallError) -> Bool {
    let ours = try layer.open(path, O_RDONLY | O_NOFOLLOW)
    do throws(SyscallError) {
      let theirs = try real.open(path, O_RDONLY | O_NOFOLLOW)
      return try FileContent.isSame(ours, theirs, path)
    } catch {
      guard error.errno == EACCES || error.errno == EPERM else { throw error }
      // Not ours to read: an apply that was killed has left such a file with the layer's time, to the nanosecond.
      return entry.facts.modified == there.facts.modified && entry.facts.mode == there.facts.mode
    }
  }

  /// With the newest change in what would be removed, all of which has to be reachable.
  private func goingAway(_ pair: TreePair) throws(SyscallError) -> TreePair {
    var pair = pair
    guard let there = pair.real, there.facts.kind == .directory else { return pair }
    pair.newestBelow = there.facts.changed
    var waiting = [pair.path]
    while let folder = waiting.popLast() {
      for name in try real.names(folder) {
        let path = folder.appending(name)
        guard let look = try real.look(path) else { continue }
        let facts = try FileFacts.of(open: look)
        pair.newestBelow = max(pair.newestBelow, facts.changed)
        if facts.kind == .directory { waiting.append(path) }
      }
    }
    return pair
  }
}
