internal import LinuxNS

/// The planner's vocabulary: each function makes one op and the words it is told in. Paths are inside the zone, absolute.
extension PlannedOp {
  private static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

  /// The stage takes paths below the root without their leading slash.
  private static func inside(_ path: String) -> [UInt8] {
    var rest = bytes(path)
    while rest.first == UInt8(ascii: "/") { rest.removeFirst() }
    return rest.isEmpty ? bytes(".") : rest
  }

  static func rootTmpfs(on path: String, options: String) -> PlannedOp {
    PlannedOp(
      op: StageOp(.rootTmpfs, blocks: [bytes(path), bytes(options)], a: MountFlag.noSuid | MountFlag.noDev),
      words: "mount the root, a tmpfs (\(options)), on \(path)")
  }

  static func rootTree(_ source: Tree, on path: String) -> PlannedOp {
    PlannedOp(op: source.op(.rootTree, at: bytes(path)), words: "attach the root \(source.words) on \(path)")
  }

  static func hostTree(_ source: Tree, on path: String) -> PlannedOp {
    PlannedOp(op: source.op(.hostTree, at: bytes(path)), words: "see \(path) \(source.words)")
  }

  /// - Parameter links: the directory that the layers' names in the options are found from.
  static func rootOverlay(on path: String, from links: String, options: String, flags: UInt64) -> PlannedOp {
    PlannedOp(
      op: StageOp(.rootOverlay, blocks: [bytes(path), bytes(links), bytes(options)], a: flags),
      words: "mount the root, an overlay (\(options)), on \(path)")
  }

  static func fileIds(uid: UInt32, gid: UInt32) -> PlannedOp {
    PlannedOp(
      op: StageOp(.fsids, a: UInt64(uid), b: UInt64(gid)), words: "make files as host id \(uid):\(gid), the zone's root"
    )
  }

  static func directory(_ path: String, mode: UInt64 = 0o755, fresh: Bool) -> PlannedOp {
    PlannedOp(
      op: StageOp(.makeDirectory, flags: fresh ? .fresh : [], blocks: [inside(path)], a: mode),
      words: "make the directory \(path)")
  }

  static func link(_ path: String, to target: String, fresh: Bool) -> PlannedOp {
    PlannedOp(
      op: StageOp(.symlink, flags: fresh ? .fresh : [], blocks: [inside(path), bytes(target)]),
      words: "link \(path) to \(target)")
  }

  static func file(_ path: String, _ content: String, mode: UInt64 = 0o644) -> PlannedOp {
    let content = bytes(content)
    return PlannedOp(
      op: StageOp(.file, blocks: [inside(path), content], a: UInt64(content.count), b: mode), words: "write \(path)")
  }

  static func attach(_ source: Tree, on path: String, flags: StageOp.Flags = []) -> PlannedOp {
    var op = source.op(.attach, at: inside(path))
    op.flags.formUnion(flags)
    return PlannedOp(op: op, words: "attach \(source.words) on \(path)")
  }

  static func mount(_ type: String, on path: String, flags: UInt64 = 0, options: String? = nil, make: Bool = false)
    -> PlannedOp
  {
    PlannedOp(
      op: StageOp(.mount, flags: make ? .make : [], blocks: [inside(path), bytes(type), options.map(bytes)], a: flags),
      words: "mount \(type) on \(path)" + detail(flags, options))
  }

  private static func detail(_ flags: UInt64, _ options: String?) -> String {
    let parts = [MountFlag.text(flags), options ?? ""].filter { !$0.isEmpty }
    return parts.isEmpty ? "" : " (\(parts.joined(separator: ",")))"
  }

  static func overlay(on path: String, options: String, flags: UInt64 = 0, make: Bool = false) -> PlannedOp {
    PlannedOp(
      op: StageOp(.overlay, flags: make ? .make : [], blocks: [inside(path), nil, bytes(options)], a: flags),
      words: "mount overlay on \(path) (\(options))")
  }

  /// - Parameters:
  ///   - place: the target as the host sees it, before anything is pivoted.
  ///   - links: the directory that the layers' names in the options are found from.
  static func overlay(
    on path: String, at place: String, from links: String, options: String, flags: UInt64
  ) -> PlannedOp {
    PlannedOp(
      op: StageOp(.overlay, blocks: [inside(path), bytes(links), bytes(options), bytes(place)], a: flags),
      words: "mount overlay on \(path) (\(options))")
  }

  static func device(_ path: String, major: UInt64, minor: UInt64, mode: UInt64 = 0o666) -> PlannedOp {
    let number = (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)  // makedev(3), the kernel's new encoding
    return PlannedOp(
      op: StageOp(.device, blocks: [inside(path)], a: number, b: mode),
      words: "make the device \(path) (c \(major):\(minor))")
  }

  /// - Parameter following: links on the way are the tree's own, and stay in it.
  static func mask(_ path: String, following: Bool = false) -> PlannedOp {
    PlannedOp(op: StageOp(.mask, flags: following ? .follow : [], blocks: [inside(path)]), words: "mask \(path)")
  }

  static func readOnlyPath(_ path: String, following: Bool = false) -> PlannedOp {
    PlannedOp(
      op: StageOp(.readOnlyPath, flags: following ? .follow : [], blocks: [inside(path)]),
      words: "make \(path) read-only")
  }

  static func write(_ path: String, _ text: String, optional: Bool = false) -> PlannedOp {
    PlannedOp(
      op: StageOp(.write, flags: optional ? .optional : [], blocks: [inside(path), bytes(text)]),
      words: "write \(text) to \(path)")
  }

  static func simple(_ code: StageOp.Code, _ words: StaticString) -> PlannedOp {
    PlannedOp(op: StageOp(code), words: "\(words)")
  }

  static func hostname(_ name: String) -> PlannedOp {
    PlannedOp(op: StageOp(.hostname, blocks: [bytes(name)]), words: "name the host \(name)")
  }

  static func terminal(rows: UInt64, columns: UInt64) -> PlannedOp {
    PlannedOp(op: StageOp(.terminal, a: rows, b: columns), words: "open a terminal of the zone's /dev/pts")
  }

  static func changeDirectory(_ path: String, make: Bool) -> PlannedOp {
    PlannedOp(op: StageOp(.changeDirectory, flags: make ? .make : [], blocks: [bytes(path)]), words: "enter \(path)")
  }

  /// A user's home need not be there: nobody's is /nonexistent.
  static func enterHome(_ path: String) -> PlannedOp {
    PlannedOp(op: StageOp(.changeDirectory, flags: .optional, blocks: [bytes(path)]), words: "enter \(path), or else /")
  }

  static func readOnly(_ path: String) -> PlannedOp {
    PlannedOp(op: StageOp(.readOnly, blocks: [inside(path)]), words: "make \(path) read-only")
  }

  static func secret(_ name: String, source: Int, owner: UInt32) -> PlannedOp {
    PlannedOp(
      op: StageOp(
        .copy, fd: Int32(source), blocks: [inside("/run/secrets/\(name)")], a: UInt64(owner) | UInt64(owner) << 32,
        b: 0o400),
      words: "put the secret \(name) into /run/secrets")
  }

  static func ids(uid: UInt32, gid: UInt32, groups: [UInt32], keepGroups: Bool) -> PlannedOp {
    let list = groups.flatMap { group in withUnsafeBytes(of: group) { Array($0) } }
    return PlannedOp(
      op: StageOp(
        .ids, flags: keepGroups ? .keepGroups : [], fd: Int32(groups.count), blocks: [list], a: UInt64(uid),
        b: UInt64(gid)),
      words: "become \(uid):\(gid)"
        + (keepGroups
          ? ", groups as the kernel keeps them" : ", groups [\(groups.map(String.init).joined(separator: " "))]"))
  }

  static func capabilities(_ set: CapabilitySet) -> [PlannedOp] {
    [
      PlannedOp(op: StageOp(.bounding, a: set.rawValue), words: "bound capabilities to \(set)")
    ]
  }

  static func holdCapabilities(_ set: CapabilitySet) -> PlannedOp {
    PlannedOp(op: StageOp(.capabilities, a: set.rawValue), words: "hold \(set); none inheritable, none ambient")
  }

  /// - Parameter flags: SECCOMP_FILTER_FLAG_* of seccomp(2).
  static func seccomp(_ program: [UInt8], flags: UInt64 = 0) -> PlannedOp {
    let count = program.count / 8
    return PlannedOp(
      op: StageOp(.seccomp, blocks: [program], a: UInt64(count), b: flags),
      words: "filter system calls (\(count) instructions)")
  }
}

/// Ops that only OCI containers have.
extension PlannedOp {
  static func mount(
    _ type: String, from source: String, on path: String, flags: UInt64, options: String?, how: StageOp.Flags = []
  ) -> PlannedOp {
    PlannedOp(
      op: StageOp(
        .mount, flags: how.union(.make),
        blocks: [inside(path), bytes(type), options.map(bytes), bytes(source)], a: flags),
      words: "mount \(type) on \(path)" + detail(flags & 15, options))
  }

  /// - Parameters:
  ///   - flags: mount(2)'s MS_SHARED and so on, with MS_REC.
  ///   - path: nil is the caller's own root.
  static func propagation(_ flags: UInt64, on path: String?) -> PlannedOp {
    let name = BundleMount.propagations.first { $0.value == flags }?.name ?? "\(flags)"
    return PlannedOp(
      op: StageOp(.propagation, blocks: [path.map(inside)], a: flags), words: "make mounts at \(path ?? "/") \(name)")
  }

  static func attributes(_ source: Tree, set: UInt64, clear: UInt64, recursive: Bool) -> PlannedOp {
    var op = source.op(.attributes, at: [])
    op.flags = recursive ? .recursive : []
    op.blocks = [nil, op.blocks[1]]
    op.a = set
    op.b = clear
    return PlannedOp(op: op, words: "set the attributes of \(source.path)")
  }

  static func node(_ device: BundleDevice, uid: UInt32, gid: UInt32) -> PlannedOp {
    var owner: [UInt8] = []
    for id in [uid, gid] { withUnsafeBytes(of: id) { owner.append(contentsOf: $0) } }
    return PlannedOp(
      op: StageOp(.node, blocks: [inside(device.path), owner], a: device.number, b: UInt64(device.mode)),
      words: "make the device \(device.path)")
  }

  static var console: PlannedOp {
    PlannedOp(
      op: StageOp(.console, flags: .make, blocks: [bytes("dev/console")]), words: "show the terminal at /dev/console")
  }

  static func domainname(_ name: String) -> PlannedOp {
    PlannedOp(op: StageOp(.domainname, blocks: [bytes(name)]), words: "name the domain \(name)")
  }

  static func label(_ file: String, _ text: String) -> PlannedOp {
    PlannedOp(op: StageOp(.label, blocks: [bytes(file), bytes(text)]), words: "write '\(text)' to \(file)")
  }

  /// - Parameter directory: where the process is going to be, for a relative command.
  static func find(from directory: String) -> PlannedOp {
    PlannedOp(op: StageOp(.find, blocks: [inside(directory)]), words: "find the command")
  }

  static func oomScore(_ score: Int32) -> PlannedOp {
    PlannedOp(op: StageOp(.oomScore, blocks: [bytes("\(score)")]), words: "set oom_score_adj to \(score)")
  }

  static func hardLimit(_ limit: BundleProcess.Rlimit) -> PlannedOp {
    PlannedOp(
      op: StageOp(.hardLimit, flags: StageOp.Flags(rawValue: limit.resource), b: limit.hard),
      words: "raise the hard limit of \(limit.name) to \(limit.hard)")
  }

  static func rlimit(_ limit: BundleProcess.Rlimit) -> PlannedOp {
    PlannedOp(
      op: StageOp(.rlimit, flags: StageOp.Flags(rawValue: limit.resource), a: limit.soft, b: limit.hard),
      words: "set \(limit.name) to \(limit.soft):\(limit.hard)")
  }

  static func stdioOwner(_ uid: UInt32) -> PlannedOp {
    PlannedOp(op: StageOp(.stdioOwner, a: UInt64(uid)), words: "give input and output to uid \(uid)")
  }

  /// - Parameter place: of HOME in the environment.
  static func home(of uid: UInt32, at place: Int) -> PlannedOp {
    PlannedOp(op: StageOp(.home, a: UInt64(uid), b: UInt64(place)), words: "look up the home of uid \(uid)")
  }

  static func umask(_ mask: UInt32) -> PlannedOp {
    PlannedOp(op: StageOp(.umask, a: UInt64(mask)), words: "set the umask to \(String(mask, radix: 8))")
  }

  static func capabilitySets(
    effective: CapabilitySet, permitted: CapabilitySet, inheritable: CapabilitySet, ambient: CapabilitySet
  ) -> PlannedOp {
    var sets: [UInt8] = []
    for set in [effective, permitted, inheritable, ambient] {
      withUnsafeBytes(of: set.rawValue) { sets.append(contentsOf: $0) }
    }
    return PlannedOp(op: StageOp(.capabilitySets, blocks: [sets]), words: "hold \(permitted)")
  }

  static func scheduler(_ attributes: BundleProcess.SchedulerAttributes) -> PlannedOp {
    PlannedOp(op: StageOp(.scheduler, blocks: [attributes.bytes]), words: "set the scheduler")
  }

  static func ioPriority(_ priority: UInt32) -> PlannedOp {
    PlannedOp(op: StageOp(.ioPriority, a: UInt64(priority)), words: "set the priority of input and output")
  }

  static func personality(_ domain: UInt32) -> PlannedOp {
    PlannedOp(op: StageOp(.personality, a: UInt64(domain)), words: "set the personality")
  }

  static func memoryPolicy(_ policy: BundleLinux.MemoryPolicy) -> PlannedOp {
    PlannedOp(
      op: StageOp(
        .memoryPolicy, blocks: [policy.nodes], a: UInt64(policy.mode),
        b: policy.nodes.isEmpty ? 0 : UInt64(policy.nodes.count * 8 + 1)), words: "set the memory policy")
  }

  static func affinity(_ mask: [UInt8]) -> PlannedOp {
    PlannedOp(op: StageOp(.affinity, blocks: [mask], a: UInt64(mask.count)), words: "run on the CPUs asked for")
  }
}

/// A tree of the host's on its way into the zone.
struct Tree: Sendable {
  /// An index into the plan's sources: host root, which opened it before.
  var index: Int?
  /// The path: an ordinary user's joiner copies it in its own mount namespace.
  var path: String
  var recursive = false
  var idmap = false
  /// mount_setattr(2) attributes.
  var attributes: UInt64 = 0
  var clear: UInt64 = 0

  func op(_ code: StageOp.Code, at target: [UInt8]) -> StageOp {
    var flags: StageOp.Flags = []
    if recursive { flags.insert(.recursive) }
    if idmap { flags.insert(.idmap) }
    return StageOp(
      code, flags: flags, fd: index.map(Int32.init) ?? -1, blocks: [target, index == nil ? Array(path.utf8) : nil],
      a: attributes, b: clear)
  }

  var words: String {
    var notes: [String] = []
    if idmap { notes.append("ids mapped") }
    let flags = MountFlag.text(attributes & 15)
    if !flags.isEmpty { notes.append(flags) }
    if recursive { notes.append("with what is mounted below") }
    return path + (notes.isEmpty ? "" : " (\(notes.joined(separator: ", ")))")
  }
}
