internal import Glibc
public import LinuxNS

/// What a zone of an image has written, for who reads it or freezes it. While the value lives no verb starts, stops or
/// deletes the zone.
public struct OwnLayer: ~Copyable {
  public internal(set) var root: RootRecord
  /// The upper layer of its root (O_PATH).
  public private(set) var folder: OwnedFD
  private let state: ZoneState
  /// It is mounted.
  public var isLive: Bool { state.isLive }
  /// Its processes write in it meanwhile, unless they are held (`Zones.hold`).
  public var isRunning: Bool { state.isLive && state != .frozen }
  private let zone: LockedZone
  /// The layer's name as those of the store's go, from the folder of their links.
  public var link: String { "../../../\(zone.files.name)" + place.dropFirst(zone.files.data.utf8.count) }
  /// Where it is.
  private var place: String { Self.place(zone.files) }
  var files: ZoneFiles { zone.files }

  fileprivate init(_ zone: consuming LockedZone, _ root: RootRecord, _ state: ZoneState) throws(ZoneError) {
    self.root = root
    self.state = state
    folder = try Self.open(zone.files)
    self.zone = zone
  }

  /// A new one is in its place.
  mutating func reopen() throws(ZoneError) { folder = try Self.open(files) }

  private static func open(_ files: ZoneFiles) throws(ZoneError) -> OwnedFD {
    try attempt("open the layer of zone \(files.name)") { () throws(SyscallError) in
      try OwnedFD.open(place(files), O_PATH | O_DIRECTORY | O_NOFOLLOW)
    }
  }

  /// Of a zone that lives since before layers were moved, where it was.
  static func place(_ files: ZoneFiles) -> String {
    FileSystem.exists(files.oldUpper) ? files.oldUpper : files.upper
  }
}

extension Zones {
  /// - Parameters:
  ///   - verb: what is to be done with it: a word for the refusal.
  ///   - store: locked (shared).
  public func ownLayer(of name: String, for verb: String, in store: ImageStore) throws(ZoneError) -> OwnLayer {
    let zone = try locked(name)
    guard let spec = try zone.files.readSpec() else { throw .notFound(name) }
    let refuse = { (why: String) in ZoneError.refused("cannot \(verb) zone \(name): \(why)") }
    guard case .image = spec.brand else {
      throw refuse("it was not made from an image (create one with --image oci:NAME)")
    }
    guard !spec.ephemeral else {
      throw refuse("what a passing zone writes is in memory, and out of sight from here (create it without --rm)")
    }
    let state = try state(of: zone.files)
    guard state != .configured, state != .incomplete else {
      throw .state(zone: name, state: state, verb: verb, hint: "it has no root yet")
    }
    if !state.isLive { try moveOldLayer(zone.files) }
    let root = try settled(zone.files, root(of: spec, zone.files), in: store)
    if !state.isLive { try ensureLayer(zone.files, spec, root, in: store) }
    return try OwnLayer(zone, root, state)
  }

  /// The spec of a zone that has an own layer.
  public func spec(of name: String) throws(ZoneError) -> ZoneSpec {
    guard let spec = try files(name).readSpec() else { throw .notFound(name) }
    return spec
  }

  /// Freezes a running zone, and thaws it when `wait` returns. Its lock is the caller's, or of who waits for the caller.
  public func hold(_ name: String, _ wait: () -> Void) throws(ZoneError) {
    guard let record = try files(name).readRecord() else { throw .notFound(name) }
    try freeze(record, name, true)
    note(.paused, name)
    wait()
    try freeze(record, name, false)
    note(.resumed, name)
  }
}
