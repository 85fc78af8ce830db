internal import CLinuxNS
internal import Glibc
internal import LayerUnpacking
internal import LinuxNS
internal import ZoneRuntime

/// Makes blobs of what zones have written: an archive by somebody to whom its files belong, hashed and compressed here.
struct LayerPacker: Sendable {
  let store: ImageStore
  let compression: MediaType.Compression
  /// The orchestrator.
  let program: String

  struct Packed: Equatable, Sendable {
    /// It is in the store.
    var blob: ImageDescriptor
    var diff: ContentDigest
    var read: ReadLayer
  }

  /// - Parameters:
  ///   - layer: nobody writes in it meanwhile.
  ///   - below: numbers, from the top.
  ///   - top: what the layer's own directory was given when it was made.
  /// - Returns: nil where nothing is in it.
  func pack(_ layer: borrowing OwnedFD, over below: [Int], top: RootTop?) throws(ImageError) -> Packed? {
    let part = try stored { () throws(ZoneError) in try store.part() }
    do {
      let packed = try pack(layer, StackOrder(store, below, top: top), to: part)
      guard packed.read.names > 0 else {
        store.abandon(part)
        return nil
      }
      try store.finish(part, as: packed.blob.digest)
      return packed
    } catch {
      store.abandon(part)
      if let error = error as? ImageError { throw error }
      throw ImageError("\((error as? SyscallError).map(BlobIntake.words) ?? "\(error)")")
    }
  }

  private func pack(_ layer: borrowing OwnedFD, _ order: StackOrder, to part: BlobPart) throws -> Packed {
    let encoder = try LayerEncoder(compression)
    let pipe = try OwnedFD.pipe()
    let running = try OwnerProcess.start("pack", order, fds: [layer.raw, pipe.second.raw], program: program)
    let archive = pipe.takeFirst()  // its other end is the program's alone now

    var (plain, coded) = (BlobHash(), BlobHash())
    var size: Int64 = 0
    try ArchiveOutput.encode(archive, by: encoder, read: { plain.update($0) }) { bytes in
      coded.update(bytes)
      size += Int64(bytes.count)
      let error = FileSystem.write(all: bytes, to: part.file)
      if error != 0 { throw SyscallError(call: "write", errno: error, path: part.path) }
    }
    // An archive that was cut is none: only who made it knows.
    let answer = try running.heard(PackAnswer.self)
    if let why = answer.error { throw ImageError(why) }
    let type = MediaType.layer(compression, isDistributable: true).name
    return Packed(
      blob: ImageDescriptor(mediaType: type, digest: coded.digest, size: size), diff: plain.digest, read: answer.read)
  }
}

/// Has a zone's own layer copied into the store, or several made one there, by somebody to whom their files belong.
enum LayerCopier {
  /// - Parameters:
  ///   - layer: nobody writes in it meanwhile.
  ///   - below: numbers, from the top.
  ///   - read: called when all of it was read, and may be written again; where it throws there is no copy.
  ///   - program: the orchestrator.
  /// - Returns: the copy's number.
  static func copy(
    _ layer: borrowing OwnedFD, over below: [Int], in store: ImageStore, program: String = "/proc/self/exe",
    read: () throws(ZoneError) -> Void
  ) throws(ImageError) -> (number: Int, read: ReadLayer) {
    let layer = layer.raw
    return try make(in: store, read: read) { target in
      try OwnerProcess.start("copy", StackOrder(store, below), fds: [layer, target], program: program)
    }
  }

  /// - Parameters:
  ///   - layers: of the store, from the top, each of which lies on the next.
  ///   - below: what the last lies on, from the top.
  ///   - isLinking: nobody else has them, and they go: the new one has their very files.
  /// - Returns: the number of the one that shows the same.
  static func fold(
    _ layers: [Int], over below: [Int], in store: ImageStore, isLinking: Bool, program: String = "/proc/self/exe"
  ) throws(ImageError) -> Int {
    var order = FoldOrder(below: StackOrder(store, below), isLinking: isLinking)
    order.layers = layers.map { store.root(ofLayer: $0) }
    return try make(in: store) { target in
      try OwnerProcess.start("fold", order, fds: [target], program: program)
    }.number
  }

  private static func make(
    in store: ImageStore, read: () throws(ZoneError) -> Void = {}, _ start: (CInt) throws -> OwnerProcess.Running
  ) throws(ImageError) -> (number: Int, read: ReadLayer) {
    let new = try stored { () throws(ZoneError) in try store.begin() }
    do {
      let target = try OwnedFD.open(new.root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      let said = try start(target.raw).heard(PackAnswer.self)
      if let why = said.error { throw ImageError(why) }
      try read()
      let record = LayerRecord(
        .zone, digest: nil, bytes: said.read.bytes, names: said.read.names, made: Clock.realtimeNanoseconds())
      try store.note(record, of: new)
      try store.place([(new, record)])
      return (new.number, said.read)
    } catch {
      store.abandon(new)
      if let error = error as? ImageError { throw error }
      throw ImageError("\((error as? SyscallError).map(BlobIntake.words) ?? "\(error)")")
    }
  }
}

/// A stack of layers, by the names that a mount is told.
struct StackOrder: JSONObject {
  var links: String
  /// The uppermost first.
  var layers: [String]
  var top: RootTop?

  static var blank: StackOrder { StackOrder(links: "", layers: [], top: nil) }

  private init(links: String, layers: [String], top: RootTop?) {
    self.links = links
    self.layers = layers
    self.top = top
  }

  init(_ store: ImageStore, _ numbers: [Int], top: RootTop? = nil) {
    var top = top
    // It is noted as it is on disk; a user's own layer is his there, and the root's inside.
    if geteuid() != 0 {
      top?.uid = 0
      top?.gid = 0
    }
    self.init(links: store.mountLinks, layers: numbers.map(store.mountLink), top: top)
  }

  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("layers", &layers)
    try json.field("links", &links)
    try json.field("top", &top)
  }

  /// What the layers show together. For a process of its own: its working directory changes, and its mounts.
  func merged() throws(SyscallError) -> OwnedFD {
    var step: UnsafePointer<CChar>?
    let raw = zns_merge_layers(links, layers.joined(separator: ":"), &step)
    return OwnedFD(raw: CInt(try check(raw, step.map { String(cString: $0) } ?? "mount", links)))
  }
}

struct FoldOrder: JSONObject {
  var below: StackOrder
  /// Directories, from the top.
  var layers: [String] = []
  var isLinking: Bool

  static var blank: FoldOrder { FoldOrder(below: .blank, isLinking: false) }

  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("below", &below)
    try json.field("layers", &layers)
    try json.field("links", &isLinking)
  }
}

struct PackAnswer: OwnerAnswer {
  var error: String?
  var read = ReadLayer()

  static var blank: PackAnswer { PackAnswer() }

  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("bytes", &read.bytes)
    try json.field("error", &error)
    try json.field("names", &read.names)
    try json.field("omissions", &read.omissions)
    try json.field("omitted", &read.omitted)
  }
}

/// `orchestrator pack`, `copy` and `fold`, hidden: what `LayerPacker` and `LayerCopier` start.
public enum PackProgram {
  /// Descriptor 3 is the layer, 4 an empty directory.
  public static func copy() -> Int32 {
    OwnerProcess.run("copy") { (order: StackOrder) throws -> PackAnswer in
      let below = try order.merged()
      return PackAnswer(read: try LayerCopy.make(OwnedFD(raw: 3), over: below, in: OwnedFD(raw: 4)))
    }
  }

  /// Descriptor 3 is an empty directory.
  public static func fold() -> Int32 {
    OwnerProcess.run("fold") { (order: FoldOrder) throws -> PackAnswer in
      // Before the mounts are others: a file gets a new name by the mount alone that it was found by.
      let layers = try order.layers.map { LayerRoot(try OwnedFD.open($0, O_PATH | O_DIRECTORY | O_NOFOLLOW)) }
      let below = try order.below.merged()
      return PackAnswer(
        read: try LayerCopy.fold(layers, over: below, in: OwnedFD(raw: 3), isLinking: order.isLinking))
    }
  }

  /// Descriptor 3 is the layer, 4 takes the archive.
  public static func run() -> Int32 {
    OwnerProcess.run("pack") { (order: StackOrder) throws -> PackAnswer in
      let below = try order.merged()
      let layer = OwnedFD(raw: 3)
      return PackAnswer(read: try LayerArchive.write(layer, over: below, top: order.top, to: OwnedFD(raw: 4)))
    }
  }
}
