internal import Glibc
public import LinuxNS

/// A zone's own layer, frozen where it is or thrown away, with a new one above. Who calls holds the zone's lock, and the
/// store's (shared).
///
/// What is to be done is written down first (`RootRecord.pending`), in one file, then carried out in steps each of which is
/// one rename and is seen to have been done: a kill anywhere leaves what the next verb carries on with.
extension Zones {
  /// Carries on with what somebody has begun.
  func settled(_ files: ZoneFiles, _ root: RootRecord, in store: ImageStore) throws(ZoneError) -> RootRecord {
    guard let change = root.pending else { return root }
    guard let spec = try files.readSpec() else { throw .notFound(files.name) }
    let isSparse = spec.brand == .sparse
    var rubbish: String?
    if let number = change.frozen {
      // What is frozen is bounded no more, and what is written from now on counted anew. A full one has no room for its record.
      let written = try attempt("freeze zone \(files.name)") { () throws(SyscallError) in
        try files.written(isSparse: isSparse)
      }
      if spec.quota != nil { try? DiskQuota.lift(written) }
      do throws(ZoneError) {
        if isSparse { try attempt("freeze \(written)") { () throws(SyscallError) in try SparseData.layOut(files) } }
        try store.take(files.own, as: number)
      } catch {
        // The first error is the one to report.
        if isSparse, root.layers.isEmpty { SparseData.undoLayOut(files) }
        if let quota = spec.quota { try? bound(files, written, isSparse: isSparse, to: quota) }
        throw error
      }
    } else {
      rubbish = try thrownAway(files, root, in: store)
      if spec.quota != nil, let rubbish { try? DiskQuota.lift(rubbish) }
    }
    var next = root
    (next.layers, next.snapshots, next.top, next.pending) = (change.layers, change.snapshots, change.top, nil)
    next.base = change.base ?? root.base
    // Otherwise it is made by who first wants it. A bound that cannot be had any more is told now.
    if spec.quota != nil {
      // Whoever was killed behind this had made one, and nobody has written in it.
      try attempt("make the layer of zone \(files.name) anew") { () throws(SyscallError) in
        try TreeRemoval.remove(files.own)
      }
      try makeLayer(files, spec, change.top, in: store)
    }
    try next.write(in: files.data)
    if let rubbish { try? TreeRemoval.remove(rubbish) }  // best effort: `prune` goes on with it
    return next
  }

  /// Where it cannot be moved, nothing has been done.
  private func thrownAway(_ files: ZoneFiles, _ root: RootRecord, in store: ImageStore) throws(ZoneError) -> String? {
    do throws(SyscallError) { return try store.throwAway(files.own) } catch {
      var old = root
      old.pending = nil
      try? old.write(in: files.data)  // the first error is the one to report
      throw .call("roll zone \(files.name) back", error)
    }
  }

  /// A zone with the root of another: in constant time, however much that is.
  /// - Parameter root: its layers are in the store, whose lock is held (shared).
  public func clone(_ spec: ZoneSpec, _ root: RootRecord) throws(ZoneError) {
    let store = try images(of: spec)
    let hasId = spec.brand == .sparse ? false : try hasMachineId(root, in: store)
    try create(spec, root: root, withLayer: hasId) { files throws(ZoneError) in
      if hasId { try forgetMachineId(files, root, store) }
    }
  }

  /// A zone that was one elsewhere, or before.
  /// - Parameter root: its layers are in the store, whose lock is held (shared).
  public func install(_ spec: ZoneSpec, _ root: RootRecord) throws(ZoneError) { try create(spec, root: root) }

  /// As `create`. While `finish` has the zone's own layer the zone is not one yet; where it throws there will be none.
  public func create(
    _ spec: ZoneSpec, of found: consuming FoundRoot, finish: (borrowing OwnedFD) throws(ZoneError) -> Void
  ) throws(ZoneError) {
    try create(spec, root: found.root, withLayer: true) { files throws(ZoneError) in
      try finish(
        try attempt("open the layer of zone \(spec.name)") { () throws(SyscallError) in
          try OwnedFD.open(files.upper, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        })
    }
    found.done()
  }

  private func hasMachineId(_ root: RootRecord, in store: ImageStore) throws(ZoneError) -> Bool {
    let layers = RootLayers(
      links: store.mountLinks, names: root.layers.map(store.mountLink), topMode: root.top.mode)
    return try layered("etc/machine-id", layers, nil)?.isEmpty == false
  }

  /// Two machines do not have one id: systemd makes a new one where the file is empty (machine-id(5)).
  private func forgetMachineId(_ files: ZoneFiles, _ root: RootRecord, _ store: ImageStore) throws(ZoneError) {
    try attempt("give \(files.name) a machine id of its own") { () throws(SyscallError) in
      let folder = BytePath(Array("etc".utf8))
      let writer = LayerWriter(try OwnedFD.open(files.upper, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
      for number in root.layers {
        let layer = TreeFD(try OwnedFD.open(store.root(ofLayer: number), O_PATH | O_DIRECTORY))
        guard case .directory = try JointWriter.finding(layer, folder) else { continue }
        try writer.carryOut(.directory(folder, try own(JointWriter.attributes(folder, in: layer))))
        break
      }
      let file = folder.appending(Array("machine-id".utf8))
      let new = try writer.makeFile(file)
      try writer.finish(new, file, size: nil, own(LayerAttributes(mode: 0o444, uid: 0, gid: 0)))
    }
  }

  /// A user's own layer is his, whatever the layers below are.
  private func own(_ attributes: LayerAttributes) -> LayerAttributes {
    var attributes = attributes
    if geteuid() != 0 { (attributes.uid, attributes.gid) = (geteuid(), getegid()) }
    return attributes
  }
}

extension OwnLayer {
  /// Words of a person's about a state.
  public typealias Label = (name: String, labels: [String: String])

  /// Freezes it as a layer of the store: as long for a gigabyte as for a byte.
  /// - Parameter snapshot: nil: nobody shall go back to it by a name.
  public mutating func freeze(in store: ImageStore, as snapshot: Label?) throws(ZoneError) {
    _ = try folder()  // an empty one is frozen as well
    var top = try top()
    let new = try store.begin()
    top.layer = new.number
    do throws(ZoneError) {
      try store.note(LayerRecord(.zone, digest: nil, made: Clock.realtimeNanoseconds()), of: new)
      var change = RootChange(
        frozen: new.number, layers: [new.number] + root.layers, snapshots: root.snapshots, top: top)
      if let snapshot { change.snapshots.append(Self.snapshot(snapshot, change.layers, top)) }
      try carryOut(change, in: store)
    } catch {
      if root.pending == nil { store.abandon(new) }
      throw error
    }
  }

  /// Throws away what was written since; the root is as it was then.
  public mutating func rollBack(to snapshot: RootSnapshot, in store: ImageStore) throws(ZoneError) {
    var snapshots = root.snapshots
    // Those that were of the image of now have to say so, where it will be another.
    if snapshot.base != nil {
      for index in snapshots.indices where snapshots[index].base == nil { snapshots[index].base = root.base }
    }
    try carryOut(
      RootChange(frozen: nil, layers: snapshot.layers, snapshots: snapshots, top: snapshot.top, base: snapshot.base),
      in: store)
  }

  /// What was written comes to lie on another image.
  /// - Parameters:
  ///   - written: the zone's own layers of those below, from the top.
  ///   - name: of the snapshot that keeps the root as it is now.
  public mutating func rebase(
    on found: borrowing FoundRoot, written: [Int], in store: ImageStore, as name: String
  ) throws(ZoneError) {
    var written = written
    if try !isUntouched() {
      try freeze(in: store, as: nil)
      written.insert(root.layers[0], at: 0)
    }
    var snapshots = root.snapshots
    snapshots.append(Self.snapshot((name, [:]), root.layers, root.top))
    // Those of before are of the image of then.
    for index in snapshots.indices where snapshots[index].base == nil { snapshots[index].base = root.base }
    try carryOut(
      RootChange(
        frozen: nil, layers: written + found.root.layers, snapshots: snapshots,
        top: written.isEmpty ? found.root.top : root.top, base: found.root.base), in: store)
  }

  private mutating func carryOut(_ change: RootChange, in store: ImageStore) throws(ZoneError) {
    var begun = root
    begun.pending = change
    let zones = Zones(store.directories)
    if let spec = try files.readSpec() { try zones.checkQuota(of: spec) }
    do throws(ZoneError) { try begun.write(in: files.data) } catch {
      // It may stand there all the same: what was not seen to be taken back is carried on with.
      if (try? root.write(in: files.data)) == nil { root = begun }
      throw error
    }
    do throws(ZoneError) { root = try zones.settled(files, begun, in: store) } catch {
      // Where the layer is seen to be in its place nothing has been done yet; otherwise the next verb carries on.
      if let number = change.frozen, (try? FileSystem.isThere(store.layer(number))) == false,
        (try? isThere) == true, (try? root.write(in: files.data)) != nil
      {
        throw error
      }
      root = begun
      throw error
    }
  }

  /// Names what a layer of the store has, with all below it: a copy of what the zone has written, made while it went on.
  public mutating func name(_ layer: Int, as snapshot: Label) throws(ZoneError) {
    var top = try top()
    top.layer = layer
    try change { $0.snapshots.append(Self.snapshot(snapshot, [layer] + $0.layers, top)) }
  }

  /// Takes a snapshot's name away; its layers go with `prune`, as far as nobody else has them.
  public mutating func forget(_ name: String) throws(ZoneError) {
    try change { $0.snapshots.removeAll { $0.name == name } }
  }

  /// In one file: it is done, or it is not.
  public mutating func change(_ body: (inout RootRecord) -> Void) throws(ZoneError) {
    var next = root
    body(&next)
    try next.write(in: files.data)
    root = next
  }

  private static func snapshot(_ label: Label, _ layers: [Int], _ top: RootTop) -> RootSnapshot {
    var snapshot = RootSnapshot(name: label.name, made: Clock.realtimeNanoseconds(), layers: layers, top: top)
    snapshot.labels = label.labels
    return snapshot
  }
}

extension ImageStore {
  /// The folder of a zone's own layer becomes that of a number that was begun, with what was noted of it there.
  func take(_ own: String, as number: Int) throws(ZoneError) {
    let begun = "\(unfinished)/\(LayerNumber.text(number))"
    try attempt("freeze \(own)") { () throws(SyscallError) in
      // Only what is seen counts: a look that failed would have another layer frozen in the place of this one.
      if try !FileSystem.isThere(layer(number)), try !FileSystem.isThere(own), FileSystem.exists("\(begun)/root") {
        // As a freeze was begun when a layer had no folder of its own.
        try FileSystem.call("rename", begun) { rename(begun, layer(number)) }
      } else if try !FileSystem.isThere(layer(number)) {
        try FileSystem.replace(
          "\(own)/layer.json", with: FileSystem.read("\(begun)/layer.json"), mode: 0o600, durable: true)
        // In one step: a start takes one that is there for whole.
        let (work, gone) = ("\(own)/work", "\(own)/gone")
        try TreeRemoval.remove(gone)
        guard rename(work, gone) == 0 || errno == ENOENT else {
          throw SyscallError(call: "rename", errno: errno, path: work)
        }
        try TreeRemoval.remove(gone)
        try FileSystem.call("rename", own) { rename(own, layer(number)) }
      }
      let name = LayerNumber.text(number)
      try link("../layers/\(name)/root", at: "\(mountLinks)/\(name)")
      try? discard(begun)  // nothing but the claim of the number; `prune` finds it
    }
  }
}

extension FileSystem {
  /// Unlike `exists`, sure of it.
  static func isThere(_ path: String) throws(SyscallError) -> Bool {
    do throws(SyscallError) { _ = try status(path, followingLinks: false) } catch {
      guard error.errno == ENOENT else { throw error }
      return false
    }
    return true
  }
}
