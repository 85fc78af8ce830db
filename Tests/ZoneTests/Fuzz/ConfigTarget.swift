import LinuxNS

@testable import ResourceControl
@testable import ZoneRuntime

extension FuzzTarget {
  /// A bundle's config.json: read, planned for every kind of caller and machine, its filter compiled, its limits worded.
  static let config = FuzzTarget("config") { (bytes) throws(Finding) in
    guard let config = accepted({ try BundleConfig.parse(bytes) }) else { return }
    let filter = try filter(config.linux.seccomp)
    for (trees, group) in machines {
      for isRoot in [true, false] {
        let facts = ContainerFacts(
          isRoot: isRoot, isHostRoot: isRoot, groupsAreKept: !isRoot, root: "/bundle/rootfs", trees: trees,
          cgroup: group,
          hasSELinux: isRoot, hasAppArmor: isRoot, capabilities: .zoneDefault, filter: filter, newKeyring: true)
        let plan = accepted { try ContainerPlanner.plan(config, facts) }
        if let plan { try check(plan, facts) }
      }
      try checkLimits(config, trees)
    }
  }

  /// v2 alone, v1 alone, and both.
  private static let machines: [(CgroupTrees, ContainerCgroup)] = {
    let v1 = [
      CgroupTrees.V1(path: "/sys/fs/cgroup/cpu,cpuacct", controllers: ["cpu", "cpuacct"]),
      CgroupTrees.V1(path: "/sys/fs/cgroup/systemd", controllers: ["name=systemd"]),
      CgroupTrees.V1(path: "/sys/fs/cgroup/blkio", controllers: ["blkio"]),
      CgroupTrees.V1(path: "/sys/fs/cgroup/devices", controllers: ["devices"]),
    ]
    let own = ["cpu": "/sys/fs/cgroup/cpu,cpuacct/a", "name=systemd": "/sys/fs/cgroup/systemd/a"]
    return [
      (
        CgroupTrees(unified: "/sys/fs/cgroup", unifiedControllers: ["cpu", "io"], v1: []),
        ContainerCgroup(unified: "/sys/fs/cgroup/a", v1: [:])
      ),
      (CgroupTrees(unified: nil, unifiedControllers: [], v1: v1), ContainerCgroup(unified: nil, v1: own)),
      (
        CgroupTrees(unified: "/sys/fs/cgroup/unified", unifiedControllers: [], v1: v1),
        ContainerCgroup(unified: "/sys/fs/cgroup/unified/a", v1: own)
      ),
    ]
  }()

  private static func filter(_ wish: BundleSeccomp?) throws(Finding) -> [UInt8]? {
    guard let wish else { return nil }
    try hold(wish.identity == wish.identity, "a filter's identity is another one each time")
    guard let program = accepted({ try BundleFilter.compile(wish) }) else { return nil }
    try hold(
      !program.isEmpty && program.count % SeccompCompiler.instructionSize == 0, "a filter of \(program.count) bytes")
    return program
  }

  private static func check(_ plan: ContainerPlan, _ facts: ContainerFacts) throws(Finding) {
    let ops = plan.before + plan.tree + plan.zone + plan.process
    for op in ops {
      try hold(!op.words.isEmpty, "an op without words")
      // Texts that the stage reads up to their NUL: one inside would cut them.
      if let target = target(op.op) {
        try hold(!target.isEmpty && target.first != UInt8(ascii: "/"), "\(op.words): not below the root")
        try hold(!target.contains(0), "\(op.words): its target is cut")
      }
      if op.op.fd >= 0, takesSource(op.op) {
        try hold(facts.isRoot && Int(op.op.fd) < plan.sources.count, "\(op.words): no source \(op.op.fd)")
      }
    }
    try hold(plan.zone.count { $0.op.code == .leaveRoot } == 1, "the root is not left once")
    // Where the host's side puts the root together, nothing of it may be attached behind the wall.
    if plan.builder {
      try hold(!plan.zone.contains { $0.op.code == .node }, "a device is made in the container")
    }
    var block = StagePlan(mode: .container, tier: .host)
    block.before = plan.before.map { $0.op }
    block.tree = plan.tree.map { $0.op }
    block.zone = plan.zone.map { $0.op }
    block.process = plan.process.map { $0.op }
    block.descriptors.sources = plan.sources.indices.map { Int32($0) + 100 }
    try hold(block.marshalled().fds.count == plan.sources.count, "a source is lost on its way to the stage")
  }

  /// The place below the container's root that an op acts on.
  private static func target(_ op: StageOp) -> [UInt8]? {
    let below: [StageOp.Code] = [
      .attach, .mount, .symlink, .mask, .readOnlyPath, .write, .node, .readOnly, .propagation, .makeDirectory, .file,
      .find,
    ]
    guard below.contains(op.code), let block = op.blocks.first, let bytes = block else { return nil }
    return bytes
  }

  private static func takesSource(_ op: StageOp) -> Bool {
    [StageOp.Code.attach, .rootTree, .hostTree, .attributes].contains(op.code)
  }

  private static func checkLimits(_ config: BundleConfig, _ trees: CgroupTrees) throws(Finding) {
    guard let resources = config.linux.resources,
      let containers = accepted({
        try Containers(root: "/nowhere", systemdCgroup: false) { _ in }
      }),
      let limits = accepted({ try containers.limits(resources, trees) })
    else { return }
    let values = limits.parts.flatMap { $0.v2 + $0.v1 } + limits.unified
    for value in values {
      try hold(!value.file.contains("/") && value.file.first != ".", "the file '\(value.file)' is not the group's own")
    }
    // More are refused where a program is made of them, which is not on a machine with a v1 tree for devices.
    let rules = resources.devices.prefix(DeviceProgram.mostRules).map { $0.rule }
    try hold(
      DeviceProgram.instructions(rules) == DeviceProgram.instructions(rules), "a program is another one each time")
  }
}
