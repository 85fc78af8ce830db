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
  /// It is made to be cloned, and is never started itself.
  public var isTemplate = false
  /// What is being made of it: whoever was at it may have been killed, and the next one carries on.
  public var pending: RootChange?

  public init(image: RootImage?, layers: [Int]) {
    self.image = image
    self.layers = layers
  }

  /// What of it is an image's.
  var base: RootBase {
    get { RootBase(image: image, use: use) }
    set { (image, use) = (newValue.image, newValue.use) }
  }

  /// The images that it is of, or may come to be of again.
  var manifests: Set<ContentDigest> {
    let bases = (snapshots + (pending?.snapshots ?? [])).compactMap { $0.base } + (pending?.base.map { [$0] } ?? [])
    return Set(([image] + bases.map { $0.image }).compactMap { $0?.manifest })
  }

  /// All that has to stay for it.
  public var numbers: Set<Int> {
    let all = snapshots + (pending?.snapshots ?? [])
    return all.reduce(Set(layers + (pending?.layers ?? []))) { $0.union($1.layers) }
  }

  /// A zone that was made of an image has the file that all its zones have, in which no name stands: its spec has it.
  func named(by spec: ZoneSpec) -> RootRecord {
    guard image?.name == RootImage.blank.name, case .image(let name) = spec.brand else { return self }
    var root = self
    root.image?.name = name
    return root
  }

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
    RootImage(name: ImageReference(host: "localhost", repository: "none", tag: "latest"), manifest: .ofNothing)
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

/// The image that a root was made from, and how it is run.
public struct RootBase: Equatable, Sendable, JSONObject {
  public var image: RootImage?
  public var use: ImageUse

  public static var blank: RootBase { RootBase(image: nil, use: ImageUse()) }

  public init(image: RootImage?, use: ImageUse) {
    self.image = image
    self.use = use
  }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("image", &image)
    try json.field("use", &use)
  }
}

/// How the root itself looks: its layers' uppermost top that an entry told of.
public struct RootTop: Equatable, Sendable, JSONObject {
  /// As on disk.
  public var gid: UInt32 = 0
  /// That whose directory it is, with its extended attributes; nil where no layer tells of it.
  public var layer: Int?
  /// The twelve bits of chmod(2).
  public var mode: UInt32 = 0o755
  /// Nanoseconds since 1970.
  public var modified: Int64 = 0
  public var uid: UInt32 = 0

  public static var blank: RootTop { RootTop() }
  public init() {}

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("gid", &gid)
    try json.field("layer", &layer)
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
  /// What a zone's own layer above them is to look like.
  public var top: RootTop
  public var labels: [String: String] = [:]
  /// nil: the root's of now.
  public var base: RootBase?
  /// When nobody wants it any more, in seconds since 1970; nil is never.
  public var expires: UInt64?
  /// When that was told.
  public var warned: UInt64?

  public static var blank: RootSnapshot { RootSnapshot(name: "", made: 0, layers: [], top: .blank) }
  public init(name: String, made: UInt64, layers: [Int], top: RootTop) {
    self.name = name
    self.made = made
    self.layers = layers
    self.top = top
  }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("base", &base)
    try json.field("expires", &expires)
    try json.field("labels", &labels)
    try json.field("layers", &layers)
    try json.field("made", &made)
    try json.field("name", &name)
    try json.field("top", &top)
    try json.field("warned", &warned)
  }
}

/// From one root to another, with a new layer of the zone's own on top. Each step looks whether it was done.
public struct RootChange: Equatable, Sendable, JSONObject {
  /// The number that the zone's own layer gets in the store; nil: it is thrown away.
  public var frozen: Int?
  /// What the root is then.
  public var layers: [Int]
  public var snapshots: [RootSnapshot]
  public var top: RootTop
  /// nil: as it is.
  public var base: RootBase?

  public static var blank: RootChange { RootChange(frozen: nil, layers: [], snapshots: [], top: .blank) }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("base", &base)
    try json.field("frozen", &frozen)
    try json.field("layers", &layers)
    try json.field("snapshots", &snapshots)
    try json.field("top", &top)
  }
}

extension RootRecord: StoredRecord {
  public static var blank: RootRecord { RootRecord(image: nil, layers: []) }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("image", &image)
    try json.field("layers", &layers)
    try json.field("pending", &pending)
    try json.field("snapshots", &snapshots)
    try json.field("template", &isTemplate)
    try json.field("top", &top)
    try json.field("use", &use)
    try json.field("version", &version)
  }

  /// overlayfs takes 500 layers (OVL_MAX_STACK), the zone's own is one of them.
  public static let mostLayers = 499

  /// A sparse zone's: their names are longer there, and go into a page with two paths (mount(2)).
  static let mostSparseLayers = 240

  var unsound: String? {
    let snapshots = self.snapshots + (pending?.snapshots ?? [])
    for stack in [layers, pending?.layers ?? []] + snapshots.map({ $0.layers }) {
      if stack.count > Self.mostLayers { return "\(stack.count) layers, and at most \(Self.mostLayers) can be mounted" }
      if let why = LayerNumber.unsound(stack) { return why }
    }
    for snapshot in snapshots where !isDNSLabel(snapshot.name) {
      return "'\(shortened(snapshot.name))' is no snapshot's name"
    }
    for list in [self.snapshots, pending?.snapshots ?? []] {
      if Set(list.map { $0.name }).count != list.count { return "two snapshots of one name" }
    }
    for top in [top, pending?.top ?? top] + snapshots.map({ $0.top }) where top.mode & ~0o7777 != 0 {
      return "a root of mode \(top.mode)"
    }
    for layer in [top, pending?.top ?? top].compactMap({ $0.layer }) + snapshots.compactMap({ $0.top.layer })
    where !LayerNumber.range.contains(layer) {
      return "a root like that of layer \(layer)"
    }
    if let frozen = pending?.frozen, !LayerNumber.range.contains(frozen) { return "a layer of number \(frozen)" }
    for base in snapshots.compactMap({ $0.base }) + (pending?.base.map { [$0] } ?? []) {
      if let why = base.use.unsound { return why }
    }
    return use.unsound
  }
}
