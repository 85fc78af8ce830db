internal import CLinuxNS
internal import Glibc
public import LinuxNS

/// A zone's own layer once more, as a layer of the store, or several as one. Where the file system shares blocks between files
/// (btrfs, xfs), content takes neither time nor room (ioctl_ficlone(2)).
public struct LayerCopy: ~Copyable {
  private let writer: LayerWriter
  /// To be set when nothing more is made in them.
  private var folders: [(path: BytePath, attributes: LayerAttributes)] = []
  private var last: LayerAttributes?
  /// What the layer's own directory gets.
  private var top: LayerAttributes?
  /// Files are not copied: they get one more name.
  private let isLinking: Bool

  private init(_ target: consuming OwnedFD, isLinking: Bool) {
    writer = LayerWriter(target)
    self.isLinking = isLinking
  }

  /// Nobody writes in the layer meanwhile.
  /// - Parameters:
  ///   - below: what is seen without it.
  ///   - target: an empty directory.
  public static func make(
    _ layer: consuming OwnedFD, over below: consuming OwnedFD, in target: consuming OwnedFD
  ) throws(LayerError) -> ReadLayer {
    let copy = LayerCopy(target, isLinking: false)
    return try LayerReader.read([LayerRoot(layer)], over: below, top: nil, into: copy)
  }

  /// Several layers become one, that shows the same.
  /// - Parameters:
  ///   - layers: from the top; nobody writes in them any more.
  ///   - isLinking: their files are the new one's as well: nobody else has those layers, and they go. All of them were opened by
  ///     the one mount (link(2)).
  public static func fold(
    _ layers: [LayerRoot], over below: consuming OwnedFD, in target: consuming OwnedFD, isLinking: Bool
  ) throws(LayerError) -> ReadLayer {
    let copy = LayerCopy(target, isLinking: isLinking)
    let read = try LayerReader.read(layers, over: below, top: nil, into: copy)
    // The old ones are going to be removed.
    if let path = read.omissions.first {
      throw LayerError(path: path.bytes, why: "it is a device, which a layer cannot have (remove it)")
    }
    return read
  }
}

extension LayerCopy: LayerSink {
  mutating func add(_ path: BytePath, _ kind: TarEntry.Kind, _ entry: LayerEntry) throws(LayerError) {
    var attributes = entry.attributes
    // As the zone's own mount has them on disk: otherwise the kernel would take them for its own.
    attributes.xattrs = attributes.xattrs.map { attribute in
      guard attribute.has(prefix: LayerEntry.own) else { return attribute }
      let name = LayerEntry.escaped.utf8 + attribute.name.dropFirst(LayerEntry.own.utf8.count)
      return Xattr(name: Array(name), value: attribute.value)
    }
    switch kind {
    case .directory where path.isRoot: top = attributes
    case .directory:
      var first = attributes
      // What is made in it would inherit it.
      first.xattrs.removeAll { $0.isNamed(LayerAttribute.defaultAccess) }
      try carryOut(.directory(path, first))
      folders.append((path, attributes))
    case .link(let target): try carryOut(.link(path, target: target, attributes))
    case .hardLink(let other): try carryOut(.hardLink(path, to: BytePath(other)))
    case .fifo: try carryOut(.fifo(path, attributes))
    case .file: last = attributes
    case .device: break
    }
  }

  mutating func fill(_ path: BytePath, _ file: borrowing OwnedFD, size: Int64) throws(LayerError) {
    guard let attributes = last.take() else { return }
    do throws(SyscallError) {
      let new = try writer.makeFile(path)
      if zns_share_content(new.raw, file.raw) < 0 { try FileContent.copy(file, new, path) }
      try writer.finish(new, path, size: nil, attributes)
    } catch { throw LayerError(path, error) }
  }

  mutating func link(_ path: BytePath, _ entry: LayerEntry, in layer: borrowing TreeFD) throws(LayerError) -> Bool {
    // All names of a file are the same one's: either all are linked, or none is. Of file systems that are ours to lie on
    // ext4 takes the fewest, 65,000 (ext4(5)).
    guard isLinking, entry.facts.links < 32_000 else { return false }
    do throws(SyscallError) {
      try writer.link(path, to: layer.open(path, O_PATH | O_NOFOLLOW))
      return true
    } catch {
      // A quota's subvolume (btrfs) is its own: it shares blocks, not files.
      guard error.errno == EXDEV else { throw LayerError(path, error) }
      return false
    }
  }

  mutating func addSocket(_ path: BytePath, _ entry: LayerEntry) throws(LayerError) -> Bool {
    do throws(SyscallError) { try writer.makeSocket(path, entry.attributes) } catch { throw LayerError(path, error) }
    return true
  }

  mutating func hideAll(_ path: BytePath) throws(LayerError) { try carryOut(.opaque(path)) }
  mutating func delete(_ path: BytePath) throws(LayerError) { try carryOut(.whiteout(path)) }

  mutating func end() throws(LayerError) {
    for (path, attributes) in folders.reversed() {
      for attribute in attributes.xattrs where attribute.isNamed(LayerAttribute.defaultAccess) {
        try carryOut(.defaultAccess(path, attribute.value))
      }
      try carryOut(.modified(path, attributes.modified))
    }
    guard let top else { return }
    try carryOut(.attributes(.root, top))
    try carryOut(.modified(.root, top.modified))
  }

  private func carryOut(_ op: LayerOp) throws(LayerError) {
    do throws(SyscallError) { try writer.carryOut(op) } catch { throw LayerError(op.path, error) }
  }
}
