internal import Glibc
internal import LinuxNS
internal import ResourceControl

/// `process` of config.json, and what `exec --process` reads.
struct BundleProcess: Sendable {
  var terminal: Bool
  var consoleSize: WindowSize?
  var uid: UInt32
  var gid: UInt32
  var umask: UInt32?
  var additionalGids: [UInt32]
  var arguments: [String]
  var environment: [String]
  var cwd: String
  /// nil: the field is not there. Then it has none at all, or, of what is executed in a container, the container's.
  var capabilities: Capabilities?
  var rlimits: [Rlimit]
  var noNewPrivileges: Bool
  var apparmorProfile: String?
  var selinuxLabel: String?
  var oomScoreAdj: Int32?
  var scheduler: SchedulerAttributes?
  var ioPriority: UInt32?
  /// While the process is put into the container, and for the process itself (exec only).
  var initialCPUs: [UInt8]?
  var finalCPUs: [UInt8]?

  struct Capabilities: Sendable {
    var bounding: CapabilitySet = []
    var effective: CapabilitySet = []
    var permitted: CapabilitySet = []
    var inheritable: CapabilitySet = []
    var ambient: CapabilitySet = []
  }

  struct Rlimit: Sendable {
    /// RLIMIT_* by number (getrlimit(2)).
    var resource: UInt16
    var name: String
    var soft: UInt64
    var hard: UInt64
  }

  /// `struct sched_attr` of sched_setattr(2).
  struct SchedulerAttributes: Sendable {
    var policy: UInt32
    var flags: UInt64
    var nice: Int32
    var priority: UInt32
    var runtime: UInt64
    var deadline: UInt64
    var period: UInt64

    var bytes: [UInt8] {
      var bytes: [UInt8] = []
      func add(_ value: some FixedWidthInteger) { withUnsafeBytes(of: value.littleEndian) { bytes += Array($0) } }
      add(UInt32(48))
      add(policy)
      add(flags)
      add(nice)
      add(priority)
      add(runtime)
      add(deadline)
      add(period)
      return bytes
    }
  }

  init(_ node: BundleNode) throws(ZoneError) {
    terminal = try node.bool("terminal")
    if let size = try node.object("consoleSize") {
      consoleSize = WindowSize(rows: try size.number("height") ?? 0, columns: try size.number("width") ?? 0)
    }
    let user = try node.object("user")
    uid = try user?.number("uid") ?? 0
    gid = try user?.number("gid") ?? 0
    umask = try user?.number("umask")
    if let umask, umask > 0o777 { throw node.refused("user.umask", "\(umask) is more than 511 (0777)") }
    additionalGids = try user?.numbers("additionalGids") ?? []
    arguments = try node.strings("args")
    environment = try node.strings("env")
    for (index, variable) in environment.enumerated() where !variable.utf8.contains(UInt8(ascii: "=")) {
      throw node.refused("env[\(index)]", "is not NAME=VALUE")
    }
    cwd = try node.needed("cwd")
    guard cwd.hasPrefix("/") else { throw node.refused("cwd", "'\(cwd)' is not an absolute path") }
    capabilities = try node.object("capabilities").map { (sets) throws(ZoneError) in try Self.capabilities(sets) }
    rlimits = []
    for limit in try node.objects("rlimits") { rlimits.append(try Self.rlimit(limit)) }
    noNewPrivileges = try node.bool("noNewPrivileges")
    apparmorProfile = try node.string("apparmorProfile").flatMap { $0.isEmpty ? nil : $0 }
    selinuxLabel = try node.string("selinuxLabel").flatMap { $0.isEmpty ? nil : $0 }
    oomScoreAdj = try node.number("oomScoreAdj")
    if let score = oomScoreAdj, !(-1000...1000).contains(score) {
      throw node.refused("oomScoreAdj", "\(score) is not between -1000 and 1000")
    }
    scheduler = try node.object("scheduler").map { (wish) throws(ZoneError) in try Self.scheduler(wish) }
    ioPriority = try node.object("ioPriority").map { (wish) throws(ZoneError) in try Self.ioPriority(wish) }
    let affinity = try node.object("execCPUAffinity")
    initialCPUs = try affinity.flatMap { (node) throws(ZoneError) in try Self.cpus(node, "initial") }
    finalCPUs = try affinity.flatMap { (node) throws(ZoneError) in try Self.cpus(node, "final") }
  }

  /// The walls of the container's own process stand around what is executed beside it, where that does not say otherwise
  /// (runc's newInitConfig). `noNewPrivileges` is not among them: engines write it where it is true alone.
  mutating func keepWalls(of container: BundleProcess) {
    capabilities = capabilities ?? container.capabilities
    apparmorProfile = apparmorProfile ?? container.apparmorProfile
    selinuxLabel = selinuxLabel ?? container.selinuxLabel
    if rlimits.isEmpty { rlimits = container.rlimits }
    oomScoreAdj = oomScoreAdj ?? container.oomScoreAdj
    scheduler = scheduler ?? container.scheduler
    ioPriority = ioPriority ?? container.ioPriority
  }

  private static func capabilities(_ node: BundleNode) throws(ZoneError) -> Capabilities {
    func set(_ key: String) throws(ZoneError) -> CapabilitySet {
      var set = CapabilitySet()
      for name in try node.strings(key) {
        // runc leaves those out that it or the kernel does not know, with a warning: newer engines name newer ones.
        guard let capability = try? Capability(parsing: name) else { continue }
        set.formUnion(CapabilitySet([capability]))
      }
      return set
    }
    return Capabilities(
      bounding: try set("bounding"), effective: try set("effective"), permitted: try set("permitted"),
      inheritable: try set("inheritable"), ambient: try set("ambient"))
  }

  /// asm-generic/resource.h
  static let limits: [(name: String, value: UInt16)] = [
    ("RLIMIT_CPU", 0), ("RLIMIT_FSIZE", 1), ("RLIMIT_DATA", 2), ("RLIMIT_STACK", 3), ("RLIMIT_CORE", 4),
    ("RLIMIT_RSS", 5), ("RLIMIT_NPROC", 6), ("RLIMIT_NOFILE", 7), ("RLIMIT_MEMLOCK", 8), ("RLIMIT_AS", 9),
    ("RLIMIT_LOCKS", 10), ("RLIMIT_SIGPENDING", 11), ("RLIMIT_MSGQUEUE", 12), ("RLIMIT_NICE", 13),
    ("RLIMIT_RTPRIO", 14), ("RLIMIT_RTTIME", 15),
  ]

  private static func rlimit(_ node: BundleNode) throws(ZoneError) -> Rlimit {
    guard let resource = try node.choice("type", limits) else { throw node.refused("type", "is missing") }
    guard let soft: UInt64 = try node.number("soft"), let hard: UInt64 = try node.number("hard") else {
      throw node.refused("soft", "soft and hard are both needed")
    }
    if soft > hard { throw node.refused("soft", "\(soft) is more than the hard limit, \(hard)") }
    return Rlimit(resource: resource, name: try node.needed("type"), soft: soft, hard: hard)
  }

  private static func scheduler(_ node: BundleNode) throws(ZoneError) -> SchedulerAttributes {
    let policies: [(name: String, value: UInt32)] = [
      ("SCHED_OTHER", 0), ("SCHED_FIFO", 1), ("SCHED_RR", 2), ("SCHED_BATCH", 3), ("SCHED_ISO", 4), ("SCHED_IDLE", 5),
      ("SCHED_DEADLINE", 6),
    ]
    let flags: [(name: String, value: UInt64)] = [
      ("SCHED_FLAG_RESET_ON_FORK", 1), ("SCHED_FLAG_RECLAIM", 2), ("SCHED_FLAG_DL_OVERRUN", 4),
      ("SCHED_FLAG_KEEP_POLICY", 8), ("SCHED_FLAG_KEEP_PARAMS", 16), ("SCHED_FLAG_UTIL_CLAMP_MIN", 32),
      ("SCHED_FLAG_UTIL_CLAMP_MAX", 64),
    ]
    guard let policy = try node.choice("policy", policies) else { throw node.refused("policy", "is missing") }
    if policy == 4 { throw node.refused("policy", "Linux has no SCHED_ISO") }
    return SchedulerAttributes(
      policy: policy, flags: try node.choices("flags", flags).reduce(0, |), nice: try node.number("nice") ?? 0,
      priority: try node.number("priority") ?? 0, runtime: try node.number("runtime") ?? 0,
      deadline: try node.number("deadline") ?? 0, period: try node.number("period") ?? 0)
  }

  /// As ioprio_set(2) takes it.
  private static func ioPriority(_ node: BundleNode) throws(ZoneError) -> UInt32 {
    let classes: [(name: String, value: UInt32)] = [
      ("IOPRIO_CLASS_RT", 1), ("IOPRIO_CLASS_BE", 2), ("IOPRIO_CLASS_IDLE", 3),
    ]
    guard let kind = try node.choice("class", classes) else { throw node.refused("class", "is missing") }
    let level: UInt32 = try node.number("priority") ?? 0
    guard level < 8 else { throw node.refused("priority", "\(level) is not between 0 and 7") }
    return kind << 13 | level
  }

  /// A list such as `0-3,7` as a mask for sched_setaffinity(2); nil where it is empty.
  private static func cpus(_ node: BundleNode, _ key: String) throws(ZoneError) -> [UInt8]? {
    guard let text = try node.string(key), !text.isEmpty else { return nil }
    guard let numbers = NumberList.numbers(text) else { throw node.refused(key, "'\(text)' is no list such as 0-3,7") }
    return NumberList.mask(numbers)
  }
}

/// Lists of processors and memory nodes as cpuset(7) writes them, for calls that take a mask.
enum NumberList {
  /// nil for what is none; below 8,192.
  static func numbers(_ text: String) -> [Int]? {
    var plain = ""
    for character in text where character != " " { plain.append(character) }
    guard let numbers = try? CPUList.parse(plain), !numbers.isEmpty, numbers.allSatisfy({ $0 < 8192 }) else {
      return nil
    }
    return numbers
  }

  static func mask(_ numbers: [Int]) -> [UInt8] {
    var mask = [UInt8](repeating: 0, count: ((numbers.max() ?? 0) / 64 + 1) * 8)
    for number in numbers { mask[number / 8] |= 1 << UInt8(number % 8) }
    return mask
  }
}
