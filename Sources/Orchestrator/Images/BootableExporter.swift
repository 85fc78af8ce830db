internal import CLinuxNS
internal import Glibc
internal import LinuxNS
public import ZoneRuntime

/// `export --bootable`: a disk of a zone, which a machine boots. A clone of the zone is made a machine's root by its own
/// package manager, within a zone's walls; the zone itself stays as it is.
public struct BootableExporter {
  public struct Wish: Sendable {
    /// Of the disk, in bytes; nil: twice what is in it, and 2 GiB at least.
    public var size: Int64?
    public var kernel = "linux-image-cloud-amd64"
    /// A network's name, by which the kernel comes; nil: the zone's own.
    public var network: String?

    public init() {}
  }

  private let store: ImageStore
  private let zones: Zones
  private let states: ZoneStates
  /// Starts the clone and executes in it.
  private let zonectl: ZonectlProgram
  /// The orchestrator.
  private let program: String
  private let notice: @Sendable (String) -> Void

  public init(
    _ store: ImageStore, root: String?, zonectl: String, program: String = "/proc/self/exe",
    notice: @escaping @Sendable (String) -> Void
  ) {
    self.store = store
    self.zonectl = ZonectlProgram(path: zonectl, root: root)
    self.program = program
    self.notice = notice
    zones = Zones(store.directories, notice: notice)
    states = ZoneStates(store, root: root, program: program, notice: notice)
  }

  private static let smallest: Int64 = 2 << 30
  /// For each thing that is executed in the clone, in seconds: its programs are the zone's, and some never end.
  private static let patience = "7200"
  /// When a clone goes with `prune` that a failure of the machine has left, in seconds: longer than one is worked in.
  private static let lease: UInt64 = 2 * 86400

  /// - Parameter path: a file, which is there when all of it is. It has holes.
  public func run(_ zone: String, snapshot: String?, to path: String, _ wish: Wish) throws(ImageError) {
    guard Platform.ours.architecture == "amd64" else {
      throw ImageError("a disk that boots is made on amd64 alone: it is a BIOS's")
    }
    guard path != "-" else { throw ImageError("a disk is no stream (name a file)") }
    if let size = wish.size { try Self.check(size: size) }
    try Self.check(place: path)
    guard
      wish.kernel.utf8.allSatisfy({ (97...122).contains($0) || (48...57).contains($0) || [43, 45, 46].contains($0) }),
      wish.kernel.hasPrefix("linux-image-")
    else { throw ImageError("'\(shortened(wish.kernel))' is no kernel's package (linux-image-amd64)") }
    let old = try stored { () throws(ZoneError) in try zones.spec(of: zone) }
    let hostname = old.hostname ?? zone
    let network: NetworkChoice
    if let name = wish.network { network = .named(name) } else { network = try Self.network(of: old) }
    // One at a time of a zone: what is there of another time is then of one that was killed.
    let lock = try stored { () throws(ZoneError) in try zones.hold(volume: "disk-of.\(zone)") }
    defer { withExtendedLifetime(lock) {} }
    for left in try stored({ () throws(ZoneError) in try zones.list() }) where left.spec.labels[Self.label] == zone {
      notice("removing \(left.name), which an earlier export has left")
      try zonectl.remove(left.name, of: zones)
    }
    let clone = "disk-\(String(UInt64.random(in: 0...UInt64.max), radix: 36))"
    let passing = try PassingZone(clone, zonectl, program: program)
    try stored { () throws(ZoneError) in
      try states.clone(zone, snapshot: snapshot, as: clone, template: false) { spec, root in
        // A passing place to work in: nothing of what the zone reaches elsewhere, and none of its words.
        spec = ZoneSpec(name: clone)
        spec.brand = old.brand
        // Its programs are executed, behind no fewer walls than the zone's.
        (spec.limits, spec.quota, spec.calls, spec.capDrop) = (old.limits, old.quota, old.calls, old.capDrop)
        spec.hostname = hostname
        spec.labels = [Self.label: zone]
        spec.network = network
        spec.expires = Clock.realtimeNanoseconds() / 1_000_000_000 + Self.lease
        root.use = ImageUse()
      }
    }
    try make(clone, hostname, path, wish)
    try passing.end()
  }

  /// What is executed has no other way out than the zone's own programs, unless somebody says so.
  private static func network(of spec: ZoneSpec) throws(ImageError) -> NetworkChoice {
    let why: String
    switch spec.network {
    case .named: return spec.network
    case .none: why = "the zone has no network"
    case .host: why = "the zone has the host's network"
    }
    throw ImageError("\(why), and a kernel is to be brought (--network default: its programs get that one for it)")
  }

  /// Of zones that are nobody's: which zone's disk is made of it.
  private static let label = "zones.disk-of"

  private static func check(size: Int64) throws(ImageError) {
    guard size % (1 << 20) == 0, size >= 256 << 20, size <= BootDisk.most else {
      throw ImageError("a disk has from 256 MiB to 2 TiB, in whole MiB, not \(size) bytes")
    }
  }

  /// Before anything is made.
  private static func check(place path: String) throws(ImageError) {
    if let facts = try called({ () throws(SyscallError) in try FileFacts.at(path) }), facts.kind != .file {
      throw ImageError("\(path) is no regular file (write the disk there by dd when it is made)")
    }
    let folder = FileSystem.parent(of: path.hasPrefix("/") ? path : "./\(path)")
    guard access(folder, W_OK) == 0 else {
      throw ImageError("\(SyscallError(call: "open", errno: errno, path: folder))")
    }
  }

  private func make(_ clone: String, _ hostname: String, _ path: String, _ wish: Wish) throws(ImageError) {
    let id = try called { () throws(SyscallError) in try FileSystem.readLine("/proc/sys/kernel/random/uuid") }
    var disk = BootDisk(size: Self.smallest, uuid: id, signature: UInt32.random(in: 1...UInt32.max))
    notice("bringing \(wish.kernel) and GRUB")
    try zonectl.run(["start", clone])
    try execute(disk.fetching(kernel: wish.kernel), in: clone)
    try zonectl.run(["halt", clone])
    notice("installing them")
    try zonectl.run(["set", clone, "network=none"])
    try zonectl.run(["start", clone])
    try execute(disk.installing(kernel: wish.kernel, hostname: hostname), in: clone)
    let boot = try said(by: ["/bin/cat", "\(BootDisk.scratch)/boot.img"], in: clone, limit: 512)
    let core = try said(by: ["/bin/cat", "\(BootDisk.scratch)/core.img"], in: clone, limit: 1 << 20)
    let used = try said(by: ["/usr/bin/du", "-xsk", "/"], in: clone, limit: 1 << 10)
    try execute("rm -rf \(BootDisk.scratch)", in: clone)
    try zonectl.run(["halt", clone])

    // The zone says so: any number.
    let kibibytes = Int64(String(decoding: used, as: UTF8.self).prefix { ("0"..."9").contains($0) }) ?? 0
    let mebibytes = min(kibibytes, BootDisk.most >> 10) * 2 >> 10
    let wanted = wish.size ?? max(Self.smallest, mebibytes << 20)
    try Self.check(size: wanted)
    disk = BootDisk(size: wanted, uuid: id, signature: disk.signature)
    guard let head = disk.head(boot: boot, core: core) else { throw ImageError("what is to be GRUB is none") }
    notice("making a disk of \(wanted >> 20) MiB")
    try write(disk, head, clone, to: path)
  }

  private func write(_ disk: BootDisk, _ head: [UInt8], _ clone: String, to path: String) throws(ImageError) {
    let lock = try stored { () throws(ZoneError) in try store.lock(.shared) }
    defer { withExtendedLifetime(lock) {} }
    let own = try stored { () throws(ZoneError) in try zones.ownLayer(of: clone, for: "export", in: store) }
    let draft = "\(path).\(getpid())"
    do throws(ImageError) {
      let file = try called { () throws(SyscallError) in
        try OwnedFD.open(draft, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o666)
      }
      try called { () throws(SyscallError) in
        try FileSystem.call("ftruncate", path) { ftruncate(file.raw, off_t(disk.size)) }
      }
      let layer = try stored { () throws(ZoneError) in try own.link() }
      let order = DiskOrder(stack: StackOrder(store, own.root.layers), layer: layer, disk: disk)
      let said: DiskAnswer
      do {
        said = try OwnerProcess.start("disk", order, fds: [file.raw], program: program).heard(DiskAnswer.self)
      } catch { throw ImageError("\(error)") }
      if let why = said.error { throw ImageError(why) }
      try called { () throws(SyscallError) in
        try FileSystem.call("lseek", path) { lseek(file.raw, 0, SEEK_SET) < 0 ? -1 : 0 }
        try FileSystem.write(head, to: file, name: path)
        try FileSystem.call("fsync", path) { fsync(file.raw) }
        try FileSystem.call("rename", path) { rename(draft, path) }
      }
    } catch {
      unlink(draft)
      throw error
    }
  }

  // MARK: the clone

  private func execute(_ script: String, in clone: String) throws(ImageError) {
    _ = try said(by: ["/bin/sh", "-ec", script], in: clone, limit: nil)
  }

  /// - Parameter limit: of what is said, in bytes; nil: that is for nobody.
  private func said(by command: [String], in clone: String, limit: Int?) throws(ImageError) -> [UInt8] {
    try zonectl.output(of: ["exec", "--timeout", Self.patience, clone, "--"] + command, limit: limit)
  }
}

private struct DiskOrder: JSONObject {
  var stack: StackOrder
  /// The zone's own layer, as the links of the store have it.
  var layer: String
  var size: Int64
  var uuid: String

  static var blank: DiskOrder { DiskOrder(stack: .blank, layer: "", size: 0, uuid: "") }

  private init(stack: StackOrder, layer: String, size: Int64, uuid: String) {
    self.stack = stack
    self.layer = layer
    self.size = size
    self.uuid = uuid
  }

  init(stack: StackOrder, layer: String, disk: BootDisk) {
    self.init(stack: stack, layer: layer, size: disk.size, uuid: disk.uuid)
  }

  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("layer", &layer)
    try json.field("size", &size)
    try json.field("stack", &stack)
    try json.field("uuid", &uuid)
  }
}

private struct DiskAnswer: OwnerAnswer {
  var error: String?
  static var blank: DiskAnswer { DiskAnswer() }
  mutating func fields(_ json: inout some JSONFields) throws(JSONError) { try json.field("error", &error) }
}

/// `orchestrator disk`, hidden: what `BootableExporter` starts.
public enum DiskProgram {
  /// Descriptor 3 is the disk.
  public static func run() -> Int32 {
    OwnerProcess.run("disk") { (order: DiskOrder) throws -> DiskAnswer in
      var stack = order.stack
      stack.layers.insert(order.layer, at: 0)
      let tree = try stack.merged()
      let disk = BootDisk(size: order.size, uuid: order.uuid, signature: 0)
      // By descriptors of its own: 3 is the disk, 4 the tree.
      let words = disk.makeFileSystem(of: "/proc/self/fd/4/.", on: "/proc/self/fd/3")
      let null = try OwnedFD.open("/dev/null", O_RDWR)
      let errors = try OwnedFD.pipe()
      let started: (pid: Int32, pidfd: CInt)
      do throws(SyscallError) {
        started = try spawn(
          ProgramStart(
            path: "/usr/sbin/mke2fs", arguments: words, environment: ["PATH=/usr/sbin:/usr/bin"],
            fds: [null.raw, null.raw, errors.second.raw, 3, tree.raw]))
      } catch {
        guard error.errno == ENOENT else { throw error }
        throw ImageError("/usr/sbin/mke2fs is missing (apt install e2fsprogs)")
      }
      let said = try FileSystem.read(errors.takeFirst(), limit: 1 << 16, name: "its errors")
      let status = try Pidfd(OwnedFD(raw: started.pidfd)).reap()
      guard status == .exited(0) else {
        let last = String(decoding: said, as: UTF8.self).split(separator: "\n").last.map(String.init) ?? ""
        throw ImageError("mke2fs ended with status \(status.shellCode): \(last) (a larger --size?)")
      }
      return DiskAnswer()
    }
  }
}
