internal import LinuxNS

/// Every mounted tree of control groups, whatever its controllers: what a container of an engine's is put into.
/// `CgroupHierarchy` knows those that a zone's limits need.
public struct CgroupTrees: Equatable, Sendable {
  public struct V1: Equatable, Sendable {
    /// The mount point.
    public var path: String
    /// `cpu` and `cpuacct`, or `name=systemd`.
    public var controllers: [String]
  }

  /// The v2 tree's mount point.
  public var unified: String?
  /// What the top of the v2 tree can let down.
  public var unifiedControllers: [String]
  public var v1: [V1]

  public init(unified: String?, unifiedControllers: [String], v1: [V1]) {
    self.unified = unified
    self.unifiedControllers = unifiedControllers
    self.v1 = v1
  }

  /// Reads the mounts (proc_pid_mountinfo(5)); those below /sys/fs/cgroup win over others.
  public static func detect(root: String = "/sys/fs/cgroup", mountinfo: String = "/proc/self/mountinfo")
    throws(CgroupError) -> CgroupTrees
  {
    let text = try CgroupError.wrap("find the control groups") { () throws(SyscallError) in
      String(decoding: try FileSystem.read(mountinfo), as: UTF8.self)
    }
    var found = parse(mountinfo: text, root: root)
    if let tree = found.unified {
      let line = (try? FileSystem.readLine("\(tree)/cgroup.controllers")) ?? ""  // unreadable: none
      found.unifiedControllers = line.split(separator: " ").map(String.init)
    }
    return found
  }

  static func parse(mountinfo text: String, root: String) -> CgroupTrees {
    var found = CgroupTrees(unified: nil, unifiedControllers: [], v1: [])
    let isBelow = { (path: String) in path == root || path.hasPrefix(root + "/") }
    for mount in CgroupMount.all(in: text) {
      let path = mount.path
      if mount.isUnified {
        if found.unified == nil || isBelow(path) && !isBelow(found.unified!) { found.unified = path }
        continue
      }
      let controllers = mount.options.filter { !others.contains($0) && !$0.hasPrefix("release_agent=") }
      guard !controllers.isEmpty else { continue }
      if let at = found.v1.firstIndex(where: { $0.controllers == controllers }) {
        if isBelow(path), !isBelow(found.v1[at].path) { found.v1[at].path = path }
      } else {
        found.v1.append(V1(path: path, controllers: controllers))
      }
    }
    return found
  }

  /// What the file system says beside its controllers.
  private static let others = ["rw", "ro", "xattr", "clone_children", "noprefix", "cpuset_v2_mode", "favordynmods"]
}
