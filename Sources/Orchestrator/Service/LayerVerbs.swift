internal import CommandLineTable
internal import Glibc
internal import LinuxNS
internal import Orchestrator
internal import ZoneRuntime

/// commit, diff, snapshot and clone: what zones have written over their images.
struct LayerVerbs {
  private let invocation: Invocation
  private let directories: Directories

  init(_ invocation: Invocation) throws(ZoneError) {
    self.invocation = invocation
    directories = try Directories.standard(root: invocation.value(.root))
  }

  /// Where there is no such zone that is said, whatever images are here.
  private func store(for zone: String) throws(ZoneError) -> ImageStore {
    let spec = try Zones(directories).spec(of: zone)
    if let store = try ImageStore.open(directories) { return store }
    guard case .image = spec.brand else { return try ImageStore.make(directories) }
    throw .refused("cannot use zone \(zone): the images in \(directories.images) are gone")
  }

  private func states(of zone: String) throws(ZoneError) -> ZoneStates {
    ZoneStates(try store(for: zone), root: invocation.value(.root)) { HandedOver.complain($0) }
  }

  // MARK: snapshot and clone

  private static let snapshotWords = VerbWords(
    "snapshot",
    [
      VerbWords.Word("create", 1...2, "create ZONE [NAME]", [.label, .expires]),
      VerbWords.Word("set", 3...3, "set ZONE NAME expires=WHEN", []),
      VerbWords.Word("list", 1...1, "list ZONE", [.output, .quiet]),
      VerbWords.Word("rollback", 2...2, "rollback ZONE NAME", []),
      VerbWords.Word("delete", 2...Int.max, "delete ZONE NAME…", []),
    ])

  func snapshot() throws -> Int32 {
    let word = invocation.operands[0]
    let rest = try Self.snapshotWords.checked(invocation)
    let (zone, names) = (rest[0], Array(rest.dropFirst()))
    let states = try states(of: zone)
    switch word {
    case "create":
      let expires = try invocation.expires()
      let made = try states.snapshot(zone, ZoneStates.Label(name: names.first, labels: try invocation.labels()))
      if let expires { try Zones(directories).renew(.snapshot(made, of: zone), until: expires.time) }
      Terminal.print(made)
    case "set":
      try Zones(directories).renew(
        .snapshot(names[0], of: zone), until: try Leases.parse(names[1], "snapshot set"))
    case "list":
      let snapshots = try states.snapshots(zone)
      try list(snapshots, sizes: try states.sizes(of: snapshots))
    case "rollback": try states.rollBack(zone, to: names[0])
    default: try states.forget(zone, names)
    }
    return 0
  }

  private func list(_ snapshots: [RootSnapshot], sizes: [Int64]) throws {
    let format = try ImageVerbs.format(invocation)
    if invocation.has(.quiet) {
      for snapshot in snapshots { Terminal.print(snapshot.name) }
    } else if format == .json {
      try ImageVerbs.json(
        zip(snapshots, sizes).map { snapshot, bytes in
          SnapshotRow(
            bytes: bytes, expires: snapshot.expires, labels: snapshot.labels, layers: snapshot.layers.count,
            made: snapshot.made,
            name: snapshot.name)
        })
    } else {
      let now = Clock.realtimeNanoseconds()
      let isWide = format == .wide
      var table = TextTable(["name", "age"] + (isWide ? ["made", "expires"] : []) + ["size", "layers", "labels"])
      for (snapshot, bytes) in zip(snapshots, sizes) {
        let labels = snapshot.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        let age = Words.span(nanoseconds: now > snapshot.made ? now - snapshot.made : 0)
        let made = Timestamp.text(Int64(clamping: snapshot.made / 1_000_000_000), 0)
        table.add(
          [snapshot.name, age] + (isWide ? [made, snapshot.expires.map(LeaseTime.text) ?? "-"] : [])
            + [Words.bytes(bytes), String(snapshot.layers.count), labels.isEmpty ? "-" : labels.joined(separator: ",")])
      }
      Terminal.write(table.text(), to: STDOUT_FILENO)
    }
  }

  func clone() throws -> Int32 {
    let (zone, snapshot) = invocation.zoneState
    let new = invocation.operands[1]
    guard zone != new else { throw ZoneError.commandLine("clone: \(shortened(new)) would be a clone of itself") }
    try states(of: zone).clone(zone, snapshot: snapshot, as: new, template: invocation.has(.asTemplate))
    Terminal.print(new)
    return 0
  }

  func rebase() throws -> Int32 {
    let zone = invocation.operands[0]
    let name = try invocation.operands.dropFirst().first.map { try ImageVerbs.reference($0) }
    let format = try ImageVerbs.format(invocation)
    let wish: ZoneRebase.Wish = invocation.has(.dryRun) ? .look : invocation.has(.force) ? .force : .rebase
    let rebase = ZoneRebase(try store(for: zone)) { HandedOver.complain($0) }
    let outcome = try rebase.run(zone, on: name, wish)
    if format == .json {
      try ImageVerbs.json(outcome)
    } else {
      for path in outcome.conflicts { Terminal.print(path.words) }
    }
    guard outcome.conflicts.isEmpty || outcome.isDone || wish == .look else {
      let count = outcome.conflicts.count
      throw ZoneError.refused(
        "cannot rebase zone \(zone): \(count) path\(count == 1 ? " was" : "s were") changed by it and by \(outcome.image) (--force keeps the zone's)"
      )
    }
    if let snapshot = outcome.snapshot {
      HandedOver.complain("\(zone) is on \(outcome.image) (zonectl snapshot rollback \(zone) \(snapshot): back)")
    } else if wish != .look {
      HandedOver.complain("\(zone) is on \(outcome.image) already")
    }
    return 0
  }

  // MARK: commit and diff

  func commit() throws -> Int32 {
    let zone = invocation.operands[0]
    let name = try ImageVerbs.reference(invocation.operands[1])
    guard name.digest == nil else {
      throw ZoneError.commandLine("commit: \(name.familiar) has a digest, which nobody can give")
    }
    var wish = ImageCommitter.Wish()
    for text in invocation.values(.change) {
      do throws(SyntaxError) { wish.changes.append(try ImageChange(parsing: text)) } catch {
        throw ZoneError.commandLine(error.description)
      }
    }
    wish.comment = invocation.value(.message)
    wish.author = invocation.value(.author)
    if let how = try invocation.choice("compress", ["gzip", "zstd", "none"]) {
      wish.compression = MediaType.Compression(rawValue: how) ?? wish.compression
    }
    let store = try store(for: zone)
    do throws(ImageError) {
      let committer = ImageCommitter(store, root: invocation.value(.root)) { HandedOver.complain($0) }
      let digest = try committer.run(zone, as: name, wish)
      Terminal.print("\(name.familiar)@\(digest.text)")
    } catch { throw ZoneError.refused("cannot commit zone \(zone): \(error)") }
    return 0
  }

  func difference() throws -> Int32 {
    let format = try ImageVerbs.format(invocation)
    let (zone, snapshot) = invocation.zoneState
    let store = try store(for: zone)
    let lock = try store.lock(.shared)
    let own = try Zones(directories).ownLayer(of: zone, for: "compare", in: store)
    let root = own.root
    let before: (layers: [Int], top: RootTop?)
    if let snapshot {
      let found = try root.snapshot(named: snapshot, of: zone)
      before = (found.layers, found.top)
    } else {
      before = (
        Array(root.layers.dropFirst(try store.written(of: root).count)),
        try root.image.flatMap { try store.top(of: $0.manifest) }
      )
    }
    let folder = try own.folder()
    let found: LayerDifference
    do throws(ImageError) {
      found =
        before.layers == root.layers
        ? try LayerComparer.changes(of: folder, over: root.layers, top: root.top, in: store)
        : try LayerComparer.changes(of: own, since: before, in: store)
    } catch {
      throw ZoneError.refused("cannot compare zone \(zone) with \(snapshot ?? "its image"): \(error)")
    }
    withExtendedLifetime(lock) {}
    if format == .json {
      try ImageVerbs.json(found)
    } else if !found.changes.isEmpty {
      let isWide = format == .wide
      var table = TextTable(["change", "size"] + (isWide ? ["mode", "owner"] : []) + ["path"])
      for change in found.changes {
        let wide = [Self.both(change.oldMode, change.mode), Self.both(change.oldOwner, change.owner)]
        table.add(
          [change.change.letter, Self.both(change.oldSize, change.size)] + (isWide ? wide : []) + [change.path.words])
      }
      Terminal.write(table.text(), to: STDOUT_FILENO)
    }
    for problem in found.problems { HandedOver.complain("cannot look at \(problem.path.words): \(problem.why)") }
    return found.problems.isEmpty ? 0 : 1
  }

  /// `12`, or `10>12` where it was another.
  private static func both<Value: Equatable>(_ old: Value?, _ new: Value?) -> String {
    if let old, let new, old != new { return "\(old)>\(new)" }
    return (new ?? old).map { "\($0)" } ?? "-"
  }
}

/// A line of snapshot list.
private struct SnapshotRow: JSONObject {
  /// What it has that the ones before it have not.
  var bytes: Int64 = 0
  /// Seconds since 1970.
  var expires: UInt64?
  var labels: [String: String] = [:]
  var layers = 0
  /// Nanoseconds since 1970.
  var made: UInt64 = 0
  var name = ""

  static var blank: SnapshotRow { SnapshotRow() }

  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("bytes", &bytes)
    try json.field("expires", &expires)
    try json.field("labels", &labels)
    try json.field("layers", &layers)
    try json.field("made", &made)
    try json.field("name", &name)
  }
}
