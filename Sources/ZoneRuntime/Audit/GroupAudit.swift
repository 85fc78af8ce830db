internal import Glibc
internal import LinuxNS
internal import ResourceControl

/// The control groups of a zone's processes, and what their files say. Pure but for the files it is told of.
struct GroupAudit {
  /// `/proc/PID/cgroup` (cgroups(7)): controllers, none for v2, to the group's path.
  struct Membership: Equatable, Sendable {
    var unified: String?
    var v1: [String: String] = [:]

    init(_ bytes: [UInt8]) {
      for line in bytes.split(separator: 10) {
        let parts = line.split(separator: UInt8(ascii: ":"), maxSplits: 2, omittingEmptySubsequences: false)
          .map { String(decoding: $0, as: UTF8.self) }
        guard parts.count == 3 else { continue }
        if parts[0] == "0" { unified = parts[2] }
        for controller in parts[1].split(separator: ",") { v1[String(controller)] = parts[2] }
      }
    }

    static func read(_ pid: Int32) throws(ZoneError) -> Membership {
      Membership(
        try attempt("look at process \(pid)") { () throws(SyscallError) in try FileSystem.read("/proc/\(pid)/cgroup") })
    }
  }

  let hierarchy: CgroupHierarchy
  /// nil where the caller has no place for groups.
  let plan: CgroupPlan?

  /// A group's directory as /proc/PID/cgroup names the group.
  static func name(_ directory: String, in tree: CgroupHierarchy.Tree?) -> String? {
    guard let tree, directory.hasPrefix(tree.path + "/") else { return nil }
    let below = String(directory.dropFirst(tree.path.count))
    return tree.root == "/" ? below : tree.root + below
  }

  var unified: String? { plan?.record.unified.flatMap { Self.name($0, in: hierarchy.unified) } }

  /// The top of what the zone sees: its init may have gone into a group below.
  var beginning: String? { plan?.record.beginning.flatMap { Self.name($0, in: hierarchy.unified) } }

  func groups(_ members: [(who: String, in: Membership)]) -> AuditFinding {
    guard let plan else { return AuditFinding(name: "cgroup", seen: "none, as for this caller", differences: []) }
    var wanted: [(tree: String, group: String)] = []
    if let unified { wanted.append(("v2", unified)) }
    for controller in CgroupController.allCases {
      guard let path = plan.record.v1[controller], let group = Self.name(path, in: hierarchy.v1[controller]) else {
        continue
      }
      wanted.append((controller.rawValue, group))
    }
    var differences: [AuditDifference] = []
    for (tree, group) in wanted {
      for (who, membership) in members {
        let found = tree == "v2" ? membership.unified : membership.v1[tree]
        // A zone may be given groups of its own below.
        if found == group || found?.hasPrefix(group + "/") == true { continue }
        differences.append(AuditDifference("\(tree) of the \(who)", wanted: group, found: found ?? "none"))
      }
    }
    return AuditFinding(
      name: "cgroup", seen: wanted.map { "\($0.tree) \($0.group)" }.joined(separator: ", "), differences: differences)
  }

  /// The values that the plan writes into the zone's own groups.
  func limits() throws(ZoneError) -> AuditFinding {
    var differences: [AuditDifference] = []
    var seen: [String] = []
    for step in plan?.steps ?? [] {
      let (text, file, isOptional): (String, String, Bool)
      switch step {
      case .write(let value, let path): (text, file, isOptional) = (value, path, false)
      case .writeIfPresent(let value, let path): (text, file, isOptional) = (value, path, true)
      default: continue
      }
      let name = file.split(separator: "/").last.map(String.init) ?? file
      guard let found = try? FileSystem.readLine(file) else {
        if !isOptional { differences.append(AuditDifference(name, wanted: text, found: "no such file")) }
        continue
      }
      if Self.isSame(text, found, file: name) {
        seen.append("\(name) \(found)")
      } else {
        differences.append(AuditDifference(name, wanted: text, found: found))
      }
    }
    return AuditFinding(
      name: "limits", seen: seen.isEmpty ? "none" : seen.joined(separator: ", "), differences: differences)
  }

  /// The kernel rounds memory down to whole pages, and writes lists of CPUs its own way.
  static func isSame(_ wanted: String, _ found: String, file: String, page: Int64 = Int64(getpagesize()))
    -> Bool
  {
    if wanted == found { return true }
    if file.hasPrefix("memory."), let wanted = Int64(wanted), let found = Int64(found) {
      if wanted < 0 { return found > Int64.max / 2 }  // v1's word for none
      return wanted / page * page == found
    }
    if file == "cpuset.cpus" { return cpus(wanted) == cpus(found) && cpus(wanted) != nil }
    return false
  }

  /// `0-1,3` (cpuset(7), list format); nil for what is none.
  private static func cpus(_ text: String) -> Set<Int>? {
    var set: Set<Int> = []
    for part in text.split(separator: ",") {
      let ends = part.split(separator: "-").map { Int($0) }
      guard let first = ends.first ?? nil, let last = ends.last ?? nil, first <= last, last < 1 << 16 else {
        return nil
      }
      set.formUnion(first...last)
    }
    return set
  }

  /// The keeper is in the group of keepers, or where who stays with the zone is; never in the zone's own.
  func keeper(_ keeper: Membership, launcher: Membership?) -> AuditDifference? {
    guard let unified, let all = unified.lastIndex(of: "/").map({ String(unified[..<$0]) }) else { return nil }
    let wanted = "\(all)/\(KeeperGroup.name)"
    guard let found = keeper.unified, found != wanted else { return nil }
    let isOwn = found == unified || found.hasPrefix(unified + "/")
    if !isOwn, let launcher, launcher.unified == found { return nil }
    return AuditDifference("group of the keeper", wanted: wanted, found: found)
  }
}
