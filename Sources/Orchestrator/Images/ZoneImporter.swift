internal import Glibc
internal import LayerUnpacking
internal import LinuxNS
internal import VirtualNet
public import ZoneRuntime

/// `import`: a zone again, of what `export` wrote.
public struct ZoneImporter {
  private let store: ImageStore
  private let zones: Zones
  private let volumes: VolumeKeeper
  private let importer: ImageImporter
  private let unpacker: LayerUnpacker
  private let notice: @Sendable (String) -> Void

  public init(
    _ store: ImageStore, program: String = "/proc/self/exe", notice: @escaping @Sendable (String) -> Void
  ) {
    self.store = store
    self.notice = notice
    zones = Zones(store.directories, notice: notice)
    volumes = VolumeKeeper(store.directories, program: program, notice: notice)
    unpacker = LayerUnpacker(program: program)
    importer = ImageImporter(store, unpacker: unpacker, notice: notice)
  }

  /// - Parameters:
  ///   - path: a file, a folder, or `-`, standard input.
  ///   - name: of the new zone; nil: as it was called.
  ///   - hasVolumes: with what is in its volumes, which must not be here yet. Otherwise those of these names that are here
  ///     are taken, and others are made.
  /// - Returns: its name.
  public func run(_ path: String, as name: String?, volumes hasVolumes: Bool) throws(ImageError) -> String {
    let lock = try stored { () throws(ZoneError) in
      try store.share(notice)
    }
    defer { withExtendedLifetime(lock) {} }
    return try importer.look(into: path) { tree throws(ImageError) in
      let zone = try Self.told(tree)
      var spec = zone.spec
      if let name { spec.name = name }
      spec.fleet = nil
      if spec.quota != nil, let why = zones.whyUnbounded(spec) {
        notice("its quota is left out: \(why)")
        spec.quota = nil
      }
      try check(spec, zone, hasVolumes)
      let powers = powers(of: spec, hasVolumes ? zone.volumes : [])
      if !powers.isEmpty {
        notice("zone \(spec.name) has, when it is started: \(powers.joined(separator: ", "))")
        if spec.autostart {
          spec.autostart = false
          notice("so it is not started with the machine (zonectl set \(spec.name) autostart=true)")
        }
      }
      let root = try root(zone, tree)
      var locks: [VolumeLock] = []
      let wanted = hasVolumes ? zone.volumes : []
      do throws(ImageError) {
        for volume in wanted {
          try importer.take(volume.files, tree, "volume \(volume.name)")
          let blob = try called { () throws(SyscallError) in
            try OwnedFD.open(store.blob(volume.files.digest), O_RDONLY | O_NOFOLLOW)
          }
          locks.append(try stored { () throws(ZoneError) in try volumes.bring(volume, from: blob) })
        }
        let (new, made) = (spec, root)
        try stored { () throws(ZoneError) in try zones.install(new, made) }
      } catch {
        for volume in wanted.prefix(locks.count) { try? volumes.deleteHeld(volume.name) }
        throw error
      }
      for volume in wanted { try? volumes.keep(volume.name) }  // best effort: one that a zone has is nobody's to take
      withExtendedLifetime(locks) {}
      return spec.name
    }
  }

  private static func told(_ tree: ImportTree) throws(ImageError) -> ArchivedZone {
    guard let file = try tree.open(ArchivedZone.file) else {
      throw ImageError("it has no \(ArchivedZone.file) (of an image: zonectl image import; of a machine: --machine)")
    }
    let bytes = try file.document(limit: ImageDocument.mostBytes)
    let zone: ArchivedZone
    do throws(JSONError) { zone = try JSON.decode(ArchivedZone.self, from: bytes, name: ArchivedZone.file) } catch {
      throw ImageError("\(error)")
    }
    guard zone.version <= ArchivedZone.currentVersion else {
      throw ImageError(
        "its \(ArchivedZone.file) is of version \(zone.version), and \(ArchivedZone.currentVersion) is known here; upgrade"
      )
    }
    if let why = zone.unsound { throw ImageError("\(ArchivedZone.file): \(why)") }
    return zone
  }

  /// All that can be refused before anything is made.
  private func check(_ spec: ZoneSpec, _ zone: ArchivedZone, _ hasVolumes: Bool) throws(ImageError) {
    guard isDNSLabel(spec.name) else {
      throw ImageError("'\(shortened(spec.name))' cannot be a zone's name: it takes a-z, 0-9 and inner hyphens")
    }
    guard case .image = spec.brand else { throw ImageError("its zone is of no image") }
    if (try? zones.spec(of: spec.name)) != nil {
      throw ImageError("there is a zone \(spec.name) already (name another)")
    }
    // Those are the rights of who calls zonectl sandbox, and of nobody who made an archive.
    guard spec.sandbox == nil, !spec.ephemeral else { throw ImageError("its zone is one that passes, a sandbox say") }
    guard hasVolumes else { return }
    for name in Set(spec.namedVolumes + zone.volumes.map { $0.name }) where volumes.exists(name) {
      if let volume = zone.volumes.first(where: { $0.name == name }), isLeft(volume) { continue }
      throw ImageError("there is a volume \(name) already (--no-volumes has the zone take it as it is)")
    }
    for volume in zone.volumes where volume.disk != nil && geteuid() != 0 {
      throw ImageError("its volume \(volume.name) is a disk in a file, which only root may mount")
    }
  }

  /// Whoever began the same import was killed: it is made anew.
  private func isLeft(_ volume: ArchivedZone.Volume) -> Bool { (try? volumes.isLeft(volume)) == true }

  // MARK: the root

  private func root(_ zone: ArchivedZone, _ tree: ImportTree) throws(ImageError) -> RootRecord {
    var images: [ImageRecord] = []
    for image in zone.images { images.append(try install(image, tree)) }
    var numbers: [Int] = []
    var new: [(layer: NewLayer, record: LayerRecord)] = []
    do throws(ImageError) {
      for (index, layer) in zone.layers.enumerated() {
        let words = "layer \(index + 1) of \(zone.layers.count)"
        try importer.take(layer, tree, words)
        new.append(try unpack(layer, words))
        numbers.append(new[index].layer.number)
      }
      let all = new
      try stored { () throws(ZoneError) in try store.place(all) }
    } catch {
      for one in new { store.abandon(one.layer) }
      throw error
    }
    let state = { (state: ArchivedZone.State) -> (base: RootBase, layers: [Int], top: RootTop) in
      let image = images[state.image]
      var top = state.top
      top.layer = state.top.layer.map { numbers[$0] } ?? image.top
      return (
        RootBase(image: zone.images[state.image], use: state.use), state.layers.map { numbers[$0] } + image.stack, top
      )
    }
    let now = state(zone.now)
    var root = RootRecord(image: now.base.image, layers: now.layers)
    (root.use, root.top) = (now.base.use, now.top)
    for one in zone.snapshots {
      let found = state(one)
      var snapshot = RootSnapshot(name: one.name, made: one.made, layers: found.layers, top: found.top)
      snapshot.labels = one.labels
      if found.base != now.base { snapshot.base = found.base }
      root.snapshots.append(snapshot)
    }
    return root
  }

  /// An image that the zone is of. It gets no name: whoever made the archive could say any.
  private func install(_ image: RootImage, _ tree: ImportTree) throws(ImageError) -> ImageRecord {
    let bytes: [UInt8]
    if let file = try tree.open("blobs/\(image.manifest.path)") {
      bytes = try file.document(limit: ImageDocument.mostBytes)
      try importer.intake.take(bytes, MediaType.manifest.name, as: image.manifest)
    } else {
      bytes = try importer.intake.document(image.manifest, "the manifest of \(image.name.familiar)")
    }
    guard case .manifest(let manifest) = try ImageDocument.read(bytes, type: nil, name: "its manifest") else {
      throw ImageError("the manifest of \(image.name.familiar) is an index")
    }
    try manifest.check()
    try ImageInstaller.checkConfig(manifest.config.size)
    try importer.take(manifest.config, tree, "its configuration")
    for (number, layer) in manifest.layers.enumerated() {
      try importer.take(layer, tree, "layer \(number + 1) of \(manifest.layers.count)")
    }
    return try importer.installer.install(image.manifest, manifest, bytes: Int64(bytes.count))
  }

  private func unpack(_ layer: ImageDescriptor, _ words: String) throws(ImageError) -> (
    layer: NewLayer, record: LayerRecord
  ) {
    let new = try stored { () throws(ZoneError) in try store.begin() }
    do throws(ImageError) {
      let blob = try called { () throws(SyscallError) in
        try OwnedFD.open(store.blob(layer.digest), O_RDONLY | O_NOFOLLOW)
      }
      let folder = try called { () throws(SyscallError) in
        try OwnedFD.open(new.root, O_PATH | O_DIRECTORY | O_NOFOLLOW)
      }
      let report: UnpackReport
      do throws(UnpackFailure) { report = try unpacker.unpack(blob, into: folder) } catch {
        throw ImageError("\(words): \(error)")
      }
      let record = LayerRecord(
        .zone, digest: nil, bytes: report.bytes, names: report.names, made: Clock.realtimeNanoseconds())
      try stored { () throws(ZoneError) in try store.note(record, of: new) }
      return (new, record)
    } catch {
      store.abandon(new)
      throw error
    }
  }

  /// What the archive's maker may have wanted of this machine.
  /// - Parameter own: volumes that the archive has itself.
  private func powers(of spec: ZoneSpec, _ own: [ArchivedZone.Volume]) -> [String] {
    let own = Set(own.map { $0.name })
    var powers: [String] = []
    for volume in spec.volumes {
      switch volume.source {
      case .path(let path): powers.append("the folder \(path)\(volume.readOnly ? "" : " to write in")")
      case .volume(let name) where volumes.exists(name) && !own.contains(name):
        powers.append("the volume \(name) of this machine")
      case .volume, .tmpfs: continue
      }
    }
    for secret in spec.secrets { powers.append("the secret \(secret.file)") }
    switch spec.network {
    case .host: powers.append("the host's network")
    case .named(let name) where name != "default": powers.append("the network \(name)")
    case .named, .none: break
    }
    if !spec.publish.isEmpty { powers.append("the ports \(spec.publish.map { $0.text }.joined(separator: ","))") }
    if !spec.capAdd.isEmpty { powers.append("the capabilities \(spec.capAdd.joined(separator: ","))") }
    if spec.nesting { powers.append("namespaces of its own") }
    return powers
  }
}
