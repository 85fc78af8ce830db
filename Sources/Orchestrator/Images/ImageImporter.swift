internal import Glibc
public import LayerUnpacking
internal import LinuxNS
public import ZoneRuntime

/// `image import`: brings images of a folder, a file or a pipe into the store.
public struct ImageImporter {
  public enum Form: String, CaseIterable, Sendable { case auto, oci, docker, tar }

  public struct Imported: Equatable, Sendable {
    public var name: ImageReference
    public var digest: ContentDigest
  }

  let store: ImageStore
  let installer: ImageInstaller
  let intake: BlobIntake
  /// nil: this machine's, if there is a choice.
  let platform: Platform?
  /// Decodes what is compressed, out of our sight.
  let decoder: ArchiveDecoder

  public init(
    _ store: ImageStore, platform: Platform? = nil, unpacker: LayerUnpacker = LayerUnpacker(),
    notice: @escaping @Sendable (String) -> Void
  ) {
    self.store = store
    self.platform = platform
    intake = BlobIntake(store: store)
    installer = ImageInstaller(store: store, unpacker: unpacker, notice: notice)
    decoder = ArchiveDecoder()
  }

  /// - Parameters:
  ///   - path: a file, a folder, or `-`, standard input.
  ///   - form: what it is; otherwise that is found out.
  ///   - name: of the image, or of all of them; otherwise as they say themselves.
  /// - Returns: the names that are there now, in their order.
  public func run(_ path: String, _ form: Form, name: String?) throws(ImageError) -> [Imported] {
    try run(path, form, ImportNaming(name))
  }

  /// A root in an archive, under the beginning of the archive's digest: each time the same name for the same bytes.
  public func run(archive path: String) throws(ImageError) -> Imported {
    try run(path, .tar, ImportNaming(byDigestIn: "localhost/tar"))[0]
  }

  private func run(_ path: String, _ form: Form, _ naming: ImportNaming) throws(ImageError) -> [Imported] {
    let lock = try stored { () throws(ZoneError) in try store.lock(.shared) }
    defer { withExtendedLifetime(lock) {} }
    if path == "-" {
      let (part, file) = try intake.putDown(OwnedFD(raw: 0))
      defer { store.abandon(part) }
      return try archive(file, form, naming)
    }
    let status = try called { () throws(SyscallError) in try FileSystem.status(path) }
    switch status.st_mode & S_IFMT {
    case S_IFDIR: return try folder(try called { () throws(SyscallError) in try FolderTree(path) }, form, naming)
    case S_IFREG:
      let file = try called { () throws(SyscallError) in try OwnedFD.open(path, O_RDONLY | O_NONBLOCK) }
      return try archive(ImportFile(file, size: Int64(status.st_size)), form, naming)
    case S_IFIFO:
      let pipe = try called { () throws(SyscallError) in try OwnedFD.open(path, O_RDONLY) }
      let (part, file) = try intake.putDown(pipe)
      defer { store.abandon(part) }
      return try archive(file, form, naming)
    default: throw ImageError("it is no file, folder or pipe")
    }
  }

  /// What is in an archive, compressed or not, or in a folder. The store's lock is held, shared.
  func look<Found>(into path: String, _ body: (ImportTree) throws(ImageError) -> Found) throws(ImageError) -> Found {
    if path != "-" {
      let status = try called { () throws(SyscallError) in try FileSystem.status(path) }
      if status.st_mode & S_IFMT == S_IFDIR {
        return try body(.folder(try called { () throws(SyscallError) in try FolderTree(path) }))
      }
      if status.st_mode & S_IFMT == S_IFREG {
        let file = try called { () throws(SyscallError) in try OwnedFD.open(path, O_RDONLY | O_NONBLOCK) }
        return try look(into: ImportFile(file, size: Int64(status.st_size)), body)
      }
    }
    let pipe =
      path == "-" ? OwnedFD(raw: dup(0)) : try called { () throws(SyscallError) in try OwnedFD.open(path, O_RDONLY) }
    let (part, file) = try intake.putDown(pipe)
    defer { store.abandon(part) }
    return try look(into: file, body)
  }

  private func look<Found>(into file: ImportFile, _ body: (ImportTree) throws(ImageError) -> Found) throws(ImageError)
    -> Found
  {
    let compression = try Self.compression(of: file)
    if compression == .none { return try body(.archive(try ArchiveTree(file))) }
    let part = try stored { () throws(ZoneError) in try store.part() }
    defer { store.abandon(part) }
    return try body(.archive(try ArchiveTree(try decoder.decode(file, into: part))))
  }

  /// By the first bytes.
  private static func compression(of file: ImportFile) throws(ImageError) -> MediaType.Compression {
    var first = [UInt8](repeating: 0, count: 4)
    var failure: ImageError?
    first.withUnsafeMutableBytes { room in
      do throws(ImageError) { _ = try file.read(at: 0, into: room) } catch { failure = error }
    }
    if let failure { throw failure }
    return MediaType.Compression(magic: first)
  }

  // MARK: forms

  private func folder(_ folder: FolderTree, _ form: Form, _ naming: ImportNaming) throws(ImageError) -> [Imported] {
    let tree = ImportTree.folder(folder)
    switch form {
    case .oci: return try layout(tree, naming)
    case .docker: return try saved(tree, naming)
    case .tar: throw ImageError("it is a folder (tar -C FOLDER -c . | zonectl image import - NAME)")
    case .auto:
      if try tree.open("oci-layout") != nil { return try layout(tree, naming) }
      if try tree.open("manifest.json") != nil { return try saved(tree, naming) }
      throw ImageError(
        "it is a folder without the file oci-layout or manifest.json (of a root: tar -C FOLDER -c . | zonectl image import - NAME)"
      )
    }
  }

  private func archive(_ file: ImportFile, _ form: Form, _ naming: ImportNaming) throws(ImageError) -> [Imported] {
    let compression = try Self.compression(of: file)
    var found = form
    if form == .auto { found = try ArchiveForm.of(file, compression, decoder) }
    if found == .tar { return [try plain(file, compression, naming)] }
    if compression == .none { return try images(of: file, found, naming) }
    let part = try stored { () throws(ZoneError) in try store.part() }
    defer { store.abandon(part) }
    return try images(of: try decoder.decode(file, into: part), found, naming)
  }

  private func images(of file: ImportFile, _ form: Form, _ naming: ImportNaming) throws(ImageError) -> [Imported] {
    let tree = ImportTree.archive(try ArchiveTree(file))
    return form == .docker ? try saved(tree, naming) : try layout(tree, naming)
  }

  // MARK: a plain tar

  private func plain(_ file: ImportFile, _ compression: MediaType.Compression, _ naming: ImportNaming)
    throws(ImageError)
    -> Imported
  {
    // Without a name nothing need be read.
    if !naming.isByDigest { _ = try naming.only() }
    var layer = try intake.take(file)
    let name = try naming.only(layer.digest)
    layer.mediaType = MediaType.layer(compression, isDistributable: true).name
    // The same archive was unpacked before: it is known what it is when it is decoded.
    let all = try stored { () throws(ZoneError) in try store.allImages() }
    let same = all.lazy.flatMap { $0.layers }.first { $0.blob == layer.digest }
    let diff: ContentDigest
    if let same { diff = same.diff } else { diff = try installer.unpackUnknown(layer) }
    var config = ImageConfig(platform: platform ?? .ours, layers: [diff])
    config.config = ImageExecution()
    return try install(config, [layer], name)
  }

  /// An image whose manifest is ours. Equal layers and configurations give an equal one.
  private func install(_ config: ImageConfig, _ layers: [ImageDescriptor], _ name: ImageReference) throws(ImageError)
    -> Imported
  {
    let bytes = try encoded(config)
    return try install(try intake.take(bytes, MediaType.config.name), layers, name)
  }

  private func install(_ config: ImageDescriptor, _ layers: [ImageDescriptor], _ name: ImageReference)
    throws(ImageError)
    -> Imported
  {
    let manifest = ImageManifest(config: config, layers: layers)
    let bytes = try encoded(manifest)
    let blob = try intake.take(bytes, MediaType.manifest.name)
    try installer.check(manifest, of: name, for: platform)
    _ = try installer.install(blob.digest, manifest, bytes: blob.size)
    return try named(name, blob.digest, nil)
  }

  private func named(_ name: ImageReference, _ manifest: ContentDigest, _ index: ContentDigest?) throws(ImageError)
    -> Imported
  {
    let record = ReferenceRecord(
      manifest: manifest, index: index, origin: "import", owner: geteuid(), made: Clock.realtimeNanoseconds())
    try stored { () throws(ZoneError) in try store.put(record, as: name) }
    return Imported(name: name, digest: manifest)
  }

  // MARK: an OCI layout

  private func layout(_ tree: ImportTree, _ naming: ImportNaming) throws(ImageError) -> [Imported] {
    let mark = try document(tree, "oci-layout", limit: 1 << 16)
    let version: LayoutMark
    do throws(JSONError) { version = try JSON.decode(LayoutMark.self, from: mark, name: "oci-layout") } catch {
      throw ImageError("\(error)")
    }
    try version.check()
    let bytes = try document(tree, "index.json", limit: ImageDocument.mostBytes)
    guard case .index(let index) = try ImageDocument.read(bytes, type: nil, name: "index.json") else {
      throw ImageError("index.json is no index")
    }
    let images = index.manifests.filter { descriptor in
      let type = MediaType(descriptor.mediaType)
      return type == .manifest || type == .index
    }
    guard !images.isEmpty else { throw ImageError("there is no image in its index.json") }
    // Several of one name, or of none, are one image for several platforms.
    var groups: [(name: ImageReference, images: [ImageDescriptor])] = []
    for image in images {
      let name = try naming.name(ofLayout: image, among: images)
      if let at = groups.firstIndex(where: { $0.name == name }) {
        groups[at].images.append(image)
      } else {
        groups.append((name, [image]))
      }
    }
    var imported: [Imported] = []
    for group in groups {
      let chosen =
        group.images.count == 1
        ? group.images[0] : try ImageIndex(manifests: group.images).choose(for: platform ?? .ours)
      do throws(ImageError) { imported.append(try self.image(chosen, tree, group.name)) } catch {
        throw ImageError(groups.count > 1 ? "\(group.name.familiar): \(error)" : error.why)
      }
    }
    return imported
  }

  private func image(_ descriptor: ImageDescriptor, _ tree: ImportTree, _ name: ImageReference) throws(ImageError)
    -> Imported
  {
    var index: ContentDigest?
    var next = descriptor
    // An index may point at another; a ring of them cannot be, since each has the other's hash in it.
    for _ in 0..<4 {
      let bytes = try blob(next, tree)
      switch try ImageDocument.read(bytes, type: next.mediaType, name: "blob \(next.digest.short)") {
      case .index(let list):
        index = index ?? next.digest
        try intake.take(bytes, next.mediaType, as: next.digest)
        next = try list.choose(for: platform ?? .ours)
      case .manifest(let manifest):
        try intake.take(bytes, next.mediaType, as: next.digest)
        try manifest.check()
        try ImageInstaller.checkConfig(manifest.config.size)
        try take(manifest.config, tree, "its configuration")
        try installer.check(manifest, of: name, for: platform)
        for (number, layer) in manifest.layers.enumerated() {
          try take(layer, tree, "layer \(number + 1) of \(manifest.layers.count)")
        }
        _ = try installer.install(next.digest, manifest, bytes: Int64(bytes.count))
        return try named(name, next.digest, index)
      }
    }
    throw ImageError("its index points at an index, which points at an index …")
  }

  func take(_ blob: ImageDescriptor, _ tree: ImportTree, _ words: String) throws(ImageError) {
    do throws(ImageError) {
      guard let file = try tree.open("blobs/\(blob.digest.path)") else {
        // What is here already need not come again.
        if try stored({ () throws(ZoneError) in try store.size(ofBlob: blob.digest) }) == blob.size { return }
        throw ImageError("it is not in the layout")
      }
      try intake.take(file, as: blob)
    } catch { throw ImageError("\(words) (\(blob.digest.algorithm.rawValue):\(blob.digest.short)…): \(error.why)") }
  }

  /// A manifest or an index, checked.
  func blob(_ descriptor: ImageDescriptor, _ tree: ImportTree) throws(ImageError) -> [UInt8] {
    let bytes = try document(tree, "blobs/\(descriptor.digest.path)", limit: ImageDocument.mostBytes)
    guard Int64(bytes.count) == descriptor.size else {
      throw ImageError("blob \(descriptor.digest.short) has \(bytes.count) bytes, and \(descriptor.size) are promised")
    }
    let found = BlobHash.of(bytes, descriptor.digest.algorithm)
    guard found == descriptor.digest else {
      throw ImageError("the bytes of blob \(descriptor.digest.text) are \(found.text)")
    }
    return bytes
  }

  func document(_ tree: ImportTree, _ path: String, limit: Int) throws(ImageError) -> [UInt8] {
    guard let file = try tree.open(path) else { throw ImageError("there is no \(path) in it") }
    do throws(ImageError) { return try file.document(limit: limit) } catch { throw ImageError("\(path): \(error)") }
  }

  // MARK: docker save

  private func saved(_ tree: ImportTree, _ naming: ImportNaming) throws(ImageError) -> [Imported] {
    let bytes = try document(tree, "manifest.json", limit: ImageDocument.mostBytes)
    let images: [DockerArchiveImage]
    do throws(JSONError) {
      images = try JSON.decode([DockerArchiveImage].self, from: bytes, name: "manifest.json")
    } catch {
      throw ImageError("\(error)")
    }
    guard !images.isEmpty else { throw ImageError("there is no image in its manifest.json") }
    var imported: [Imported] = []
    for image in images {
      guard image.layers.count <= ImageManifest.mostLayers else {
        throw ImageError("it has \(image.layers.count) layers, and at most \(ImageManifest.mostLayers) can be mounted")
      }
      let names = try naming.names(ofSaved: image, among: images.count)
      let config = try document(tree, image.config, limit: Int(ImageInstaller.mostConfig))
      var layers: [ImageDescriptor] = []
      for (number, path) in image.layers.enumerated() {
        do throws(ImageError) {
          guard let file = try tree.open(path) else { throw ImageError("it is not in the archive") }
          layers.append(try takeLayer(file))
        } catch {
          throw ImageError("layer \(number + 1) of \(image.layers.count) (\(BytePath(path).words)): \(error.why)")
        }
      }
      let blob = try intake.take(config, MediaType.config.name)
      for name in names { imported.append(try install(blob, layers, name)) }
    }
    return imported
  }

  private func takeLayer(_ file: ImportFile) throws(ImageError) -> ImageDescriptor {
    let compression = try Self.compression(of: file)
    var layer = try intake.take(file)
    layer.mediaType = MediaType.layer(compression, isDistributable: true).name
    return layer
  }
}
