internal import ZoneRuntime

/// `zone.json`: what an archive of a zone has beside the image that other engines run of it.
struct ArchivedZone: JSONObject, Equatable {
  static let file = "zone.json"
  static let currentVersion = 1
  /// As it is sent over a network of ours (VOCABULARY: every file has its version).
  var version = currentVersion
  /// Images that states are of, by the names they had.
  var images: [RootImage] = []
  /// What the zone has written: archives of layers, in no order.
  var layers: [ImageDescriptor] = []
  var spec = ZoneSpec.blank
  /// The root as it was; snapshots, the oldest first.
  var now = State()
  var snapshots: [State] = []
  var volumes: [Volume] = []

  static var blank: ArchivedZone { ArchivedZone() }

  struct State: JSONObject, Equatable {
    /// An index of `images`.
    var image = 0
    var labels: [String: String] = [:]
    /// Indexes of `layers`, from the top; below them is the image.
    var layers: [Int] = []
    /// Nanoseconds since 1970.
    var made: UInt64 = 0
    /// Of a snapshot.
    var name = ""
    /// Its layer is an index of `layers`; none: the image's.
    var top = RootTop()
    var use = ImageUse()

    static var blank: State { State() }

    mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
      try json.field("image", &image)
      try json.field("labels", &labels)
      try json.field("layers", &layers)
      try json.field("made", &made)
      try json.field("name", &name)
      try json.field("top", &top)
      try json.field("use", &use)
    }
  }

  struct Volume: JSONObject, Equatable {
    /// Of a disk in a file: its size.
    var disk: Int64?
    var files = ImageDescriptor.blank
    var labels: [String: String] = [:]
    var name = ""
    /// What a directory may take at most.
    var size: Int64?

    static var blank: Volume { Volume() }

    mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
      try json.field("disk", &disk)
      try json.field("files", &files)
      try json.field("labels", &labels)
      try json.field("name", &name)
      try json.field("size", &size)
    }
  }

  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("images", &images)
    try json.field("layers", &layers)
    try json.field("now", &now)
    try json.field("snapshots", &snapshots)
    try json.field("spec", &spec)
    try json.field("version", &version)
    try json.field("volumes", &volumes)
  }

  /// Why it cannot be one; nil where it can.
  var unsound: String? {
    for state in [now] + snapshots {
      let all = state.layers + (state.top.layer.map { [$0] } ?? [])
      guard images.indices.contains(state.image), all.allSatisfy(layers.indices.contains) else {
        return "its states name images and layers that it does not tell of"
      }
      guard state.layers.count < RootRecord.mostLayers else { return "a state of \(state.layers.count) layers" }
    }
    let names = snapshots.map { $0.name }
    guard Set(names).count == names.count, names.allSatisfy(isDNSLabel) else { return "two snapshots of one name" }
    if let odd = volumes.first(where: { $0.size.map { $0 <= 0 } ?? false }) {
      return "a volume of \(odd.size ?? 0) bytes"
    }
    if let odd = volumes.first(where: { $0.disk.map { $0 < VolumeKeeper.smallestDisk } ?? false }) {
      return "a disk of \(odd.disk ?? 0) bytes"
    }
    let folders = volumes.map { $0.name }
    guard Set(folders).count == folders.count, folders.allSatisfy(isDNSLabel) else { return "two volumes of one name" }
    return nil
  }
}
