internal import Glibc
public import LinuxNS

/// What is written into a container's groups, by the kernel's names of controllers: a tree that has the controller gets
/// its values, and a controller that no tree has is an error.
public struct ContainerLimits: Equatable, Sendable {
  /// A controller's values, for the two kinds of tree. Of a controller that one kind does not have, its `why`.
  public struct Part: Equatable, Sendable {
    public var controller: String
    public var v2: [CgroupValue]
    public var v1: [CgroupValue]
    /// Why there are no values for that kind: the limit has no such form there.
    public var whyNotV2: String?
    public var whyNotV1: String?

    public init(
      _ controller: String, v2: [CgroupValue] = [], v1: [CgroupValue] = [], whyNotV2: String? = nil,
      whyNotV1: String? = nil
    ) {
      self.controller = controller
      self.v2 = v2
      self.v1 = v1
      self.whyNotV2 = whyNotV2
      self.whyNotV1 = whyNotV1
    }
  }

  public var parts: [Part]
  /// Which devices may be used: instructions of `DeviceProgram`, for a v2 group; empty: all.
  public var deviceProgram: [UInt64] = []
  /// Files of the v2 group as they were asked for, by their own names (`unified`).
  public var unified: [CgroupValue]

  public init(parts: [Part] = [], unified: [CgroupValue] = []) {
    self.parts = parts
    self.unified = unified
  }
}

/// The groups of one OCI container: in the v2 tree and in v1 trees, everywhere by the same path.
public struct ContainerCgroup: Equatable, Sendable {
  /// The group in the v2 tree.
  public var unified: String?
  /// The groups in v1 trees, by controller; controllers that are mounted together share one.
  public var v1: [String: String]

  public init(unified: String?, v1: [String: String]) {
    self.unified = unified
    self.v1 = v1
  }

  /// All groups, each once, the v2 one first.
  public var paths: [String] { (unified.map { [$0] } ?? []) + Set(v1.values).sorted() }

  /// The same groups for what needs no values: to freeze, kill, count.
  public var group: Cgroup {
    var known: [CgroupController: String] = [:]
    for controller in CgroupController.allCases { known[controller] = v1[controller.rawValue] }
    return Cgroup(opening: CgroupRecord(unified: unified, v1: known))
  }

  // MARK: making

  /// Makes the groups and writes the limits, but for the device program: the kernel checks and compiles it for longer
  /// than all else takes together, and `attach` does it while the process is made. What fails is undone: only groups that
  /// were made here are removed again.
  /// - Parameters:
  ///   - path: from the top of each tree, without `..`.
  ///   - everywhere: a group in every v1 tree, as engines expect it, not only where a limit needs one.
  public static func create(_ trees: CgroupTrees, path: String, limits: ContainerLimits, everywhere: Bool)
    throws(CgroupError) -> ContainerCgroup
  {
    try Cgroup.again { () throws(CgroupError) in try attempt(trees, path, limits, everywhere) }
  }

  private static func attempt(_ trees: CgroupTrees, _ path: String, _ limits: ContainerLimits, _ everywhere: Bool)
    throws(CgroupError) -> ContainerCgroup
  {
    var made: [String] = []
    do throws(CgroupError) {
      var group = ContainerCgroup(unified: nil, v1: [:])
      if let tree = trees.unified {
        group.unified = "\(tree)\(path)"
        try descend(tree, path, &made) { (parent, _) throws(CgroupError) in
          try enable(trees.unifiedControllers, at: parent)
        }
      }
      let wanted = limits.parts.map { $0.controller }
      for tree in trees.v1 {
        let needed = tree.controllers.contains { wanted.contains($0) }
        guard everywhere || needed || trees.unified == nil && tree.controllers.contains("freezer") else { continue }
        try descend(tree.path, path, &made) { (_, child) throws(CgroupError) in
          if tree.controllers.contains("cpuset") { try Cgroup.execute(.inheritCpuset(child)) }
        }
        for controller in tree.controllers { group.v1[controller] = "\(tree.path)\(path)" }
      }
      for existing in group.paths where !made.contains(existing) {
        guard try CgroupTree.processes(below: existing).isEmpty else { throw .busy(path: existing) }
      }
      try group.writeFiles(limits, trees)
      return group
    } catch {
      for directory in made.reversed() { rmdir(directory) }  // best effort: the first error is the one to report
      throw error
    }
  }

  /// Takes over the group of a delegated unit that systemd has made, and writes the limits to the last digit; systemd
  /// rounds some, and knows few.
  /// - Parameters:
  ///   - path: the group's directory.
  public static func adopt(_ trees: CgroupTrees, _ path: String, limits: ContainerLimits) throws(CgroupError)
    -> ContainerCgroup
  {
    let group = ContainerCgroup(unified: path, v1: [:])
    var missing = limits.parts.map { $0.controller }
    missing.removeAll { Self.controllers(of: path).contains($0) }
    if let tree = trees.unified, !missing.isEmpty, path.hasPrefix("\(tree)/") {
      // hugetlb, say, which systemd does not know, and leaves as it is.
      var parent = tree
      for name in path.dropFirst(tree.utf8.count).split(separator: "/") {
        try enable(missing, at: parent)
        parent += "/\(name)"
      }
    }
    var own = trees
    own.unifiedControllers = Self.controllers(of: path)
    try group.write(limits, own)
    return group
  }

  private static func controllers(of path: String) -> [String] {
    ((try? FileSystem.readLine("\(path)/cgroup.controllers")) ?? "").split(separator: " ").map(String.init)
  }

  /// mkdir(2) of each directory of `path` that is missing; `entered` is told of each with the one above it.
  private static func descend(
    _ tree: String, _ path: String, _ made: inout [String], _ entered: (String, String) throws(CgroupError) -> Void
  ) throws(CgroupError) {
    var parent = tree
    for name in path.split(separator: "/") {
      let child = "\(parent)/\(name)"
      if mkdir(child, 0o755) == 0 {
        made.append(child)
      } else {
        let error = errno
        guard error == EEXIST else { throw Cgroup.failure("mkdir", error, child, "make the container's control group") }
      }
      try entered(parent, child)
      parent = child
    }
  }

  /// All that there is, one by one. What cannot be enabled is missed, by name, when a value of it is written.
  private static func enable(_ controllers: [String], at parent: String) throws(CgroupError) {
    guard !controllers.isEmpty else { return }
    let file = "\(parent)/cgroup.subtree_control"
    let enabled = try Cgroup.read(file).split(separator: " ").map(String.init)
    for controller in controllers where !enabled.contains(controller) { try? Cgroup.write("+\(controller)", to: file) }
  }

  /// - Throws: `unavailable` for a controller that no tree has, or that has no such limit there.
  public func write(_ limits: ContainerLimits, _ trees: CgroupTrees) throws(CgroupError) {
    try writeFiles(limits, trees)
    try attach(limits.deviceProgram)
  }

  /// Instructions of `DeviceProgram`; none leave the group as it is.
  public func attach(_ deviceProgram: [UInt64]) throws(CgroupError) {
    guard !deviceProgram.isEmpty, let unified else { return }
    try CgroupError.wrap("attach the device rules to the control group") { () throws(SyscallError) in
      try DeviceProgram.attach(deviceProgram, to: try OwnedFD.open(unified, O_RDONLY | O_DIRECTORY))
    }
  }

  private func writeFiles(_ limits: ContainerLimits, _ trees: CgroupTrees) throws(CgroupError) {
    for part in limits.parts {
      if let directory = v1[part.controller] {
        if let why = part.whyNotV1 { throw .limit(part.controller, why: why) }
        try Self.write(part.v1, in: directory)
      } else if let unified, trees.unifiedControllers.contains(part.controller) {
        if let why = part.whyNotV2 { throw .limit(part.controller, why: why) }
        for value in part.v2 { try Self.write(value, in: unified) }
      } else {
        throw .limit(part.controller, why: "this kernel has no such controller, or it is mounted nowhere")
      }
    }
    guard !limits.unified.isEmpty else { return }
    guard let unified else { throw .limit("unified", why: "there is no v2 tree on this machine") }
    for value in limits.unified { try Self.write(value, in: unified) }
  }

  /// A file that is written to more than once, with device rules, is opened once.
  private static func write(_ values: [CgroupValue], in group: String) throws(CgroupError) {
    var at = 0
    while at < values.count {
      let file = values[at].file
      var end = at + 1
      while end < values.count, values[end].file == file { end += 1 }
      if end == at + 1 {
        try write(values[at], in: group)
      } else {
        try CgroupError.wrap("write to the control group") { () throws(SyscallError) in
          let open = try OwnedFD.open("\(group)/\(file)", O_WRONLY)
          for value in values[at..<end] {
            try FileSystem.write(Array(value.text.utf8), to: open, name: "\(group)/\(file)")
          }
        }
      }
      at = end
    }
  }

  private static func write(_ value: CgroupValue, in group: String) throws(CgroupError) {
    try Cgroup.execute(CgroupPlan.write(value, in: group))
  }

  // MARK: joining, ending

  /// The v2 group of a process in this tree; nil where it has none there.
  public static func unified(of process: Int32) throws(CgroupError) -> String? {
    guard let tree = try CgroupHierarchy.detect().unified else { return nil }
    let text = try CgroupError.wrap("look for the process's control group") { () throws(SyscallError) in
      String(decoding: try FileSystem.read("/proc/\(process)/cgroup"), as: UTF8.self)
    }
    return CgroupBase.ownGroup(text, in: tree).map { $0 == "/" ? tree.path : "\(tree.path)\($0)" }
  }

  /// Whether we may move a process of our own group into the v2 one: the first group above both has to be ours
  /// (cgroup-v2.rst, "Delegation Containment").
  public func mayBeJoined() throws(CgroupError) -> Bool {
    guard let unified, let own = try Self.unified(of: getpid()) else { return true }
    let (here, there) = (own.split(separator: "/"), unified.split(separator: "/"))
    let shared = zip(here, there).prefix { $0 == $1 }.map { String($0.0) }
    return access("/\(shared.joined(separator: "/"))/cgroup.procs", W_OK) == 0
  }

  /// The v2 group's directory for clone3(2) with CLONE_INTO_CGROUP; nil where there is no v2 tree.
  public func openDirectory() throws(CgroupError) -> OwnedFD? { try group.openDirectory() }

  /// The v1 groups' `tasks` files, open for writing (see `Cgroup.openJoinFiles`).
  public func openJoinFiles() throws(CgroupError) -> DescriptorList {
    var files = DescriptorList()
    for path in Set(v1.values).sorted() {
      files.append(
        try CgroupError.wrap("open the control group") { () throws(SyscallError) in
          try OwnedFD.open("\(path)/tasks", O_WRONLY)
        })
    }
    return files
  }

  /// Removes the groups and what was made in them; those that are gone are fine.
  /// - Parameter timeout: milliseconds to wait for processes that are about to end.
  public func remove(timeout: UInt64 = 10_000) throws(CgroupError) {
    let deadline = Clock.monotonicNanoseconds() + timeout * 1_000_000
    for path in paths { try CgroupTree.remove(path, deadline: deadline) }
  }
}
