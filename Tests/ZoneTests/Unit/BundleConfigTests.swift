import Foundation
import Testing

@testable import ResourceControl
@testable import ZoneRuntime

/// config.json as it is read: what is taken over, and what is refused by which name.
@Suite struct BundleConfigTests {
  private func config(_ fields: String) throws -> BundleConfig {
    try BundleConfig.parse(Array("{\"ociVersion\":\"1.3.0\",\(fields)}".utf8))
  }

  private func process(_ fields: String) throws -> BundleProcess {
    try #require(try config("\"process\":{\"cwd\":\"/\",\(fields)}").process)
  }

  private func resources(_ fields: String) throws -> BundleResources {
    try #require(try config("\"linux\":{\"resources\":{\(fields)}}").linux.resources)
  }

  @Test(arguments: [
    ("\"process\":{}", "process.cwd: is missing"),
    ("\"process\":{\"cwd\":\"x\"}", "process.cwd: 'x' is not an absolute path"),
    ("\"process\":{\"cwd\":\"/\",\"args\":\"sh\"}", "process.args: expected an array"),
    (
      "\"process\":{\"cwd\":\"/\",\"user\":{\"uid\":-1}}",
      "process.user.uid: expected an integer from 0 to 4294967295, found -1"
    ),
    ("\"process\":{\"cwd\":\"/\",\"env\":[\"A\"]}", "process.env[0]: is not NAME=VALUE"),
    (
      "\"process\":{\"cwd\":\"/\",\"rlimits\":[{\"type\":\"RLIMIT_X\",\"soft\":1,\"hard\":1}]}",
      "process.rlimits[0].type: 'RLIMIT_X' is none of"
    ),
    ("\"process\":{\"cwd\":\"/\",\"oomScoreAdj\":1001}", "process.oomScoreAdj: 1001"),
    ("\"mounts\":[{\"type\":\"bind\",\"destination\":\"/x\"}]", "mounts[0].source: is missing"),
    ("\"mounts\":[{\"source\":\"/x\"}]", "mounts[0].destination: is missing"),
    ("\"linux\":{\"namespaces\":[{\"type\":\"moon\"}]}", "linux.namespaces[0].type: 'moon' is none of mount, pid"),
    ("\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"pid\"}]}", "linux.namespaces: 'pid' is there twice"),
    ("\"linux\":{\"namespaces\":[{\"type\":\"user\"}]}", "linux.uidMappings: a new user namespace"),
    ("\"linux\":{\"sysctl\":{\"kernel.panic\":\"1\"}}", "linux.sysctl: 'kernel.panic' is not of a namespace"),
    ("\"linux\":{\"sysctl\":{\"net.x\":\"1\"}}", "linux.sysctl: 'net.x' would be set for the host"),
    ("\"linux\":{\"intelRdt\":{}}", "linux.intelRdt:"),
    ("\"linux\":{\"resources\":{\"memory\":{\"kernel\":5}}}", "linux.resources.memory.kernel:"),
    ("\"linux\":{\"resources\":{\"blockIO\":{\"leafWeight\":5}}}", "linux.resources.blockIO.leafWeight:"),
    ("\"linux\":{\"resources\":{\"unified\":{\"../x\":\"1\"}}}", "linux.resources.unified: '../x'"),
    ("\"linux\":{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}}", "linux.seccomp.defaultAction:"),
    ("\"linux\":{\"timeOffsets\":{\"boottime\":{\"secs\":1}}}", "linux.timeOffsets: they are a new time namespace's"),
    ("\"hooks\":{\"poststop\":[{\"path\":\"x\"}]}", "hooks.poststop[0].path: 'x' is not absolute"),
    ("\"hooks\":{\"prestart\":[{\"path\":\"/x\",\"timeout\":0}]}", "hooks.prestart[0].timeout:"),
  ])
  func whatIsWrongIsNamed(fields: String, words: String) {
    let error = #expect(throws: ZoneError.self) { try config(fields) }
    #expect(error.map { "\($0)".contains(words) } == true, "\(error.map { "\($0)" } ?? "")")
  }

  @Test func versionsAreOnes() {
    for version in ["0.9", "2.0.0", ""] {
      #expect(throws: ZoneError.self) { try BundleConfig.parse(Array("{\"ociVersion\":\"\(version)\"}".utf8)) }
    }
  }

  @Test func whatIsNotKnownIsIgnored() throws {
    let read = try config("\"new\":{\"x\":1},\"annotations\":{\"b\":\"2\",\"a\":\"1\"}")
    #expect(read.annotations.map { $0.key } == ["b", "a"])
  }

  @Test func numbersAreAsLargeAsTheyMayBe() throws {
    let limits = try process(
      "\"rlimits\":[{\"type\":\"RLIMIT_CORE\",\"soft\":5,\"hard\":18446744073709551615}],\"args\":[\"18446744073709551615\"]"
    )
    #expect(limits.rlimits[0].hard == UInt64.max && limits.rlimits[0].soft == 5)
    #expect(limits.arguments == ["18446744073709551615"])
    let error = #expect(throws: ZoneError.self) { try process("\"oomScoreAdj\":18446744073709551615") }
    #expect(error.map { "\($0)".contains("oomScoreAdj") } == true)
  }

  @Test func optionsOfAMount() throws {
    let options = "[\"rbind\",\"ro\",\"nosuid\",\"rnoexec\",\"noatime\",\"rprivate\",\"size=1\"]"
    let mount = try config("\"mounts\":[{\"destination\":\"x\",\"source\":\"/s\",\"options\":\(options)}]").mounts[0]
    #expect(mount.destination == "/x" && mount.isBind && mount.isRecursive)
    #expect(mount.attributes == .init(set: 1 | 2 | 0x10, clear: 0x70))
    #expect(mount.recursiveAttributes == .init(set: 8, clear: 0))
    #expect(mount.propagation == [1 << 18 | 1 << 14] && mount.data == ["size=1"])
    let last = try config(
      "\"mounts\":[{\"destination\":\"/x\",\"source\":\"/s\",\"options\":[\"bind\",\"ro\",\"rw\"]}]"
    ).mounts[0]
    #expect(last.attributes == .init(set: 0, clear: 1), "the last one counts")
  }

  @Test func limitsInBothKindsOfTrees() throws {
    let read = try resources(
      """
      "memory":{"limit":100,"swap":300,"reservation":50},"cpu":{"shares":1024,"quota":50000,"burst":7,"cpus":"0-1"},
      "pids":{"limit":-1},"hugepageLimits":[{"pageSize":"2MB","limit":9}],"unified":{"memory.high":"5"}
      """)
    let part = { (name: String) in read.limits.parts.first { $0.controller == name } }
    let text = { (values: [CgroupValue]?) in (values ?? []).map { "\($0.file)=\($0.text)" } }
    #expect(text(part("memory")?.v2) == ["memory.swap.max=200", "memory.max=100", "memory.low=50"])
    #expect(
      text(part("memory")?.v1)
        == ["memory.limit_in_bytes=100", "memory.memsw.limit_in_bytes=300", "memory.soft_limit_in_bytes=50"])
    #expect(text(part("cpu")?.v2) == ["cpu.weight=39", "cpu.max=50000 100000", "cpu.max.burst=7"])
    #expect(text(part("cpu")?.v1) == ["cpu.shares=1024", "cpu.cfs_quota_us=50000", "cpu.cfs_burst_us=7"])
    #expect(text(part("cpuset")?.v2) == ["cpuset.cpus=0-1"] && text(part("pids")?.v2) == ["pids.max=max"])
    #expect(text(part("hugetlb")?.v2).first == "hugetlb.2MB.max=9" && text(read.limits.unified) == ["memory.high=5"])
  }

  @Test func oneHalfOfALimitLeavesTheOther() throws {
    func words(_ fields: String, _ present: (inout PresentLimits) -> Void = { _ in }) throws -> [[String]] {
      var limits = PresentLimits()
      present(&limits)
      let read = try BundleResources(BundleNode.parse(Array("{\(fields)}".utf8), name: "resources"), over: limits)
      return read.limits.parts.flatMap { part in [part.v2, part.v1].map { $0.map { "\($0.file)=\($0.text)" } } }
    }
    let capped = { (limits: inout PresentLimits) in (limits.cpuQuota, limits.cpuPeriod) = ("20000", 50_000) }
    #expect(
      try words("\"cpu\":{\"period\":80000}", capped) == [["cpu.max=20000 80000"], ["cpu.cfs_period_us=80000"]])
    #expect(try words("\"cpu\":{\"quota\":30000}", capped) == [["cpu.max=30000 50000"], ["cpu.cfs_quota_us=30000"]])
    #expect(try words("\"cpu\":{\"quota\":-1}", capped) == [["cpu.max=max 50000"], ["cpu.cfs_quota_us=-1"]])
    #expect(try words("\"cpu\":{\"period\":80000}") == [["cpu.max=max 80000"], ["cpu.cfs_period_us=80000"]])

    let bounded = { (limits: inout PresentLimits) in limits.memory = 100 }
    let (alone, both) = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
    #expect(try words("\"memory\":{\"swap\":150}", bounded) == [["memory.swap.max=50"], ["\(both)=150"]])
    for (limit, swap, isFirst) in [(200, 200, true), (50, 100, true), (50, 60, false), (200, -1, true)] {
      let v1 = ["\(alone)=\(limit)", "\(both)=\(swap)"]
      let read = try words("\"memory\":{\"limit\":\(limit),\"swap\":\(swap)}", bounded)
      #expect(read[1] == (isFirst ? v1.reversed() : v1), "\(limit) and \(swap) after 100")
    }
    #expect(try words("\"memory\":{\"limit\":50,\"swap\":60}")[1] == ["\(alone)=50", "\(both)=60"])
    for (fields, present, why) in [
      ("\"memory\":{\"swap\":50}", bounded, "less than the memory, 100"),
      ("\"memory\":{\"swap\":50}", { _ in }, "there is no limit of memory"),
    ] {
      let error = #expect(throws: ZoneError.self) { try words(fields, present) }
      #expect(error.map { "\($0)".contains(why) } == true)
    }
  }

  @Test func limitsOfDevices() throws {
    let text = { (values: [CgroupValue]?) in (values ?? []).map { "\($0.file)=\($0.text)" } }
    let throttle = { (key: String, rate: Int) in "\"\(key)\":[{\"major\":8,\"minor\":16,\"rate\":\(rate)}]" }
    let all = [
      throttle("throttleReadBpsDevice", 1), throttle("throttleWriteBpsDevice", 2),
      throttle("throttleReadIOPSDevice", 3),
      throttle("throttleWriteIOPSDevice", 0), "\"weight\":500",
      "\"weightDevice\":[{\"major\":8,\"minor\":0,\"weight\":300}]",
    ]
    let io = try #require(try resources("\"blockIO\":{\(all.joined(separator: ","))}").blockIO)
    #expect(
      text(io.v2.v2) == [
        "io.bfq.weight=500", "io.weight=default 4950", "io.bfq.weight=8:0 300", "io.max=8:16 rbps=1",
        "io.max=8:16 wbps=2", "io.max=8:16 riops=3", "io.max=8:16 wiops=max",
      ])
    #expect(
      text(io.v1.v1) == [
        "blkio.weight=500", "blkio.bfq.weight=500", "blkio.bfq.weight_device=8:0 300",
        "blkio.throttle.read_bps_device=8:16 1", "blkio.throttle.write_bps_device=8:16 2",
        "blkio.throttle.read_iops_device=8:16 3", "blkio.throttle.write_iops_device=8:16 0",
      ])
    let rdma = try resources("\"rdma\":{\"mlx5_1\":{\"hcaHandles\":3,\"hcaObjects\":9},\"mlx4_0\":{\"hcaObjects\":7}}")
    let part = rdma.limits.parts.first { $0.controller == "rdma" }
    #expect(text(part?.v2) == ["rdma.max=mlx5_1 hca_handle=3 hca_object=9", "rdma.max=mlx4_0 hca_object=7"])
    #expect(text(part?.v1) == text(part?.v2))
    let idle = try resources("\"cpu\":{\"idle\":1,\"shares\":5,\"mems\":\"0\"}")
    #expect(text(idle.limits.parts.first { $0.controller == "cpu" }?.v2) == ["cpu.idle=1"])
    #expect(text(idle.limits.parts.first { $0.controller == "cpuset" }?.v1) == ["cpuset.mems=0"])
    let network = try resources("\"network\":{\"classID\":5,\"priorities\":[{\"name\":\"lo\",\"priority\":2}]}")
    #expect(network.limits.parts.flatMap { text($0.v1) } == ["net_cls.classid=5", "net_prio.ifpriomap=lo 2"])
  }

  @Test(arguments: [
    ("\"memory\":{\"swappiness\":5}", "memory"), ("\"memory\":{\"disableOOMKiller\":true}", "memory"),
    ("\"memory\":{\"kernelTCP\":5}", "memory"), ("\"cpu\":{\"realtimeRuntime\":5}", "cpu"),
    ("\"cpu\":{\"realtimePeriod\":5}", "cpu"),
    ("\"network\":{\"classID\":5}", "net_cls"),
    ("\"network\":{\"priorities\":[{\"name\":\"lo\",\"priority\":1}]}", "net_prio"),
  ])
  func whatAV2GroupHasNot(fields: String, controller: String) throws {
    let part = try #require(try resources(fields).limits.parts.first { $0.controller == controller })
    #expect(part.whyNotV2 != nil && !part.v1.isEmpty)
    let group = ContainerCgroup(unified: "/nosuch", v1: [:])
    let trees = CgroupTrees(unified: "/", unifiedControllers: [controller], v1: [])
    #expect(throws: CgroupError.self) { try group.write(ContainerLimits(parts: [part]), trees) }
  }

  @Test func deviceRulesAsV1HasThem() throws {
    let rules = try resources(
      "\"devices\":[{\"allow\":false},{\"allow\":true,\"type\":\"c\",\"major\":1,\"minor\":3,\"access\":\"rw\"},{\"allow\":false,\"major\":7,\"access\":\"m\"}]"
    ).devices
    #expect(
      Containers.deviceLines(rules).map { "\($0.file) \($0.text)" } == [
        "devices.deny a", "devices.allow c 1:3 rw", "devices.deny b 7:* m", "devices.deny c 7:* m",
      ])
  }

  /// The program is interpreted here, as the kernel's machine would.
  @Test func deviceRulesAsAProgram() throws {
    let rules = try resources(
      "\"devices\":[{\"allow\":false},{\"allow\":true,\"type\":\"c\",\"major\":1,\"access\":\"rw\"},{\"allow\":false,\"type\":\"c\",\"major\":1,\"minor\":5,\"access\":\"w\"}]"
    ).devices.map { $0.rule }
    let program = DeviceProgram.instructions(rules)
    let allows = { (kind: UInt32, access: UInt32, major: UInt32, minor: UInt32) in
      Self.interpret(program, [kind | access << 16, major, minor]) == 1
    }
    #expect(!allows(2, 2, 9, 9) && !allows(1, 2, 1, 3), "what fits the first alone")
    #expect(allows(2, 2, 1, 3) && allows(2, 6, 1, 3) && !allows(2, 1, 1, 3) && !allows(2, 3, 1, 3))
    #expect(allows(2, 2, 1, 5) && !allows(2, 4, 1, 5) && !allows(2, 6, 1, 5), "a part that is denied is enough")
    #expect(Self.interpret(DeviceProgram.instructions([]), [2, 1, 1]) == 1)
  }

  /// Beside the rules' own words: of any list, for any access.
  @Test func deviceProgramsSayWhatTheRulesSay() throws {
    var random = SystemRandomNumberGenerator()
    let numbers: [UInt32?] = [nil, 0, 1, 5, 4095, 4096, 1 << 20 - 1, 1 << 20]
    for _ in 0..<300 {
      let rules = (0..<Int.random(in: 0...12, using: &random)).map { _ in
        DeviceProgram.Rule(
          allow: .random(using: &random), type: [nil, .block, .character].randomElement(using: &random)!,
          major: numbers.randomElement(using: &random)!, minor: numbers.randomElement(using: &random)!,
          access: .random(in: 1...7, using: &random))
      }
      let program = DeviceProgram.instructions(rules)
      for kind in [DeviceProgram.Kind.block, .character] {
        for access in UInt32(1)...7 {
          for major in [0, 1, 5, 4095] as [UInt32] {
            for minor in [0, 1, 5, 1 << 20 - 1] as [UInt32] {
              let last = rules.last { rule in
                (rule.type ?? kind) == kind && (rule.major ?? major) == major && (rule.minor ?? minor) == minor
                  && (rule.allow ? access & ~rule.access == 0 : access & rule.access != 0)
              }
              let said = Self.interpret(program, [kind.rawValue | access << 16, major, minor])
              try #require(said == (last?.allow ?? true ? 1 : 0), "\(rules): \(kind) \(major):\(minor) \(access)")
            }
          }
        }
      }
    }
  }

  /// The furthest jump of the longest list has its place.
  @Test func theLongestDeviceProgramJumpsRight() throws {
    let rule = DeviceProgram.Rule(allow: true, type: nil, major: nil, minor: 3, access: 2)
    let deny = DeviceProgram.Rule(allow: false, type: nil, major: nil, minor: nil, access: 7)
    let many = [DeviceProgram.Rule](repeating: rule, count: DeviceProgram.mostRules - 1)
    let program = DeviceProgram.instructions([deny] + many)
    for kind in [1, 2] as [UInt32] {
      #expect(Self.interpret(program, [kind | 2 << 16, 9, 3]) == 1)
      #expect(Self.interpret(program, [kind | 4 << 16, 9, 3]) == 0)
    }
  }

  private static func interpret(_ program: [UInt64], _ context: [UInt32]) -> UInt64? {
    var registers = [UInt64](repeating: 0, count: 11)
    var at = 0
    while at < program.count {
      let word = program[at]
      let (to, from) = (Int(word >> 8 & 15), Int(word >> 12 & 15))
      let (offset, value) = (Int(Int16(truncatingIfNeeded: word >> 16)), UInt32(truncatingIfNeeded: word >> 32))
      at += 1
      switch word & 0xff {
      case 0x61: registers[to] = UInt64(context[offset / 4])
      case 0x54: registers[to] = UInt64(UInt32(truncatingIfNeeded: registers[to]) & value)
      case 0x74: registers[to] = UInt64(UInt32(truncatingIfNeeded: registers[to]) >> value)
      case 0x64: registers[to] = UInt64(UInt32(truncatingIfNeeded: registers[to]) << value)
      case 0x4c: registers[to] = UInt64(UInt32(truncatingIfNeeded: registers[to] | registers[from]))
      case 0x56: if UInt32(truncatingIfNeeded: registers[to]) != value { at += offset }
      case 0x16: if UInt32(truncatingIfNeeded: registers[to]) == value { at += offset }
      case 0xbc: registers[to] = UInt64(UInt32(truncatingIfNeeded: registers[from]))
      case 0xb4: registers[to] = UInt64(value)
      case 0x95: return registers[0]
      default: return nil
      }
    }
    return nil
  }

  @Test func filtersAreKnownByAllThatTheyAre() throws {
    let seccomp = { (fields: String) in
      try #require(try config("\"linux\":{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\(fields)}}").linux.seccomp)
    }
    let rule = { (names: String, extra: String) in
      "\"syscalls\":[{\"names\":[\(names)],\"action\":\"SCMP_ACT_ERRNO\"\(extra)}]"
    }
    let all = try [
      rule("\"mkdir\"", ""), rule("\"mkdir\",\"rmdir\"", ""), rule("\"mkdir\"", ",\"errnoRet\":5"),
      rule("\"mkdir\"", ",\"args\":[{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]"),
      rule("\"mkdir\"", "") + ",\"architectures\":[\"SCMP_ARCH_X86\"]",
    ].map { try seccomp($0).identity }
    #expect(Set(all).count == all.count)
    #expect(try seccomp(rule("\"mkdir\"", "")).identity == all[0])
  }
}
