internal import Glibc
public import LinuxNS
public import ZoneRuntime

/// `rebase`: what a zone has written, put on a newer image. What it was is kept as a snapshot.
public struct ZoneRebase {
  /// What the snapshot is called, where there is none of that name.
  static let snapshot = "before-rebase"

  let store: ImageStore
  let zones: Zones
  /// The orchestrator.
  let program: String
  let notice: @Sendable (String) -> Void

  public init(_ store: ImageStore, program: String = "/proc/self/exe", notice: @escaping @Sendable (String) -> Void) {
    self.store = store
    self.program = program
    self.notice = notice
    zones = Zones(store.directories, notice: notice)
  }

  public struct Outcome: Equatable, Sendable, JSONObject {
    public var zone: String
    public var image: String
    /// Paths that the zone and the newer image have both changed: the zone's are seen.
    public var conflicts: [BytePath] = []
    public var isDone = false
    /// What the zone was, where it was done.
    public var snapshot: String?

    public static var blank: Outcome { Outcome(zone: "", image: "") }

    public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
      try json.field("conflicts", &conflicts)
      try json.field("image", &image)
      try json.field("rebased", &isDone)
      try json.field("snapshot", &snapshot)
      try json.field("zone", &zone)
    }
  }

  public enum Wish: Sendable { case look, rebase, force }

  /// - Parameter name: the newer image; nil: what the zone's image is called, as it is now.
  /// - Returns: not done where it was only looked, where nothing is newer, and where there are conflicts without force.
  public func run(_ zone: String, on name: ImageReference?, _ wish: Wish) throws(ZoneError) -> Outcome {
    let lock = try store.share(notice)
    defer { withExtendedLifetime(lock) {} }
    var own = try zones.ownLayer(of: zone, for: "rebase", in: store)
    guard !own.isLive || wish == .look else {
      throw .refused("cannot rebase zone \(zone): it runs (zonectl stop \(zone))")
    }
    guard let image = own.root.image else {
      throw .refused("cannot rebase zone \(zone): it was not made from an image")
    }
    guard let name = name ?? (image.name.tag == nil ? nil : image.name.byTag) else {
      throw .commandLine("rebase: \(image.name.familiar) is one image for ever; say on which: rebase \(zone) IMAGE")
    }
    guard let found = try zones.findRoot(name) else {
      throw .refused("no image \(name.familiar) is here (zonectl image pull \(name.familiar))")
    }
    var outcome = Outcome(zone: zone, image: "\(name.familiar)@\(found.manifest.text)")
    guard found.manifest != image.manifest else { return outcome }
    let written = try store.written(of: own.root)
    guard written.count + found.layers.count < RootRecord.mostLayers else {
      throw .refused("cannot rebase zone \(zone): it would have more than \(RootRecord.mostLayers) layers")
    }
    outcome.conflicts = try conflicts(own, written, Array(own.root.layers.dropFirst(written.count)), found.layers, zone)
    guard wish != .look, outcome.conflicts.isEmpty || wish == .force else { return outcome }
    let snapshot = Self.free(own.root)
    try own.rebase(on: found, written: written, in: store, as: snapshot)
    outcome.snapshot = snapshot
    outcome.isDone = true
    return outcome
  }

  private static func free(_ root: RootRecord) -> String {
    let names = Set(root.snapshots.map { $0.name })
    var number = 1
    var name = snapshot
    while names.contains(name) {
      number += 1
      name = "\(snapshot)-\(number)"
    }
    return name
  }

  private func conflicts(_ own: borrowing OwnLayer, _ written: [Int], _ old: [Int], _ new: [Int], _ zone: String)
    throws(ZoneError) -> [BytePath]
  {
    let order = RebaseOrder(old: StackOrder(store, old), new: StackOrder(store, new), own: StackOrder(store, written))
    do {
      let folder = try own.folder()
      let answer = try OwnerProcess.start("rebase", order, fds: [folder.raw], program: program).heard(
        RebaseAnswer.self)
      if let why = answer.error { throw ImageError(why) }
      return answer.conflicts
    } catch { throw .refused("cannot compare what zone \(zone) has written with the image: \(error)") }
  }
}

struct RebaseOrder: JSONObject {
  var old: StackOrder
  var new: StackOrder
  /// The zone's, one by one.
  var own: StackOrder

  static var blank: RebaseOrder { RebaseOrder(old: .blank, new: .blank, own: .blank) }

  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("new", &new)
    try json.field("old", &old)
    try json.field("own", &own)
  }
}

struct RebaseAnswer: OwnerAnswer {
  var conflicts: [BytePath] = []
  var error: String?

  static var blank: RebaseAnswer { RebaseAnswer() }

  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("conflicts", &conflicts)
    try json.field("error", &error)
  }
}

/// `orchestrator rebase`, hidden: what `ZoneRebase` starts.
public enum RebaseProgram {
  /// Descriptor 3 is the layer that the zone writes.
  public static func run() -> Int32 {
    OwnerProcess.run("rebase") { (order: RebaseOrder) throws -> RebaseAnswer in
      var look = RebaseLook(old: try order.old.merged(), new: try order.new.merged())
      try look.look(at: OwnedFD(raw: 3))
      for name in order.own.layers {
        try look.look(at: try OwnedFD.open("\(order.own.links)/\(name)", O_PATH | O_DIRECTORY))
      }
      return RebaseAnswer(conflicts: look.found())
    }
  }
}
