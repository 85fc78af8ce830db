internal import Glibc
internal import LinuxNS
internal import NIOHTTP1
public import ZoneRuntime

/// `image push`: an image of the store, to a registry. What is there already is not sent again.
public struct ImagePusher: Sendable {
  let store: ImageStore
  let options: RegistryOptions
  let notice: @Sendable (String) -> Void
  let tell: @Sendable (FetchNews) -> Void
  let transport: RegistryTransport
  let logins: RegistryLogins

  /// - Parameters:
  ///   - environment: proxies and the places of logins are in it.
  ///   - notice: a line for a person.
  ///   - tell: how far the blobs are.
  /// - Throws: for a proxy or authorities that cannot be used.
  public init(
    _ store: ImageStore, _ options: RegistryOptions, environment: [String: String],
    notice: @escaping @Sendable (String) -> Void, tell: @escaping @Sendable (FetchNews) -> Void
  ) throws(ImageError) {
    self.store = store
    self.options = options
    self.notice = notice
    self.tell = tell
    transport = try RegistryTransport(options, environment: environment)
    logins = RegistryLogins(named: options.logins, environment: environment, user: geteuid())
  }

  /// Blocks its thread until the registry has the image under that name.
  public func run(_ image: ImageRecord, as name: ImageReference) throws(ImageError) {
    let lock = try stored { () throws(ZoneError) in
      try store.share(notice)
    }
    defer { withExtendedLifetime(lock) {} }
    let bytes = try BlobIntake(store: store).document(image.manifest, "its manifest")
    guard case .manifest(let manifest) = try ImageDocument.read(bytes, type: nil, name: "its manifest") else {
      throw ImageError("its manifest is an index")
    }
    let neighbours = try neighbours(of: name, manifest)
    try waiting { () async -> Result<Void, ImageError> in
      do throws(ImageError) { return .success(try await push(manifest, bytes, image, name, neighbours)) } catch {
        return .failure(error)
      }
    }
  }

  /// The end of `run`'s connections.
  public func end() { waiting { () async -> Void in await transport.end() } }

  /// Other repositories of the registry, by names of images that are here and have one of its blobs.
  private func neighbours(of name: ImageReference, _ manifest: ImageManifest) throws(ImageError)
    -> [ContentDigest: [String]]
  {
    var found: [ContentDigest: [String]] = [:]
    let wanted = Set(manifest.layers.map { $0.digest })
    let look = try stored { () throws(ZoneError) in
      (names: try store.allReferences(), images: try store.allImages())
    }
    for other in look.names where other.name.registry == name.registry && other.name.repository != name.repository {
      guard let image = look.images.first(where: { $0.manifest == other.record.manifest }) else { continue }
      for layer in Set(image.layers.map { $0.blob }).intersection(wanted) {
        if found[layer]?.contains(other.name.repository) != true {
          found[layer, default: []].append(other.name.repository)
        }
      }
    }
    return found
  }

  private func push(
    _ manifest: ImageManifest, _ bytes: [UInt8], _ image: ImageRecord, _ name: ImageReference,
    _ neighbours: [ContentDigest: [String]]
  ) async throws(ImageError) {
    let client = RegistryClient(name, options, transport, logins, isPushing: true)
    let pusher = BlobPusher(store: store, client: client, neighbours: neighbours, tell: tell)
    var seen: Set<ContentDigest> = []
    var jobs: [(ImageDescriptor, String)] = []
    for (number, layer) in manifest.layers.enumerated() where seen.insert(layer.digest).inserted {
      jobs.append((layer, "layer \(number + 1) of \(manifest.layers.count)"))
    }
    if seen.insert(manifest.config.digest).inserted { jobs.append((manifest.config, "its configuration")) }
    try await beside(options.jobs, jobs) { (blob, words) throws(ImageError) in try await pusher.push(blob, words) }
    // Last of all: a registry refuses one whose blobs it has not.
    try await client.put(bytes, manifest.mediaType ?? MediaType.manifest.name, image.manifest)
  }
}

extension RegistryClient {
  /// A manifest, under the image's tag.
  func put(_ bytes: [UInt8], _ mediaType: String, _ digest: ContentDigest) async throws(ImageError) {
    var patience = RegistryPatience()
    while true {
      do throws(RegistryFailure) {
        let answer = try await send(
          .PUT, home("\(image.repository)/manifests/\(image.pointer)"), [("Content-Type", mediaType)],
          body: .bytes(bytes))
        guard answer.status == 201 || answer.status == 202 else { throw await answer.failure() }
        // Where it was told under another hash than ours, nobody will find it.
        if let told = answer.value("Docker-Content-Digest"), told != digest.text {
          throw RegistryFailure("\(answer.url.authority) has it as \(shortened(told)), and it is \(digest.text)")
        }
        return
      } catch { try await patience.wait(after: error) }
    }
  }
}
