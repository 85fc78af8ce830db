internal import Glibc
internal import LinuxNS

/// What a process of the zone holds open, or stands in. Pure.
struct HeldFile: Equatable, Sendable {
  /// `3`, `cwd`, `root` …
  var name: String
  /// What its link in /proc says.
  var link: String
  /// The mount it was opened on (proc_pid_fdinfo(5)); nil where it is not told.
  var mount: Int?
  var isDirectory = false
  /// The character device 1:3.
  var isNull = false

  /// 0, 1 or 2: whoever launched the zone may have given them.
  var isStandard: Bool { ["0", "1", "2"].contains(name) }
}

struct DescriptorAudit {
  /// The mounts of the zone, and of the command where it has made its own.
  var mounts: Set<Int>
  /// Inodes of sockets in the host's network namespace; none where the zone shares it, since they cannot be told apart.
  var hostSockets: Set<String>
  /// Links of the host's namespaces.
  var hostNamespaces: Set<String>
  /// The zone can mount, so that a file may lie on a mount that is in no table any more.
  var mayMount: Bool

  /// - Parameter gate: a descriptor that is a socket of the keeper's: of our own init the third, and only it.
  /// - Returns: what leads out, and what was given to lead out.
  func judge(_ who: String, _ files: [HeldFile], gate: String? = nil) -> (
    differences: [AuditDifference], given: [String]
  ) {
    var differences: [AuditDifference] = []
    var given: [String] = []
    for file in files {
      guard let found = wayOut(file, gate) else { continue }
      if file.isStandard, !file.isDirectory {
        if !file.isNull { given.append("descriptor \(file.name) of the \(who) is \(found), given by who started it") }
      } else {
        differences.append(
          AuditDifference("\(file.name) of the \(who)", wanted: "nothing of the host's", found: found))
      }
    }
    return (differences, given)
  }

  /// nil where it stays in the zone.
  private func wayOut(_ file: HeldFile, _ gate: String?) -> String? {
    if file.link.hasPrefix("socket:[") {
      let inode = String(file.link.dropFirst(8).dropLast())
      return hostSockets.contains(inode) && file.name != gate ? "a socket of the host's" : nil
    }
    if hostNamespaces.contains(file.link) { return "the host's \(file.link)" }
    // Of no file system that is mounted anywhere.
    if !file.link.hasPrefix("/") || file.link.hasPrefix("/memfd:") { return nil }
    guard let mount = file.mount else { return file.link }
    if mounts.contains(mount) || mayMount && !file.isDirectory { return nil }
    return "\(file.link) of the host"
  }
}
