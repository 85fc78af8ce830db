import Glibc
import LinuxNS
import Testing

@testable import ResourceControl
@testable import ZoneRuntime

private func put(_ path: String, _ text: String) throws {
  try FileSystem.makeDirectories(FileSystem.parent(of: path))
  try FileSystem.replace(path, with: Array(text.utf8))
}

private let hybrid = """
  31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
  32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:5 - cgroup cgroup rw,cpu,cpuacct
  34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
  35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
  90 31 0:32 / /mnt/second\\040memory rw,relatime - cgroup cgroup rw,memory
  37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
  39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
  40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
  41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
  broken line
  """

private func v2Base(_ controllers: Set<CgroupController> = [.cpu, .cpuset, .memory, .pids]) -> CgroupBase {
  .forRoot(CgroupHierarchy(unified: .init(path: "/cg", root: "/"), unifiedControllers: controllers, v1: [:]))
}

@Suite struct CgroupTests {
  @Test func theHierarchyIsReadFromTheMounts() {
    let found = CgroupHierarchy.parse(mountinfo: hybrid, root: "/sys/fs/cgroup")
    #expect(found.unified == .init(path: "/sys/fs/cgroup/unified", root: "/"))
    #expect(
      found.v1.mapValues(\.path) == [
        .cpu: "/sys/fs/cgroup/cpu,cpuacct", .cpuset: "/sys/fs/cgroup/cpuset", .memory: "/sys/fs/cgroup/memory",
        .freezer: "/sys/fs/cgroup/freezer", .pids: "/sys/fs/cgroup/pids",
      ])
    let other = CgroupHierarchy.parse(mountinfo: hybrid, root: "/mnt")
    #expect(other.v1[.memory]?.path == "/mnt/second memory")
    #expect(
      CgroupHierarchy.parse(mountinfo: "", root: "/x") == CgroupHierarchy(unified: nil, unifiedControllers: [], v1: [:])
    )
  }

  @Test func aFolderCanBeTheRoot() throws {
    try withTemporaryFolder { folder in
      try put("\(folder)/mountinfo", "41 31 0:38 / \(folder)/tree rw - cgroup2 cgroup2 rw\n")
      try put("\(folder)/tree/cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma\n")
      let found = try CgroupHierarchy.detect(root: folder, mountinfo: "\(folder)/mountinfo")
      #expect(found.unifiedControllers == [.cpuset, .cpu, .memory, .pids])
      #expect(found.unified?.path == "\(folder)/tree")
    }
  }

  @Test func planForV2() throws {
    let limits = ResourceLimits(cpus: 1.5, cpuShares: 2048, cpuset: "0-1", memory: 64 << 20, pids: 100)
    let plan = try CgroupPlan(base: v2Base(), name: "web", limits: limits)
    #expect(
      plan.description == """
        make the group /cg/zones where it is missing
        write +cpu +cpuset +memory +pids to /cg/cgroup.subtree_control
        write +cpu +cpuset +memory +pids to /cg/zones/cgroup.subtree_control
        make the group /cg/zones/web
        write 79 to /cg/zones/web/cpu.weight
        write 150000 100000 to /cg/zones/web/cpu.max
        write 0-1 to /cg/zones/web/cpuset.cpus
        write 67108864 to /cg/zones/web/memory.max
        write 0 to /cg/zones/web/memory.swap.max where the kernel has it
        write 100 to /cg/zones/web/pids.max
        """)
    #expect(plan.record == CgroupRecord(unified: "/cg/zones/web", v1: [:]))
    // The weight is always written: the kernel's 100 would be two and a half zones.
    #expect(
      try CgroupPlan(base: v2Base(), name: "web", limits: .init()).description.hasSuffix(
        "make the group /cg/zones/web\nwrite 39 to /cg/zones/web/cpu.weight where the kernel has it"))
  }

  @Test func planForHybrid() throws {
    let base = CgroupBase.forRoot(CgroupHierarchy.parse(mountinfo: hybrid, root: "/sys/fs/cgroup"), tag: "t")
    #expect(
      try CgroupPlan(base: base, name: "web", limits: .init()).description == """
        make the group /sys/fs/cgroup/unified/zones-t where it is missing
        make the group /sys/fs/cgroup/unified/zones-t/web
        """)
    let limits = ResourceLimits(cpus: 0.5, cpuset: "1", memory: 1 << 20, pids: 3)
    let plan = try CgroupPlan(base: base, name: "web", limits: limits)
    #expect(
      plan.description == """
        make the group /sys/fs/cgroup/unified/zones-t where it is missing
        make the group /sys/fs/cgroup/unified/zones-t/web
        make the group /sys/fs/cgroup/cpu,cpuacct/zones-t where it is missing
        make the group /sys/fs/cgroup/cpu,cpuacct/zones-t/web
        write 1024 to /sys/fs/cgroup/cpu,cpuacct/zones-t/web/cpu.shares
        write 100000 to /sys/fs/cgroup/cpu,cpuacct/zones-t/web/cpu.cfs_period_us
        write 50000 to /sys/fs/cgroup/cpu,cpuacct/zones-t/web/cpu.cfs_quota_us
        make the group /sys/fs/cgroup/cpuset/zones-t where it is missing
        fill /sys/fs/cgroup/cpuset/zones-t/cpuset.cpus and cpuset.mems from above where they are empty
        make the group /sys/fs/cgroup/cpuset/zones-t/web
        fill /sys/fs/cgroup/cpuset/zones-t/web/cpuset.cpus and cpuset.mems from above where they are empty
        write 1 to /sys/fs/cgroup/cpuset/zones-t/web/cpuset.cpus
        make the group /sys/fs/cgroup/memory/zones-t where it is missing
        make the group /sys/fs/cgroup/memory/zones-t/web
        write 1048576 to /sys/fs/cgroup/memory/zones-t/web/memory.limit_in_bytes
        write 1048576 to /sys/fs/cgroup/memory/zones-t/web/memory.memsw.limit_in_bytes where the kernel has it
        make the group /sys/fs/cgroup/pids/zones-t where it is missing
        make the group /sys/fs/cgroup/pids/zones-t/web
        write 3 to /sys/fs/cgroup/pids/zones-t/web/pids.max
        """)
    #expect(plan.record.paths.count == 5)
    let bytes = try JSON.encode(plan.record)
    #expect(try JSON.decode(CgroupRecord.self, from: bytes, name: "record") == plan.record)
  }

  @Test func planForV1Alone() throws {
    var hierarchy = CgroupHierarchy.parse(mountinfo: hybrid, root: "/sys/fs/cgroup")
    hierarchy.unified = nil
    let plan = try CgroupPlan(base: .forRoot(hierarchy), name: "web", limits: .init())
    #expect(plan.record == CgroupRecord(unified: nil, v1: [.freezer: "/sys/fs/cgroup/freezer/zones/web"]))
    // One directory for controllers that are mounted together.
    hierarchy.v1[.cpuset] = hierarchy.v1[.cpu]
    let both = try CgroupPlan(base: .forRoot(hierarchy), name: "web", limits: .init(cpuShares: 2, cpuset: "0"))
    #expect(both.steps.filter { if case .own = $0 { true } else { false } }.count == 2)
    #expect(both.record.paths.count == 2)
  }

  @Test func aMissingControllerIsAnErrorOnlyWhenItIsNeeded() throws {
    let base = v2Base([.pids])
    #expect(throws: Never.self) { try CgroupPlan(base: base, name: "a", limits: .init(pids: 5)) }
    do {
      _ = try CgroupPlan(base: base, name: "a", limits: .init(memory: 1 << 30))
      Issue.record("planned")
    } catch {
      #expect(error.description.hasPrefix("cannot limit memory: "))
    }
  }

  @Test(arguments: [
    ("web", "web"), ("tasks", "_tasks"), ("cpu.max", "_cpu.max"), ("_x", "__x"), ("_tasks", "__tasks"),
    ("notify_on_release", "_notify_on_release"),
  ])
  func namesOfTheKernelsFilesAreEscaped(_ name: String, _ group: String) throws {
    #expect(try CgroupPlan(base: v2Base([]), name: name, limits: .init()).record.unified == "/cg/zones/\(group)")
  }

  @Test(arguments: ["", ".", "..", "a/b", "/", "a\0", "a\nb", String(repeating: "x", count: 255)])
  func namesThatLeadAwayAreRefused(_ name: String) throws {
    // A dot gets a prefix, and so is no way up.
    if let plan = try? CgroupPlan(base: v2Base([]), name: name, limits: .init()) {
      #expect([".", ".."].contains(name) && plan.record.unified == "/cg/zones/_\(name)")
    }
  }

  @Test func aUsersGroupIsTheTopmostThatIsHis() throws {
    try withTemporaryFolder { folder in
      let hierarchy = CgroupHierarchy(unified: .init(path: folder, root: "/"), unifiedControllers: [.cpu], v1: [:])
      let mine = "\(folder)/user.slice/user@7.service"
      for group in [mine, "\(mine)/app.slice", "\(mine)/app.slice/x.scope"] {
        for file in ["cgroup.procs", "cgroup.subtree_control"] { try put("\(group)/\(file)", "") }
      }
      try put("\(mine)/cgroup.controllers", "memory pids\n")
      for group in ["", "/app.slice", "/app.slice/x.scope"] { chown(mine + group, geteuid(), 0) }
      let base = try CgroupBase.forUser(
        hierarchy, selfCgroup: "9:pids:/\n0::/user.slice/user@7.service/app.slice/x.scope\n", uid: geteuid())
      #expect(base.unified == "\(mine)/zones")
      #expect(base.unifiedControllers == [.memory, .pids])
      #expect(base.unifiedParents == [mine])
      #expect(throws: CgroupError.self) { try CgroupPlan(base: base, name: "a", limits: .init(cpus: 1)) }
      for text in ["0::/\n", "0::/../..\n", "9:pids:/\n", "", "0::/user.slice\n"] {
        do throws(CgroupError) {
          _ = try CgroupBase.forUser(hierarchy, selfCgroup: text, uid: geteuid())
          Issue.record("\(text) is taken")
        } catch {
          #expect(error.description.hasPrefix("cannot make a control group: "))
        }
      }
    }
  }

  @Test func aStepThatFailsIsUndone() throws {
    try withTemporaryFolder { folder in
      // In a plain folder a new group has no files, so the first value fails.
      for file in ["cgroup.controllers", "cgroup.subtree_control"] { try put("\(folder)/zones/\(file)", "pids\n") }
      for file in ["cgroup.controllers", "cgroup.subtree_control"] { try put("\(folder)/\(file)", "pids\n") }
      let base = CgroupBase.forRoot(
        CgroupHierarchy(unified: .init(path: folder, root: "/"), unifiedControllers: [.pids], v1: [:]))
      let plan = try CgroupPlan(base: base, name: "web", limits: .init(pids: 5))
      #expect(throws: CgroupError.self) { try Cgroup.create(plan) }
      #expect(!FileSystem.exists("\(folder)/zones/web"))
      #expect(throws: Never.self) { try Cgroup.create(CgroupPlan(base: base, name: "web", limits: .init())) }
      #expect(FileSystem.exists("\(folder)/zones/web"))
    }
  }

  @Test func freezingWaitsForTheKernelAndLetsGoWhenItDoesNotCome() throws {
    try withTemporaryFolder { folder in
      let cgroup = Cgroup(opening: CgroupRecord(unified: folder, v1: [:]))
      try put("\(folder)/cgroup.freeze", "0")
      try put("\(folder)/cgroup.events", "populated 1\nfrozen 0\n")
      #expect(throws: CgroupError.timedOut(doing: "freeze", path: folder)) { try cgroup.freeze(timeout: 30) }
      #expect(try FileSystem.readLine("\(folder)/cgroup.freeze") == "0")
      try put("\(folder)/cgroup.events", "populated 1\nfrozen 1\n")
      try cgroup.freeze(timeout: 30)
      #expect(try FileSystem.readLine("\(folder)/cgroup.freeze") == "1")
      // Who ends a zone thaws it, perhaps before we have seen it frozen.
      try put("\(folder)/cgroup.events", "populated 0\nfrozen 0\n")
      try cgroup.freeze(timeout: 30)
    }
  }

  @Test func weights() {
    #expect(ResourceLimits.weight(ofShares: 2) == 1)
    #expect(ResourceLimits.weight(ofShares: 1024) == 39)
    #expect(ResourceLimits.weight(ofShares: 262_144) == 10_000)
    let ratio = Double(ResourceLimits.weight(ofShares: 3072)) / Double(ResourceLimits.weight(ofShares: 1024))
    #expect(abs(ratio - 3) < 0.1)
  }

  @Test func valuesThatTakeALimitBack() {
    let limits = ResourceLimits()
    #expect(
      limits.v2Values(CgroupController.limiting, full: true).map { "\($0.file)=\($0.text)" } == [
        "cpu.weight=39", "cpu.max=max 100000", "cpuset.cpus=\n", "memory.max=max", "memory.swap.max=max",
        "pids.max=max",
      ])
    #expect(limits.v1Values(.cpu).map(\.text) == ["1024", "100000", "-1"])
    #expect(
      limits.v1Values(.memory, raisingMemory: true).map(\.file) == [
        "memory.memsw.limit_in_bytes", "memory.limit_in_bytes",
      ])
    #expect(ResourceLimits(cpus: 0.001).v2Values([.cpu], full: false)[1].text == "1000 100000")
  }
}

private let sizeTable: [(String, Int64)] = [
  ("0", 0), ("1048576", 1_048_576), ("64M", 67_108_864), ("64m", 67_108_864), ("64MB", 67_108_864),
  ("64MiB", 67_108_864),
  ("1.5G", 1_610_612_736), ("1GiB", 1_073_741_824), ("2kb", 2048), ("10b", 10), ("0.5k", 512), ("1.1k", 1126),
  ("8191P", 9_222_246_136_947_933_184), ("1T", 1_099_511_627_776), ("1.999999999999k", 2047),
  ("9223372036854775807", 9_223_372_036_854_775_807),
]

@Suite struct CgroupLimitTests {
  @Test(arguments: sizeTable)
  func sizes(_ text: String, _ bytes: Int64) throws {
    #expect(try ByteSize.parse(text) == bytes)
    #expect(try ByteSize.parse(ByteSize.text(bytes)) == bytes)
  }

  @Test(arguments: [
    "", "M", "-1", "-1M", "+1", "1.5", "1.5b", "1..5M", ".5M", "1.M", "1e3", "1 M", " 1M", "1M ", "64X", "64iB",
    "64MMB", "64Mib2", "٣M", "8192P",
    "9223372036854775808", "99999999999999999999", "0x10", "nan", "inf", "1,5G",
  ])
  func noSizes(_ text: String) {
    #expect(throws: LimitError.self) { try ByteSize.parse(text) }
  }

  @Test func sizesAsText() {
    #expect(ByteSize.text(64 << 20) == "64M")
    #expect(ByteSize.text(3 << 29) == "1536M")
    #expect(ByteSize.text(1000) == "1000")
    #expect(ByteSize.text(0) == "0")
  }

  @Test(arguments: ["", "-1", "1e3", "nan", "inf", "0x1p3", "1.", ".5", "1,5", "1.5 ", "+1", "1.5.1"])
  func noCPUs(_ text: String) { #expect(throws: LimitError.self) { try CPUCount.parse(text) } }

  @Test func lists() throws {
    #expect(try CPUCount.parse("1.5") == 1.5)
    #expect(try CPUList.parse("0-2,4,1-3") == [0, 1, 2, 3, 4])
    #expect(CPUList.text([5, 0, 1, 2, 4, 8]) == "0-2,4-5,8")
    for text in ["", ",", "0-", "-1", "2-1", "0,,1", "0-1-2", "a", "8192", "0-99999999999", "0 ", "0-1:2"] {
      #expect(throws: LimitError.self) { try CPUList.parse(text) }
    }
  }

  @Test func limitsAreCheckedAgainstTheMachine() throws {
    let machine = MachineResources(cpus: [0, 1, 3])
    try ResourceLimits(cpus: 3, cpuShares: 2, cpuset: "0-1,3", memory: 1 << 20, pids: 1).validate(on: machine)
    try ResourceLimits().validate(on: machine)
    let bad: [ResourceLimits] = [
      .init(cpus: 3.01), .init(cpus: 0.009), .init(cpus: -1), .init(cpus: .nan), .init(cpus: .infinity),
      .init(cpuShares: 1), .init(cpuShares: 262_145),
      .init(cpuset: "2"), .init(cpuset: "0-3"), .init(cpuset: ""), .init(memory: (1 << 20) - 1), .init(memory: -1),
      .init(pids: 0),
      .init(pids: 4_194_305),
    ]
    for limits in bad { #expect(throws: LimitError.self, "\(limits)") { try limits.validate(on: machine) } }
    #expect(try !MachineResources.read().cpus.isEmpty)
  }
}
