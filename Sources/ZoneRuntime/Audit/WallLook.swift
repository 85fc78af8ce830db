internal import Glibc
internal import LinuxNS
internal import ResourceControl

extension Zones {
  /// Which walls stand around any process. Changes nothing.
  ///
  /// A process of a zone of the caller's is that zone's affair: then it is as `audit(NAME)`.
  /// - Parameters:
  ///   - pid: as whoever asks counts.
  ///   - required: names of walls (`SandboxWalls.table`); one that does not stand, or is not to be seen, is a difference.
  /// - Throws: where there is no such process; `.commandLine` for what is no wall's name.
  public func audit(pid: Int32, required: [String]) throws(ZoneError) -> ZoneAudit {
    try Self.check(required)
    guard pid > 0, FileSystem.exists("/proc/\(pid)") else { throw .refused("there is no process \(pid)") }
    if let name = try zone(of: pid) { return try audit(name, required: required) }
    let walls = WallAudit(seen: try WallLook.read(pid), required: required)
    var audit = ZoneAudit(zone: "", findings: walls.findings(), weaker: [])
    audit.pid = pid
    return audit
  }

  /// As `audit(NAME)`; and walls by name, that have to stand around the zone's command.
  public func audit(_ name: String, required: [String]) throws(ZoneError) -> ZoneAudit {
    try Self.check(required)
    guard let spec = try files(name).readSpec() else { throw .notFound(name) }
    if spec.sandbox?.bare == nil {
      var audit = try audit(name)
      guard !required.isEmpty, let pid = try status(name).pid else { return audit }
      let walls = WallAudit(seen: try WallLook.read(pid), required: required).findings()
      audit.findings.append(
        AuditFinding(
          name: "required", seen: required.joined(separator: " "), differences: walls.flatMap { $0.differences }))
      return audit
    }
    // Without namespaces there is no plan of mounts to compare with: what its walls are is known, Landlock's aside.
    guard let pid = try status(name).pid else {
      throw .state(zone: name, state: try status(name).state, verb: "audit", hint: "it has no process")
    }
    let wanted = SandboxWalls.bare.filter { $0 != "landlock" } + required
    var audit = ZoneAudit(
      zone: name, findings: WallAudit(seen: try WallLook.read(pid), required: wanted).findings(),
      weaker: [SandboxWalls.missing(spec)].compactMap { $0 })
    audit.pid = pid
    return audit
  }

  private static func check(_ required: [String]) throws(ZoneError) {
    for wall in required where !SandboxWalls.known.contains(wall) {
      throw .commandLine("--require '\(wall)': the walls are \(SandboxWalls.known.joined(separator: " "))")
    }
  }

  /// The living zone of this place whose process it is: below its keeper, or in its pid namespace.
  private func zone(of pid: Int32) throws(ZoneError) -> String? {
    var living: [Int32: String] = [:]
    var spaces: [String: String] = [:]
    let own = try? FileSystem.readLink("/proc/self/ns/pid")
    for zone in try list() where zone.state.isLive {
      if let keeper = zone.keeper { living[keeper] = zone.name }
      for process in [zone.pid].compactMap({ $0 }) {
        guard let space = try? FileSystem.readLink("/proc/\(process)/ns/pid"), space != own else { continue }
        spaces[space] = zone.name
      }
    }
    if let space = try? FileSystem.readLink("/proc/\(pid)/ns/pid"), let name = spaces[space] { return name }
    var next = pid
    // As deep as processes can lie; one that ends meanwhile ends the way up.
    for _ in 0..<4096 where next > 1 {
      if let name = living[next] { return next == pid ? nil : name }
      guard let status = try? ProcessStatus.read(next) else { return nil }
      next = status.parent
    }
    return nil
  }
}

/// Reading what the kernel tells of one process.
enum WallLook {
  static func read(_ pid: Int32) throws(ZoneError) -> WallAudit.Seen {
    let status = try ProcessStatus.read(pid)
    let membership = try GroupAudit.Membership.read(pid)
    return try attempt("look at process \(pid)") { () throws(SyscallError) in
      var seen = WallAudit.Seen(
        status: status, namespaces: try KernelView.namespaceLinks("\(pid)"),
        ours: try KernelView.namespaceLinks("self") ?? [:])
      seen.uidMap = try? KernelView.idMap(pid, "uid_map")
      seen.gidMap = try? KernelView.idMap(pid, "gid_map")
      seen.group = membership.unified ?? membership.v1["memory"]
      seen.groupLimits = groupLimits(membership)
      seen.limits = try limits(FileSystem.read("/proc/\(pid)/limits"))
      seen.ourLimits = try limits(FileSystem.read("/proc/self/limits"))
      seen.mounts = try? MountTable.read("/proc/\(pid)/mountinfo")
      seen.held = try? KernelView.heldFiles(pid)
      // Of root's processes it is root in either case.
      if status.uids[1] != 0 { seen.isDumpable = (try? KernelView.owner(pid)).map { $0 == status.uids[1] } }
      return seen
    }
  }

  /// `Max processes 20:40`: soft and hard where they differ; without those that have no limit.
  static func limits(_ bytes: [UInt8]) throws(SyscallError) -> [String] {
    var found: [String] = []
    for line in bytes.split(separator: 10).dropFirst() {
      // Name in 26 columns, soft and hard in 21 each (fs/proc/base.c).
      guard line.count > 47 else { continue }
      let field = { (from: Int, to: Int) -> String in
        let part = line[(line.startIndex + from)..<min(line.startIndex + to, line.endIndex)]
        return part.split(separator: 32).map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
      }
      let (name, soft, hard) = (field(0, 26), field(26, 47), field(47, 68))
      if soft == "unlimited" && hard == "unlimited" { continue }
      found.append(soft == hard ? "\(name) \(soft)" : "\(name) \(soft):\(hard)")
    }
    return found
  }

  /// The narrowest of each kind, of its group and of those above.
  private static func groupLimits(_ membership: GroupAudit.Membership) -> [String] {
    guard let hierarchy = try? CgroupHierarchy.detect() else { return [] }
    var found: [String] = []
    let look = { (tree: CgroupHierarchy.Tree?, group: String?, files: [String]) in
      guard let tree, let group, group.hasPrefix(tree.root == "/" ? "/" : tree.root) else { return }
      let below = tree.root == "/" ? group : String(group.dropFirst(tree.root.utf8.count))
      for file in files {
        var folder = below == "/" ? "" : below
        while true {
          if let line = try? FileSystem.readLine("\(tree.path)\(folder)/\(file)"), isLimit(line, file) {
            found.append("\(file) \(line)")
            break
          }
          guard let slash = folder.lastIndex(of: "/") else { break }
          folder = String(folder[..<slash])
        }
      }
    }
    look(hierarchy.unified, membership.unified, ["memory.max", "pids.max", "cpu.max"])
    look(hierarchy.v1[.memory], membership.v1["memory"], ["memory.limit_in_bytes"])
    look(hierarchy.v1[.pids], membership.v1["pids"], ["pids.max"])
    look(hierarchy.v1[.cpu], membership.v1["cpu"], ["cpu.cfs_quota_us"])
    return found
  }

  /// "max", "max 100000", -1 and the largest number of pages are none.
  static func isLimit(_ line: String, _ file: String) -> Bool {
    if line.hasPrefix("max") || line.hasPrefix("-1") { return false }
    if file == "memory.limit_in_bytes", let bytes = Int64(line) { return bytes < Int64.max / 2 }
    return true
  }
}
