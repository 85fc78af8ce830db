internal import Glibc
internal import LinuxNS
public import ZoneRuntime

/// `import --machine`: a machine's tree becomes an image, and a zone of it. What is the hardware's is changed in the zone's own
/// layer, so that `diff` tells of it and the image stays as it came.
public struct MachineImporter {
  let store: ImageStore
  /// The orchestrator.
  let program: String
  let notice: @Sendable (String) -> Void

  public init(_ store: ImageStore, program: String = "/proc/self/exe", notice: @escaping @Sendable (String) -> Void) {
    self.store = store
    self.program = program
    self.notice = notice
  }

  /// A unit that was started with the machine, and whether it is with the zone.
  public struct Service: Equatable, Sendable, JSONObject {
    public var name: String
    public var isKept: Bool

    public static var blank: Service { Service(name: "", isKept: true) }

    public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
      try json.field("kept", &isKept)
      try json.field("name", &name)
    }
  }

  public struct Imported: Equatable, Sendable, JSONObject {
    public var zone: String
    public var image: String
    public var services: [Service]

    public static var blank: Imported { Imported(zone: "", image: "", services: []) }

    public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
      try json.field("image", &image)
      try json.field("services", &services)
      try json.field("zone", &zone)
    }
  }

  /// - Parameters:
  ///   - path: a folder, a tar, or `-`, a tar on standard input.
  ///   - spec: of the new zone, with its name; its root and command are given here.
  public func run(_ path: String, _ spec: ZoneSpec) throws -> Imported {
    let zones = Zones(store.directories, notice: notice)
    guard isDNSLabel(spec.name) else {
      throw ZoneError.commandLine(
        "'\(shortened(spec.name))' cannot be a zone's name: it takes a-z, 0-9 and inner hyphens")
    }
    if (try? zones.spec(of: spec.name)) != nil { throw ZoneError.exists(spec.name) }
    let day = Timestamp.text(Int64(Clock.realtimeNanoseconds() / 1_000_000_000), 0).prefix(10)
    let name = try ImageReference(parsing: "localhost/machine/\(spec.name):\(day)")
    let isNew = try store.resolve(name) == nil
    try importTree(path, as: name)
    do { return try zone(spec, of: name, zones) } catch {
      // A zone that is none leaves no image either.
      if isNew { _ = try? store.delete(name.familiar, force: true) }
      throw error
    }
  }

  private func zone(_ spec: ZoneSpec, of name: ImageReference, _ zones: Zones) throws -> Imported {
    guard let found = try zones.findRoot(name) else { throw ZoneError.refused("\(name.familiar) is gone again") }
    let machine = try asked(MachineOrder(StackOrder(store, found.layers), change: false), fds: [])
    guard machine.isMachine else {
      throw ZoneError.refused("cannot make zone \(spec.name): the tree has no /sbin/init (it is no machine's)")
    }
    var spec = spec
    spec.brand = .image(name)
    spec.command = ["/sbin/init"]
    spec.ownInit = true
    if spec.hostname == nil, let name = machine.hostname {
      if isDNSLabel(name.lowercased()) {
        spec.hostname = name
      } else {
        notice("the machine calls itself \(shortened(name)), which is no host's name; the zone is \(spec.name)")
      }
    }
    let order = MachineOrder(StackOrder(store, found.layers), change: true)
    try zones.create(spec, of: found) { layer throws(ZoneError) in
      do { _ = try asked(order, fds: [layer.raw]) } catch {
        throw .refused("cannot make a zone of the machine: \(error)")
      }
    }
    return Imported(zone: spec.name, image: name.familiar, services: machine.services)
  }

  private func asked(_ order: MachineOrder, fds: [CInt]) throws -> MachineAnswer {
    let answer = try OwnerProcess.start("machine", order, fds: fds, program: program).heard(MachineAnswer.self)
    if let why = answer.error { throw ImageError(why) }
    return answer
  }

  // MARK: the tree

  private func importTree(_ path: String, as name: ImageReference) throws {
    let importer = ImageImporter(store, notice: notice)
    let isFolder = path != "-" && (try? OwnedFD.open(path, O_PATH | O_DIRECTORY)) != nil
    guard isFolder else {
      _ = try importer.run(path, .tar, name: name.familiar)
      return
    }
    let lock = try store.lock(.shared)
    defer { withExtendedLifetime(lock) {} }
    let part = try store.part()
    defer { store.abandon(part) }
    try Self.archive(path, into: part.file, notice)
    _ = try importer.run(part.path, .tar, name: name.familiar)
  }

  /// Folders of a machine whose content is of one boot.
  private static let passing: Set<Substring> = ["proc", "sys", "dev", "run", "tmp"]

  /// By tar(1): with all that a file has, and the machine's other disks and subvolumes where they are mounted in the tree;
  /// without what is of this boot. What is left out beside that is told.
  private static func archive(_ path: String, into file: borrowing OwnedFD, _ notice: (String) -> Void) throws {
    var left = passing.sorted().map { "--exclude=./\($0)/*" }
    for mount in try ForeignMount.all(below: path) {
      guard let first = mount.path.split(separator: "/").first, !passing.contains(first) else { continue }
      left.append("--exclude=\(mount.pattern)")
      notice("left out what is in \(mount.path): it is on none of the machine's disks (\(mount.type))")
    }
    let words =
      [
        "tar", "--create", "--file=-", "--format=posix", "--numeric-owner", "--sparse", "--xattrs",
        "--xattrs-include=*",
      ] + left + ["--directory=\(path)", "."]
    let null = try OwnedFD.open("/dev/null", O_RDONLY)
    let started = try spawn(
      ProgramStart(
        path: "/usr/bin/tar", arguments: words, environment: Environment.all.filter { !$0.hasPrefix("TAR_OPTIONS=") },
        fds: [null.raw, file.raw, 2]))
    switch try Pidfd(OwnedFD(raw: started.pidfd)).reap() {
    case .exited(0): return
    // tar(1), "RETURN VALUE": a file changed while it was read.
    case .exited(1): notice("files changed while they were read: stop the machine for a state of one moment")
    case let status: throw ZoneError.refused("cannot read all of \(path): tar ended with status \(status.shellCode)")
    }
  }
}

/// What `orchestrator machine` is asked.
struct MachineOrder: JSONObject {
  var stack: StackOrder
  /// In descriptor 3, the zone's own layer; otherwise it is only looked.
  var change: Bool

  static var blank: MachineOrder { MachineOrder(.blank, change: false) }

  init(_ stack: StackOrder, change: Bool) {
    self.stack = stack
    self.change = change
  }

  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("change", &change)
    try json.field("stack", &stack)
  }
}

struct MachineAnswer: OwnerAnswer {
  var error: String?
  var hostname: String?
  /// An init is there.
  var isMachine = false
  var services: [MachineImporter.Service] = []

  static var blank: MachineAnswer { MachineAnswer() }

  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("error", &error)
    try json.field("hostname", &hostname)
    try json.field("machine", &isMachine)
    try json.field("services", &services)
  }
}

/// `orchestrator machine`, hidden: what `MachineImporter` starts.
public enum MachineProgram {
  public static func run() -> Int32 {
    OwnerProcess.run("machine") { (order: MachineOrder) throws -> MachineAnswer in
      let tree = MergedTree(TreeFD(try order.stack.merged()))
      let plan = try MachinePlan(tree)
      if order.change {
        try LayerEdit.carryOut(plan.changes, over: tree.tree, in: OwnedFD(raw: 3))
      }
      var answer = MachineAnswer()
      answer.hostname = plan.hostname
      answer.isMachine = try tree.isThere("sbin/init") || tree.isThere("usr/sbin/init")
      answer.services = plan.services.map { MachineImporter.Service(name: $0.name, isKept: $0.isKept) }
      return answer
    }
  }
}

/// Layers as they are seen together.
final class MergedTree: MachineTree {
  let tree: TreeFD

  init(_ tree: consuming TreeFD) { self.tree = tree }

  /// nil also where a link is on the way.
  private func look(_ path: BytePath) throws(SyscallError) -> OwnedFD? {
    do throws(SyscallError) { return try tree.look(path) } catch {
      guard error.errno == ELOOP else { throw error }
      return nil
    }
  }

  func names(_ path: String) throws -> [String] {
    let path = BytePath(path)
    guard let look = try look(path), try FileFacts.of(open: look).kind == .directory else { return [] }
    // A name that is no text is none of a unit or a kernel.
    return try tree.names(path).compactMap { String(validating: $0, as: UTF8.self) }
  }

  func isThere(_ path: String) throws -> Bool { try look(BytePath(path)) != nil }

  func text(_ path: String) throws -> String? {
    let path = BytePath(path)
    guard let look = try look(path), try FileFacts.of(open: look).kind == .file else { return nil }
    let file = try tree.open(path, O_RDONLY | O_NOFOLLOW)
    return String(validating: try FileSystem.read(file, limit: 1 << 20, name: path.words), as: UTF8.self)
  }
}
