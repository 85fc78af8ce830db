internal import LinuxNS

/// New zones of old ones.
extension Zones {
  /// A new zone with the root of one that does not run, or of one of its snapshots: in constant time, however much that is.
  /// - Parameters:
  ///   - snapshot: nil: as the zone is now.
  ///   - template: the new one is there to be cloned itself.
  /// - Returns: false where the zone lives, and what it has written has to be copied first.
  public func clone(_ zone: String, snapshot: String?, as new: String, template: Bool) throws(ZoneError) -> Bool {
    var spec = try spec(of: zone)
    guard let store = try ImageStore.open(directories) else {
      guard case .image = spec.brand else {
        throw .refused("cannot clone zone \(zone): it was not made from an image (create one with --image oci:NAME)")
      }
      throw .refused("cannot use zone \(zone): the images in \(directories.images) are gone")
    }
    guard try !files(new).exists else { throw .exists(new) }
    let lock = try store.lock(.shared) { notice("waiting for who removes images") }
    var own = try ownLayer(of: zone, for: "clone", in: store)
    guard var root = try own.rootOfClone(snapshot, in: store) else { return false }
    (spec.name, spec.fleet) = (new, nil)
    root.isTemplate = template
    try clone(spec, root)
    withExtendedLifetime(lock) {}
    return true
  }
}

extension OwnLayer {
  /// What a clone begins with.
  /// - Parameter snapshot: nil: the zone as it is now.
  /// - Returns: nil where it lives, and what it has written has to be copied.
  public mutating func rootOfClone(_ snapshot: String?, in store: ImageStore) throws(ZoneError) -> RootRecord? {
    var root = self.root
    if let snapshot {
      let found = try root.snapshot(named: snapshot, of: files.name)
      (root.layers, root.top) = (found.layers, found.top)
      root.base = found.base ?? root.base
    } else if isLive {
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
  /// - Throws: where its root has as many layers as can be mounted.
  public func checkRoom(for verb: String) throws(ZoneError) {
    guard root.layers.count >= RootRecord.mostLayers - 1 else { return }
    throw .refused(
      "cannot \(verb) zone \(files.name): its root has \(root.layers.count) layers, and more cannot be mounted (zonectl commit makes an image of them)"
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
