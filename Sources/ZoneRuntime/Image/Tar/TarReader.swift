internal import LinuxNS

/// Reads an archive of any tar that is about: v7, ustar, pax, GNU and star, with long names, extended attributes and all
/// sparse formats, from a source that only goes forward.
///
/// The archive is hostile. What two readers could take for different things is refused (a header that is no file and has
/// content, two names for one entry, a header for all entries, what follows the end): the image that was looked at has to
/// be the one that is unpacked (CVE-2025-62518 was such a difference). Memory is bounded by `TarLimits`.
public struct TarReader<Source: ByteSource & ~Copyable>: ~Copyable {
  /// A part of a file's content.
  public struct Piece: Equatable, Sendable {
    /// In the file; between two pieces may be a hole.
    public var offset: Int64
    public var count: Int
  }

  private var source: BufferedSource<Source>
  private let limits: TarLimits
  private var headers = 0
  private var contentBytes: Int64 = 0
  private var isAtEnd = false
  /// Of the present entry: what is still to come of it, first here.
  private var segments: [SparseMap.Segment] = []
  private var segment = 0
  private var done: Int64 = 0
  private var stored: Int64 = 0
  private var padding: Int64 = 0
  private var path: [UInt8]?

  public init(_ source: consuming Source, limits: TarLimits = TarLimits()) {
    self.source = BufferedSource(source)
    self.limits = limits
  }

  /// Bytes of the archive so far.
  public var position: Int64 { source.position }

  // MARK: entries

  /// The next entry; what was left of the last one's content is skipped.
  /// - Returns: nil at the end.
  public mutating func next() throws(TarError) -> TarEntry? {
    guard !isAtEnd else { return nil }
    try leaveEntry()
    var about = Extensions()
    while let block = try block() {
      headers += 1
      guard headers <= limits.entries else { throw error("more than \(limits.entries) entries") }
      let header: TarHeader
      do throws(TarFault) { header = try TarHeader(block) } catch { throw self.error(error.why) }
      guard Extensions.types.contains(header.type) else { return try entry(header, about, block) }
      let bytes = try extended(header)
      do throws(TarFault) { try about.take(header.type, bytes, limits) } catch { throw self.error(error.why) }
    }
    isAtEnd = true
    guard about.isEmpty else { throw error("ends after a header that belongs to an entry") }
    return nil
  }

  /// A header's block, or nil at the end: two blocks of zeros, or no more bytes.
  private mutating func block() throws(TarError) -> [UInt8]? {
    let block = try take(TarHeader.blockSize)
    if block.isEmpty { return nil }
    guard block.count == TarHeader.blockSize else { throw error("ends in the middle of a header") }
    guard block.allSatisfy({ $0 == 0 }) else { return block }
    let second = try take(TarHeader.blockSize)
    guard second.allSatisfy({ $0 == 0 }) else { throw error("goes on after its end") }
    return nil
  }

  /// The content of a header that is about the next entry.
  private mutating func extended(_ header: TarHeader) throws(TarError) -> [UInt8] {
    guard header.size <= limits.extensionBytes else {
      throw error("a header of \(header.size) bytes; one has at most \(limits.extensionBytes)")
    }
    let bytes = try take(Int(header.size))
    guard bytes.count == Int(header.size), try skip(Self.padding(header.size)) else {
      throw error("ends in the middle of a header")
    }
    return bytes
  }

  private mutating func entry(_ header: TarHeader, _ about: Extensions, _ block: [UInt8]) throws(TarError) -> TarEntry {
    do throws(TarFault) {
      var entry = try about.entry(header)
      path = entry.path
      stored = about.pax.size ?? header.size
      padding = Self.padding(stored)
      segments = []
      (segment, done) = (0, 0)
      guard case .file = entry.kind else {
        guard stored == 0 else { throw TarFault("what is no file has \(stored) bytes of content") }
        guard !about.pax.sparse.isThere else { throw TarFault("what is no file is sparse") }
        return entry
      }
      guard stored <= limits.contentBytes - contentBytes else {
        throw TarFault("its files have more than \(limits.contentBytes) bytes")
      }
      contentBytes += stored
      guard entry.path.last != UInt8(ascii: "/") || about.pax.sparse.isNamed else {
        throw TarFault("a sparse file whose name ends with a slash")
      }
      if header.type == UInt8(ascii: "S") {
        guard !about.pax.sparse.isThere else { throw TarFault("sparse in two formats") }
        segments = try oldMap(block, &entry)
      } else if about.pax.sparse.isThere {
        segments = try paxMap(about.pax.sparse, &entry)
      } else {
        segments = [SparseMap.Segment(offset: 0, length: stored)]
      }
      return entry
    } catch { throw self.error(error.why) }
  }

  private static func padding(_ size: Int64) -> Int64 { (512 - size % 512) % 512 }

  // MARK: sparse files

  /// GNU's old format: four parts in the header itself, 21 in each block that follows.
  private mutating func oldMap(_ block: [UInt8], _ entry: inout TarEntry) throws(TarFault) -> [SparseMap.Segment] {
    var all = try SparseMap.pairs(block[386..<482])
    var goesOn = block[482] != 0
    while goesOn {
      let more: [UInt8]
      do throws(ByteSourceError) { more = try source.take(TarHeader.blockSize) } catch { throw TarFault(error.why) }
      guard more.count == TarHeader.blockSize else { throw TarFault("ends in the middle of a sparse map") }
      all += try SparseMap.pairs(more[0..<504])
      guard all.count <= limits.segments else { throw TarFault("a sparse file of more than \(limits.segments) parts") }
      goesOn = more[504] != 0
    }
    let map = try SparseMap(all, size: try TarHeader.number(block[483..<495], "sparse size"), stored: stored)
    entry.kind = .file(size: map.size)
    return map.segments
  }

  private mutating func paxMap(_ sparse: PaxSparse, _ entry: inout TarEntry) throws(TarFault) -> [SparseMap.Segment] {
    guard let size = sparse.size else { throw TarFault("a sparse file without a size") }
    if let name = sparse.name {
      guard name.last != UInt8(ascii: "/") else { throw TarFault("a sparse file whose name ends with a slash") }
      entry.path = name
      path = name
    }
    var all = sparse.segments
    if sparse.isBeforeContent {
      guard !sparse.hasMap else { throw TarFault("two sparse maps") }
      var lines = SparseMapLines()
      var isComplete = false
      while !isComplete {
        guard stored >= 512 else { throw TarFault("a sparse map that does not end") }
        let block: [UInt8]
        do throws(ByteSourceError) { block = try source.take(TarHeader.blockSize) } catch { throw TarFault(error.why) }
        guard block.count == TarHeader.blockSize else { throw TarFault("ends in the middle of a sparse map") }
        stored -= 512
        isComplete = try lines.take(block, limits)
      }
      all = lines.segments
    } else {
      guard sparse.major ?? 0 == 0, sparse.hasMap else {
        throw TarFault("a sparse file of a version that is not known")
      }
    }
    let map = try SparseMap(all, size: size, stored: stored)
    entry.kind = .file(size: map.size)
    return map.segments
  }

  // MARK: content

  /// The next bytes of the present file.
  /// - Parameter room: not empty.
  /// - Returns: nil at the end of the file, and for what is none.
  public mutating func content(into room: UnsafeMutableRawBufferPointer) throws(TarError) -> Piece? {
    guard segment < segments.count else { return nil }
    let part = segments[segment]
    let left = part.length - done
    guard left > 0 else {
      segment += 1
      done = 0
      return try content(into: room)
    }
    let wanted = Int(min(left, Int64(room.count)))
    let got: Int
    do throws(ByteSourceError) {
      got = try source.read(into: UnsafeMutableRawBufferPointer(rebasing: room[0..<wanted]))
    } catch { throw self.error(error.why) }
    guard got > 0 else { throw error("ends in the middle of its content") }
    let piece = Piece(offset: part.offset + done, count: got)
    done += Int64(got)
    stored -= Int64(got)
    return piece
  }

  /// Reads what follows the end: zeros, which fill the last record. To be called before the digest is looked at.
  public mutating func finish() throws(TarError) {
    while try next() != nil {}
    do throws(ByteSourceError) {
      guard try source.skipZeros() else { throw ByteSourceError("goes on after its end") }
    } catch { throw self.error(error.why) }
  }

  private mutating func leaveEntry() throws(TarError) {
    guard try skip(stored), try skip(padding) else { throw error("ends in the middle of its content") }
    (stored, padding, segments, path) = (0, 0, [], nil)
  }

  // MARK: bytes

  private mutating func take(_ count: Int) throws(TarError) -> [UInt8] {
    do throws(ByteSourceError) { return try source.take(count) } catch { throw self.error(error.why) }
  }

  private mutating func skip(_ count: Int64) throws(TarError) -> Bool {
    do throws(ByteSourceError) { return try source.skip(count) } catch { throw self.error(error.why) }
  }

  private borrowing func error(_ why: String) -> TarError { TarError(offset: source.position, path: path, why: why) }
}

/// What stood before an entry's header.
private struct Extensions {
  var pax = PaxRecords()
  private var hasPax = false
  private var longName: [UInt8]?
  private var longLink: [UInt8]?

  var isEmpty: Bool { !hasPax && longName == nil && longLink == nil }

  static let types: [UInt8] = Array("xgLK".utf8)

  mutating func take(_ type: UInt8, _ bytes: [UInt8], _ limits: TarLimits) throws(TarFault) {
    switch type {
    case UInt8(ascii: "x"):
      guard !hasPax else { throw TarFault("two extended headers for one entry") }
      hasPax = true
      pax = try PaxRecords(bytes, limits)
    case UInt8(ascii: "L"):
      guard longName == nil else { throw TarFault("two long names for one entry") }
      longName = try Self.name(bytes)
    case UInt8(ascii: "K"):
      guard longLink == nil else { throw TarFault("two long names for one entry") }
      longLink = try Self.name(bytes)
    default: try PaxRecords.checkGlobal(bytes)
    }
  }

  /// Up to the NUL that ends it; nothing may hide behind that.
  private static func name(_ bytes: [UInt8]) throws(TarFault) -> [UInt8] {
    let name = Array(bytes.prefix { $0 != 0 })
    guard !name.isEmpty, bytes[name.count...].allSatisfy({ $0 == 0 }) else {
      throw TarFault("a long name with a NUL in it")
    }
    return name
  }

  /// The entry, without its content's form.
  func entry(_ header: TarHeader) throws(TarFault) -> TarEntry {
    guard longName == nil || pax.path == nil, longLink == nil || pax.linkPath == nil else {
      throw TarFault("two names for one entry")
    }
    let path = pax.path ?? longName ?? header.path
    guard !path.isEmpty else { throw TarFault("an entry without a name") }
    let target = pax.linkPath ?? longLink ?? header.linkName
    let (most, scale) = (Int64.max / 1_000_000_000 - 1, Int64(1_000_000_000))
    guard pax.modified != nil || (-most...most).contains(header.modified) else {
      throw TarFault("an mtime out of range")
    }
    return TarEntry(
      path: path, kind: try kind(header, path, target), mode: header.mode,
      uid: try Self.id(pax.uid ?? header.uid, "uid"), gid: try Self.id(pax.gid ?? header.gid, "gid"),
      modified: pax.modified ?? header.modified * scale, xattrs: pax.xattrs)
  }

  private func kind(_ header: TarHeader, _ path: [UInt8], _ target: [UInt8]) throws(TarFault) -> TarEntry.Kind {
    switch header.type {
    case 0, UInt8(ascii: "0"), UInt8(ascii: "7"):
      // Before ustar a directory was a file with a slash behind its name. Of a sparse file that name is made up, and may
      // be cut behind any byte of it.
      let isDirectory = path.last == UInt8(ascii: "/") && !pax.sparse.isNamed
      return isDirectory ? .directory : .file(size: pax.size ?? header.size)
    case UInt8(ascii: "S"): return .file(size: 0)
    case UInt8(ascii: "1"):
      guard !target.isEmpty else { throw TarFault("a hard link to nothing") }
      return .hardLink(target)
    case UInt8(ascii: "2"):
      guard !target.isEmpty else { throw TarFault("a link to nothing") }
      return .link(target)
    case UInt8(ascii: "3"), UInt8(ascii: "4"):
      guard let major = UInt32(exactly: header.major), let minor = UInt32(exactly: header.minor) else {
        throw TarFault("a device \(header.major):\(header.minor)")
      }
      return .device(isBlock: header.type == UInt8(ascii: "4"), major: major, minor: minor)
    case UInt8(ascii: "5"): return .directory
    case UInt8(ascii: "6"): return .fifo
    default: throw TarFault("an entry of type \(BytePath([header.type]).words), which is not known")
    }
  }

  private static func id(_ value: Int64, _ name: String) throws(TarFault) -> UInt32 {
    // The last one means "leave it" to chown(2).
    guard let id = UInt32(exactly: value), id != .max else { throw TarFault("a \(name) of \(value)") }
    return id
  }
}
