internal import LinuxNS

/// Which walls stand around a process, whoever started it, against the process that asks. Pure.
struct WallAudit {
  /// What was read of it. What its reader may not see is nil.
  struct Seen: Equatable, Sendable {
    var status: ProcessStatus
    var namespaces: NamespaceAudit.Links?
    /// Of whoever asks.
    var ours: NamespaceAudit.Links
    /// `0 100000 65536`, or several.
    var uidMap: String?
    var gidMap: String?
    /// Limits of its control groups, and of those above: `memory.max 536870912`.
    var groupLimits: [String] = []
    /// As proc_pid_cgroup(5) names it.
    var group: String?
    /// `Max processes 20`: those that have a limit (proc_pid_limits(5)).
    var limits: [String] = []
    /// Of whoever asks: one of a machine's default is no wall.
    var ourLimits: [String] = []
    var mounts: [MountEntry]?
    var held: [HeldFile]?
    var isDumpable: Bool?
  }

  let seen: Seen
  /// What was asked for: names of walls.
  let required: [String]

  /// Its words do not change: for programs.
  enum State: String { case stands, open, unknown, told }

  func findings() -> [AuditFinding] {
    var found = NamespaceFlags.table.map { namespace($0.name) }
    found.append(
      finding("landlock", .unknown, "the kernel tells nobody whether a process is in a domain (landlock(7))"))
    found.append(
      finding("seccomp", seen.status.seccompMode == 0 ? .open : .stands, seccompWords))
    found.append(capabilities())
    found.append(
      finding("no-new-privs", seen.status.noNewPrivileges ? .stands : .open, seen.status.noNewPrivileges ? "1" : "0"))
    let narrower = seen.limits.filter { isOfResources($0) && !seen.ourLimits.contains($0) }
    let limits = seen.groupLimits + narrower
    found.append(
      finding(
        "limits", limits.isEmpty ? .open : .stands,
        limits.isEmpty ? "no control group limits it, and no rlimit but yours" : limits.joined(separator: ", ")))
    found += [ids(), told("group", seen.group ?? "none"), told("rlimits", seen.limits.joined(separator: ", "))]
    found += [
      told(
        "dumpable",
        seen.status.uids.count > 1 && seen.status.uids[1] == 0
          ? "of root's processes it cannot be told"
          : seen.isDumpable.map { $0 ? "yes: its owner may trace it" : "no: nobody but root may trace it" }),
      mounts(), descriptors(),
    ]
    return found
  }

  /// Processes, memory, time: what a wall of limits is made of (setrlimit(2)).
  private func isOfResources(_ limit: String) -> Bool {
    ["Max processes", "Max address space", "Max data size", "Max cpu time"].contains { limit.hasPrefix($0) }
  }

  // MARK: rows

  private func finding(_ name: String, _ state: State, _ words: String) -> AuditFinding {
    var finding = AuditFinding(name: name, seen: words, differences: [])
    finding.state = state.rawValue
    if required.contains(name), state != .stands {
      finding.differences = [AuditDifference(name, wanted: "to stand", found: "\(state.rawValue), \(words)")]
    }
    return finding
  }

  private func told(_ name: String, _ words: String?) -> AuditFinding {
    finding(name, words == nil ? .unknown : .told, words ?? Self.hidden)
  }

  private static let hidden = "not to be seen by you"

  private func namespace(_ name: String) -> AuditFinding {
    let file = NamespaceAudit.file(name)
    guard let link = seen.namespaces?[file], let own = seen.ours[file] else {
      // The pids that it has are in everybody's sight.
      if name == "pid", seen.status.pids.count > 1 { return finding(name, .stands, "its own") }
      return finding(name, .unknown, Self.hidden)
    }
    guard link != own else { return finding(name, .open, "shared, \(link)") }
    guard name == "user" else { return finding(name, .stands, "its own, \(link)") }
    let maps = [seen.uidMap.map { "uids \($0)" }, seen.gidMap.map { "gids \($0)" }].compactMap { $0 }
    return finding(name, .stands, (["its own, \(link)"] + maps).joined(separator: "; "))
  }

  private var seccompWords: String {
    switch seen.status.seccompMode {
    case 0: "no filter"
    case 1: "strict"
    default: "filters \(seen.status.seccompFilters)"
    }
  }

  private func capabilities() -> AuditFinding {
    let status = seen.status
    let sets: [(name: String, set: CapabilitySet)] = [
      ("effective", status.effective), ("permitted", status.permitted), ("inheritable", status.inheritable),
      ("ambient", status.ambient),
    ]
    let isEmpty = sets.allSatisfy { $0.set.isEmpty }
    // What is left in the bounding set comes to it by an execve(2) only where that may give privileges.
    let words = (sets + [("bounding", status.bounding)]).map { "\($0.name) \(Self.words($0.set))" }
    return finding("capabilities", isEmpty ? .stands : .open, words.joined(separator: ", "))
  }

  private static func words(_ set: CapabilitySet) -> String {
    set.list.count > 8 ? "\(set.list.count) of them" : "\(set)"
  }

  private func ids() -> AuditFinding {
    let texts = { (ids: [UInt32]) in ids.map { "\($0)" }.joined(separator: " ") }
    return told(
      "ids", "uids \(texts(seen.status.uids)), gids \(texts(seen.status.gids)), groups \(texts(seen.status.groups))")
  }

  /// Of the kernel, where nothing is kept.
  private static let views = [
    "proc", "sysfs", "devpts", "cgroup", "cgroup2", "mqueue", "securityfs", "debugfs", "tracefs",
  ]

  private func mounts() -> AuditFinding {
    guard let mounts = seen.mounts else { return told("mounts", nil) }
    let writable = mounts.filter { mount in
      !mount.options.contains("ro") && !mount.superOptions.split(separator: ",").contains("ro")
        && !Self.views.contains(mount.type)
    }
    let names = writable.map { "\($0.target) (\($0.type))" }
    return told(
      "mounts", "\(mounts.count), \(writable.count) writable: " + Self.some(names))
  }

  private func descriptors() -> AuditFinding {
    guard let held = seen.held else { return told("descriptors", nil) }
    let open = held.filter { Int($0.name) != nil }
    var parts = ["\(open.count) open"]
    let sockets = open.filter { $0.link.hasPrefix("socket:") }.map { $0.name }
    if !sockets.isEmpty { parts.append("sockets " + Self.some(sockets)) }
    let folders = open.filter { $0.isDirectory }.map { "\($0.name) \($0.link)" }
    if !folders.isEmpty { parts.append("directories " + Self.some(folders)) }
    let namespaces = open.filter { file in KernelView.namespaces.contains { file.link.hasPrefix("\($0):[") } }
    if !namespaces.isEmpty { parts.append("namespaces " + Self.some(namespaces.map { "\($0.name) \($0.link)" })) }
    for file in held where file.name == "cwd" || file.name == "root" { parts.append("\(file.name) \(file.link)") }
    return told("descriptors", parts.joined(separator: ", "))
  }

  private static func some(_ names: [String]) -> String {
    names.count > 12 ? names.prefix(12).joined(separator: " ") + " … (\(names.count))" : names.joined(separator: " ")
  }
}
