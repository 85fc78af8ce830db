internal import Glibc
internal import LinuxNS
public import ZoneRuntime

/// States of zones' roots: snapshots, the way back to them, and clones.
public struct ZoneStates {
  let store: ImageStore
  let zones: Zones
  /// Of the zones' place, as `--root` has it.
  let root: String?
  /// The orchestrator.
  let program: String
  let notice: @Sendable (String) -> Void

  public init(
    _ store: ImageStore, root: String?, program: String = "/proc/self/exe", notice: @escaping @Sendable (String) -> Void
  ) {
    self.store = store
    self.root = root
    self.program = program
    self.notice = notice
    zones = Zones(store.directories, notice: notice)
  }

  /// What a person calls a state.
  public struct Label: Sendable {
    /// nil: the next of snap0, snap1, …
    public var name: String?
    public var labels: [String: String]

    public init(name: String?, labels: [String: String] = [:]) {
      self.name = name
      self.labels = labels
    }
  }

  func locked() throws(ZoneError) -> StoreLock {
    try store.share(notice)
  }

  // MARK: snapshots

  /// Of a zone that does not run in constant time; of one that runs by a copy, while it is frozen.
  /// - Returns: its name.
  public func snapshot(_ zone: String, _ label: Label) throws(ZoneError) -> String {
    let lock = try locked()
    defer { withExtendedLifetime(lock) {} }
    var own = try zones.ownLayer(of: zone, for: "snapshot", in: store, sparse: true)
    let name = try Self.name(label.name, own.root, zone)
    try makeRoom(in: &own, zone)
    try own.checkRoom(for: "snapshot")
    try own.checkAtRest(for: "snapshot")
    if own.isLive {
      try own.name(try copied(own, zone), as: (name, label.labels))
    } else {
      try own.freeze(in: store, as: (name, label.labels))
    }
    return name
  }

  private static func name(_ wanted: String?, _ root: RootRecord, _ zone: String) throws(ZoneError) -> String {
    let names = Set(root.snapshots.map { $0.name })
    guard let wanted else {
      var number = root.snapshots.count
      while names.contains("snap\(number)") { number += 1 }
      return "snap\(number)"
    }
    guard isDNSLabel(wanted) else {
      throw .commandLine("'\(shortened(wanted))' cannot be a snapshot's name: it takes a-z, 0-9 and inner hyphens")
    }
    guard !names.contains(wanted) else { throw .refused("zone \(zone) has a snapshot \(wanted) already") }
    return wanted
  }

  /// A running zone's layer once more, while it is frozen.
  /// - Returns: its number.
  private func copied(_ own: borrowing OwnLayer, _ zone: String) throws(ZoneError) -> Int {
    let begun = Clock.monotonicNanoseconds()
    let hold = own.isLive ? try ZoneHold(zone, root: root, program: program) : nil
    defer { try? hold?.end() }
    var frozen: UInt64 = 0
    do throws(ImageError) {
      let folder = try stored { () throws(ZoneError) in try own.folder() }
      let copy = try LayerCopier.copy(folder, over: own.root.layers, in: store, program: program) {
        () throws(ZoneError) in
        try hold?.end()
        frozen = Clock.monotonicNanoseconds() - begun
      }
      let tenths = frozen / 100_000_000
      notice(
        "copied \(copy.read.bytes) bytes while it was frozen (\(tenths / 10).\(tenths % 10) s); of a zone that is stopped it takes no time"
      )
      return copy.number
    } catch {
      throw .refused("cannot copy what zone \(zone) has written: \(error)")
    }
  }

  public func snapshots(_ zone: String) throws(ZoneError) -> [RootSnapshot] {
    let lock = try locked()
    defer { withExtendedLifetime(lock) {} }
    return try zones.ownLayer(of: zone, for: "look at", in: store, sparse: true).root.snapshots
  }

  /// What each has that the ones before it have not, in bytes.
  public func sizes(of snapshots: [RootSnapshot]) throws(ZoneError) -> [Int64] {
    var seen: Set<Int> = []
    var sizes: [Int64] = []
    for snapshot in snapshots {
      var bytes: Int64 = 0
      for number in snapshot.layers where seen.insert(number).inserted {
        guard let record = try store.layerRecord(number), record.kind == .zone else { continue }
        // Of one that was frozen where it was nobody has counted.
        bytes = saturatingSum(
          bytes, record.bytes > 0 ? record.bytes : TreeUsage.of(store.root(ofLayer: number)).bytes)
      }
      sizes.append(bytes)
    }
    return sizes
  }

  /// Back to a snapshot: what was written since is gone.
  public func rollBack(_ zone: String, to name: String) throws(ZoneError) {
    let lock = try locked()
    defer { withExtendedLifetime(lock) {} }
    var own = try zones.ownLayer(of: zone, for: "roll back", in: store, sparse: true)
    let snapshot = try own.root.snapshot(named: name, of: zone)
    guard !own.isLive else {
      throw .refused("cannot roll zone \(zone) back: it runs (zonectl stop \(zone))")
    }
    try own.rollBack(to: snapshot, in: store)
  }

  /// Their layers go with `prune`.
  public func forget(_ zone: String, _ names: [String]) throws(ZoneError) {
    let lock = try locked()
    defer { withExtendedLifetime(lock) {} }
    var own = try zones.ownLayer(of: zone, for: "look at", in: store, sparse: true)
    for name in names { _ = try own.root.snapshot(named: name, of: zone) }
    for name in names { try own.forget(name) }
  }

  // MARK: clones

  /// A new zone with the root of another, or of one of its snapshots.
  /// - Parameters:
  ///   - snapshot: nil: as it is now.
  public func clone(
    _ zone: String, snapshot: String?, as new: String, template: Bool,
    changed change: (inout ZoneSpec, inout RootRecord) -> Void = { _, _ in }
  ) throws(ZoneError) {
    _ = try zones.clone(zone, snapshot: snapshot, as: new, template: template, changed: change) {
      own throws(ZoneError) in try copied(own, zone)
    }
  }
}
