internal import Glibc
internal import LayerUnpacking
internal import LinuxNS
public import ZoneRuntime

/// `commit`: what a zone has written becomes the uppermost layer of a new image.
public struct ImageCommitter {
  public struct Wish: Sendable {
    public var changes: [ImageChange] = []
    public var comment: String?
    public var author: String?
    public var compression = MediaType.Compression.gzip

    public init() {}
  }

  let store: ImageStore
  let installer: ImageInstaller
  let intake: BlobIntake
  /// Of the zones' place, as `--root` has it.
  let root: String?
  /// The orchestrator.
  let program: String
  let notice: @Sendable (String) -> Void

  public init(
    _ store: ImageStore, root: String?, program: String = "/proc/self/exe", notice: @escaping @Sendable (String) -> Void
  ) {
    self.store = store
    self.root = root
    self.program = program
    self.notice = notice
    intake = BlobIntake(store: store)
    installer = ImageInstaller(store: store, unpacker: LayerUnpacker(program: program), notice: notice)
  }

  /// A running zone is frozen while its files are read.
  /// - Returns: the image's digest.
  public func run(_ zone: String, as name: ImageReference, _ wish: Wish) throws(ImageError) -> ContentDigest {
    let lock = try stored { () throws(ZoneError) in
      try store.share(notice)
    }
    defer { withExtendedLifetime(lock) {} }
    let own = try stored { () throws(ZoneError) in
      try Zones(store.directories).ownLayer(of: zone, for: "commit", in: store)
    }
    let base = try Base(own.root, store)
    let hold = own.isLive ? try stored { () throws(ZoneError) in try ZoneHold(zone, root: root) } : nil
    defer { try? hold?.end() }
    let packed = try pack(own, wish.compression)
    try stored { () throws(ZoneError) in try hold?.end() }
    tellOmissions(packed.map { $0.read })

    let (document, manifest) = try document(base, packed, wish, "zonectl commit \(zone)")
    _ = try installer.install(document.digest, manifest, bytes: document.size)
    let record = ReferenceRecord(
      manifest: document.digest, origin: "commit", owner: geteuid(), made: Clock.realtimeNanoseconds())
    try stored { () throws(ZoneError) in try store.put(record, as: name) }
    return document.digest
  }

  /// The manifest of an image of the base and layers over it, in the store.
  func document(_ base: Base, _ packed: [LayerPacker.Packed], _ wish: Wish, _ words: String) throws(ImageError)
    -> (blob: ImageDescriptor, manifest: ImageManifest)
  {
    let now = Timestamp.text(Int64(Clock.realtimeNanoseconds() / 1_000_000_000), 0)
    var step = ImageHistory(created: now, createdBy: words, comment: wish.comment)
    step.author = wish.author
    var config = base.config
    for layer in packed.dropLast() { config = config.adding(layer.diff, step) }
    config = config.adding(packed.last?.diff, step)
    config.author = wish.author ?? config.author
    config.config = (config.config ?? ImageExecution()).changed(by: wish.changes)
    let blob = try intake.take(try encoded(config), MediaType.config.name)
    var manifest = ImageManifest(config: blob, layers: base.manifest.layers)
    manifest.layers += packed.map { $0.blob }
    manifest.annotations = base.manifest.annotations
    return (try intake.take(try encoded(manifest), MediaType.manifest.name), manifest)
  }

  /// The image that the zone was made from.
  struct Base {
    var manifest: ImageManifest
    var config: ImageConfig

    init(_ root: RootRecord, _ store: ImageStore) throws(ImageError) { try self.init(root.image, store) }

    init(_ image: RootImage?, _ store: ImageStore) throws(ImageError) {
      guard let image else { throw ImageError("it was not made from an image") }
      let intake = BlobIntake(store: store)
      let bytes = try intake.document(image.manifest, "the manifest of its image")
      guard case .manifest(let manifest) = try ImageDocument.read(bytes, type: nil, name: "its image's manifest") else {
        throw ImageError("its image's manifest is an index")
      }
      self.manifest = manifest
      let text = try intake.document(manifest.config.digest, "the configuration of its image")
      do throws(JSONError) { config = try JSON.decode(ImageConfig.self, from: text, name: "configuration") } catch {
        throw ImageError("\(error)")
      }
    }
  }

  /// The zone's own layers: those that snapshots have frozen, the lowest first, and the one that it writes.
  private func pack(_ own: borrowing OwnLayer, _ compression: MediaType.Compression) throws(ImageError)
    -> [LayerPacker.Packed]
  {
    let packer = LayerPacker(store: store, compression: compression, program: program)
    let stack = own.root.layers
    var packed: [LayerPacker.Packed] = []
    for (index, number) in stack.enumerated().reversed() {
      guard let record = try stored({ () throws(ZoneError) in try store.layerRecord(number) }) else {
        throw ImageError("its layer \(number) is gone from the store")
      }
      guard record.kind == .zone else { continue }
      let frozen = try called { () throws(SyscallError) in
        try OwnedFD.open(store.root(ofLayer: number), O_PATH | O_DIRECTORY | O_NOFOLLOW)
      }
      if let layer = try packer.pack(frozen, over: Array(stack[(index + 1)...]), top: nil) { packed.append(layer) }
    }
    let folder = try stored { () throws(ZoneError) in try own.folder() }
    if let layer = try packer.pack(folder, over: stack, top: own.root.top) { packed.append(layer) }
    return packed
  }

  func tellOmissions(_ all: [ReadLayer]) {
    let omitted = all.reduce(0) { $0 + $1.omitted }
    guard omitted > 0 else { return }
    let named = all.flatMap { $0.omissions }
    notice(
      "left out \(omitted), which an archive cannot have: " + named.map { $0.words }.joined(separator: ", ")
        + (omitted > named.count ? " …" : ""))
  }
}

/// A document of ours.
func encoded(_ document: some JSONValue) throws(ImageError) -> [UInt8] {
  do throws(JSONError) { return try JSON.encode(document) } catch { throw ImageError("\(error)") }
}
