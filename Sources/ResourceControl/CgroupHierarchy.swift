internal import CLinuxNS
internal import LinuxNS

/// The controllers a limit of ours needs, by the kernel's names.
public enum CgroupController: String, Hashable, CaseIterable, Sendable {
  case cpu, cpuset, memory, pids
  /// v1's own; on v2 every group can be frozen.
  case freezer

  var limits: String {
    switch self {
    case .cpu: "cpu time"
    case .cpuset: "the CPUs"
    case .memory: "memory"
    case .pids: "the number of processes"
    case .freezer: "by freezing"
    }
  }

  /// Those of ResourceLimits.
  static let limiting: [CgroupController] = [.cpu, .cpuset, .memory, .pids]
}

/// Where control groups are on this machine: one v2 tree, v1 trees by controller, or both (hybrid). Only read.
public struct CgroupHierarchy: Equatable, Sendable {
  /// A mounted tree.
  public struct Tree: Equatable, Sendable {
    /// The mount point.
    public var path: String
    /// Which group of the kernel's tree is seen there; `/` but in containers without a cgroup namespace.
    public var root: String
  }

  /// The v2 tree (cgroup2).
  public var unified: Tree?
  /// What the v2 tree's `cgroup.controllers` names, so far as it is ours.
  public var unifiedControllers: Set<CgroupController>
  /// The v1 tree of each controller.
  public var v1: [CgroupController: Tree]

  public init(unified: Tree?, unifiedControllers: Set<CgroupController>, v1: [CgroupController: Tree]) {
    self.unified = unified
    self.unifiedControllers = unifiedControllers
    self.v1 = v1
  }

  /// Reads the mounts (proc_pid_mountinfo(5)), and the v2 tree's controllers.
  /// - Parameters:
  ///   - root: mounts below it win over others.
  ///   - mountinfo: `/proc/self/mountinfo`.
  public static func detect(root: String = "/sys/fs/cgroup", mountinfo: String = "/proc/self/mountinfo")
    throws(CgroupError) -> CgroupHierarchy
  {
    let text = try CgroupError.wrap("find the control groups") { () throws(SyscallError) in
      try FileSystem.read(mountinfo)
    }
    var found = parse(mountinfo: String(decoding: text, as: UTF8.self), root: root)
    if let tree = found.unified {
      found.unifiedControllers = Self.controllers(of: tree.path)
    }
    return found
  }

  /// A v2 tree at one of its two usual places, and its controllers.
  static func usualTree(root: String = "/sys/fs/cgroup") -> (path: String, controllers: Set<CgroupController>)? {
    for path in [root, "\(root)/unified"] where zns_filesystem_type(path) == 0x6367_7270 /* CGROUP2_SUPER_MAGIC */ {
      let controllers = path == root ? Self.controllers(of: path) : []
      return (path, controllers)
    }
    return nil
  }

  /// Those that a v2 group can use; none where it cannot be read, which is the same.
  static func controllers(of group: String) -> Set<CgroupController> {
    controllers((try? FileSystem.readLine("\(group)/cgroup.controllers")) ?? "")
  }

  static func controllers(_ line: String) -> Set<CgroupController> {
    Set(line.split(separator: " ").compactMap { CgroupController(rawValue: String($0)) })
  }

  static func parse(mountinfo text: String, root: String) -> CgroupHierarchy {
    var found = CgroupHierarchy(unified: nil, unifiedControllers: [], v1: [:])
    let isBelow = { (path: String) in path == root || path.hasPrefix(root + "/") }
    for mount in CgroupMount.all(in: text) {
      let tree = Tree(path: mount.path, root: mount.root)
      if mount.isUnified {
        if found.unified == nil || isBelow(tree.path) && !isBelow(found.unified!.path) { found.unified = tree }
        continue
      }
      for name in mount.options {
        guard let controller = CgroupController(rawValue: name) else { continue }
        let old = found.v1[controller]
        if old == nil || isBelow(tree.path) && !isBelow(old!.path) { found.v1[controller] = tree }
      }
    }
    return found
  }
}
