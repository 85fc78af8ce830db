internal import Glibc
public import LinuxNS

/// What a zone of an image has written, for who reads it or freezes it. While the value lives no verb starts, stops or
/// deletes the zone.
public struct OwnLayer: ~Copyable {
  public internal(set) var root: RootRecord
  private let state: ZoneState
  /// It is mounted.
  public var isLive: Bool { state.isLive }
  /// It is not, for sure.
  public var isAtRest: Bool { state.isAtRest }
  /// Its processes write in it meanwhile, unless they are held (`Zones.hold`).
  public var isRunning: Bool { state.isLive && state != .frozen }
  private let zone: LockedZone
  private let spec: ZoneSpec
  private let store: ImageStore
  /// What lasts of a sparse zone lies in one folder until it is frozen for the first time.
  var isSparse: Bool { spec.brand == .sparse }
  /// Where it is.
  private var place: String {
    get throws(ZoneError) {
      try attempt("look at the layer of zone \(files.name)") { () throws(SyscallError) in
        if isSparse, try FileSystem.isThere(files.root) { return files.root }
        return try Self.place(files)
      }
    }
  }
  var files: ZoneFiles { zone.files }

  fileprivate init(
    _ zone: consuming LockedZone, _ spec: ZoneSpec, _ root: RootRecord, _ state: ZoneState, in store: ImageStore
  ) {
    (self.spec, self.root, self.state, self.store) = (spec, root, state, store)
    self.zone = zone
  }

  /// The upper layer of its root (O_PATH), made where nobody has wanted it until now.
  public func folder() throws(ZoneError) -> OwnedFD {
    let place = try place
    if !isLive, place != files.root { try Zones(store.directories).ensureLayer(files, spec, root, in: store) }
    return try Self.open(place, files)
  }

  /// The layer's name as those of the store's go, from the folder of their links.
  public func link() throws(ZoneError) -> String {
    _ = try folder()
    return try "../../../\(files.name)" + place.dropFirst(files.data.utf8.count)
  }

  /// What its directory looks like now, on disk, or will when there is one.
  public func top() throws(ZoneError) -> RootTop {
    guard try isThere else {
      var top = root.top
      top.layer = nil
      return top
    }
    return try Self.top(of: Self.open(place, files), root, files)
  }

  /// Nothing is in it, and its directory is as it was made.
  public func isUntouched() throws(ZoneError) -> Bool {
    guard try isThere else { return true }
    // There are folders in it from the beginning.
    if isSparse { return false }
    return try Self.isUntouched(files, root, in: store)
  }

  var isThere: Bool {
    get throws(ZoneError) {
      let place = try place
      return try attempt("look at \(place)") { () throws(SyscallError) in try FileSystem.isThere(place) }
    }
  }

  /// Of a layer that is there.
  static func isUntouched(_ files: ZoneFiles, _ root: RootRecord, in store: ImageStore) throws(ZoneError) -> Bool {
    let path = try attempt("look at the layer of zone \(files.name)") { () throws(SyscallError) in try place(files) }
    var now = try top(of: open(path, files), root, files)
    now.layer = root.top.layer
    guard now == root.top else { return false }
    return try attempt("look at \(path)") { () throws(SyscallError) in
      guard try FileSystem.list(path).isEmpty else { return false }
      return try FileSystem.haveSameAttributes(path, root.top.layer.map(store.root))
    }
  }

  private static func top(
    of folder: borrowing OwnedFD, _ root: RootRecord, _ files: ZoneFiles
  ) throws(ZoneError) -> RootTop {
    let facts = try attempt("look at the layer of zone \(files.name)") { () throws(SyscallError) in
      try FileFacts.of(open: folder)
    }
    var top = RootTop()
    (top.mode, top.uid, top.gid, top.modified) = (facts.mode, facts.uid, facts.gid, facts.modified)
    // A user's own layer is his on disk, whatever is told of it inside.
    if geteuid() != 0 { (top.uid, top.gid) = (root.top.uid, root.top.gid) }
    return top
  }

  private static func open(_ place: String, _ files: ZoneFiles) throws(ZoneError) -> OwnedFD {
    try attempt("open the layer of zone \(files.name)") { () throws(SyscallError) in
      try OwnedFD.open(place, O_PATH | O_DIRECTORY | O_NOFOLLOW)
    }
  }

  /// Of a zone that lives since before layers were moved, where it was.
  static func place(_ files: ZoneFiles) throws(SyscallError) -> String {
    try FileSystem.isThere(files.oldUpper) ? files.oldUpper : files.upper
  }
}

extension Zones {
  /// - Parameters:
  ///   - verb: what is to be done with it: a word for the refusal.
  ///   - store: locked (shared).
  ///   - sparse: a sparse zone will do.
  public func ownLayer(
    of name: String, for verb: String, in store: ImageStore, sparse: Bool = false
  ) throws(ZoneError) -> OwnLayer {
    let zone = try locked(name)
    guard let spec = try zone.files.readSpec() else { throw .notFound(name) }
    let refuse = { (why: String) in ZoneError.refused("cannot \(verb) zone \(name): \(why)") }
    guard spec.brand.isImage || sparse && spec.brand == .sparse else { throw Self.noLayers(verb, name) }
    guard !spec.ephemeral else {
      throw refuse("what a passing zone writes is in memory, and out of sight from here (create it without --rm)")
    }
    let state = try state(of: zone.files)
    guard state != .configured, state != .incomplete else {
      throw .state(zone: name, state: state, verb: verb, hint: "it has no root yet")
    }
    if !state.isLive { try moveOldLayer(zone.files) }
    let root = try settled(zone.files, root(of: spec, zone.files), in: store)
    return OwnLayer(zone, spec, root, state, in: store)
  }

  static func noLayers(_ verb: String, _ zone: String) -> ZoneError {
    .refused("cannot \(verb) zone \(zone): it was not made from an image (create one with --image oci:NAME)")
  }

  /// The spec of a zone that has an own layer.
  public func spec(of name: String) throws(ZoneError) -> ZoneSpec {
    guard let spec = try files(name).readSpec() else { throw .notFound(name) }
    return spec
  }

  /// A live zone stands still until `wait` returns, and goes on then unless it was frozen before. Its lock is the caller's,
  /// or of who waits for the caller, so nobody else resumes or freezes it meanwhile. Who ends it does not ask for the lock:
  /// that is to be possible at any time, and takes the moment from us.
  /// - Throws: also where it did not stand still until then.
  public func hold(_ name: String, _ wait: () -> Void) throws(ZoneError) {
    let files = try files(name)
    let state = try state(of: files)
    guard state != .shuttingDown else { throw Self.shuttingDown(name) }
    guard state.isLive, let record = try files.readRecord() else {
      throw .refused("zone \(name) has ended just now (do it again)")
    }
    if state != .frozen { try freezeUnlessEnding(files, record) }
    wait()
    var stood = false
    var failure: ZoneError?
    // Whatever the look says, it goes on.
    do throws(ZoneError) { stood = try isFrozen(record) } catch { failure = error }
    if state != .frozen {
      // Of one that has ended there may be no group any more, which is no other error than the one below.
      do throws(ZoneError) { try freeze(record, name, false) } catch { if stood { throw error } }
      note(.resumed, name)
    }
    if let failure { throw failure }
    guard stood else { throw Self.ended(name) }
  }

  private func freezeUnlessEnding(_ files: ZoneFiles, _ record: RunRecord) throws(ZoneError) {
    let name = files.name
    do throws(ZoneError) { try freeze(record, name, true) } catch {
      // Who asked it to end has thawed it before we saw it stand still.
      if (try? state(of: files)) == .shuttingDown { throw Self.shuttingDown(name) }
      throw .refused("\(error); or stop it first, and it need not be frozen")
    }
    note(.paused, name)
    // Who asked it to end between our look and now may have thawed it before it was frozen.
    let state: ZoneState
    do throws(ZoneError) { state = try self.state(of: files) } catch {
      try? freeze(record, name, false)  // the first error is the one to report
      throw error
    }
    guard state == .shuttingDown else { return }
    // Of one that has ended there may be no group any more.
    do throws(ZoneError) { try freeze(record, name, false) } catch { if hasProcesses(record) { throw error } }
    note(.resumed, name)
    // Nobody writes any more in one that was killed.
    throw hasProcesses(record) ? Self.shuttingDown(name) : Self.ended(name)
  }

  private static func ended(_ name: String) -> ZoneError {
    .refused("zone \(name) was ended while it was to stand still (do it again)")
  }

  private static func shuttingDown(_ name: String) -> ZoneError {
    .refused("zone \(name) is shutting down, and writes meanwhile (zonectl wait \(name), and do it again)")
  }
}
