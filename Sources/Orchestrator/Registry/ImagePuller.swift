internal import Dispatch
internal import Glibc
public import LayerUnpacking
internal import LinuxNS
internal import NIOConcurrencyHelpers
public import ZoneRuntime

/// `image pull`: an image of a registry, into the store. A kill at any point leaves what the next pull goes on with.
public struct ImagePuller: Sendable {
  public struct Pulled: Equatable, Sendable {
    public var name: ImageReference
    /// What the registry has under the name: the manifest's, or that of the index it was chosen from.
    public var digest: ContentDigest
  }

  let store: ImageStore
  /// nil: this machine's, if there is a choice.
  let platform: Platform?
  let options: RegistryOptions
  let installer: ImageInstaller
  let tell: @Sendable (FetchNews) -> Void
  let transport: RegistryTransport
  let logins: RegistryLogins

  /// - Parameters:
  ///   - environment: proxies and the places of logins are in it.
  ///   - notice: a line for a person.
  ///   - tell: how far the blobs are.
  /// - Throws: for a proxy or authorities that cannot be used.
  public init(
    _ store: ImageStore, platform: Platform?, _ options: RegistryOptions, environment: [String: String],
    unpacker: LayerUnpacker = LayerUnpacker(), notice: @escaping @Sendable (String) -> Void,
    tell: @escaping @Sendable (FetchNews) -> Void
  ) throws(ImageError) {
    self.store = store
    self.platform = platform
    self.options = options
    self.tell = tell
    installer = ImageInstaller(store: store, unpacker: unpacker, notice: notice)
    transport = try RegistryTransport(options, environment: environment)
    logins = RegistryLogins(named: options.logins, environment: environment, user: geteuid())
  }

  /// Blocks its thread until the image is there, or could not be brought.
  public func run(_ name: ImageReference) throws(ImageError) -> Pulled {
    let lock = try stored { () throws(ZoneError) in
      try store.share(installer.notice)
    }
    defer { withExtendedLifetime(lock) {} }
    let fetched = try waiting { () async -> Result<Fetched, ImageError> in
      do throws(ImageError) { return .success(try await fetch(name)) } catch { return .failure(error) }
    }
    _ = try installer.install(fetched.manifest, fetched.document, bytes: fetched.bytes)
    let name = name.digest == nil ? name.byTag : name.byDigest
    let record = ReferenceRecord(
      manifest: fetched.manifest, index: fetched.index, origin: "pull", owner: geteuid(),
      made: Clock.realtimeNanoseconds())
    try stored { () throws(ZoneError) in try store.put(record, as: name) }
    return Pulled(name: name, digest: fetched.index ?? fetched.manifest)
  }

  /// What the registry has under a name now: the digest of a manifest or an index. Brings nothing.
  public func newest(_ name: ImageReference) throws(ImageError) -> ContentDigest {
    try waiting { () async -> Result<ContentDigest, ImageError> in
      do throws(ImageError) {
        let answer = try await RegistryClient(name, options, transport, logins).manifest(name.pointer)
        return .success(try Self.digest(of: answer, name.digest))
      } catch { return .failure(error) }
    }
  }

  /// The end of `run`'s connections.
  public func end() { waiting { await transport.end() } }

  // MARK: fetching

  private struct Fetched: Sendable {
    var manifest: ContentDigest
    var document: ImageManifest
    var bytes: Int64
    var index: ContentDigest?
  }

  private func fetch(_ name: ImageReference) async throws(ImageError) -> Fetched {
    let client = RegistryClient(name, options, transport, logins)
    let intake = BlobIntake(store: store)
    var answer = try await client.manifest(name.pointer)
    var digest = try Self.digest(of: answer, name.digest)
    var index: ContentDigest?
    // An index may point at another; a ring of them cannot be, since each has the other's hash in it.
    for _ in 0..<4 {
      switch try ImageDocument.read(answer.bytes, type: answer.mediaType, name: "its manifest") {
      case .index(let list):
        index = index ?? digest
        try intake.take(answer.bytes, MediaType.index.name, as: digest)
        let chosen = try list.choose(for: platform ?? .ours)
        answer = try await document(chosen, client)
        digest = chosen.digest
      case .manifest(let manifest):
        try intake.take(answer.bytes, MediaType.manifest.name, as: digest)
        try manifest.check()
        try ImageInstaller.checkConfig(manifest.config.size)
        try await fetch(manifest, of: name, client)
        return Fetched(manifest: digest, document: manifest, bytes: Int64(answer.bytes.count), index: index)
      }
    }
    throw ImageError("its index points at an index, which points at an index …")
  }

  /// What an index points at: here, or from the registry.
  private func document(_ wanted: ImageDescriptor, _ client: RegistryClient) async throws(ImageError)
    -> RegistryClient.Document
  {
    var answer = try await client.manifest(wanted.digest.text)
    guard Int64(answer.bytes.count) == wanted.size else {
      throw ImageError(
        "manifest \(wanted.digest.short) has \(answer.bytes.count) bytes, and \(wanted.size) are promised")
    }
    _ = try Self.digest(of: answer, wanted.digest)
    answer.mediaType = wanted.mediaType
    return answer
  }

  /// - Parameter wanted: what it was asked for by; otherwise what the answer says counts, if it says something.
  private static func digest(of answer: RegistryClient.Document, _ wanted: ContentDigest?) throws(ImageError)
    -> ContentDigest
  {
    let promised = wanted ?? answer.digest.flatMap { try? ContentDigest(parsing: $0) }
    let found = BlobHash.of(answer.bytes, promised?.algorithm ?? .sha256)
    if let promised, promised != found {
      throw ImageError("the bytes of its manifest are \(found.text), and \(promised.text) is promised")
    }
    return found
  }

  /// Configuration and layers, as many beside each other as was said. One that fails ends all.
  private func fetch(_ manifest: ImageManifest, of name: ImageReference, _ client: RegistryClient)
    async throws(ImageError)
  {
    let fetcher = BlobFetcher(store: store, client: client, tell: tell)
    try await fetcher.fetch(manifest.config, "its configuration")
    try installer.check(manifest, of: name, for: platform)
    var seen: Set<ContentDigest> = [manifest.config.digest]
    var rest: [(ImageDescriptor, String)] = []
    for (number, layer) in manifest.layers.enumerated() where seen.insert(layer.digest).inserted {
      rest.append((layer, "layer \(number + 1) of \(manifest.layers.count)"))
    }
    try await beside(options.jobs, rest) { (layer, words) throws(ImageError) in try await fetcher.fetch(layer, words) }
  }
}
