internal import CLinuxNS
internal import Glibc
public import LinuxNS

/// A zone's own layer once more, as a layer of the store. Where the file system shares blocks between files (btrfs, xfs),
/// content takes neither time nor room (ioctl_ficlone(2)).
public struct LayerCopy: ~Copyable {
  private let writer: LayerWriter
  /// To be set when nothing more is made in them.
  private var folders: [(path: BytePath, attributes: LayerAttributes)] = []
  private var last: LayerAttributes?
  /// What the layer's own directory gets.
  private let top: LayerAttributes

  private init(_ target: consuming OwnedFD, top: LayerAttributes) {
    writer = LayerWriter(target)
    self.top = top
  }

  /// Nobody writes in the layer meanwhile.
  /// - Parameters:
  ///   - below: what is seen without it.
  ///   - target: an empty directory.
  public static func make(
    _ layer: consuming OwnedFD, over below: consuming OwnedFD, in target: consuming OwnedFD
  ) throws(LayerError) -> ReadLayer {
    let tree = TreeFD(layer)
    let top: LayerAttributes
    let again: OwnedFD
    do throws(SyscallError) {
      top = try JointWriter.attributes(.root, in: tree)
      again = try tree.fd.duplicate()
    } catch { throw LayerError(.root, error) }
    return try LayerReader.read(again, over: below, top: nil, into: LayerCopy(target, top: top))
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
    case .directory where path.isRoot: break
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

  mutating func hideAll(_ path: BytePath) throws(LayerError) { try carryOut(.opaque(path)) }
  mutating func delete(_ path: BytePath) throws(LayerError) { try carryOut(.whiteout(path)) }

  mutating func end() throws(LayerError) {
    for (path, attributes) in folders.reversed() {
      for attribute in attributes.xattrs where attribute.isNamed(LayerAttribute.defaultAccess) {
        try carryOut(.defaultAccess(path, attribute.value))
      }
      try carryOut(.modified(path, attributes.modified))
    }
    try carryOut(.attributes(.root, top))
    try carryOut(.modified(.root, top.modified))
  }

  private func carryOut(_ op: LayerOp) throws(LayerError) {
    do throws(SyscallError) { try writer.carryOut(op) } catch { throw LayerError(op.path, error) }
  }
}
