internal import CLinuxNS
internal import Glibc
package import LinuxNS

/// Reading what the kernel tells of processes. What an ordinary user may not see of his zone's init, which nobody can trace,
/// is nil.
package enum KernelView {
  static let namespaces = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"]

  static func namespaceLinks(_ pid: String) throws(SyscallError) -> NamespaceAudit.Links? {
    var links: NamespaceAudit.Links = [:]
    for name in namespaces {
      do throws(SyscallError) { links[name] = try FileSystem.readLink("/proc/\(pid)/ns/\(name)") } catch {
        if error.errno == EACCES { return nil }
        throw error
      }
    }
    return links
  }

  /// The same of open namespaces, as a keeper hands them out.
  static func namespaceLinks(of descriptors: [CInt]) throws(SyscallError) -> NamespaceAudit.Links {
    var links: NamespaceAudit.Links = [:]
    for fd in descriptors {
      let link = try FileSystem.readLink("/proc/self/fd/\(fd)")
      if let colon = link.firstIndex(of: ":") { links[String(link[..<colon])] = link }
    }
    return links
  }

  /// The process that a pidfd is of, by our count (pidfd_open(2)); nil where it has ended.
  static func process(of pidfd: CInt) throws(SyscallError) -> Int32? {
    let text = try field("Pid:", of: "self", descriptor: pidfd)
    return text.flatMap { Int32($0) }.flatMap { $0 > 0 ? $0 : nil }
  }

  /// Open files, the working directory, the root and the executable.
  static func heldFiles(_ pid: Int32) throws(SyscallError) -> [HeldFile]? {
    var held: [HeldFile] = []
    let numbers: [String]
    do throws(SyscallError) { numbers = try FileSystem.list("/proc/\(pid)/fd") } catch {
      if error.errno == EACCES { return nil }
      throw error
    }
    for number in numbers {
      do throws(SyscallError) {
        let path = "/proc/\(pid)/fd/\(number)"
        var file = HeldFile(name: number, link: try FileSystem.readLink(path))
        file.mount = try CInt(number).flatMap { fd throws(SyscallError) in
          try field("mnt_id:", of: "\(pid)", descriptor: fd)
        }.flatMap { Int($0) }
        look(at: path, &file)
        held.append(file)
      } catch {
        guard error.errno == ENOENT else { throw error }  // closed since
      }
    }
    for name in ["cwd", "root", "exe"] {
      let path = "/proc/\(pid)/\(name)"
      var file = HeldFile(name: name, link: try FileSystem.readLink(path))
      // A link to the file itself: what is opened lies where it lies.
      let open = try OwnedFD.open(path, O_PATH)
      file.mount = try field("mnt_id:", of: "self", descriptor: open.raw).flatMap { Int($0) }
      look(at: path, &file)
      held.append(file)
    }
    return held
  }

  private static func look(at path: String, _ file: inout HeldFile) {
    guard let status = try? FileSystem.status(path) else { return }  // closed since
    file.isDirectory = status.st_mode & S_IFMT == S_IFDIR
    file.isNull = status.st_mode & S_IFMT == S_IFCHR && status.st_rdev == 0x103
  }

  /// A line of proc_pid_fdinfo(5).
  private static func field(_ name: String, of pid: String, descriptor: CInt) throws(SyscallError) -> String? {
    let head = Array(name.utf8)
    let bytes = try FileSystem.read("/proc/\(pid)/fdinfo/\(descriptor)")
    guard let line = bytes.split(separator: 10).first(where: { $0.starts(with: head) }) else { return nil }
    return line.dropFirst(head.count).split(separator: 9).last.map { String(decoding: $0, as: UTF8.self) }
  }

  /// Where a path of the host's is, in its file system; nil where it is not there.
  static func place(of path: String, in host: [MountEntry]) throws(SyscallError) -> MountAudit.Place? {
    guard let file = try? OwnedFD.open(path, O_PATH) else { return nil }
    let resolved = try FileSystem.readLink("/proc/self/fd/\(file.raw)")
    guard let id = try field("mnt_id:", of: "self", descriptor: file.raw).flatMap({ Int($0) }),
      let mount = host.first(where: { $0.id == id }), resolved.hasPrefix(mount.target)
    else { return nil }
    var rest = resolved.dropFirst(mount.target == "/" ? 0 : mount.target.count)
    if rest == "/" { rest = "" }
    if mount.root == "/" { return MountAudit.Place(device: mount.device, root: rest.isEmpty ? "/" : String(rest)) }
    return MountAudit.Place(device: mount.device, root: mount.root + rest)
  }

  /// The mount that a path of the zone's leads to, resolved below its root.
  package static func mount(of path: String, below root: borrowing RootFD) -> Int? {
    guard let file = try? root.open(path, O_PATH) else { return nil }
    return ((try? field("mnt_id:", of: "self", descriptor: file.raw)) ?? nil).flatMap { Int($0) }
  }

  /// The inodes of all sockets of our own network namespace (proc_net(5)).
  static func sockets() throws(SyscallError) -> Set<String> {
    var inodes: Set<String> = []
    let tables = [
      ("unix", 6), ("tcp", 9), ("tcp6", 9), ("udp", 9), ("udp6", 9), ("raw", 9), ("raw6", 9), ("packet", 8),
      ("netlink", 9),
    ]
    for (name, column) in tables where FileSystem.exists("/proc/self/net/\(name)") {
      // As long as there are many: not read whole by one call, but never without an end.
      for line in try FileSystem.read("/proc/self/net/\(name)", limit: 256 << 20).split(separator: 10).dropFirst() {
        let words = line.split(separator: 32)
        if words.indices.contains(column) { inodes.insert(String(decoding: words[column], as: UTF8.self)) }
      }
    }
    return inodes
  }

  /// `/proc/PID/uid_map` and so on: lines as `IdMap` prints them.
  static func idMap(_ pid: Int32, _ file: String) throws(SyscallError) -> String {
    try FileSystem.read("/proc/\(pid)/\(file)").split(separator: 10).map { line in
      line.split(separator: 32).map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
    }.joined(separator: ", ")
  }

  /// Who owns what only a tracer may open: another one than the process itself where nobody may trace it
  /// (PR_SET_DUMPABLE of prctl(2)).
  static func owner(_ pid: Int32) throws(SyscallError) -> UInt32 {
    try FileSystem.status("/proc/\(pid)/fd", followingLinks: false).st_uid
  }
}
