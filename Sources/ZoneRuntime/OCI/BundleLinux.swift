internal import LinuxNS

/// `linux` of config.json.
struct BundleLinux: Sendable {
  var namespaces: [BundleNamespace] = []
  var uidMappings: [IdMap] = []
  var gidMappings: [IdMap] = []
  var devices: [BundleDevice] = []
  var resources: BundleResources?
  var cgroupsPath: String?
  /// mount(2)'s flags; nil: the container's mounts follow the host's (rslave).
  var rootfsPropagation: UInt64?
  var seccomp: BundleSeccomp?
  var sysctl: [(key: String, value: String)] = []
  var maskedPaths: [String] = []
  var readonlyPaths: [String] = []
  var mountLabel: String?
  /// personality(2)
  var personality: UInt32?
  /// Lines of /proc/PID/timens_offsets.
  var timeOffsets: String?
  var memoryPolicy: MemoryPolicy?
  /// Network devices of the host's, and what each is called in the container.
  var networkDevices: [(name: String, inside: String)] = []

  /// set_mempolicy(2)
  struct MemoryPolicy: Sendable {
    var mode: UInt32
    var nodes: [UInt8]
  }

  init(_ node: BundleNode?) throws(ZoneError) {
    guard let node else { return }
    namespaces = try Self.namespaces(node)
    uidMappings = try IdMap.bundle(node, "uidMappings")
    gidMappings = try IdMap.bundle(node, "gidMappings")
    for device in try node.objects("devices") { devices.append(try BundleDevice(device)) }
    resources = try node.object("resources").map { (wish) throws(ZoneError) in try BundleResources(wish) }
    cgroupsPath = try node.string("cgroupsPath").flatMap { $0.isEmpty ? nil : $0 }
    rootfsPropagation = try node.choice("rootfsPropagation", BundleMount.propagations)
    seccomp = try node.object("seccomp").map { (wish) throws(ZoneError) in try BundleSeccomp(wish) }
    sysctl = try node.texts("sysctl")
    for setting in sysctl
    where !setting.key.utf8.allSatisfy({ $0 > 32 && $0 < 127 })
      || setting.key.split(separator: ".", omittingEmptySubsequences: false).contains("")
    {
      throw node.refused("sysctl", "'\(setting.key)' is no name of a setting")
    }
    maskedPaths = try Self.absolute(node, "maskedPaths")
    readonlyPaths = try Self.absolute(node, "readonlyPaths")
    mountLabel = try node.string("mountLabel").flatMap { $0.isEmpty ? nil : $0 }
    personality = try node.object("personality").flatMap { (wish) throws(ZoneError) -> UInt32? in
      if !(try wish.strings("flags")).isEmpty { throw wish.refused("flags", "the specification has none yet") }
      return try wish.choice("domain", [("LINUX", 0), ("LINUX32", 8)])
    }
    timeOffsets = try node.object("timeOffsets").flatMap { (wish) throws(ZoneError) in try Self.offsets(wish) }
    memoryPolicy = try node.object("memoryPolicy").map { (wish) throws(ZoneError) in try Self.policy(wish) }
    if node.has("intelRdt") {
      throw node.refused("intelRdt", "cache and bandwidth allocation (resctrl) is not supported by this runtime")
    }
    networkDevices = try node.object("netDevices").map { (wishes) throws(ZoneError) in try Self.devices(wishes) } ?? []
    try check(node)
  }

  /// By themselves, for who begins before the rest has been read.
  static func namespaces(_ node: BundleNode) throws(ZoneError) -> [BundleNamespace] {
    var found: [BundleNamespace] = []
    for namespace in try node.objects("namespaces") {
      let namespace = try BundleNamespace(namespace)
      if found.contains(where: { $0.flag == namespace.flag }) {
        throw node.refused("namespaces", "'\(namespace.name)' is there twice")
      }
      found.append(namespace)
    }
    return found
  }

  func has(_ flag: NamespaceFlags) -> Bool { namespaces.contains { $0.flag == flag } }
  /// Made for the container, not entered.
  func isNew(_ flag: NamespaceFlags) -> Bool { namespaces.contains { $0.flag == flag && $0.path == nil } }

  private func check(_ node: BundleNode) throws(ZoneError) {
    if isNew(.user), uidMappings.isEmpty || gidMappings.isEmpty {
      throw node.refused("uidMappings", "a new user namespace needs uidMappings and gidMappings")
    }
    if !uidMappings.isEmpty || !gidMappings.isEmpty, !has(.user) {
      throw node.refused("uidMappings", "ids are mapped in a user namespace, and there is none in namespaces")
    }
    if timeOffsets != nil, !isNew(.time) {
      throw node.refused("timeOffsets", "they are a new time namespace's, and there is none in namespaces")
    }
    if !networkDevices.isEmpty, !has(.net) {
      throw node.refused("netDevices", "they are moved into a network namespace, and there is none in namespaces")
    }
    for setting in sysctl {
      let key = setting.key.split(separator: "/").joined(separator: ".")
      let owner: NamespaceFlags? =
        if key.hasPrefix("net.") { .net } else if key == "kernel.domainname" || key == "kernel.hostname" {
          .uts
        } else if key.hasPrefix("fs.mqueue.")
          || [
            "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
            "kernel.shmmni", "kernel.shm_rmid_forced",
          ].contains(key)
        { .ipc } else if key.hasPrefix("user.") { .user } else { nil }
      guard let owner else {
        throw node.refused("sysctl", "'\(setting.key)' is not of a namespace: it would be set for the whole host")
      }
      guard has(owner) else {
        throw node.refused("sysctl", "'\(setting.key)' would be set for the host: the container shares that namespace")
      }
    }
  }

  private static func absolute(_ node: BundleNode, _ key: String) throws(ZoneError) -> [String] {
    let paths = try node.strings(key)
    for path in paths where !path.hasPrefix("/") { throw node.refused(key, "'\(path)' is not absolute") }
    return paths
  }

  private static func offsets(_ node: BundleNode) throws(ZoneError) -> String? {
    var text = ""
    for clock in ["monotonic", "boottime"] {
      guard let wish = try node.object(clock) else { continue }
      let seconds: Int64 = try wish.number("secs") ?? 0
      let nanoseconds: UInt32 = try wish.number("nanosecs") ?? 0
      guard nanoseconds < 1_000_000_000 else { throw wish.refused("nanosecs", "\(nanoseconds) is a second or more") }
      text += "\(clock) \(seconds) \(nanoseconds)\n"
    }
    return text.isEmpty ? nil : text
  }

  private static func devices(_ node: BundleNode) throws(ZoneError) -> [(name: String, inside: String)] {
    var devices: [(name: String, inside: String)] = []
    for (name, _) in node.json.members {
      let wish = try node.object(name)
      let inside = try wish?.string("name").flatMap { $0.isEmpty ? nil : $0 } ?? name
      guard isDeviceName(name) else { throw node.refused(name, "is no network device's name") }
      // The kernel's own template: the first number that is free.
      guard isDeviceName(inside.hasSuffix("%d") ? String(inside.dropLast(2)) + "0" : inside) else {
        throw node.refused("\(name).name", "'\(inside)' is no network device's name")
      }
      devices.append((name, inside))
    }
    return devices
  }

  /// dev_valid_name() of the kernel: 1 to 15 bytes, no white space, no slash, no colon; and no template.
  private static func isDeviceName(_ name: String) -> Bool {
    (1...15).contains(name.utf8.count) && name != "." && name != ".."
      && name.utf8.allSatisfy { $0 > 32 && $0 != 127 && $0 != 0xa0 && !"/:%".utf8.contains($0) }
  }

  private static func policy(_ node: BundleNode) throws(ZoneError) -> MemoryPolicy {
    let modes: [(name: String, value: UInt32)] = [
      ("MPOL_DEFAULT", 0), ("MPOL_PREFERRED", 1), ("MPOL_BIND", 2), ("MPOL_INTERLEAVE", 3), ("MPOL_LOCAL", 4),
      ("MPOL_PREFERRED_MANY", 5), ("MPOL_WEIGHTED_INTERLEAVE", 6),
    ]
    let flags: [(name: String, value: UInt32)] = [
      ("MPOL_F_STATIC_NODES", 1 << 15), ("MPOL_F_RELATIVE_NODES", 1 << 14), ("MPOL_F_NUMA_BALANCING", 1 << 13),
    ]
    guard let mode = try node.choice("mode", modes) else { throw node.refused("mode", "is missing") }
    var nodes: [UInt8] = []
    if let text = try node.string("nodes"), !text.isEmpty {
      guard let numbers = NumberList.numbers(text) else {
        throw node.refused("nodes", "'\(text)' is no list such as 0-1")
      }
      nodes = NumberList.mask(numbers)
    }
    return MemoryPolicy(mode: mode | (try node.choices("flags", flags)).reduce(0, |), nodes: nodes)
  }
}

struct BundleNamespace: Sendable {
  var flag: NamespaceFlags
  var name: String
  /// One that stands already; nil: a new one.
  var path: String?

  static let table: [(name: String, value: NamespaceFlags)] = [
    ("mount", .mount), ("pid", .pid), ("network", .net), ("uts", .uts), ("ipc", .ipc), ("user", .user),
    ("cgroup", .cgroup), ("time", .time),
  ]

  init(_ node: BundleNode) throws(ZoneError) {
    name = try node.needed("type")
    flag = try node.choice("type", Self.table) ?? []
    path = try node.string("path").flatMap { $0.isEmpty ? nil : $0 }
    if let path, !path.hasPrefix("/") { throw node.refused("path", "'\(path)' is not absolute") }
  }
}

/// A device of /dev.
struct BundleDevice: Sendable {
  var path: String
  /// The file's type and permissions (inode(7)).
  var mode: UInt32
  /// makedev(3), as the kernel counts it.
  var number: UInt64
  var uid: UInt32
  var gid: UInt32

  init(_ node: BundleNode) throws(ZoneError) {
    path = try node.needed("path")
    guard path.hasPrefix("/") else { throw node.refused("path", "'\(path)' is not absolute") }
    let types: [(name: String, value: UInt32)] = [("c", 0o020000), ("u", 0o020000), ("b", 0o060000), ("p", 0o010000)]
    guard let type = try node.choice("type", types) else { throw node.refused("type", "is missing") }
    let permissions: UInt32 = try node.number("fileMode") ?? 0o666
    mode = type | permissions & 0o7777
    let major: UInt64 = try node.number("major") ?? 0
    let minor: UInt64 = try node.number("minor") ?? 0
    guard major < 1 << 12, minor < 1 << 20 else { throw node.refused("major", "\(major):\(minor) is no device") }
    number = type == 0o010000 ? 0 : Self.number(major, minor)
    uid = try node.number("uid") ?? 0
    gid = try node.number("gid") ?? 0
  }

  init(character path: String, _ major: UInt64, _ minor: UInt64) {
    (self.path, mode, number, uid, gid) = (path, 0o020666, Self.number(major, minor), 0, 0)
  }

  static func number(_ major: UInt64, _ minor: UInt64) -> UInt64 {
    (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)
  }
}
