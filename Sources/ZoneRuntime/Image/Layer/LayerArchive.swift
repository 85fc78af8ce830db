internal import Glibc
public import LinuxNS

/// A zone's own layer as an archive (image-spec, layer.md): the same bytes for the same tree. Holes are zeros, as image-spec
/// advises. What `LayerWriter.unpack` would refuse is refused here.
public struct LayerArchive: ~Copyable {
  /// nil: what it would take is only counted.
  private let archive: OwnedFD?
  private var room: [UInt8]
  /// Of the archive, in bytes.
  private let most: Int64
  private var left: Int64
  /// Of a tree that lies on nothing: nothing of others' can be deleted in it.
  private let isWhole: Bool
  private let limits = LayerLimits()
  /// The last folder in which a name was deleted, and how many there were.
  private var deleting: BytePath?
  private var deletingFolders = 0

  private static let mark = Array(".wh.".utf8)

  private init(_ archive: consuming OwnedFD?, most: Int64, isWhole: Bool) {
    room = archive == nil ? [] : [UInt8](repeating: 0, count: 1 << 18)
    self.archive = archive
    self.most = most
    left = most
    self.isWhole = isWhole
  }

  /// Nobody writes in the layer meanwhile. It is walked once before: what it has too much of is not found out when most of it
  /// was read.
  /// - Parameters:
  ///   - below: what is seen without it.
  ///   - top: what its own directory was given when it was made; it has an entry only where that was changed.
  ///   - most: of the archive, in bytes.
  /// - Returns: where no name is told of, the archive has no entry.
  public static func write(
    _ layer: consuming OwnedFD, over below: consuming OwnedFD, top: RootTop?, to archive: consuming OwnedFD,
    most: Int64 = LayerLimits.archiveBytes
  ) throws(LayerError) -> ReadLayer {
    let layers = [LayerRoot(layer)]
    let again: OwnedFD
    do throws(SyscallError) { again = try below.duplicate() } catch { throw LayerError(.root, error) }
    _ = try LayerReader.read(layers, over: again, top: top, into: LayerArchive(nil, most: most, isWhole: false))
    return try LayerReader.read(
      layers, over: below, top: top, into: LayerArchive(archive, most: most, isWhole: false))
  }

  /// A tree that is nobody's layer, from its own directory on. What the archive would lose is refused by name: it is a
  /// backup, and whole.
  /// - Parameters:
  ///   - nothing: an empty directory.
  ///   - most: of the archive, in bytes.
  public static func write(
    tree: consuming OwnedFD, nothing: consuming OwnedFD, to archive: consuming OwnedFD,
    most: Int64 = LayerLimits.volumeBytes
  ) throws(LayerError) -> ReadLayer {
    try LayerReader.read(
      [LayerRoot(tree)], over: nothing, top: nil, into: LayerArchive(archive, most: most, isWhole: true))
  }
}

extension LayerArchive: LayerSink {
  mutating func add(_ path: BytePath, _ kind: TarEntry.Kind, _ entry: LayerEntry) throws(LayerError) {
    guard !path.name.starts(with: Self.mark) else {
      throw LayerError(path: path.bytes, why: "a name that begins with .wh. is a deletion in an archive (rename it)")
    }
    if isWhole, entry.isOpaque || entry.holdsXattrWhiteouts { throw Self.ofOverlay(path) }
    var all = entry.attributes
    if let own = all.xattrs.first(where: { $0.has(prefix: LayerEntry.own) }) {
      let name = BytePath(own.name).words
      throw LayerError(
        path: path.bytes, why: "it has an attribute of overlayfs' own, \(name) (take it away by setfattr -x)")
    }
    // Of another name of a file the header says nothing that the first has not said.
    if case .hardLink = kind { all.xattrs = [] }
    try put(
      TarEntry(
        path: path.isRoot ? [UInt8(ascii: ".")] : path.bytes, kind: kind, mode: all.mode, uid: all.uid, gid: all.gid,
        modified: all.modified, xattrs: all.xattrs), path)
  }

  mutating func fill(_ path: BytePath, _ file: borrowing OwnedFD, size: Int64) throws(LayerError) {
    let padding = TarWriter.padding(after: size)
    try take(saturatingSum(size, Int64(padding)), path)
    guard archive != nil else { return }
    var at: Int64 = 0
    while at < size {
      let wanted = Int(min(Int64(room.count), size - at))
      let got = room.withUnsafeMutableBytes { pread(file.raw, $0.baseAddress, wanted, off_t(at)) }
      let error = errno
      if got < 0, error == EINTR { continue }
      guard got >= 0 else { throw LayerError(path, SyscallError(call: "read", errno: error)) }
      guard got > 0 else { throw .changed(path) }
      try write(room[..<got], path)
      at += Int64(got)
    }
    if padding > 0 { try write([UInt8](repeating: 0, count: padding)[...], path) }
  }

  mutating func link(_ path: BytePath, _ entry: LayerEntry, in layer: borrowing TreeFD) throws(LayerError) -> Bool {
    false
  }

  mutating func addSocket(_ path: BytePath, _ entry: LayerEntry) throws(LayerError) -> Bool { false }

  mutating func hideAll(_ path: BytePath) throws(LayerError) { try putMark(path.appending(Array(".wh..wh..opq".utf8))) }

  mutating func delete(_ path: BytePath) throws(LayerError) {
    if isWhole { throw Self.ofOverlay(path) }
    if deleting != path.parent {
      deleting = path.parent
      deletingFolders += 1
      guard deletingFolders <= limits.notes else {
        throw LayerError(
          path: path.bytes, why: "it is deleted in one of more than \(limits.notes) folders that names are deleted in")
      }
    }
    try putMark(path.parent.appending(Self.mark + path.name))
  }

  mutating func end() throws(LayerError) { try put(TarWriter.end[...], .root) }

  private static func ofOverlay(_ path: BytePath) -> LayerError {
    LayerError(
      path: path.bytes, why: "it is a note of overlayfs', whose layers an archive cannot have (leave them out)")
  }

  private mutating func putMark(_ path: BytePath) throws(LayerError) {
    try put(TarEntry(path: path.bytes, kind: .file(size: 0), mode: 0o600), path)
  }

  private mutating func put(_ entry: TarEntry, _ path: BytePath) throws(LayerError) {
    _ = try limits.name(entry.path)
    let header: [UInt8]
    do throws(TarError) { header = try TarWriter.header(of: entry) } catch {
      throw LayerError(path: path.bytes, why: error.why)
    }
    try put(header[...], path)
  }

  private mutating func put(_ bytes: ArraySlice<UInt8>, _ path: BytePath) throws(LayerError) {
    try take(Int64(bytes.count), path)
    if archive != nil { try write(bytes, path) }
  }

  /// Of what the archive may have: also its headers and what fills its blocks up, as who reads it counts.
  private mutating func take(_ bytes: Int64, _ path: BytePath) throws(LayerError) {
    guard bytes <= left else {
      let mend = isWhole ? "leave it out" : "remove it, or put it on a volume"
      throw LayerError(
        path: path.bytes, why: "with it the archive has more than \(most) bytes; holes count (\(mend))")
    }
    left -= bytes
  }

  private func write(_ bytes: ArraySlice<UInt8>, _ path: BytePath) throws(LayerError) {
    let error = bytes.withUnsafeBytes { FileSystem.write(all: $0, to: archive!) }
    if error != 0 { throw LayerError(path, SyscallError(call: "write", errno: error, path: "the archive")) }
  }
}
