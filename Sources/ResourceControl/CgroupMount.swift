internal import LinuxNS

/// A mounted tree of control groups, as proc_pid_mountinfo(5) tells of it.
struct CgroupMount: Equatable {
  /// cgroup2, or a v1 tree.
  var isUnified: Bool
  /// The mount point.
  var path: String
  /// Which group of the kernel's tree is seen there.
  var root: String
  /// Of a v1 tree: its controllers, among the file system's own words.
  var options: [String]

  /// Those of a mountinfo file, in its order. By bytes: a machine has hundreds of other mounts, and each start comes by here.
  static func all(in mountinfo: String) -> [CgroupMount] {
    var found: [CgroupMount] = []
    for line in Array(mountinfo.utf8).split(separator: UInt8(ascii: "\n")) {
      // 31 23 0:28 /root /mountpoint options [tags…] - type source superoptions
      guard let dash = separator(in: line) else { continue }
      let type = line[(dash + 3)...].prefix { $0 != space }
      let isUnified = type.elementsEqual("cgroup2".utf8)
      guard isUnified || type.elementsEqual("cgroup".utf8) else { continue }
      let before = line[..<dash].split(separator: space, omittingEmptySubsequences: false)
      let after = line[(dash + 3)...].split(separator: space, omittingEmptySubsequences: false)
      guard before.count >= 6, after.count >= 3 else { continue }
      found.append(
        CgroupMount(
          isUnified: isUnified, path: MountTable.unescape(before[4]), root: MountTable.unescape(before[3]),
          options: after[2].split(separator: UInt8(ascii: ",")).map { String(decoding: $0, as: UTF8.self) }))
    }
    return found
  }

  private static let space = UInt8(ascii: " ")

  /// Where ` - ` is; no field has a space in it.
  private static func separator(in line: ArraySlice<UInt8>) -> Int? {
    var at = line.startIndex
    while let dash = line[at...].firstIndex(of: UInt8(ascii: "-")) {
      at = dash + 1
      if dash > line.startIndex, at < line.endIndex, line[dash - 1] == space, line[at] == space { return dash - 1 }
    }
    return nil
  }
}
