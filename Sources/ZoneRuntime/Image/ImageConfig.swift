/// How an image is to be run, and what its layers are unpacked (image-spec, config.md). Its digest is the image's id.
public struct ImageConfig: Equatable, Sendable, JSONOpenObject {
  public var architecture: String
  public var os: String
  public var variant: String?
  public var author: String?
  /// RFC 3339.
  public var created: String?
  public var config: ImageExecution?
  public var rootfs: ImageLayers
  public var history: [ImageHistory]?
  public var others: [JSONTree.Member] = []

  public static var blank: ImageConfig { ImageConfig(platform: Platform(os: "", architecture: ""), layers: []) }

  public init(platform: Platform, layers: [ContentDigest]) {
    architecture = platform.architecture
    os = platform.os
    variant = platform.variant
    rootfs = ImageLayers(digests: layers)
  }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("architecture", &architecture)
    try json.field("os", &os)
    try json.field("variant", &variant)
    try json.field("author", &author)
    try json.field("created", &created)
    try json.field("config", &config)
    try json.field("rootfs", &rootfs)
    try json.field("history", &history)
  }

  public var platform: Platform { Platform(os: os, architecture: architecture, variant: variant) }

  /// - Throws: where it does not belong to that manifest. What is unpacked is checked against these digests.
  public func check(against manifest: ImageManifest) throws(ImageError) {
    guard rootfs.type == "layers" else {
      throw ImageError("its rootfs is of type \(shortened(rootfs.type)), not layers")
    }
    guard rootfs.digests.count == manifest.layers.count else {
      throw ImageError(
        "its configuration tells of \(rootfs.digests.count) layers, its manifest of \(manifest.layers.count)")
    }
  }

  /// A new image on top of this one: the layer and who made it come last; all else stays, also what we do not know.
  /// - Parameter layer: of the tar before compression; nil where only the configuration changed.
  public func adding(_ layer: ContentDigest?, _ step: ImageHistory) -> ImageConfig {
    var next = self
    if let layer { next.rootfs.digests.append(layer) }
    var step = step
    step.emptyLayer = layer == nil ? true : nil
    next.history = (history ?? []) + [step]
    next.created = step.created ?? created
    return next
  }
}

/// What of a command an image gives; Docker's fields beside the specification's.
public struct ImageExecution: Equatable, Sendable, JSONOpenObject {
  /// `user`, `uid`, with `:group` or `:gid`; empty is root.
  public var user: String?
  public var exposedPorts: JSONKeySet?
  /// `NAME=value`.
  public var environment: [String]?
  public var entrypoint: [String]?
  public var command: [String]?
  /// Absolute paths.
  public var volumes: JSONKeySet?
  public var workdir: String?
  public var labels: [String: String]?
  /// A name with SIG, or a number.
  public var stopSignal: String?
  /// Seconds.
  public var stopTimeout: Int64?
  public var healthcheck: ImageHealthcheck?
  public var others: [JSONTree.Member] = []

  public static var blank: ImageExecution { ImageExecution() }
  public init() {}

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("User", &user)
    try json.field("ExposedPorts", &exposedPorts)
    try json.field("Env", &environment)
    try json.field("Entrypoint", &entrypoint)
    try json.field("Cmd", &command)
    try json.field("Volumes", &volumes)
    try json.field("WorkingDir", &workdir)
    try json.field("Labels", &labels)
    try json.field("StopSignal", &stopSignal)
    try json.field("StopTimeout", &stopTimeout)
    try json.field("Healthcheck", &healthcheck)
  }

  /// What is run: words of the caller's replace the image's command, and follow its entrypoint (config.md, "Cmd").
  public func arguments(_ words: [String]) -> [String] { (entrypoint ?? []) + (words.isEmpty ? command ?? [] : words) }

  /// `environment` as a table; an entry without `=` says nothing, the later of two wins.
  public var variables: [String: String] {
    var table: [String: String] = [:]
    for entry in environment ?? [] {
      guard let equals = entry.utf8.firstIndex(of: UInt8(ascii: "=")), equals > entry.startIndex else { continue }
      table[String(entry[..<equals])] = String(entry[entry.utf8.index(after: equals)...])
    }
    return table
  }
}

/// Docker's field, which Compose's `healthcheck` is made like. Times are nanoseconds; 0 is the engine's default.
public struct ImageHealthcheck: Equatable, Sendable, JSONOpenObject {
  /// `NONE`, or `CMD` and words, or `CMD-SHELL` and one text.
  public var test: [String]?
  public var interval: Int64?
  public var timeout: Int64?
  public var startPeriod: Int64?
  public var retries: Int64?
  public var others: [JSONTree.Member] = []

  public static var blank: ImageHealthcheck { ImageHealthcheck() }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("Test", &test)
    try json.field("Interval", &interval)
    try json.field("Timeout", &timeout)
    try json.field("StartPeriod", &startPeriod)
    try json.field("Retries", &retries)
  }
}

public struct ImageLayers: Equatable, Sendable, JSONOpenObject {
  public var type = "layers"
  /// Of the tars before compression, the lowest first.
  public var digests: [ContentDigest]
  public var others: [JSONTree.Member] = []

  public static var blank: ImageLayers { ImageLayers(digests: []) }
  public init(digests: [ContentDigest]) { self.digests = digests }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("type", &type)
    try json.field("diff_ids", &digests)
  }

  /// A name for each stack of layers from the lowest up (config.md, "Layer ChainID").
  /// - Parameter hash: SHA-256, which is nobody's here.
  public func chain(_ hash: ([UInt8]) -> ContentDigest) -> [ContentDigest] {
    var chain: [ContentDigest] = []
    for digest in digests {
      guard let last = chain.last else {
        chain.append(digest)
        continue
      }
      chain.append(hash(Array("\(last.text) \(digest.text)".utf8)))
    }
    return chain
  }
}

public struct ImageHistory: Equatable, Sendable, JSONOpenObject {
  public var created: String?
  public var createdBy: String?
  public var author: String?
  public var comment: String?
  public var emptyLayer: Bool?
  public var others: [JSONTree.Member] = []

  public static var blank: ImageHistory { ImageHistory() }
  public init(created: String? = nil, createdBy: String? = nil, comment: String? = nil) {
    self.created = created
    self.createdBy = createdBy
    self.comment = comment
  }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("created", &created)
    try json.field("created_by", &createdBy)
    try json.field("author", &author)
    try json.field("comment", &comment)
    try json.field("empty_layer", &emptyLayer)
  }
}
