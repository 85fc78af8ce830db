internal import LinuxNS

/// The namespaces of a zone by their inodes. Pure.
struct NamespaceAudit {
  /// `mnt` to `mnt:[4026531841]`, as the links of /proc/PID/ns (namespaces(7)).
  typealias Links = [String: String]

  let host: Links
  /// The zone's first process's.
  let first: Links
  /// nil where the command is that process, or there is none.
  let command: Links?
  /// The zone was given the power to make further ones.
  let mayMake: Bool

  /// The files of /proc/PID/ns by the names that the plan has.
  static func file(_ name: String) -> String { name == "mount" ? "mnt" : name }

  /// - Parameter planned: of the plan; the user namespace is always one.
  func compare(_ planned: NamespaceFlags) -> AuditFinding {
    var differences: [AuditDifference] = []
    var own: [String] = []
    for (flag, name) in NamespaceFlags.table {
      let file = Self.file(name)
      let isOwn = flag == .user || planned.contains(flag)
      guard let theirs = first[file], let ours = host[file] else {
        differences.append(AuditDifference(name, wanted: "to be read", found: "nothing"))
        continue
      }
      if (theirs != ours) != isOwn {
        differences.append(
          AuditDifference(name, wanted: isOwn ? "another one than the host's" : "the host's", found: theirs))
      }
      if isOwn { own.append(name) }
      guard let command else { continue }
      let its = command[file]
      let isIts = mayMake ? its != nil && (!isOwn || its != ours) : its == theirs
      if !isIts {
        differences.append(AuditDifference("\(name) of the command", wanted: theirs, found: its ?? "nothing"))
      }
    }
    return AuditFinding(
      name: "namespaces", seen: "its own: " + own.joined(separator: " "), differences: differences)
  }
}
