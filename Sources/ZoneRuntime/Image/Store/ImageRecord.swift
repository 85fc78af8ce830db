/// An image that is here, unpacked: `images/sha256/HEX`, by its manifest's digest. All that a zone is made from is in it; no
/// blob is read for one.
public struct ImageRecord: Equatable, Sendable {
  public static let currentVersion = 1
  public var version = currentVersion
  public var manifest: ContentDigest
  /// Of its configuration: what Docker calls the image's id.
  public var id: ContentDigest
  /// `linux/arm64/v8`.
  public var platform: String
  /// RFC 3339, as its maker says.
  public var created: String?
  /// Of manifest and configuration, in bytes.
  public var documents: Int64
  /// From the top.
  public var layers: [ImageLayer]
  /// The layer above them that has them fit together; nil where they do.
  public var joint: Int?
  /// What an overlay of it is made of: numbers from the top, the joint's first. Of a layer that is there twice only the
  /// upper one counts, and what an opaque top hides is left out.
  public var stack: [Int]
  /// The number of the layer whose top a zone's own layer is to look like; nil: no layer tells.
  public var top: Int?
  public var use: ImageUse
  /// The oldest first.
  public var history: [ImageStep]

  public init(
    manifest: ContentDigest, id: ContentDigest, platform: String, documents: Int64, layers: [ImageLayer], use: ImageUse
  ) {
    self.manifest = manifest
    self.id = id
    self.platform = platform
    self.documents = documents
    self.layers = layers
    stack = []
    for layer in layers where !stack.contains(layer.number) { stack.append(layer.number) }
    self.use = use
    history = []
  }

  /// All that is kept for it.
  var numbers: Set<Int> { Set(layers.map { $0.number } + (joint.map { [$0] } ?? [])) }
  var blobs: Set<ContentDigest> { Set(layers.map { $0.blob } + [manifest, id]) }
  /// Unpacked, as archives; a layer that is there twice counts once.
  public var bytes: Int64 {
    var seen: Set<Int> = []
    return layers.reduce(0) { seen.insert($1.number).inserted ? saturatingSum($0, $1.bytes) : $0 }
  }
}

/// One layer of an image.
public struct ImageLayer: Equatable, Sendable, JSONObject {
  public var number: Int
  public var diff: ContentDigest
  /// Unpacked, as an archive.
  public var bytes: Int64
  /// As it was fetched.
  public var blob: ContentDigest
  public var size: Int64
  public var mediaType: String

  public static var blank: ImageLayer {
    ImageLayer(number: 0, diff: .ofNothing, bytes: 0, blob: .ofNothing, size: 0, mediaType: "")
  }

  public init(number: Int, diff: ContentDigest, bytes: Int64, blob: ContentDigest, size: Int64, mediaType: String) {
    self.number = number
    self.diff = diff
    self.bytes = bytes
    self.blob = blob
    self.size = size
    self.mediaType = mediaType
  }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("blob", &blob)
    try json.field("bytes", &bytes)
    try json.field("diff", &diff)
    try json.field("mediaType", &mediaType)
    try json.field("number", &number)
    try json.field("size", &size)
  }
}

/// A step of an image's making, as its maker says.
public struct ImageStep: Equatable, Sendable, JSONObject {
  public var created: String?
  public var command: String?
  public var comment: String?
  /// It made a layer.
  public var hasLayer: Bool

  public static var blank: ImageStep { ImageStep(hasLayer: true) }
  public init(created: String? = nil, command: String? = nil, comment: String? = nil, hasLayer: Bool) {
    self.created = created
    self.command = command
    self.comment = comment
    self.hasLayer = hasLayer
  }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("command", &command)
    try json.field("comment", &comment)
    try json.field("created", &created)
    try json.field("hasLayer", &hasLayer)
  }
}

extension ImageRecord: StoredRecord {
  public static var blank: ImageRecord {
    ImageRecord(manifest: .ofNothing, id: .ofNothing, platform: "", documents: 0, layers: [], use: ImageUse())
  }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("created", &created)
    try json.field("documents", &documents)
    try json.field("history", &history)
    try json.field("id", &id)
    try json.field("joint", &joint)
    try json.field("layers", &layers)
    try json.field("manifest", &manifest)
    try json.field("platform", &platform)
    try json.field("stack", &stack)
    try json.field("top", &top)
    try json.field("use", &use)
    try json.field("version", &version)
  }

  var unsound: String? {
    // A layer may be there twice: the empty one is in many images.
    for layer in layers where !LayerNumber.range.contains(layer.number) { return "a layer of number \(layer.number)" }
    if let joint, !LayerNumber.range.contains(joint) || layers.contains(where: { $0.number == joint }) {
      return "a joint of number \(joint)"
    }
    if layers.count > ImageManifest.mostLayers { return "\(layers.count) layers" }
    if let why = LayerNumber.unsound(stack) { return why }
    for number in stack where !numbers.contains(number) { return "the layer \(number) is none of its own" }
    if let joint, stack.first != joint { return "its joint is not on top" }
    if let top, !layers.contains(where: { $0.number == top }) { return "a top of number \(top)" }
    for layer in layers where layer.bytes < 0 || layer.size < 0 {
      return "a layer of \(min(layer.bytes, layer.size)) bytes"
    }
    if documents < 0 { return "documents of \(documents) bytes" }
    if (try? Platform(parsing: platform)) == nil { return "the platform '\(shortened(platform))'" }
    return use.unsound
  }
}

/// At most Int64.max: what others say of sizes is only added up.
package func saturatingSum(_ one: Int64, _ other: Int64) -> Int64 {
  let (sum, isTooMuch) = one.addingReportingOverflow(other)
  return isTooMuch ? .max : sum
}
