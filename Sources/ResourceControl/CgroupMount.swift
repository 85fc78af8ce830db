internal import LinuxNS

/// A mounted tree of control groups.
struct CgroupMount: Equatable {
  /// cgroup2, or a v1 tree.
  var isUnified: Bool
  /// The mount point.
  var path: String
  /// Which group of the kernel's tree is seen there.
  var root: String
  /// Of a v1 tree: its controllers, among the file system's own words.
  var options: [String]

  /// Those of a mountinfo file (proc_pid_mountinfo(5)), in its order.
  static func all(in mountinfo: String) -> [CgroupMount] {
    MountTable.parse(Array(mountinfo.utf8)) { type in
      type.elementsEqual("cgroup2".utf8) || type.elementsEqual("cgroup".utf8)
    }.map { mount in
      CgroupMount(
        isUnified: mount.type == "cgroup2", path: mount.target, root: mount.root,
        options: mount.superOptions.utf8.split(separator: UInt8(ascii: ",")).map { String(Substring($0)) })
    }
  }
}
