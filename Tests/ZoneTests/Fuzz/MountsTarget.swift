import LinuxNS

@testable import ResourceControl
@testable import ZoneRuntime

extension FuzzTarget {
  /// The kernel's texts about control groups and processes: mountinfo, /proc/PID/cgroup and status, cgroup.controllers.
  static let mounts = FuzzTarget("mounts") { (bytes) throws(Finding) in
    let text = text(bytes)
    for root in ["/sys/fs/cgroup", "/"] {
      let hierarchy = CgroupHierarchy.parse(mountinfo: text, root: root)
      let trees = CgroupTrees.parse(mountinfo: text, root: root)
      try hold(hierarchy.unified?.path == trees.unified, "two readers find two v2 trees")
      for controller in hierarchy.v1.keys {
        try hold(
          trees.v1.contains { $0.controllers.contains(controller.rawValue) }, "two readers differ in \(controller)")
      }
      if let tree = hierarchy.unified, let own = CgroupBase.ownGroup(text, in: tree) {
        try hold(!own.split(separator: "/").contains(".."), "our own group is '\(own)'")
      }
      try plan(hierarchy, text)
    }
    _ = CgroupHierarchy.controllers(text)
    // What the audit reads of a zone's processes: their mounts have names that the zone chose.
    _ = MountTable.parse(bytes)
    _ = GroupAudit.Membership(bytes)
    _ = accepted { try ProcessStatus(bytes) }
  }

  /// A group's name is never one of the kernel's files, nor of two parts.
  private static func plan(_ hierarchy: CgroupHierarchy, _ name: String) throws(Finding) {
    guard let name = accepted({ try CgroupBase.escape(name) }) else { return }
    try hold(!name.contains("/") && name != "." && name != "..", "the group's name '\(name)'")
    try hold(!["tasks", "release_agent"].contains(name) && !name.hasPrefix("cgroup."), "the group's name '\(name)'")
    try hold(name.utf8.count <= 255, "the group's name has \(name.utf8.count) bytes")
  }
}
