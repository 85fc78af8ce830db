internal import Glibc
internal import LinuxNS
internal import VirtualNet

/// The zones of one place (`Directories`): every verb of VOCABULARY.md on them. No daemon stands behind it; what is
/// known is on disk and in the kernel, and each verb takes the zone's lock for as long as it changes something.
public struct Zones: Sendable {
  public let directories: Directories
  /// One-line announcements for the person: a sysctl changed, a wall that is missing.
  let notice: @Sendable (String) -> Void
  /// The `zonectl` that a keeper executes at a zone's end.
  let zonectl: String

  /// - Parameter zonectl: nil is this executable itself, which is right for `zonectl`; the orchestrator names its sibling.
  public init(
    _ directories: Directories, zonectl: String? = nil, notice: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    self.directories = directories
    self.notice = notice
    self.zonectl = zonectl ?? (try? FileSystem.readLink("/proc/self/exe")) ?? "zonectl"
  }

  func files(_ name: String) throws(ZoneError) -> ZoneFiles {
    guard isDNSLabel(name) else {
      throw .usage("'\(name)' cannot be a zone's name: it takes a-z, 0-9 and inner hyphens, at most 63 of them")
    }
    return ZoneFiles(directories, name)
  }

  /// The zone's files and its lock; `.notFound` where there is none.
  func locked(_ name: String) throws(ZoneError) -> LockedZone {
    let files = try files(name)
    guard let lock = try files.lock() else { throw .notFound(name) }
    return LockedZone(files: files, lock: lock)
  }

  // MARK: making and removing

  /// none -> configured. The spec of a merely configured zone may be replaced.
  public func configure(_ spec: ZoneSpec) throws(ZoneError) {
    try checked(spec)
    try directories.make()
    let files = try files(spec.name)
    if files.exists {
      let zone = try locked(spec.name)
      guard try state(of: zone.files, whole: true) == .configured else { throw .exists(spec.name) }
      return try zone.files.writeSpec(spec)
    }
    try makeDirectory(of: files)
    do { try files.writeSpec(spec) } catch {
      unmake(files)
      throw error
    }
  }

  /// none or configured -> installed.
  /// - Parameter found: what the zone is made of, where that was looked up already.
  public func create(_ spec: ZoneSpec, of found: consuming FoundRoot? = nil) throws(ZoneError) {
    guard case .image(let name) = spec.brand else { return try create(spec, root: nil) }
    let found = try requireRoot(name, found)
    try create(spec, root: found.root, sameAs: found.file)
    found.done()
  }

  /// - Parameters:
  ///   - root: of a zone of an image; its layers are held by the caller.
  ///   - file: that says the same.
  ///   - withLayer: the zone's own layer is made now.
  ///   - finish: what else is to be done before the zone is one.
  func create(
    _ spec: ZoneSpec, root: RootRecord?, sameAs file: String? = nil,
    withLayer: Bool = false, finish: (ZoneFiles) throws(ZoneError) -> Void = { _ in }
  ) throws(ZoneError) {
    try checked(spec)
    try directories.make()
    let files = try files(spec.name)
    if files.exists {
      let zone = try locked(spec.name)
      let state = try state(of: zone.files, whole: true)
      guard state == .configured else { throw .exists(spec.name) }
      try files.write(spec, root, sameAs: nil)
      try install(zone.files, spec, root, withLayer: withLayer, finish)
      note(.created, spec.name)
      return warnOfReach(spec)
    }
    try makeDirectory(of: files)
    do throws(ZoneError) {
      let zone = try locked(spec.name)
      do throws(ZoneError) {
        try files.write(spec, root, sameAs: file)
        try install(zone.files, spec, root, withLayer: withLayer, finish)
      } catch {
        unmake(zone.files)
        throw error
      }
    } catch {
      rmdir(files.data)  // it could not be locked: what is somebody else's by now is not empty
      throw error
    }
    note(.created, spec.name)
    warnOfReach(spec)
  }

  /// Takes back what a creation has made. Best effort: the first error is the one to report. It may be that no descriptor
  /// is left, and then there is nothing but what needs none.
  private func unmake(_ files: ZoneFiles) {
    unbound(files)
    try? TreeRemoval.remove(files.data)
    for path in [files.spec, files.incomplete, files.installed] { unlink(path) }
    rmdir(files.data)
  }

  /// configured -> installed.
  public func create(configured name: String) throws(ZoneError) {
    let zone = try locked(name)
    guard let spec = try zone.files.readSpec() else { throw .notFound(name) }
    let state = try state(of: zone.files)
    guard state == .configured else {
      throw .state(zone: name, state: state, verb: "create", hint: "it has its root already")
    }
    guard case .image(let image) = spec.brand else {
      try install(zone.files, spec, nil)
      return note(.created, name)
    }
    let found = try requireRoot(image, nil)
    try found.root.write(in: zone.files.data)
    try install(zone.files, spec, found.root)
    found.done()
    note(.created, name)
  }

  /// not live -> none. Named volumes stay.
  /// - Parameter force: halts a live zone first.
  public func delete(_ name: String, force: Bool = false) throws(ZoneError) {
    let files = try files(name)
    guard files.exists else { throw .notFound(name) }
    let state = try state(of: files, whole: true)
    if state.isLive {
      guard force else { throw .state(zone: name, state: state, verb: "delete", hint: "stop it first, or use --force") }
    }
    if state == .unavailable, !force {
      throw .state(zone: name, state: state, verb: "delete", hint: "use halt, or delete --force")
    }
    for turn in 1... {
      // Its end, also of what a killed command left; an ephemeral zone is gone with it.
      do { try halt(name) } catch {
        if case .notFound = error { return }
        throw error
      }
      guard files.exists else { return }
      let zone = try locked(name)
      let now = try self.state(of: zone.files)
      guard now.isLive else {
        try remove(zone.files)
        return note(.deleted, name)
      }
      // Started between the two: by force that run ends as well, unless somebody starts it again and again.
      if !force || turn == Self.forcedEnds {
        throw .state(zone: name, state: now, verb: "delete", hint: "it was started meanwhile")
      }
    }
  }

  /// How often `delete --force` ends a zone that is started again while it is being deleted.
  private static let forcedEnds = 16

  private func makeDirectory(of files: ZoneFiles) throws(ZoneError) {
    let made = mkdir(files.data, 0o700)
    let error = errno
    guard made == 0 else {
      if error == EEXIST { throw .exists(files.name) }
      throw .call("make zone \(files.name)", SyscallError(call: "mkdir", errno: error, path: files.data))
    }
  }

  /// The root of a zone: for a sparse one, the directories that last; above an image, its own layer.
  func install(
    _ files: ZoneFiles, _ spec: ZoneSpec, _ root: RootRecord?,
    withLayer: Bool = false, _ finish: (ZoneFiles) throws(ZoneError) -> Void = { _ in }
  ) throws(ZoneError) {
    try attempt("mark zone \(spec.name) incomplete") { () throws(SyscallError) in
      try FileSystem.replace(files.incomplete, with: [])
    }
    if spec.brand == .sparse, root == nil {
      if let quota = spec.quota { try bound(files, files.root, isSparse: true, to: quota) }
      try SparseData.make(at: files.root)
    }
    // Otherwise it is made by who first wants it (`ensureLayer`): that it can be bounded is asked here.
    if let root, withLayer || spec.quota != nil {
      try makeLayer(files, spec, root.top, in: images(of: spec))
    }
    try finish(files)
    try attempt("install zone \(spec.name)") { () throws(SyscallError) in
      try FileSystem.call("rename", files.installed) { rename(files.incomplete, files.installed) }
    }
  }

  func lease(_ name: String) throws(ZoneError) -> IdRange {
    do { return try IdRangeLeases(directory: directories.sharedRun).lease(name) } catch { throw .refused("\(error)") }
  }

  func leases(of name: String) throws(IdRangeError) -> [IdRange] {
    try IdRangeLeases(directory: directories.sharedRun).list().filter { $0.zone == name }.map { $0.range }
  }

  /// What deletion takes away: leases first, then files, the data directory last of all, because it is the lock.
  func remove(_ files: ZoneFiles) throws(ZoneError) {
    try giveBackIds(files, nil)
    try giveBackAddress(files)
    try attempt("delete zone \(files.name)") { () throws(SyscallError) in
      try TreeRemoval.remove(files.run)
      // The spec goes last: a deletion cut in between leaves a zone that `list` shows and `delete` removes.
      let names = try files.names(in: files.data)
      if names.contains(ZoneFiles.boundName) { unbound(files) }
      for name in names where name != "spec.json" {
        try TreeRemoval.remove("\(files.data)/\(name)")
      }
      try TreeRemoval.remove(files.data)
    }
  }
}

/// A zone with its lock held.
struct LockedZone: ~Copyable {
  let files: ZoneFiles
  let lock: FileLock
}
