internal import Glibc
internal import LinuxNS
public import ZoneRuntime

/// `export`: a zone as one archive. It is an OCI layout of the image that other engines can run, and has beside it all that
/// makes the zone again: spec, snapshots, volumes.
public struct ZoneExporter {
  private let store: ImageStore
  private let zones: Zones
  private let volumes: VolumeKeeper
  /// Of the zones' place, as `--root` has it.
  private let root: String?
  /// The orchestrator.
  private let program: String
  private let notice: @Sendable (String) -> Void
  private let tell: @Sendable (FetchNews) -> Void

  public init(
    _ store: ImageStore, root: String?, program: String = "/proc/self/exe",
    notice: @escaping @Sendable (String) -> Void, tell: @escaping @Sendable (FetchNews) -> Void
  ) {
    self.store = store
    self.root = root
    self.program = program
    self.notice = notice
    self.tell = tell
    zones = Zones(store.directories, notice: notice)
    volumes = VolumeKeeper(store.directories, program: program, notice: notice)
  }

  /// A running zone is frozen while it is read, and so are others that may write in its volumes.
  /// - Parameters:
  ///   - path: a file, which is there when all of it is; `-` is standard output.
  ///   - hasVolumes: with what is in its named volumes.
  public func run(_ zone: String, to path: String, volumes hasVolumes: Bool) throws(ImageError) {
    let lock = try stored { () throws(ZoneError) in
      try store.share(notice)
    }
    defer { withExtendedLifetime(lock) {} }
    let own = try stored { () throws(ZoneError) in try zones.ownLayer(of: zone, for: "export", in: store) }
    var spec = try stored { () throws(ZoneError) in try zones.spec(of: zone) }
    spec.fleet = nil
    // One that was never used is none yet.
    let names = (hasVolumes ? spec.namedVolumes : []).filter(volumes.exists)

    // In one order, so that two who want the same do not wait for each other.
    var locks: [VolumeLock] = []
    defer { withExtendedLifetime(locks) {} }
    for name in names.sorted() { locks.append(try stored { () throws(ZoneError) in try zones.hold(volume: name) }) }
    let begun = Clock.monotonicNanoseconds()
    let hold =
      own.isLive ? try stored { () throws(ZoneError) in try ZoneHold(zone, root: root, program: program) } : nil
    defer { try? hold?.end() }
    var others = try stored { () throws(ZoneError) in try volumes.hold(writersOf: names, but: zone) }
    defer { _ = try? others.end() }
    var packing = Packing(store, LayerPacker(store: store, compression: .gzip, program: program))
    var archived = try packing.states(of: own)
    for name in names { archived.volumes.append(try volumes.archive(name, in: store)) }
    let told = try stored { () throws(ZoneError) in
      try hold?.end()
      return try others.end()
    }
    if own.isRunning {
      let tenths = (Clock.monotonicNanoseconds() - begun) / 100_000_000
      notice("\(zone): frozen meanwhile (\(tenths / 10).\(tenths % 10) s)")
    }
    if let told { notice("\(told), which may write in its volumes") }
    archived.spec = spec

    let committer = ImageCommitter(store, root: root, program: program, notice: notice)
    committer.tellOmissions(packing.packed.map { $0.read })
    var wish = ImageCommitter.Wish()
    wish.changes = spec.completed(by: own.root.use).imageChanges
    let base = try ImageCommitter.Base(own.root, store)
    let written = archived.now.layers.reversed().map { packing.packed[$0] }
    let document = try committer.document(base, written, wish, "zonectl export \(zone)")
    let name = try stored { () throws(ZoneError) in
      do throws(SyntaxError) { return try ImageReference(parsing: "localhost/\(zone):latest") } catch {
        throw .syntax(error)
      }
    }
    var plan = try ExportPlan(document.blob.digest, name, store)
    try plan.add(archived, packing.images, store)
    let exporter = ImageExporter(store, tell: tell)
    let whole = plan
    try ArchiveOutput.write(to: path) { (output, words) throws(ImageError) in
      try exporter.write(whole, to: output, words)
    }
  }

  /// Layers of the zone, each packed once however many states have it.
  private struct Packing {
    private let store: ImageStore
    private let packer: LayerPacker
    private(set) var packed: [LayerPacker.Packed] = []
    /// Of those that snapshots have frozen; nil: nothing is in it.
    private var frozen: [Int: Int?] = [:]
    private(set) var images: [RootImage] = []

    init(_ store: ImageStore, _ packer: LayerPacker) {
      self.store = store
      self.packer = packer
    }

    mutating func states(of own: borrowing OwnLayer) throws(ImageError) -> ArchivedZone {
      var zone = ArchivedZone()
      let root = own.root
      zone.now = try state(root.layers, root.top, RootBase(image: root.image, use: root.use))
      let folder = try stored { () throws(ZoneError) in try own.folder() }
      if let layer = try packer.pack(folder, over: root.layers, top: root.top) {
        packed.append(layer)
        zone.now.layers.insert(packed.count - 1, at: 0)
        zone.now.top = try stored { () throws(ZoneError) in try own.top() }
        zone.now.top.layer = packed.count - 1
      }
      for snapshot in root.snapshots {
        let base = snapshot.base ?? RootBase(image: root.image, use: root.use)
        var state = try state(snapshot.layers, snapshot.top, base)
        (state.name, state.made, state.labels) = (snapshot.name, snapshot.made, snapshot.labels)
        zone.snapshots.append(state)
      }
      zone.images = images
      zone.layers = packed.map { $0.blob }
      return zone
    }

    private mutating func state(_ layers: [Int], _ top: RootTop, _ base: RootBase) throws(ImageError)
      -> ArchivedZone.State
    {
      guard let image = base.image else { throw ImageError("it was not made from an image") }
      var state = ArchivedZone.State()
      if let known = images.firstIndex(of: image) {
        state.image = known
      } else {
        images.append(image)
        state.image = images.count - 1
      }
      state.use = base.use
      state.top = top
      state.top.layer = nil
      for (index, number) in layers.enumerated() {
        guard let record = try stored({ () throws(ZoneError) in try store.layerRecord(number) }) else {
          throw ImageError("its layer \(number) is gone from the store")
        }
        guard record.kind == .zone else { break }
        let known = try place(of: number, over: Array(layers[(index + 1)...]))
        if let known { state.layers.append(known) }
        if top.layer == number { state.top.layer = known }
      }
      return state
    }

    private mutating func place(of number: Int, over below: [Int]) throws(ImageError) -> Int? {
      if let known = frozen[number] { return known }
      let folder = try called { () throws(SyscallError) in
        try OwnedFD.open(store.root(ofLayer: number), O_PATH | O_DIRECTORY | O_NOFOLLOW)
      }
      guard let layer = try packer.pack(folder, over: below, top: nil) else {
        frozen[number] = .some(nil)
        return nil
      }
      packed.append(layer)
      frozen[number] = packed.count - 1
      return packed.count - 1
    }
  }
}

extension ZoneSpec {
  /// Each once.
  var namedVolumes: [String] {
    var names: [String] = []
    for volume in volumes {
      if case .volume(let name) = volume.source, !names.contains(name) { names.append(name) }
    }
    return names
  }

  /// So that another engine runs what the zone does.
  fileprivate var imageChanges: [ImageChange] {
    var changes: [ImageChange] = [.entrypoint([]), .command(command)]
    changes += environment.sorted { $0.key < $1.key }.map { .environment("\($0.key)=\($0.value)") }
    if let user { changes.append(.user(user)) }
    if let workdir { changes.append(.workdir(workdir)) }
    return changes
  }
}

extension ExportPlan {
  /// What makes the zone again, beside the image.
  fileprivate mutating func add(_ zone: ArchivedZone, _ images: [RootImage], _ store: ImageStore) throws(ImageError) {
    documents.append((ArchivedZone.file, try encoded(zone)))
    for image in images {
      let other = try ExportPlan(image.manifest, nil, store)
      for (name, bytes) in other.documents where name.hasPrefix("blobs/") {
        if !documents.contains(where: { $0.name == name }) { documents.append((name, bytes)) }
      }
      add(other.layers)
    }
    add(zone.layers)
    add(zone.volumes.map { $0.files })
  }

  private mutating func add(_ blobs: [ImageDescriptor]) {
    for blob in blobs where !layers.contains(where: { $0.digest == blob.digest }) { layers.append(blob) }
  }
}
