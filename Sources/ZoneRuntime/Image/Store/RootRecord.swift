/// What a zone's root is made of: `root.json` beside its spec. A layer is in use while a root names it.
public struct RootRecord: Equatable, Sendable {
  public static let currentVersion = 1
  public static let file = "root.json"
  public var version = currentVersion
  /// nil: the zone was made of another zone's layers alone.
  public var image: RootImage?
  /// Below the zone's own: numbers, from the top.
  public var layers: [Int]
  /// How it is to be run, as the image said when the zone was made.
  public var use = ImageUse()
  /// What the zone's own layer is to look like.
  public var top = RootTop()
  /// The oldest first.
  public var snapshots: [RootSnapshot] = []
  /// Of the zone's own layer, in bytes.
  public var quota: Int64?

  public init(image: RootImage?, layers: [Int]) {
    self.image = image
    self.layers = layers
  }

  /// All that has to stay for it.
  var numbers: Set<Int> { snapshots.reduce(Set(layers)) { $0.union($1.layers) } }

  /// - Parameter folder: the zone's own, where its spec lies.
  /// - Returns: nil for a zone without layers.
  public static func read(in folder: String) throws(ZoneError) -> RootRecord? {
    try RecordFile.read(RootRecord.self, "\(folder)/\(file)")
  }

  /// On disk when it returns, whole or not at all.
  public func write(in folder: String) throws(ZoneError) { try RecordFile.write(self, "\(folder)/\(Self.file)") }
}

/// The image that a zone was made from. Its name may have moved since.
public struct RootImage: Equatable, Sendable, JSONObject {
  public var name: ImageReference
  public var manifest: ContentDigest

  public static var blank: RootImage {
    RootImage(name: ImageReference(host: "localhost", repository: "none", tag: nil), manifest: .ofNothing)
  }

  public init(name: ImageReference, manifest: ContentDigest) {
    self.name = name
    self.manifest = manifest
  }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("manifest", &manifest)
    try json.field("name", &name)
  }
}

/// How the root itself looks: its layers' uppermost top that an entry told of.
public struct RootTop: Equatable, Sendable, JSONObject {
  /// As on disk.
  public var gid: UInt32 = 0
  /// The twelve bits of chmod(2).
  public var mode: UInt32 = 0o755
  /// Nanoseconds since 1970.
  public var modified: Int64 = 0
  public var uid: UInt32 = 0

  public static var blank: RootTop { RootTop() }
  public init() {}

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("gid", &gid)
    try json.field("mode", &mode)
    try json.field("modified", &modified)
    try json.field("uid", &uid)
  }
}

/// A state of a root that can be gone back to.
public struct RootSnapshot: Equatable, Sendable, JSONObject {
  public var name: String
  /// Nanoseconds since 1970.
  public var made: UInt64
  /// From the top.
  public var layers: [Int]
  public var labels: [String: String] = [:]

  public static var blank: RootSnapshot { RootSnapshot(name: "", made: 0, layers: []) }
  public init(name: String, made: UInt64, layers: [Int]) {
    self.name = name
    self.made = made
    self.layers = layers
  }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("labels", &labels)
    try json.field("layers", &layers)
    try json.field("made", &made)
    try json.field("name", &name)
  }
}

extension RootRecord: StoredRecord {
  public static var blank: RootRecord { RootRecord(image: nil, layers: []) }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("image", &image)
    try json.field("layers", &layers)
    try json.field("quota", &quota)
    try json.field("snapshots", &snapshots)
    try json.field("top", &top)
    try json.field("use", &use)
    try json.field("version", &version)
  }

  /// overlayfs takes 500 layers (OVL_MAX_STACK), the zone's own is one of them.
  static let mostLayers = 499

  var unsound: String? {
    for stack in [layers] + snapshots.map({ $0.layers }) {
      if stack.count > Self.mostLayers { return "\(stack.count) layers, and at most \(Self.mostLayers) can be mounted" }
      if let why = LayerNumber.unsound(stack) { return why }
    }
    for snapshot in snapshots where !isDNSLabel(snapshot.name) {
      return "'\(shortened(snapshot.name))' is no snapshot's name"
    }
    if Set(snapshots.map { $0.name }).count != snapshots.count { return "two snapshots of one name" }
    if let quota, quota <= 0 { return "a quota of \(quota) bytes" }
    if top.mode & ~0o7777 != 0 { return "a root of mode \(top.mode)" }
    return use.unsound
  }
}
