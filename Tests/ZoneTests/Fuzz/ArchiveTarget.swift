import LinuxNS

@testable import ZoneRuntime

extension FuzzTarget {
  /// A layer's tar: read in large and in small pieces, planned, and the plan carried out on a tree that is only thought of.
  static let archive = FuzzTarget("archive") { (bytes) throws(Finding) in
    let whole = ArchiveReading(bytes, piece: 1 << 20, room: 65536)
    for (piece, room) in [(1, 512), (511, 7), (513, 1)] {
      let again = ArchiveReading(bytes, piece: piece, room: room)
      try hold(
        again == whole, "in pieces of \(piece) another archive: \(again.error ?? "read"), \(whole.error ?? "read")")
    }
    try hold(whole.error.map { !$0.utf8.contains(10) && !$0.utf8.contains(27) } ?? true, "an error of two lines")
    for file in whole.files {
      try file.check()
      try file.checkWritten()
    }
    var model = LayerModel()
    var planner = LayerPlanner(limits: LayerModel.limits)
    var ops: [LayerOp] = []
    for file in whole.files {
      guard let steps = accepted({ try planner.steps(for: file.entry) }) else { return }
      ops += steps
      for op in steps { try model.carryOut(op) }
    }
    let last = planner.lastSteps()
    for op in last { try model.carryOut(op) }
    let atOnce = accepted { try LayerPlanner.plan(whole.files.map { $0.entry }, limits: LayerModel.limits) }
    try hold(atOnce == ops + last, "planned at once it is another plan")
    try model.checkEnd()
  }
}

/// Bytes in memory, so many at a time.
struct PiecedSource: ByteSource {
  var bytes: ArraySlice<UInt8>
  let piece: Int

  mutating func read(into room: UnsafeMutableRawBufferPointer) throws(ByteSourceError) -> Int {
    let count = min(room.count, piece, bytes.count)
    room.copyBytes(from: bytes.prefix(count))
    bytes = bytes.dropFirst(count)
    return count
  }
}

/// All that an archive gives.
struct ArchiveReading: Equatable {
  struct File: Equatable {
    var entry: TarEntry
    /// Parts that touch are one.
    var parts: [(offset: Int64, bytes: [UInt8])] = []

    static func == (one: File, other: File) -> Bool {
      one.entry == other.entry
        && one.parts.elementsEqual(other.parts) { $0.offset == $1.offset && $0.bytes == $1.bytes }
    }

    /// The whole content; for small files.
    var content: [UInt8] {
      guard case .file(let size) = entry.kind else { return [] }
      var content = [UInt8](repeating: 0, count: Int(size))
      for part in parts {
        content.replaceSubrange(Int(part.offset)..<(Int(part.offset) + part.bytes.count), with: part.bytes)
      }
      return content
    }

    func check() throws(Finding) {
      var end: Int64 = 0
      for part in parts {
        try hold(part.offset >= end, "a part of \(entry.path) before the end of the last")
        end = part.offset + Int64(part.bytes.count)
      }
      guard case .file(let size) = entry.kind else { return try hold(parts.isEmpty, "content of no file") }
      try hold(end <= size, "a part behind the end")
    }

    /// Written by us it is read as the same.
    func checkWritten() throws(Finding) {
      if case .file(let size) = entry.kind, size > 10_000 { return }
      guard let header = accepted({ try TarWriter.header(of: entry) }) else { return }
      try hold(header.count % 512 == 0, "a header of \(header.count) bytes")
      let zeros = [UInt8](repeating: 0, count: TarWriter.padding(after: Int64(content.count)))
      let again = ArchiveReading(header + content + zeros + TarWriter.end)
      var expected = entry
      if entry.kind == .directory, entry.path.last != 47 { expected.path.append(47) }
      try hold(
        again.files.map { $0.entry } == [expected] && again.files.map { $0.content } == [content] && again.error == nil,
        "\(entry) reads as \(again.files.map { $0.entry }), \(again.error ?? "")")
    }
  }

  var files: [File] = []
  var error: String?

  init(_ bytes: [UInt8], piece: Int = 1 << 20, room: Int = 65536) {
    var limits = TarLimits()
    limits.entries = 2000
    limits.segments = 500
    var reader = TarReader(PiecedSource(bytes: bytes[...], piece: piece), limits: limits)
    var space = [UInt8](repeating: 0, count: room)
    do throws(TarError) {
      while let entry = try reader.next() {
        var file = File(entry: entry)
        while let got = try Self.content(of: &reader, &space) {
          let more = Array(space[0..<got.count])
          if let last = file.parts.last, last.offset + Int64(last.bytes.count) == got.offset {
            file.parts[file.parts.count - 1].bytes += more
          } else {
            file.parts.append((got.offset, more))
          }
        }
        files.append(file)
      }
      try reader.finish()
    } catch { self.error = "\(error)" }
  }

  private static func content(
    of reader: inout TarReader<PiecedSource>, _ space: inout [UInt8]
  ) throws(TarError) -> TarReader<PiecedSource>.Piece? {
    var piece: TarReader<PiecedSource>.Piece?
    var failure: TarError?
    space.withUnsafeMutableBytes { room in
      do throws(TarError) { piece = try reader.content(into: room) } catch { failure = error }
    }
    if let failure { throw failure }
    return piece
  }
}

/// A directory as a plan fills it, by the rules that the kernel holds the one who unpacks to.
struct LayerModel {
  enum Node: Equatable { case directory, file, link, whiteout }

  static let limits: LayerLimits = {
    var limits = LayerLimits()
    limits.names = 2000
    return limits
  }()

  private(set) var nodes: [BytePath: Node] = [.root: .directory]
  private(set) var opaque: Set<BytePath> = []

  mutating func carryOut(_ op: LayerOp) throws(Finding) {
    let path = op.path
    // What it lies in was looked at when that was made.
    let name = path.name
    try hold(
      path.isRoot || !name.isEmpty && name.count <= 255 && name != [46] && name != [46, 46] && !name.contains(0),
      "the name \(path.words)")
    switch op {
    case .directory, .parent: try make(path, .directory)
    case .file(_, let size, let attributes):
      try hold(size >= 0, "a size of \(size)")
      try check(attributes, path)
      try make(path, .file)
    case .fifo: try make(path, .file)
    case .link(_, let target, _):
      try hold(!target.isEmpty && !target.contains(0), "a link to nothing")
      try make(path, .link)
    case .hardLink(_, let other):
      guard let node = nodes[other] else { throw Finding("\(path.words) links to \(other.words), which is not there") }
      try hold(node == .file || node == .link, "\(path.words) links to a \(node)")
      try make(path, node)
    case .whiteout: try make(path, .whiteout)
    case .attributes(_, let attributes):
      try hold(nodes[path] == .directory, "attributes of \(path.words)")
      try check(attributes, path)
    case .opaque:
      try hold(nodes[path] == .directory, "opaque \(path.words)")
      opaque.insert(path)
    case .modified, .defaultAccess: try hold(nodes[path] == .directory, "late words about \(path.words)")
    case .remove:
      try hold(!path.isRoot && nodes[path] != nil, "\(path.words) is removed, and is not there")
      for below in nodes.keys where path.covers(below) { nodes[below] = nil }
    case .skipped: break
    }
  }

  private mutating func make(_ path: BytePath, _ node: Node) throws(Finding) {
    try hold(!path.isRoot, "the top is made")
    try hold(nodes[path.parent] == .directory, "\(path.words) is made where there is no directory")
    try hold(nodes[path] == nil, "\(path.words) is made twice")
    nodes[path] = node
  }

  private func check(_ attributes: LayerAttributes, _ path: BytePath) throws(Finding) {
    try hold(attributes.mode <= 0o7777, "\(path.words) has the mode \(attributes.mode)")
    try hold(attributes.uid < 65536 && attributes.gid < 65536, "\(path.words) belongs to nobody")
    for attribute in attributes.xattrs {
      let isOurs = attribute.has(prefix: "user.overlay.") || attribute.has(prefix: "trusted.")
      try hold(!isOurs, "\(path.words) has overlayfs' own note")
    }
  }

  func checkEnd() throws(Finding) {
    for (path, node) in nodes where node == .whiteout {
      try hold(!opaque.contains(path.parent), "\(path.words) is deleted where nothing is seen")
    }
  }
}
