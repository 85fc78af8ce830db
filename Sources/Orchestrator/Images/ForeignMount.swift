internal import LinuxNS
internal import ZoneRuntime

/// A folder of a machine's tree on which something is mounted that is on none of its disks: the kernel's own file systems,
/// memory, other machines' files, views of what lies elsewhere. What the tree itself lies on counts as a disk of it.
struct ForeignMount: Equatable {
  /// Below the tree's own directory.
  var path: String
  /// Of the file system, as proc_pid_mountinfo(5) has it.
  var type: String

  /// - Parameter folder: the tree's own directory.
  static func all(below folder: String) throws(SyscallError) -> [ForeignMount] {
    let root = try RootFD.open(folder)
    // As the kernel calls it: there may be links on the way.
    let place = try FileSystem.readLink("/proc/self/fd/\(root.fd.raw)")
    let disks = disks(try FileSystem.read("/proc/filesystems"))
    let mounts = try MountTable.read("/proc/self/mountinfo")
    let itself = KernelView.mount(of: "/", below: root)
    let own = mounts.first { $0.id == itself }?.device
    var found: [ForeignMount] = []
    for mount in mounts where !disks.contains(mount.type) && mount.device != own {
      guard let path = path(mount.target, below: place) else { continue }
      // A file is read as any other. What may not be looked at is a user's own (fuse(4)): a folder, mostly.
      if let facts = (try? FileFacts.at(mount.target)) ?? nil, facts.kind != .directory { continue }
      // What something else is mounted over is not seen.
      guard KernelView.mount(of: "/\(path)", below: root) == mount.id else { continue }
      found.append(ForeignMount(path: path, type: mount.type))
    }
    return found
  }

  /// nil: it is elsewhere, or the folder itself.
  static func path(_ target: String, below folder: String) -> String? {
    let prefix = folder == "/" ? folder : folder + "/"
    return target.hasPrefix(prefix) && target != folder ? String(target.dropFirst(prefix.count)) : nil
  }

  /// A pattern of tar(1) for all that is in it.
  var pattern: String {
    let special: Set<Character> = ["*", "?", "[", "]", "\\"]
    return "./" + path.flatMap { special.contains($0) ? ["\\", $0] : [$0] } + "/*"
  }

  /// Types of file systems that lie on disks: those that the kernel does not call `nodev` (proc_filesystems(5)), and ZFS, which
  /// finds its disks by itself.
  static func disks(_ filesystems: [UInt8]) -> Set<String> {
    let lines = String(decoding: filesystems, as: UTF8.self).split(separator: "\n")
    return Set(lines.filter { !$0.hasPrefix("nodev") }.map { String($0.drop { $0 == "\t" }) } + ["zfs"])
  }
}
