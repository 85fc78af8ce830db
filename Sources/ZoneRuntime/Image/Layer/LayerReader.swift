internal import Glibc
public import LinuxNS

/// What a layer was read as.
public struct ReadLayer: Equatable, Sendable {
  /// Names, deleted ones too.
  public var names = 0
  /// Of files, in bytes, holes included.
  public var bytes: Int64 = 0
  /// The first few of those that were left out, and how many there were.
  public var omissions: [BytePath] = []
  public var omitted = 0

  public init() {}
}

/// What becomes of a layer that is read.
protocol LayerSink: ~Copyable {
  /// A new name, with all of it but a file's content. A directory comes before what is in it.
  mutating func add(_ path: BytePath, _ kind: TarEntry.Kind, _ entry: LayerEntry) throws(LayerError)
  /// Of the file that was added last.
  mutating func fill(_ path: BytePath, _ file: borrowing OwnedFD, size: Int64) throws(LayerError)
  /// Nothing of the layers below is seen in this directory, which was added.
  mutating func hideAll(_ path: BytePath) throws(LayerError)
  /// The name is gone from the layers below.
  mutating func delete(_ path: BytePath) throws(LayerError)
  mutating func end() throws(LayerError)
}

/// Reads a zone's own layer, which overlayfs has written with `userxattr`: in the order of names' bytes, a directory before
/// what is in it, and what is deleted before what stands beside it.
struct LayerReader<Sink: LayerSink & ~Copyable>: ~Copyable {
  private let layer: TreeFD
  /// The layers under it, merged.
  private let below: TreeFD
  private var sink: Sink
  private var told = ReadLayer()
  /// Of files with several names, the first: the one with the content.
  private var first: [UInt64: BytePath] = [:]

  /// How many names of what is left out are kept.
  private static var mostOmissions: Int { 8 }

  private init(_ layer: consuming OwnedFD, _ below: consuming OwnedFD, _ sink: consuming Sink) {
    self.layer = TreeFD(layer)
    self.below = TreeFD(below)
    self.sink = sink
  }

  /// Nobody writes in the layer meanwhile.
  /// - Parameters:
  ///   - below: what is seen without it.
  ///   - top: what its own directory was given when it was made; it is told only where that was changed.
  static func read(
    _ layer: consuming OwnedFD, over below: consuming OwnedFD, top: RootTop?, into sink: consuming Sink
  ) throws(LayerError) -> ReadLayer {
    var reader = LayerReader(layer, below, sink)
    try reader.walk(top)
    try reader.sink.end()
    return reader.told
  }

  // MARK: the walk

  private struct Named {
    var path: BytePath
    var entry: LayerEntry
  }

  /// Without recursion: a hostile tree may be deep.
  private mutating func walk(_ top: RootTop?) throws(LayerError) {
    let root = try entry(.root, amongXattrWhiteouts: false)
    let facts = root.facts
    let asMade =
      facts.mode == top?.mode && facts.modified == top?.modified && facts.uid == top?.uid && facts.gid == top?.gid
    if !asMade { try add(.root, .directory, root) }
    var waiting = try enter(.root, root)
    while let next = waiting.popLast() {
      try tell(next)
      if next.entry.facts.kind == .directory { waiting += try enter(next.path, next.entry) }
    }
  }

  /// Tells of what a directory hides.
  /// - Returns: what else is in it, the last first.
  private mutating func enter(_ path: BytePath, _ folder: LayerEntry) throws(LayerError) -> [Named] {
    // overlayfs says so of each new directory; it means something where there was another one.
    if folder.isOpaque, try isFolderBelow(path) {
      try sink.hideAll(path)
      try count(path)
    }
    var entries: [Named] = []
    for name in try names(path) {
      let path = path.appending(name)
      let entry = try entry(path, amongXattrWhiteouts: folder.holdsXattrWhiteouts)
      if entry.isWhiteout {
        try sink.delete(path)
        try count(path)
      } else {
        entries.append(Named(path: path, entry: entry))
      }
    }
    return entries.reversed()
  }

  private func isFolderBelow(_ path: BytePath) throws(LayerError) -> Bool {
    do throws(SyscallError) {
      guard let look = try below.look(path) else { return false }
      return try FileFacts.of(open: look).kind == .directory
    } catch { throw LayerError(path, error) }
  }

  private func names(_ path: BytePath) throws(LayerError) -> [[UInt8]] {
    do throws(SyscallError) { return try layer.names(path) } catch { throw LayerError(path, error) }
  }

  private func entry(_ path: BytePath, amongXattrWhiteouts: Bool) throws(LayerError) -> LayerEntry {
    do throws(SyscallError) {
      if let found = try LayerEntry.read(layer, path, amongXattrWhiteouts: amongXattrWhiteouts) { return found }
    } catch { throw LayerError(path, error) }
    throw .changed(path)
  }

  // MARK: entries

  private mutating func tell(_ named: Named) throws(LayerError) {
    let (path, entry) = (named.path, named.entry)
    switch entry.facts.kind {
    case .directory: try add(path, .directory, entry)
    case .link: try add(path, .link(entry.target), entry)
    case .fifo: try add(path, .fifo, entry)
    case .file:
      if entry.facts.links > 1 {
        if let first = first[entry.facts.inode] { return try add(path, .hardLink(first.bytes), entry) }
        first[entry.facts.inode] = path
      }
      try add(path, .file(size: entry.facts.size), entry)
      let file: OwnedFD
      do throws(SyscallError) { file = try layer.open(path, O_RDONLY | O_NOFOLLOW) } catch {
        throw LayerError(path, error)
      }
      try sink.fill(path, file, size: entry.facts.size)
      told.bytes = saturatingSum(told.bytes, entry.facts.size)
    case .socket, .device:
      // A socket is nothing without who listens; a zone has no other devices than those of its /dev.
      told.omitted += 1
      if told.omissions.count < Self.mostOmissions { told.omissions.append(path) }
    }
  }

  private mutating func add(_ path: BytePath, _ kind: TarEntry.Kind, _ entry: LayerEntry) throws(LayerError) {
    try sink.add(path, kind, entry)
    try count(path)
  }

  /// What nobody could unpack again is not read to its end.
  private mutating func count(_ path: BytePath) throws(LayerError) {
    told.names += 1
    let most = LayerLimits().names
    guard told.names <= most else {
      throw LayerError(path: path.bytes, why: "it is one of more than \(most) names that the zone has written")
    }
  }
}

extension LayerEntry {
  /// All that a file is given.
  var attributes: LayerAttributes {
    var all = xattrs + powers
    all.sort { $0.name.lexicographicallyPrecedes($1.name) }
    return LayerAttributes(mode: facts.mode, uid: facts.uid, gid: facts.gid, modified: facts.modified, xattrs: all)
  }
}

extension LayerError {
  init(_ path: BytePath, _ error: SyscallError) { self.init(path: path.bytes, why: "\(error)") }

  static func changed(_ path: BytePath) -> LayerError {
    LayerError(path: path.bytes, why: "it was changed while it was read")
  }
}
