internal import CLinuxNS
internal import Glibc
public import LinuxNS

/// Carries out a layer's plan in an empty directory.
///
/// Every step opens the directory that it works in anew from the top, beneath it and through no link (openat2(2)), and makes
/// one name there that must not exist. So a plan that were wrong fails with an errno, and nothing outside is reached.
public struct LayerWriter: ~Copyable {
  private let tree: TreeFD
  /// Of overlayfs mounted with `userxattr`.
  static let opaqueNote = Xattr("user.overlay.opaque", "y")

  /// - Parameter root: of an empty directory that nobody else writes in, not opened with O_PATH.
  public init(_ root: consuming OwnedFD) { tree = TreeFD(root) }

  /// All steps but `file`.
  public func carryOut(_ op: LayerOp) throws(SyscallError) {
    switch op {
    case .directory(let path, let attributes):
      try makeDirectory(path, attributes)
    case .parent(let path): try makeDirectory(path, LayerAttributes(mode: 0o755))
    case .attributes(let path, let attributes): try change(path, attributes)
    case .file: break
    case .link(let path, let target, let attributes):
      let folder = try tree.directory(path.parent)
      try call("symlink", path) {
        path.name.withCString { name in target.withCString { symlinkat($0, folder.raw, name) } }
      }
      try own(folder, path, attributes)
      try folder.setModified(attributes.modified, of: path.name, path)
    case .hardLink(let path, let other):
      let folder = try tree.directory(path.parent)
      let from = try tree.directory(other.parent)
      try call("link", path) {
        path.name.withCString { new in other.name.withCString { linkat(from.raw, $0, folder.raw, new, 0) } }
      }
    case .fifo(let path, let attributes): try makeNode(path, attributes, "mkfifo", zns_make_fifo)
    case .remove(let path):
      let folder = try tree.directory(path.parent)
      // A name that no entry has, and that is text.
      let gone = ".wh.removed"
      let (raw, name) = (folder.raw, path.name)
      try call("rename", path) { name.withCString { renameat(raw, $0, raw, gone) } }
      try FileSystem.removeTree("/proc/self/fd/\(raw)/\(gone)")
    case .whiteout(let path):
      let folder = try tree.directory(path.parent)
      try check(path.name.withCString { zns_make_whiteout(folder.raw, $0) }, "mknod", path.words)
    case .opaque(let path):
      try Self.opaqueNote.set(on: tree.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), path)
    case .defaultAccess(let path, let list):
      let folder = try tree.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      try Xattr(name: Array(LayerAttribute.defaultAccess.utf8), value: list).set(on: folder, path)
    case .modified(let path, let time): try tree.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).setModified(time, path)
    case .skipped: break
    }
  }

  /// No archive has one.
  func makeSocket(_ path: BytePath, _ attributes: LayerAttributes) throws(SyscallError) {
    try makeNode(path, attributes, "mknod", zns_make_socket)
  }

  /// Another name, here, of a file of the same file system, of whatever kind it is.
  func link(_ path: BytePath, to file: borrowing OwnedFD) throws(SyscallError) {
    let folder = try tree.directory(path.parent)
    try check(path.name.withCString { zns_link_open(file.raw, folder.raw, $0) }, "link", path.words)
  }

  /// A new file to be filled at the pieces' offsets; `finish` then gives it its size and attributes.
  public func makeFile(_ path: BytePath) throws(SyscallError) -> OwnedFD {
    let folder = try tree.directory(path.parent)
    let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY
    let made = path.name.withCString {
      zns_openat2(folder.raw, $0, UInt64(UInt32(bitPattern: flags)), 0o600, UInt64(ZNS_RESOLVE_BENEATH))
    }
    return OwnedFD(raw: CInt(try check(made, "openat2", path.words)))
  }

  /// In this order: what is written and who owns it take away set-id bits and capabilities, and all of it the time.
  /// - Parameter size: nil where the last byte was written.
  public func finish(_ file: borrowing OwnedFD, _ path: BytePath, size: Int64?, _ attributes: LayerAttributes)
    throws(SyscallError)
  {
    let raw = file.raw
    if let size { try call("ftruncate", path) { ftruncate(raw, off_t(size)) } }
    try give(file, path, attributes)
    try file.setModified(attributes.modified, path)
  }

  // MARK: parts

  /// Its time comes when nothing more is made in it.
  private func makeDirectory(_ path: BytePath, _ attributes: LayerAttributes) throws(SyscallError) {
    let folder = try tree.directory(path.parent)
    try call("mkdir", path) { path.name.withCString { mkdirat(folder.raw, $0, 0o700) } }
    try give(try tree.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), path, attributes)
  }

  private func makeNode(
    _ path: BytePath, _ attributes: LayerAttributes, _ call: String, _ make: (CInt, UnsafePointer<CChar>?) -> Int
  ) throws(SyscallError) {
    let folder = try tree.directory(path.parent)
    try check(path.name.withCString { make(folder.raw, $0) }, call, path.words)
    try own(folder, path, attributes)
    try tree.open(path, O_PATH | O_NOFOLLOW).setMode(attributes.mode, path)
    try folder.setModified(attributes.modified, of: path.name, path)
  }

  private func change(_ path: BytePath, _ attributes: LayerAttributes) throws(SyscallError) {
    let folder = try tree.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    for old in try Xattr.all(of: folder, path)
    where LayerAttribute(old) == .kept && !attributes.xattrs.contains(where: { $0.name == old.name }) {
      try Xattr.remove(old.name, of: folder, path)
    }
    try give(folder, path, attributes)
  }

  private func give(_ file: borrowing OwnedFD, _ path: BytePath, _ attributes: LayerAttributes) throws(SyscallError) {
    let raw = file.raw
    try call("chown", path) { fchown(raw, attributes.uid, attributes.gid) }
    try file.setMode(attributes.mode, path)
    for attribute in attributes.xattrs { try attribute.set(on: file, path) }
  }

  private func own(_ folder: borrowing OwnedFD, _ path: BytePath, _ attributes: LayerAttributes) throws(SyscallError) {
    let raw = folder.raw
    try call("chown", path) {
      path.name.withCString { fchownat(raw, $0, attributes.uid, attributes.gid, AT_SYMLINK_NOFOLLOW) }
    }
  }

  private func call(_ name: String, _ path: BytePath, _ body: () -> CInt) throws(SyscallError) {
    // The words are made where something failed: this is called some times for each file.
    do throws(SyscallError) { try FileSystem.call(name, nil, body) } catch {
      var told = error
      told.path = path.words
      throw told
    }
  }
}

/// Why a layer was not unpacked: what is in the archive, or what the disk said.
public enum UnpackError: Error, Equatable, Sendable, CustomStringConvertible {
  case archive(TarError)
  case layer(LayerError)
  case call(SyscallError)

  public var description: String {
    switch self {
    case .archive(let error): "\(error)"
    case .layer(let error): "\(error)"
    case .call(let error): "\(error)"
    }
  }
}

/// What was unpacked.
public struct UnpackedLayer: Equatable, Sendable {
  public var notes = LayerNotes()
  /// Of the archive.
  public var bytes: Int64 = 0
  public var names = 0
  /// The first few of those that were left out, and how many there were.
  public var omissions: [BytePath] = []
  public var omitted = 0

  static let mostTold = 16
}

extension LayerWriter {
  /// Unpacks a whole layer, to the archive's last byte.
  /// - Throws: half-way, for what is in the way of it; the directory is then to be thrown away.
  public static func unpack<Source: ByteSource & ~Copyable>(
    _ source: consuming Source, into root: consuming OwnedFD, tar: TarLimits = TarLimits(),
    layer: LayerLimits = LayerLimits()
  ) throws(UnpackError) -> UnpackedLayer {
    let writer = LayerWriter(root)
    var reader = TarReader(source, limits: tar)
    var planner = LayerPlanner(limits: layer)
    var unpacked = UnpackedLayer()
    var room = [UInt8](repeating: 0, count: 1 << 18)
    while let entry = try next(of: &reader) { try writer.unpack(entry, &planner, &reader, &room, &unpacked) }
    for op in planner.lastSteps() { do throws(SyscallError) { try writer.carryOut(op) } catch { throw .call(error) } }
    do throws(TarError) { try reader.finish() } catch { throw .archive(error) }
    do throws(LayerError) { unpacked.notes = try planner.notes() } catch { throw .layer(error) }
    unpacked.bytes = reader.position
    unpacked.names = planner.names
    return unpacked
  }

  private static func next<Source: ByteSource & ~Copyable>(
    of reader: inout TarReader<Source>
  ) throws(UnpackError) -> TarEntry? {
    do throws(TarError) { return try reader.next() } catch { throw .archive(error) }
  }

  private func unpack<Source: ByteSource & ~Copyable>(
    _ entry: TarEntry, _ planner: inout LayerPlanner, _ reader: inout TarReader<Source>, _ room: inout [UInt8],
    _ unpacked: inout UnpackedLayer
  ) throws(UnpackError) {
    let ops: [LayerOp]
    do throws(LayerError) { ops = try planner.steps(for: entry) } catch { throw .layer(error) }
    for op in ops {
      switch op {
      case .file(let path, let size, let attributes):
        let file: OwnedFD
        do throws(SyscallError) { file = try makeFile(path) } catch { throw .call(error) }
        var end: Int64 = 0
        while let piece = try Self.piece(of: &reader, &room) {
          end = piece.offset + Int64(piece.count)
          do throws(SyscallError) { try Self.write(room, piece.count, to: file, at: piece.offset, path) } catch {
            throw .call(error)
          }
        }
        do throws(SyscallError) { try finish(file, path, size: end < size ? size : nil, attributes) } catch {
          throw .call(error)
        }
      case .skipped(let path, _):
        unpacked.omitted += 1
        if unpacked.omissions.count < UnpackedLayer.mostTold { unpacked.omissions.append(path) }
      default: do throws(SyscallError) { try carryOut(op) } catch { throw .call(error) }
      }
    }
  }

  private static func piece<Source: ByteSource & ~Copyable>(
    of reader: inout TarReader<Source>, _ room: inout [UInt8]
  ) throws(UnpackError) -> (offset: Int64, count: Int)? {
    var piece: (offset: Int64, count: Int)?
    var failure: TarError?
    room.withUnsafeMutableBytes { bytes in
      do throws(TarError) { piece = try reader.content(into: bytes).map { ($0.offset, $0.count) } } catch {
        failure = error
      }
    }
    if let failure { throw .archive(failure) }
    return piece
  }

  private static func write(
    _ bytes: [UInt8], _ count: Int, to file: borrowing OwnedFD, at offset: Int64, _ path: BytePath
  ) throws(SyscallError) {
    let raw = file.raw
    var done = 0
    while done < count {
      let (sent, error) = bytes.withUnsafeBytes { room in
        let sent = pwrite(raw, room.baseAddress! + done, count - done, off_t(offset + Int64(done)))
        return (sent, errno)
      }
      if sent > 0 {
        done += sent
      } else if error != EINTR {
        throw SyscallError(call: "pwrite", errno: error, path: path.words)
      }
    }
  }
}
