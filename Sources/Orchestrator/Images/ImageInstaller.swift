internal import Dispatch
internal import Glibc
internal import LayerUnpacking
internal import LinuxNS
internal import NIOConcurrencyHelpers
internal import ZoneRuntime

/// Makes an image of blobs that lie in the store: layers, joint, record. A name is its caller's to give. The store's lock is
/// held, shared.
struct ImageInstaller: Sendable {
  let store: ImageStore
  let unpacker: LayerUnpacker
  /// News for a person: a line each.
  let notice: @Sendable (String) -> Void

  /// - Parameters:
  ///   - manifest: of the blob with these bytes.
  ///   - document: what they say.
  func install(_ manifest: ContentDigest, _ document: ImageManifest, bytes: Int64) throws(ImageError) -> ImageRecord {
    if let record = try stored({ () throws(ZoneError) in try store.completed(manifest) }) { return record }
    try document.check()
    let config = try config(document)
    try config.check(against: document)
    let use = try config.config.map { (said) throws(ImageError) in try ImageUse(said) } ?? ImageUse()

    // Nobody else makes these layers now; and who was at it has made them.
    let claims = try stored { () throws(ZoneError) in
      try store.claim(config.rootfs.digests) { notice("waiting for who unpacks the same layers …") }
    }
    try unpack(claims.missing, document, config)
    var record = ImageRecord(
      manifest: manifest, id: document.config.digest, platform: config.platform.text,
      documents: bytes + document.config.size,
      layers: try layers(document, config).reversed(), use: use)
    try settle(&record, config)
    record.created = config.created
    record.history = (config.history ?? []).map { step in
      ImageStep(
        created: step.created, command: step.createdBy, comment: step.comment, hasLayer: !(step.emptyLayer ?? false))
    }
    let written = record
    try stored { () throws(ZoneError) in try store.write(written) }
    withExtendedLifetime(claims) {}
    return record
  }

  /// An image's name may lead to one for another machine, and no index says so. Before its layers are brought.
  /// - Parameter wanted: what a person asked for, so that nothing else will do; nil: this machine's, and another's is told.
  func check(_ document: ImageManifest, of name: ImageReference, for wanted: Platform?) throws(ImageError) {
    let found = try config(document).platform
    guard found.fitness(on: wanted ?? .ours) == nil else { return }
    guard let wanted else { return notice("\(name.familiar) is for \(found.text): its programs do not run here") }
    throw ImageError("it is for \(found.text), and \(wanted.text) is wanted")
  }

  private func config(_ document: ImageManifest) throws(ImageError) -> ImageConfig {
    try Self.checkConfig(document.config.size)
    let bytes = try BlobIntake(store: store).document(document.config.digest, "its configuration")
    do throws(JSONError) { return try JSON.decode(ImageConfig.self, from: bytes, name: "configuration") } catch {
      throw ImageError("\(error)")
    }
  }

  static let mostConfig: Int64 = 8 << 20

  static func checkConfig(_ size: Int64) throws(ImageError) {
    guard size <= mostConfig else {
      throw ImageError("its configuration has \(size) bytes, and at most \(mostConfig) are taken")
    }
  }

  // MARK: layers

  /// What came of one layer.
  private struct Unpacked: Sendable {
    var layer: NewLayer
    var record: LayerRecord
  }

  /// Beside each other, as many as there are processors. All are put into their places together, or none is.
  private func unpack(_ missing: Set<ContentDigest>, _ document: ImageManifest, _ config: ImageConfig)
    throws(ImageError)
  {
    // A layer that is in the image twice is made once. Of one that is here already nobody has said that it comes of this
    // blob: that is found out, for another engine would have what is in it.
    var known = try knownLayers()
    var jobs: [(index: Int, diff: ContentDigest, isNew: Bool)] = []
    for (index, diff) in config.rootfs.digests.enumerated() {
      let blob = document.layers[index]
      let isNew = missing.contains(diff) && !jobs.contains { $0.diff == diff }
      let isPlain = blob.digest == diff && MediaType(blob.mediaType)?.isPlainLayer == true
      let isFirst = known.insert(KnownLayer(blob: blob.digest, diff: diff, mediaType: blob.mediaType)).inserted
      if isNew || isFirst && !isPlain { jobs.append((index, diff, isNew)) }
    }
    let work = jobs
    let results = NIOLockedValueBox<[Int: Result<Unpacked, ImageError>]>([:])
    DispatchQueue.concurrentPerform(iterations: work.count) { number in
      let job = work[number]
      // One that failed is enough to know.
      guard !results.withLockedValue({ $0.values.contains { (try? $0.get()) == nil } }) else { return }
      let result: Result<Unpacked, ImageError>
      do throws(ImageError) {
        result = .success(
          try unpack(document.layers[job.index], job.diff, "layer \(job.index + 1) of \(document.layers.count)"))
      } catch { result = .failure(error) }
      results.withLockedValue { $0[number] = result }
    }
    var made: [Unpacked] = []
    var failure: ImageError?
    for (number, result) in results.withLockedValue({ $0 }).sorted(by: { $0.key < $1.key }) {
      do throws(ImageError) {
        let one = try result.get()
        if work[number].isNew { made.append(one) } else { store.abandon(one.layer) }
      } catch { failure = failure ?? error }
    }
    do throws(ImageError) {
      if let failure { throw failure }
      try stored { () throws(ZoneError) in try store.place(made.map { ($0.layer, $0.record) }) }
    } catch {
      for one in made { store.abandon(one.layer) }
      throw error
    }
  }

  /// What comes of a blob that is read as its media type says.
  private struct KnownLayer: Hashable {
    var blob: ContentDigest
    var diff: ContentDigest
    var mediaType: String
  }

  /// Of all images that are here.
  private func knownLayers() throws(ImageError) -> Set<KnownLayer> {
    var known: Set<KnownLayer> = []
    for image in try stored({ () throws(ZoneError) in try store.allImages() }) {
      for layer in image.layers {
        known.insert(KnownLayer(blob: layer.blob, diff: layer.diff, mediaType: layer.mediaType))
      }
    }
    return known
  }

  /// - Parameter diff: what it has to be; nil: that is found out.
  private func unpack(_ blob: ImageDescriptor, _ diff: ContentDigest?, _ words: String) throws(ImageError) -> Unpacked {
    var said: MediaType.Compression?
    if case .layer(let compression, _)? = MediaType(blob.mediaType) { said = compression }
    let told = "\(words) (\(blob.digest.algorithm.rawValue):\(blob.digest.short)…)"
    let new = try stored { () throws(ZoneError) in try store.begin() }
    do throws(ImageError) {
      let file = try opened(store.blob(blob.digest), O_RDONLY | O_NOFOLLOW)
      let root = try opened(new.root, O_PATH | O_DIRECTORY | O_NOFOLLOW)
      let report: UnpackReport
      do throws(UnpackFailure) { report = try unpacker.unpack(file, into: root, diffID: diff, compression: said) } catch
      {
        throw ImageError("\(told): \(error)")
      }
      var record = LayerRecord(
        .image, digest: report.diffID, bytes: report.bytes, names: report.names, made: Clock.realtimeNanoseconds(),
        notes: report.notes)
      record.omitted = report.omitted
      record.omissions = report.omissions
      let written = record
      try stored { () throws(ZoneError) in try store.note(written, of: new) }
      notice("\(told): \(record.names) names, \(record.bytes) bytes" + Self.omissions(record))
      return Unpacked(layer: new, record: record)
    } catch {
      store.abandon(new)
      throw error
    }
  }

  private func opened(_ path: String, _ flags: CInt) throws(ImageError) -> OwnedFD {
    do throws(SyscallError) { return try OwnedFD.open(path, flags) } catch { throw ImageError("\(error)") }
  }

  private static func omissions(_ record: LayerRecord) -> String {
    guard record.omitted > 0 else { return "" }
    let more = record.omitted > record.omissions.count ? " …" : ""
    return "; left out \(record.omitted): " + record.omissions.map { $0.words }.joined(separator: ", ") + more
  }

  /// A layer of which nobody has said what it is when it is decoded.
  /// - Returns: its DiffID; it is in its place.
  func unpackUnknown(_ blob: ImageDescriptor) throws(ImageError) -> ContentDigest {
    let made = try unpack(blob, nil, "its layer")
    guard let diff = made.record.digest else { throw ImageError("its layer has no digest") }
    do throws(ImageError) {
      let claims = try stored { () throws(ZoneError) in try store.claim([diff]) }
      if claims.missing.isEmpty {
        store.abandon(made.layer)
      } else {
        try stored { () throws(ZoneError) in try store.place([(made.layer, made.record)]) }
      }
      withExtendedLifetime(claims) {}
      return diff
    } catch {
      store.abandon(made.layer)
      throw error
    }
  }

  /// The lowest first.
  private func layers(_ document: ImageManifest, _ config: ImageConfig) throws(ImageError) -> [ImageLayer] {
    var layers: [ImageLayer] = []
    for (blob, diff) in zip(document.layers, config.rootfs.digests) {
      let number = try stored { () throws(ZoneError) in try store.layer(ofDiff: diff) }
      guard let number, let record = try stored({ () throws(ZoneError) in try store.layerRecord(number) }) else {
        throw ImageError("its layer \(diff.text) is gone from the store")
      }
      layers.append(
        ImageLayer(
          number: number, diff: diff, bytes: record.bytes, blob: blob.digest, size: blob.size, mediaType: blob.mediaType
        ))
    }
    return layers
  }

  // MARK: the stack

  /// What the layers need beside each other: which of them are seen, and the joint.
  private func settle(_ record: inout ImageRecord, _ config: ImageConfig) throws(ImageError) {
    let stack = Array(record.stack.reversed())
    var notes: [LayerNotes] = []
    for number in stack {
      guard let layer = try stored({ () throws(ZoneError) in try store.layerRecord(number) }) else {
        throw ImageError("layer \(number) is gone from the store")
      }
      notes.append(layer.notes)
    }
    let lowest = notes.lastIndex { $0.hidesAll } ?? 0
    record.top = notes.lastIndex { $0.tellsTop }.map { stack[$0] }
    record.stack = stack.isEmpty ? [] : Array(stack[lowest...].reversed())
    guard notes.contains(where: { !$0.parents.isEmpty || !$0.deletingFolders.isEmpty }) else { return }

    guard let chain = config.rootfs.chain({ BlobHash.of($0) }).last else { return }
    if let joint = try stored({ () throws(ZoneError) in try store.joint(ofChain: chain) }) {
      record.joint = joint
    } else {
      let new = try stored { () throws(ZoneError) in try store.begin() }
      do throws(ImageError) {
        let folders = try JointMaker.make(store, stack, into: new)
        if folders == 0 {
          store.abandon(new)
          return
        }
        let joint = LayerRecord(.joint, digest: chain, names: folders, made: Clock.realtimeNanoseconds())
        try stored { () throws(ZoneError) in
          try store.note(joint, of: new)
          try store.place([(new, joint)])
        }
        record.joint = new.number
      } catch {
        store.abandon(new)
        throw error
      }
    }
    if let joint = record.joint { record.stack.insert(joint, at: 0) }
  }
}

extension MediaType {
  /// A layer as it is, not compressed: its digest is its DiffID.
  fileprivate var isPlainLayer: Bool {
    if case .layer(.none, _) = self { true } else { false }
  }
}
