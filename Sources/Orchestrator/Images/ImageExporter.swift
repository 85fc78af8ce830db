internal import Glibc
internal import LinuxNS
public import ZoneRuntime

/// `image export`: an image as one archive, an OCI layout that is docker save's too (as Docker writes it since 25): podman,
/// docker, skopeo and containerd read one of the two.
public struct ImageExporter {
  let store: ImageStore
  let tell: @Sendable (FetchNews) -> Void

  public init(_ store: ImageStore, tell: @escaping @Sendable (FetchNews) -> Void) {
    self.store = store
    self.tell = tell
  }

  /// - Parameters:
  ///   - name: what it is called in the archive; nil: nothing is said.
  ///   - path: a file, which is there when all of it is; `-` is standard output.
  public func run(_ image: ImageRecord, name: ImageReference?, to path: String) throws(ImageError) {
    let lock = try stored { () throws(ZoneError) in try store.lock(.shared) }
    defer { withExtendedLifetime(lock) {} }
    let plan = try ExportPlan(image.manifest, name, store)
    try ArchiveOutput.write(to: path) { (output, words) throws(ImageError) in try write(plan, to: output, words) }
  }

  // MARK: writing

  func write(_ plan: ExportPlan, to output: borrowing OwnedFD, _ words: String) throws(ImageError) {
    for folder in plan.folders { try put(TarEntry(folder, .directory, mode: 0o755), output, words) }
    for (name, bytes) in plan.documents {
      try put(TarEntry(name, .file(size: Int64(bytes.count))), output, words)
      try put(bytes[...], output, words)
      try pad(Int64(bytes.count), output, words)
    }
    for (index, layer) in plan.layers.enumerated() {
      let what = "layer \(index + 1) of \(plan.layers.count)"
      do throws(ImageError) { try put(layer, what, output, words) } catch {
        throw ImageError("\(what) (\(layer.digest.algorithm.rawValue):\(layer.digest.short)…): \(error.why)")
      }
    }
    try put(TarWriter.end[...], output, words)
  }

  private func put(_ layer: ImageDescriptor, _ what: String, _ output: borrowing OwnedFD, _ words: String)
    throws(ImageError)
  {
    let file = try BlobIntake(store: store).blob(layer)
    try put(TarEntry("blobs/\(layer.digest.path)", .file(size: layer.size)), output, words)
    var hash = BlobHash(layer.digest.algorithm)
    var news = FetchNews(words: what, digest: layer.digest, state: .fetching, have: 0, size: layer.size)
    var room = [UInt8](repeating: 0, count: 1 << 18)
    while news.have < layer.size {
      var got = 0
      var failure: ImageError?
      room.withUnsafeMutableBytes { room in
        do throws(ImageError) { got = try file.read(at: news.have, into: room) } catch { failure = error }
      }
      if let failure { throw failure }
      room.withUnsafeBytes { hash.update(UnsafeRawBufferPointer(rebasing: $0[..<got])) }
      try put(room[..<got], output, words)
      news.have += Int64(got)
      tell(news)
    }
    guard hash.digest == layer.digest else {
      throw ImageError(
        "its bytes are \(hash.digest.text): the disk has changed them (zonectl image prune --blobs, then pull or import it again)"
      )
    }
    try pad(layer.size, output, words)
    news.state = .done
    tell(news)
  }

  private func put(_ entry: TarEntry, _ output: borrowing OwnedFD, _ words: String) throws(ImageError) {
    let header: [UInt8]
    do throws(TarError) { header = try TarWriter.header(of: entry) } catch { throw ImageError("\(error)") }
    try put(header[...], output, words)
  }

  private func pad(_ size: Int64, _ output: borrowing OwnedFD, _ words: String) throws(ImageError) {
    try put([UInt8](repeating: 0, count: TarWriter.padding(after: size))[...], output, words)
  }

  private func put(_ bytes: ArraySlice<UInt8>, _ output: borrowing OwnedFD, _ words: String) throws(ImageError) {
    let error = bytes.withUnsafeBytes { FileSystem.write(all: $0, to: output) }
    guard error == 0 else { throw ImageError("\(SyscallError(call: "write", errno: error, path: words))") }
  }
}

/// What an archive of an image has in it, but for the layers' bytes.
struct ExportPlan {
  var folders = ["blobs/"]
  var documents: [(name: String, bytes: [UInt8])] = []
  /// Each once.
  var layers: [ImageDescriptor] = []

  init(_ image: ContentDigest, _ name: ImageReference?, _ store: ImageStore) throws(ImageError) {
    let intake = BlobIntake(store: store)
    let bytes = try intake.document(image, "its manifest")
    guard case .manifest(let manifest) = try ImageDocument.read(bytes, type: nil, name: "its manifest") else {
      throw ImageError("its manifest is an index")
    }
    var descriptor = ImageDescriptor(
      mediaType: manifest.mediaType ?? MediaType.manifest.name, digest: image, size: Int64(bytes.count))
    if let name {
      // The first is what OCI's tools look for, the second is containerd's, and has the registry.
      descriptor.annotations = [
        ImageDescriptor.refName: name.tag ?? ImageReference.latest, ImportNaming.fullName: name.byTag.text,
      ]
    }
    var index = ImageIndex(manifests: [descriptor])
    index.annotations = nil
    var seen: Set<ContentDigest> = []
    for layer in manifest.layers where seen.insert(layer.digest).inserted { layers.append(layer) }
    let saved = DockerArchiveImage(
      config: "blobs/\(manifest.config.digest.path)", repositoryTags: name.map { [$0.byTag.familiar] },
      layers: manifest.layers.map { "blobs/\($0.digest.path)" })
    let algorithms = Set((layers + [manifest.config, descriptor]).map { $0.digest.algorithm.rawValue })
    folders += algorithms.sorted().map { "blobs/\($0)/" }
    documents = [
      ("oci-layout", try encoded(LayoutMark())), ("index.json", try encoded(index)),
      ("manifest.json", try encoded([saved])), ("blobs/\(image.path)", bytes),
      (
        "blobs/\(manifest.config.digest.path)",
        try intake.document(manifest.config.digest, "its configuration")
      ),
    ]
  }
}
