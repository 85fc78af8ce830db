internal import LinuxNS

/// New zones of old ones.
extension Zones {
  /// A new zone with the root of another, or of one of its snapshots: in constant time, however much that is, unless the zone
  /// lives, and what it has written has to be copied.
  /// - Parameters:
  ///   - snapshot: nil: as the zone is now.
  ///   - template: the new one is there to be cloned itself.
  ///   - change: what else the new one is to have.
  ///   - copy: makes a layer of what a living zone has written, and returns its number; nil: who asked cannot.
  /// - Returns: false where it could not be copied: nothing was done.
  public func clone(
    _ zone: String, snapshot: String?, as new: String, template: Bool,
    changed change: (inout ZoneSpec, inout RootRecord) -> Void = { _, _ in },
    copying copy: (borrowing OwnLayer) throws(ZoneError) -> Int?
  ) throws(ZoneError) -> Bool {
    var spec = try spec(of: zone)
    guard spec.brand.isImage || spec.brand == .sparse else { throw Self.noLayers("clone", zone) }
    // Where nothing was ever frozen there may be no place for it.
    if spec.brand == .sparse, try ImageStore.open(directories) == nil { return false }
    let store = try images(of: spec)
    guard try !files(new).exists else { throw .exists(new) }
    let lock = try store.share(notice)
    var own = try ownLayer(of: zone, for: "clone", in: store, sparse: true)
    var root: RootRecord
    if let found = try own.rootOfClone(snapshot, in: store) {
      root = found
    } else {
      try own.checkRoom(for: "clone")
      root = own.root
      root.top = try own.top()
      root.snapshots = []
      guard let number = try copy(own) else { return false }
      root.layers.insert(number, at: 0)
      root.top.layer = number
    }
    (spec.name, spec.fleet) = (new, nil)
    root.isTemplate = template
    change(&spec, &root)
    try clone(spec, root)
    withExtendedLifetime(lock) {}
    return true
  }
}

extension OwnLayer {
  /// What a clone begins with.
  /// - Parameter snapshot: nil: the zone as it is now.
  /// - Returns: nil where it lives, and what it has written has to be copied.
  fileprivate mutating func rootOfClone(_ snapshot: String?, in store: ImageStore) throws(ZoneError) -> RootRecord? {
    var root = self.root
    if let snapshot {
      let found = try root.snapshot(named: snapshot, of: files.name)
      (root.layers, root.top) = (found.layers, found.top)
      root.base = found.base ?? root.base
    } else if isLive {
      try checkAtRest(for: "clone")
      return nil
    } else {
      // What nobody has written needs no layer.
      if try !isUntouched() {
        try checkRoom(for: "clone")
        try freeze(in: store, as: nil)
      }
      (root.layers, root.top) = (self.root.layers, self.root.top)
    }
    root.snapshots = []
    return root
  }
}

extension OwnLayer {
  /// - Throws: for a sparse zone that lives: overlayfs has its notes in the one /etc by other names than the store.
  public func checkAtRest(for verb: String) throws(ZoneError) {
    guard isSparse, isLive else { return }
    throw .refused(
      "cannot \(verb) zone \(files.name): it is sparse, and runs (zonectl stop \(files.name); it takes no time then)")
  }

  /// One more layer can be mounted.
  public var hasRoom: Bool {
    root.layers.count < (isSparse ? RootRecord.mostSparseLayers : RootRecord.mostLayers) - 1
  }

  /// - Throws: where its root has as many layers as can be mounted.
  public func checkRoom(for verb: String) throws(ZoneError) {
    guard !hasRoom else { return }
    let mend =
      isSparse
      ? "zonectl cp takes what it has to a new one"
      : "delete snapshots, and make one while it is stopped: layers between those that stay become one"
    throw .refused(
      "cannot \(verb) zone \(files.name): its root has \(root.layers.count) layers, and more cannot be mounted (\(mend))"
    )
  }
}

extension RootRecord {
  /// - Throws: where there is none of that name.
  public func snapshot(named name: String, of zone: String) throws(ZoneError) -> RootSnapshot {
    if let found = snapshots.first(where: { $0.name == name }) { return found }
    let names = snapshots.suffix(8).map { $0.name }
    throw .refused(
      "zone \(zone) has no snapshot \(shortened(name)) ("
        + (names.isEmpty ? "zonectl snapshot create \(zone) makes one" : "it has \(names.joined(separator: ", "))")
        + ")")
  }
}
