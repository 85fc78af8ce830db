internal import LinuxNS
internal import ResourceControl

/// `linux.resources` of config.json, and what `update` reads: as what is written into control groups, in the kernel's
/// own words for both kinds of tree (cgroup-v2.rst, admin-guide/cgroup-v1; the conversions are those of the
/// specification and of crun(1), "CGROUP v2").
struct BundleResources: Sendable {
  var limits = ContainerLimits()
  var devices: [BundleDeviceRule] = []

  /// - Parameter present: of a container that lives: what is said of one half of a limit leaves the other as it is.
  init(_ node: BundleNode, over present: PresentLimits? = nil) throws(ZoneError) {
    for rule in try node.objects("devices") { devices.append(try BundleDeviceRule(rule)) }
    if let cpu = try node.object("cpu") { try readCPU(cpu, present ?? PresentLimits()) }
    if let memory = try node.object("memory") { try readMemory(memory, present) }
    if let pids = try node.object("pids"), let limit: Int64 = try pids.number("limit") {
      let value = [CgroupValue(file: "pids.max", text: limit > 0 ? "\(limit)" : "max")]
      limits.parts.append(.init("pids", v2: value, v1: value))
    }
    if let io = try node.object("blockIO") { try readBlockIO(io) }
    try readHugePages(node)
    if let network = try node.object("network") { try readNetwork(network) }
    if let rdma = try node.object("rdma") { try readRdma(rdma) }
    for file in try node.texts("unified") {
      guard !file.key.isEmpty, !file.key.contains("/"), file.key.first != "." else {
        throw node.refused("unified", "'\(file.key)' is no file of a control group")
      }
      if file.key == "cgroup.procs" || file.key == "cgroup.threads" || file.key == "cgroup.subtree_control" {
        throw node.refused("unified", "'\(file.key)' is no limit")
      }
      limits.unified.append(CgroupValue(file: file.key, text: file.value))
    }
  }

  private mutating func readCPU(_ node: BundleNode, _ present: PresentLimits) throws(ZoneError) {
    var part = ContainerLimits.Part("cpu")
    let idle: Int64? = try node.number("idle")
    if let shares: UInt64 = try node.number("shares"), shares > 0 {
      let bounded = Int(min(262_144, max(2, shares)))
      // What is idle has no weight of its own: the kernel refuses one.
      if idle != 1 {
        part.v2.append(CgroupValue(file: "cpu.weight", text: "\(ResourceLimits.weight(ofShares: bounded))"))
      }
      part.v1.append(CgroupValue(file: "cpu.shares", text: "\(shares)"))
    }
    if let idle {
      part.v2.append(CgroupValue(file: "cpu.idle", text: "\(idle)"))
      part.v1.append(CgroupValue(file: "cpu.idle", text: "\(idle)"))
    }
    let quota: Int64? = try node.number("quota")
    let period: UInt64? = try node.number("period")
    let burst: UInt64? = try node.number("burst")
    if let period, period > 0 { part.v1.append(CgroupValue(file: "cpu.cfs_period_us", text: "\(period)")) }
    if quota ?? 0 != 0 || period ?? 0 != 0 {
      let text = if let quota, quota != 0 { quota > 0 ? "\(quota)" : "max" } else { present.cpuQuota }
      let length = if let period, period > 0 { period } else { present.cpuPeriod }
      part.v2.append(CgroupValue(file: "cpu.max", text: "\(text) \(length)"))
    }
    if let quota, quota != 0 { part.v1.append(CgroupValue(file: "cpu.cfs_quota_us", text: "\(quota)")) }
    if let burst {
      part.v2.append(CgroupValue(file: "cpu.max.burst", text: "\(burst)"))
      part.v1.append(CgroupValue(file: "cpu.cfs_burst_us", text: "\(burst)"))
    }
    for (key, file) in [("realtimePeriod", "cpu.rt_period_us"), ("realtimeRuntime", "cpu.rt_runtime_us")] {
      guard let value: Int64 = try node.number(key), value != 0 else { continue }
      part.whyNotV2 = "\(node.path(of: key)): a v2 group has no real-time time of its own"
      part.v1.append(CgroupValue(file: file, text: "\(value)"))
    }
    if !part.v2.isEmpty || !part.v1.isEmpty { limits.parts.append(part) }

    var sets: [CgroupValue] = []
    for (key, file) in [("cpus", "cpuset.cpus"), ("mems", "cpuset.mems")] {
      guard let text = try node.string(key), !text.isEmpty else { continue }
      guard NumberList.numbers(text) != nil else { throw node.refused(key, "'\(text)' is no list such as 0-3,7") }
      sets.append(CgroupValue(file: file, text: text))
    }
    if !sets.isEmpty { limits.parts.append(.init("cpuset", v2: sets, v1: sets)) }
  }

  private mutating func readMemory(_ node: BundleNode, _ present: PresentLimits?) throws(ZoneError) {
    var part = ContainerLimits.Part("memory")
    let limit: Int64? = try node.number("limit")
    let swap: Int64? = try node.number("swap")
    // What it will be, where it is known here.
    let memory = if let limit, limit != 0 { limit } else { present?.memory }
    if let memory, let swap, memory > 0, swap > 0, swap < memory {
      throw node.refused("swap", "\(swap) is memory and swap together, and less than the memory, \(memory)")
    }
    if try node.bool("checkBeforeUpdate"), let limit, limit > 0 { checkedLimit = limit }
    func text(_ value: Int64) -> String { value < 0 ? "max" : "\(value)" }
    if let swap, swap != 0 {
      let only: String
      if swap < 0 {
        only = "max"
      } else {
        guard let memory, memory > 0 else {
          throw node.refused("swap", "it is memory and swap together, and there is no limit of memory")
        }
        only = "\(swap - memory)"
      }
      // Without swap in the kernel there is none to limit.
      part.v2.append(CgroupValue(file: "memory.swap.max", text: only, isOptional: true))
    }
    if let limit, limit != 0 {
      part.v2.append(CgroupValue(file: "memory.max", text: text(limit)))
      part.v1.append(CgroupValue(file: "memory.limit_in_bytes", text: "\(limit)"))
    }
    if let swap, swap != 0 {
      let both = CgroupValue(file: "memory.memsw.limit_in_bytes", text: "\(swap)", isOptional: true)
      // Of a v1 group it may never be less than the memory alone, not even between the two writes.
      let isFirst = if let old = present?.memory { swap < 0 || swap >= old } else { present != nil && swap < 0 }
      part.v1.insert(both, at: isFirst ? 0 : part.v1.count)
    }
    if let low: Int64 = try node.number("reservation"), low != 0 {
      part.v2.append(CgroupValue(file: "memory.low", text: text(low)))
      part.v1.append(CgroupValue(file: "memory.soft_limit_in_bytes", text: "\(low)"))
    }
    if let tcp: Int64 = try node.number("kernelTCP"), tcp != 0 {
      part.whyNotV2 = "\(node.path(of: "kernelTCP")): a v2 group counts it as memory like all other"
      part.v1.append(CgroupValue(file: "memory.kmem.tcp.limit_in_bytes", text: "\(tcp)"))
    }
    if let swappiness: UInt64 = try node.number("swappiness") {
      part.whyNotV2 = "\(node.path(of: "swappiness")): a v2 group has none of its own"
      part.v1.append(CgroupValue(file: "memory.swappiness", text: "\(swappiness)"))
    }
    if try node.bool("disableOOMKiller") {
      part.whyNotV2 = "\(node.path(of: "disableOOMKiller")): the OOM killer of a v2 group cannot be switched off"
      part.v1.append(CgroupValue(file: "memory.oom_control", text: "1"))
    }
    if let kernel: Int64 = try node.number("kernel"), kernel > 0 {
      throw node.refused("kernel", "Linux has no limit of kernel memory alone any more (since 5.16)")
    }
    // `useHierarchy` is how all groups have been since Linux 5.11.
    if !part.v2.isEmpty || !part.v1.isEmpty || part.whyNotV2 != nil { limits.parts.append(part) }
  }

  /// Bytes: an `update` is refused where more is in use (`checkBeforeUpdate`).
  var checkedLimit: Int64?

  private mutating func readBlockIO(_ node: BundleNode) throws(ZoneError) {
    var part = ContainerLimits.Part("io")
    var old = ContainerLimits.Part("blkio")
    if let weight: UInt16 = try node.number("weight"), weight > 0 {
      // 10…1000 to 1…10000
      let scaled = 1 + (Int(max(10, weight)) - 10) * 9999 / 990
      part.v2.append(CgroupValue(file: "io.bfq.weight", text: "\(weight)", isOptional: true))
      part.v2.append(CgroupValue(file: "io.weight", text: "default \(scaled)", isOptional: true))
      old.v1.append(CgroupValue(file: "blkio.weight", text: "\(weight)", isOptional: true))
      old.v1.append(CgroupValue(file: "blkio.bfq.weight", text: "\(weight)", isOptional: true))
    }
    if let weight: UInt16 = try node.number("leafWeight"), weight > 0 {
      throw node.refused("leafWeight", "Linux has no leaf weights any more (since 5.0, with CFQ)")
    }
    for device in try node.objects("weightDevice") {
      let number = try Self.device(device)
      if let leaf: UInt16 = try device.number("leafWeight"), leaf > 0 {
        throw device.refused("leafWeight", "Linux has no leaf weights any more (since 5.0, with CFQ)")
      }
      guard let weight: UInt16 = try device.number("weight"), weight > 0 else { continue }
      part.v2.append(CgroupValue(file: "io.bfq.weight", text: "\(number) \(weight)"))
      old.v1.append(CgroupValue(file: "blkio.bfq.weight_device", text: "\(number) \(weight)"))
    }
    let throttles = [
      ("throttleReadBpsDevice", "rbps", "blkio.throttle.read_bps_device"),
      ("throttleWriteBpsDevice", "wbps", "blkio.throttle.write_bps_device"),
      ("throttleReadIOPSDevice", "riops", "blkio.throttle.read_iops_device"),
      ("throttleWriteIOPSDevice", "wiops", "blkio.throttle.write_iops_device"),
    ]
    for (key, word, file) in throttles {
      for device in try node.objects(key) {
        let number = try Self.device(device)
        guard let rate: UInt64 = try device.number("rate") else { throw device.refused("rate", "is missing") }
        part.v2.append(CgroupValue(file: "io.max", text: "\(number) \(word)=\(rate == 0 ? "max" : "\(rate)")"))
        old.v1.append(CgroupValue(file: file, text: "\(number) \(rate)"))
      }
    }
    guard !part.v2.isEmpty else { return }
    // The two kinds of tree have two names for the controller.
    blockIO = (part, old)
  }

  /// `io` of v2 and `blkio` of v1: which of them applies is known with the trees.
  var blockIO: (v2: ContainerLimits.Part, v1: ContainerLimits.Part)?

  private static func device(_ node: BundleNode) throws(ZoneError) -> String {
    guard let major: UInt32 = try node.number("major"), let minor: UInt32 = try node.number("minor") else {
      throw node.refused("major", "major and minor are both needed")
    }
    return "\(major):\(minor)"
  }

  private mutating func readHugePages(_ node: BundleNode) throws(ZoneError) {
    var part = ContainerLimits.Part("hugetlb")
    for limit in try node.objects("hugepageLimits") {
      let size = try limit.needed("pageSize")
      guard let bytes: UInt64 = try limit.number("limit") else { throw limit.refused("limit", "is missing") }
      // It becomes a part of a file's name.
      guard ["KB", "MB", "GB"].contains(where: size.hasSuffix), let number = Int(size.dropLast(2)), number > 0 else {
        throw limit.refused("pageSize", "'\(size)' is no size such as 2MB or 1GB")
      }
      part.v2.append(CgroupValue(file: "hugetlb.\(size).max", text: "\(bytes)"))
      part.v1.append(CgroupValue(file: "hugetlb.\(size).limit_in_bytes", text: "\(bytes)"))
      // What is reserved too, where the kernel tells it apart (5.7).
      part.v2.append(CgroupValue(file: "hugetlb.\(size).rsvd.max", text: "\(bytes)", isOptional: true))
      part.v1.append(CgroupValue(file: "hugetlb.\(size).rsvd.limit_in_bytes", text: "\(bytes)", isOptional: true))
    }
    if !part.v2.isEmpty { limits.parts.append(part) }
  }

  private mutating func readNetwork(_ node: BundleNode) throws(ZoneError) {
    let why = "a v2 group has no classes and priorities of the network"
    if let classID: UInt32 = try node.number("classID"), classID != 0 {
      limits.parts.append(
        .init("net_cls", v1: [CgroupValue(file: "net_cls.classid", text: "\(classID)")], whyNotV2: why))
    }
    var values: [CgroupValue] = []
    for entry in try node.objects("priorities") {
      let priority: UInt32 = try entry.number("priority") ?? 0
      values.append(CgroupValue(file: "net_prio.ifpriomap", text: "\(try entry.needed("name")) \(priority)"))
    }
    if !values.isEmpty { limits.parts.append(.init("net_prio", v1: values, whyNotV2: why)) }
  }

  private mutating func readRdma(_ node: BundleNode) throws(ZoneError) {
    var values: [CgroupValue] = []
    for (name, _) in node.json.members {
      guard let limit = try node.object(name) else { continue }
      var text = name
      if let handles: UInt32 = try limit.number("hcaHandles") { text += " hca_handle=\(handles)" }
      if let objects: UInt32 = try limit.number("hcaObjects") { text += " hca_object=\(objects)" }
      if text != name { values.append(CgroupValue(file: "rdma.max", text: text)) }
    }
    if !values.isEmpty { limits.parts.append(.init("rdma", v2: values, v1: values)) }
  }
}

/// One of `resources.devices`: the last that fits an access decides.
struct BundleDeviceRule: Sendable, Equatable {
  var allow: Bool
  /// `a` is both of `b` and `c`.
  var type: Character
  /// nil: any.
  var major: UInt32?
  var minor: UInt32?
  var access: String

  init(_ node: BundleNode) throws(ZoneError) {
    allow = try node.bool("allow")
    let type = try node.string("type") ?? "a"
    guard let first = type.first, ["a", "b", "c", "u", "p"].contains(first), type.count == 1 else {
      throw node.refused("type", "'\(type)' is none of a, b, c")
    }
    self.type = first == "u" ? "c" : first
    let major: Int64? = try node.number("major")
    let minor: Int64? = try node.number("minor")
    // -1 is how engines write "any".
    self.major = major.flatMap { $0 < 0 ? nil : UInt32(exactly: $0) }
    self.minor = minor.flatMap { $0 < 0 ? nil : UInt32(exactly: $0) }
    access = try node.string("access") ?? "rwm"
    if access.isEmpty { access = "rwm" }
    guard access.allSatisfy({ "rwm".contains($0) }) else {
      throw node.refused("access", "'\(access)' is not of r, w, m")
    }
  }

  init(allow: Bool, type: Character, major: UInt32?, minor: UInt32?, access: String) {
    (self.allow, self.type, self.major, self.minor, self.access) = (allow, type, major, minor, access)
  }

  /// Allows one of `linux.devices`.
  init(of device: BundleDevice) {
    let number = device.number
    self.init(
      allow: true, type: device.mode & 0o170000 == 0o060000 ? "b" : "c", major: UInt32(number >> 8 & 0xfff),
      minor: UInt32(number & 0xff | number >> 12 & 0xfff00), access: "rwm")
  }

  /// For a v2 group.
  var rule: DeviceProgram.Rule {
    DeviceProgram.Rule(
      allow: allow, type: type == "b" ? .block : type == "c" ? .character : nil, major: major, minor: minor,
      access: access.reduce(0) { $0 | ($1 == "m" ? 1 : $1 == "r" ? 2 : 4) })
  }

  /// A v1 group's line, in devices.allow or devices.deny.
  var line: String {
    "\(type) \(major.map { "\($0)" } ?? "*"):\(minor.map { "\($0)" } ?? "*") \(access)"
  }

  /// What every container may do, whatever its rules: make nodes of any device (to use them is another thing), and use
  /// those that the specification puts into /dev ("Default Devices"), and terminals.
  static let defaults: [BundleDeviceRule] =
    [
      .init(allow: true, type: "c", major: nil, minor: nil, access: "m"),
      .init(allow: true, type: "b", major: nil, minor: nil, access: "m"),
    ]
    + [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)].map {
      .init(allow: true, type: "c", major: $0.0, minor: $0.1, access: "rwm")
    } + [.init(allow: true, type: "c", major: 136, minor: nil, access: "rwm")]
}
