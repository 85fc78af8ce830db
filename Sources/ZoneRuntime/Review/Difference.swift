internal import LinuxNS

/// What one pair amounts to.
enum Difference {
  /// nil: nothing that is listed.
  static func kind(of pair: TreePair) -> TreeChange.Kind? {
    guard let entry = pair.layer, !entry.isWhiteout else { return pair.real == nil ? nil : .deleted }
    guard let real = pair.real else { return .added }
    guard entry.facts.kind == real.facts.kind else { return .type }
    switch entry.facts.kind {
    case .directory: return hasSameAttributes(pair.path, entry, real) ? nil : .mode
    case .link: return entry.target == real.target ? nil : .modified
    case .file:
      if !pair.hasSameContent { return .modified }
      if !hasSameAttributes(pair.path, entry, real) { return .mode }
      return entry.facts.modified == real.facts.modified ? nil : .times
    case .fifo, .socket: return entry.facts.mode == real.facts.mode ? nil : .mode
    case .device: return entry.facts.special == real.facts.special ? nil : .modified
    }
  }

  private static func hasSameAttributes(_ path: BytePath, _ entry: LayerEntry, _ real: RealEntry) -> Bool {
    // What may not be read is told by the mode alone.
    (real.xattrs ?? entry.xattrs) == entry.xattrs && settledMode(path, entry, real.facts) == real.facts.mode
  }

  /// The mode that it is to get. A directory keeps the set-id bits that the real one has; the layer's own top has to be
  /// writable to its owner whatever the tree's is.
  static func settledMode(_ path: BytePath, _ entry: LayerEntry, _ real: FileFacts?) -> UInt32 {
    guard entry.facts.kind == .directory, let real, real.kind == .directory else { return entry.facts.mode }
    let mode = entry.facts.mode & 0o1777 | real.mode & 0o6000
    return path.isRoot && mode == real.mode & 0o7777 | 0o700 ? real.mode : mode
  }
}
