/// What is wrong with an image that others have made; the end of a line that begins with the image's name.
public struct ImageError: Error, Equatable, Sendable, CustomStringConvertible {
  public var why: String
  public init(_ why: String) { self.why = why }
  public var description: String { why }
}

/// Points at a blob (image-spec, descriptor.md).
public struct ImageDescriptor: Equatable, Sendable, JSONOpenObject {
  public var mediaType: String
  public var digest: ContentDigest
  /// Of the blob, in bytes: known before it is fetched, so an endless answer ends there.
  public var size: Int64
  public var platform: Platform?
  public var annotations: [String: String]?
  public var others: [JSONTree.Member] = []

  /// In an index.json of a layout: the tag (image-layout.md).
  public static let refName = "org.opencontainers.image.ref.name"
  public static var blank: ImageDescriptor { ImageDescriptor(mediaType: "", digest: .ofNothing, size: 0) }

  public init(mediaType: String, digest: ContentDigest, size: Int64) {
    self.mediaType = mediaType
    self.digest = digest
    self.size = size
  }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("mediaType", &mediaType)
    try json.field("digest", &digest)
    try json.field("size", &size)
    try json.field("platform", &platform)
    try json.field("annotations", &annotations)
    guard size >= 0 else { throw JSONError(why: "a size of \(size)") }
  }
}

extension ContentDigest {
  /// SHA-256 of no byte: also the digest of the empty layer's content.
  public static let ofNothing = ContentDigest(
    algorithm: .sha256, hex: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")

  private init(algorithm: Algorithm, hex: String) {
    self.algorithm = algorithm
    self.hex = hex
  }
}

/// One image for one platform (image-spec, manifest.md): its configuration and its layers, the lowest first.
public struct ImageManifest: Equatable, Sendable, JSONOpenObject {
  public var schemaVersion = 2
  public var mediaType: String? = MediaType.manifest.name
  public var config: ImageDescriptor
  public var layers: [ImageDescriptor]
  public var annotations: [String: String]?
  public var others: [JSONTree.Member] = []

  public static var blank: ImageManifest { ImageManifest(config: .blank, layers: []) }
  /// overlayfs takes 500 (OVL_MAX_STACK); a zone's own layers and snapshots come on top.
  public static let mostLayers = 256

  public init(config: ImageDescriptor, layers: [ImageDescriptor]) {
    self.config = config
    self.layers = layers
  }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("schemaVersion", &schemaVersion)
    try json.field("mediaType", &mediaType)
    try json.field("config", &config)
    try json.field("layers", &layers)
    try json.field("annotations", &annotations)
  }

  /// - Throws: for what is no image that can be unpacked; the layer is told by its number, from 1.
  public func check() throws(ImageError) {
    guard MediaType(config.mediaType) == .config else {
      throw ImageError(
        "its configuration is of type \(shortened(config.mediaType)): no image, or one of another engine's")
    }
    guard layers.count <= Self.mostLayers else {
      throw ImageError("it has \(layers.count) layers, and at most \(Self.mostLayers) can be mounted")
    }
    for index in layers.indices {
      guard case .layer? = MediaType(layers[index].mediaType) else {
        throw ImageError(
          "layer \(index + 1) is of type \(shortened(layers[index].mediaType)); known are tar, gzip and zstd")
      }
    }
  }

  /// Of configuration and layers, in bytes, as they are fetched; a layer that is named twice counts once.
  public var size: Int64 {
    var seen: Set<ContentDigest> = []
    var sum: Int64 = 0
    for blob in [config] + layers where seen.insert(blob.digest).inserted {
      let (more, isTooMuch) = sum.addingReportingOverflow(blob.size)
      if isTooMuch { return .max }
      sum = more
    }
    return sum
  }
}

/// Images of one name for several platforms (image-spec, image-index.md), and the index.json of a layout.
public struct ImageIndex: Equatable, Sendable, JSONOpenObject {
  public var schemaVersion = 2
  public var mediaType: String? = MediaType.index.name
  public var manifests: [ImageDescriptor]
  public var annotations: [String: String]?
  public var others: [JSONTree.Member] = []

  public static var blank: ImageIndex { ImageIndex(manifests: []) }

  public init(manifests: [ImageDescriptor]) { self.manifests = manifests }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("schemaVersion", &schemaVersion)
    try json.field("mediaType", &mediaType)
    try json.field("manifests", &manifests)
    try json.field("annotations", &annotations)
  }
}

/// What a registry answers for a name: which of the two it is.
public enum ImageDocument: Equatable, Sendable {
  case manifest(ImageManifest)
  case index(ImageIndex)

  /// Registries keep manifests of at most 4 MiB (distribution-spec, "Pushing Manifests").
  public static let mostBytes = 4 << 20

  /// - Parameters:
  ///   - bytes: already checked against the digest, where it was asked for by one.
  ///   - type: what the answer's Content-Type or the descriptor says; nil or one that is not known: only the text counts.
  ///   - name: for the error.
  /// - Throws: for a text that two readers could take for different things (CVE-2021-41190): one with both `manifests`
  ///   and `layers`, or whose `mediaType` is not the one it was sent as.
  public static func read(_ bytes: [UInt8], type: String?, name: String) throws(ImageError) -> ImageDocument {
    guard bytes.count <= mostBytes else {
      throw ImageError("\(name) has \(bytes.count) bytes; a manifest has at most \(mostBytes)")
    }
    let shape: Shape
    do throws(JSONError) { shape = try JSON.decode(Shape.self, from: bytes, name: name) } catch {
      throw ImageError("\(error)")
    }
    let told = type.flatMap { MediaType($0) }
    let own = shape.mediaType.flatMap { MediaType($0) }
    if told == .schema1 || own == .schema1 || shape.schemaVersion == 1 {
      throw ImageError("\(name) is of Docker's first format, which no engine takes any more (push it anew)")
    }
    guard shape.schemaVersion == 2 else { throw ImageError("\(name) is of schema version \(shape.schemaVersion)") }
    guard shape.hasManifests != (shape.hasConfig || shape.hasLayers) else {
      throw ImageError("\(name) is a manifest and an index at once, or neither")
    }
    let kind: MediaType = shape.hasManifests ? .index : .manifest
    for said in [told, own] {
      guard said ?? kind == kind else {
        throw ImageError("\(name) says that it is an \(said == .index ? "index" : "image"), and is none")
      }
    }
    do throws(JSONError) {
      if kind == .index { return .index(try JSON.decode(ImageIndex.self, from: bytes, name: name)) }
      return .manifest(try JSON.decode(ImageManifest.self, from: bytes, name: name))
    } catch { throw ImageError("\(error)") }
  }

  /// What tells the two apart.
  private struct Shape: JSONValue {
    var schemaVersion: Int64 = 0
    var mediaType: String?
    var (hasConfig, hasLayers, hasManifests) = (false, false, false)

    init(json: JSONNode) throws(JSONError) {
      try json.expect(.object)
      if let node = json["schemaVersion"] { schemaVersion = try node.integer() }
      if let node = json["mediaType"], node.kind != .null { mediaType = try node.string() }
      hasConfig = json["config"] != nil
      hasLayers = json["layers"] != nil || json["fsLayers"] != nil
      hasManifests = json["manifests"] != nil
    }

    func write(to json: inout JSONWriter) throws(JSONError) { throw JSONError(why: "a shape is only read") }
  }
}
