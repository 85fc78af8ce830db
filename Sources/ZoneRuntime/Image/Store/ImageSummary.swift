/// A name of an image, or an image without one, as `image list` has it.
public struct ImageSummary: Equatable, Sendable {
  public var name: ImageReference?
  /// Of its manifest.
  public var digest: ContentDigest
  public var id: ContentDigest
  public var platform: String
  /// Bytes of its layers' archives that no other image has, and that one has.
  public var own: Int64
  public var shared: Int64
  /// Nanoseconds since 1970, of the name.
  public var made: UInt64?
  public var used: UInt64?
  public var owner: UInt32?
  public var expires: UInt64?
  public var zones: [String]

  /// In the order of their names; those without one last.
  public static func all(_ look: StoreLook) -> [ImageSummary] {
    var summaries: [ImageSummary] = []
    for name in look.names {
      guard let image = look.images.first(where: { $0.manifest == name.record.manifest }) else { continue }
      var summary = ImageSummary(image, look)
      summary.name = name.name
      (summary.made, summary.used) = (name.record.made, name.used)
      (summary.owner, summary.expires) = (name.record.owner, name.record.expires)
      summaries.append(summary)
    }
    for image in look.images where !look.names.contains(where: { $0.record.manifest == image.manifest }) {
      summaries.append(ImageSummary(image, look))
    }
    return summaries
  }

  private init(_ image: ImageRecord, _ look: StoreLook) {
    (digest, id, platform) = (image.manifest, image.id, image.platform)
    (own, shared) = look.sizes(of: image)
    zones = look.zones(of: image.manifest)
  }
}

extension ImageSummary: JSONObject {
  public static var blank: ImageSummary { ImageSummary(ImageRecord.blank, StoreLook()) }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("digest", &digest)
    try json.field("expires", &expires)
    try json.field("id", &id)
    try json.field("made", &made)
    try json.field("name", &name)
    try json.field("own", &own)
    try json.field("owner", &owner)
    try json.field("platform", &platform)
    try json.field("shared", &shared)
    try json.field("used", &used)
    try json.field("zones", &zones)
  }
}

/// All about an image, as `image show` has it.
public struct ImageDetails: Equatable, Sendable {
  public var image: ImageRecord
  public var names: [ImageReference]
  public var own: Int64
  public var shared: Int64
  public var zones: [String]

  public init(_ image: ImageRecord, _ look: StoreLook) {
    self.image = image
    names = look.names.filter { $0.record.manifest == image.manifest }.map { $0.name }
    (own, shared) = look.sizes(of: image)
    zones = look.zones(of: image.manifest)
  }
}

extension ImageDetails: JSONObject {
  public static var blank: ImageDetails { ImageDetails(.blank, StoreLook()) }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("image", &image)
    try json.field("names", &names)
    try json.field("own", &own)
    try json.field("shared", &shared)
    try json.field("zones", &zones)
  }
}

extension PrunePlan: JSONObject {
  public static var blank: PrunePlan { PrunePlan() }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("blobs", &blobs)
    try json.field("bytes", &bytes)
    try json.field("folds", &folds)
    try json.field("images", &images)
    try json.field("layers", &layers)
    try json.field("leftovers", &leftovers)
    try json.field("names", &names)
  }
}

extension PrunePlan.Fold: JSONObject {
  public static var blank: PrunePlan.Fold { PrunePlan.Fold(zone: "", layers: []) }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("layers", &layers)
    try json.field("zone", &zone)
  }
}

extension ImageReference {
  /// As a person writes it, without tag and digest.
  public var familiarName: String {
    ImageReference(host: host, port: port, repository: repository, tag: nil).familiar
  }
}
