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
  /// A new name of the very file that the layer has there, of whatever kind but a directory.
  /// - Returns: false where it is to be added, and filled.
  mutating func link(_ path: BytePath, _ entry: LayerEntry, in layer: borrowing TreeFD) throws(LayerError) -> Bool
  /// - Returns: false where it is left out: a socket is nothing without who listens.
  mutating func addSocket(_ path: BytePath, _ entry: LayerEntry) throws(LayerError) -> Bool
  /// Nothing of the layers below is seen in this directory, which was added.
  mutating func hideAll(_ path: BytePath) throws(LayerError)
  /// The name is gone from the layers below.
  mutating func delete(_ path: BytePath) throws(LayerError)
  mutating func end() throws(LayerError)
}

/// A layer's tree, for who has several.
public final class LayerRoot: Sendable {
  let tree: TreeFD

  /// - Parameter folder: of the layer, with O_PATH at least.
  public init(_ folder: consuming OwnedFD) { tree = TreeFD(folder) }
}

/// Reads a zone's own layer, which overlayfs has written with `userxattr`: in the order of names' bytes, a directory before
/// what is in it, and what is deleted before what stands beside it. Several of them, each of which lies on the next, are
/// read as the one that shows the same.
struct LayerReader<Sink: LayerSink & ~Copyable>: ~Copyable {
  /// From the top.
  private let layers: [LayerRoot]
  /// The layers under them, merged.
  private let below: TreeFD
  private var sink: Sink
  private var told = ReadLayer()
  /// Of files with several names, the first: the one with the content.
  private var first: [FileKey: BytePath] = [:]

  private struct FileKey: Hashable {
    let layer: Int
    /// Each subvolume of btrfs counts its inodes by itself, and is a device of its own, on one mount (stat(2)).
    let device: UInt64
    let inode: UInt64

    init(_ layer: Int, _ facts: FileFacts) {
      self.layer = layer
      (device, inode) = (facts.device, facts.inode)
    }
  }

  /// How many names of what is left out are kept.
  private static var mostOmissions: Int { 8 }

  private init(_ layers: [LayerRoot], _ below: consuming OwnedFD, _ sink: consuming Sink) {
    self.layers = layers
    self.below = TreeFD(below)
    self.sink = sink
  }

  /// Nobody writes in the layers meanwhile.
  /// - Parameters:
  ///   - layers: from the top; not empty.
  ///   - below: what is seen without them.
  ///   - top: what the upper one's own directory was given when it was made; it is told only where that was changed.
  static func read(
    _ layers: [LayerRoot], over below: consuming OwnedFD, top: RootTop?, into sink: consuming Sink
  ) throws(LayerError) -> ReadLayer {
    var reader = LayerReader(layers, below, sink)
    try reader.walk(top)
    try reader.sink.end()
    return reader.told
  }

  // MARK: the walk

  /// What one of the layers has under a name.
  private struct Part {
    var layer: Int
    var entry: LayerEntry
  }

  private struct Named {
    var path: BytePath
    /// From the top, the one that is seen first; more than one are directories that are seen as one.
    var parts: [Part]
    /// What the next layer has there is something else, which is not seen.
    var hidesNext = false
    /// Of the layers under all of them nothing is seen in the directory that it is in.
    var isAlone = false

    var entry: LayerEntry { parts[0].entry }
    var isOpaque: Bool { hidesNext || parts[parts.count - 1].entry.isOpaque }
    /// What further layers have there is not seen.
    var isWhole: Bool { isOpaque || entry.facts.kind != .directory }
  }

  /// Without recursion: a hostile tree may be deep.
  private mutating func walk(_ top: RootTop?) throws(LayerError) {
    var root = Named(path: .root, parts: [])
    for layer in layers.indices {
      var part = Part(layer: layer, entry: try entry(layer, .root, amongXattrWhiteouts: false))
      // overlayfs looks for it below its own directory alone.
      if layers.count > 1 { part.entry.isOpaque = false }
      root.parts.append(part)
    }
    let facts = root.entry.facts
    let asMade =
      facts.mode == top?.mode && facts.modified == top?.modified && facts.uid == top?.uid && facts.gid == top?.gid
    if !asMade { try add(.root, .directory, root.entry) }
    var waiting = try enter(root)
    while let next = waiting.popLast() {
      try tell(next)
      if next.entry.facts.kind == .directory { waiting += try enter(next) }
    }
  }

  /// Tells of what a directory hides.
  /// - Returns: what else is in it, the last first.
  private mutating func enter(_ folder: Named) throws(LayerError) -> [Named] {
    // overlayfs says so of each new directory; it means something where there was another one.
    if folder.isOpaque, try kindBelow(folder.path) == .directory {
      try sink.hideAll(folder.path)
      try count(folder.path)
    }
    let isAlone = folder.isAlone || folder.isOpaque
    var found: [[UInt8]: Named] = [:]
    for part in folder.parts {
      for name in try names(part.layer, folder.path) {
        let path = folder.path.appending(name)
        var named = found[name] ?? Named(path: path, parts: [], isAlone: isAlone)
        if !named.parts.isEmpty, named.isWhole { continue }
        let entry = try entry(part.layer, path, amongXattrWhiteouts: part.entry.holdsXattrWhiteouts)
        if named.parts.isEmpty || entry.facts.kind == .directory {
          named.parts.append(Part(layer: part.layer, entry: entry))
        } else {
          named.hidesNext = true
        }
        found[name] = named
      }
    }
    let all = found.values.sorted { $0.path.name.lexicographicallyPrecedes($1.path.name) }
    for named in all where named.entry.isWhiteout {
      guard try isOfBelow(named) else { continue }
      try sink.delete(named.path)
      try count(named.path)
    }
    return all.filter { !$0.entry.isWhiteout }.reversed()
  }

  /// Of several layers, one may have deleted what another alone had, or what an image before had (`rebase`): where nothing is
  /// deleted, the mark would be seen.
  private func isOfBelow(_ deleted: Named) throws(LayerError) -> Bool {
    if layers.count == 1 { return true }
    if deleted.isAlone { return false }
    return try kindBelow(deleted.path) != nil
  }

  private func kindBelow(_ path: BytePath) throws(LayerError) -> FileFacts.Kind? {
    do throws(SyscallError) {
      return try RealEntry.unlessBehindLink { () throws(SyscallError) -> FileFacts.Kind? in
        guard let look = try below.look(path) else { return nil }
        return try FileFacts.of(open: look).kind
      }
    } catch { throw LayerError(path, error) }
  }

  private func names(_ layer: Int, _ path: BytePath) throws(LayerError) -> [[UInt8]] {
    do throws(SyscallError) { return try layers[layer].tree.names(path) } catch { throw LayerError(path, error) }
  }

  private func entry(_ layer: Int, _ path: BytePath, amongXattrWhiteouts: Bool) throws(LayerError) -> LayerEntry {
    do throws(SyscallError) {
      let tree = layers[layer]
      if let found = try LayerEntry.read(tree.tree, path, amongXattrWhiteouts: amongXattrWhiteouts) { return found }
    } catch { throw LayerError(path, error) }
    throw .changed(path)
  }

  // MARK: entries

  private mutating func tell(_ named: Named) throws(LayerError) {
    let (path, entry, layer) = (named.path, named.entry, named.parts[0].layer)
    if entry.facts.kind == .directory { return try add(path, .directory, entry) }
    if try sink.link(path, entry, in: layers[layer].tree) {
      let isFirst = first.updateValue(path, forKey: FileKey(layer, entry.facts)) == nil
      if entry.facts.kind == .file, isFirst { told.bytes = saturatingSum(told.bytes, entry.facts.size) }
      return try count(path)
    }
    switch entry.facts.kind {
    case .directory: break
    case .link: try add(path, .link(entry.target), entry)
    case .fifo: try add(path, .fifo, entry)
    case .file:
      if entry.facts.links > 1 {
        let key = FileKey(layer, entry.facts)
        if let first = first[key] { return try add(path, .hardLink(first.bytes), entry) }
        first[key] = path
      }
      try add(path, .file(size: entry.facts.size), entry)
      let file: OwnedFD
      do throws(SyscallError) { file = try layers[layer].tree.open(path, O_RDONLY | O_NOFOLLOW) } catch {
        throw LayerError(path, error)
      }
      try sink.fill(path, file, size: entry.facts.size)
      told.bytes = saturatingSum(told.bytes, entry.facts.size)
    case .socket, .device:
      if entry.facts.kind == .socket, try sink.addSocket(path, entry) { return try count(path) }
      // A zone has no other devices than those of its /dev.
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
