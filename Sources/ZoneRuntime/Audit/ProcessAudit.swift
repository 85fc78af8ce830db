internal import LinuxNS

/// The walls around the zone's first process and its command, as the plan's ops made them. Pure.
struct ProcessAudit {
  /// What the plan says of processes, read off its ops.
  struct Wanted: Equatable, Sendable {
    var capabilities: CapabilitySet = []
    var noNewPrivileges = false
    /// How many filters are loaded.
    var filters = 0
    /// The command's user, as the zone counts.
    var uid: UInt32 = 0
    var uids: [IdMap]
    var gids: [IdMap]
    var keepsGroups = false
    /// The command is pid 1.
    var ownInit: Bool

    init(_ plan: LaunchPlan) {
      uids = plan.uids
      gids = plan.gids
      ownInit = plan.ownInit
      for planned in plan.process {
        switch planned.op.code {
        case .capabilities: capabilities = CapabilitySet(rawValue: planned.op.a)
        case .noNewPrivileges: noNewPrivileges = true
        case .seccomp: filters += 1
        case .ids:
          uid = UInt32(truncatingIfNeeded: planned.op.a)
          keepsGroups = planned.op.flags.contains(.keepGroups)
        default: continue
        }
      }
    }

    /// Without new privileges another user than root has none after an execve(2), since no file gives any.
    var effective: CapabilitySet { uid != 0 && noNewPrivileges ? [] : capabilities }
  }

  let wanted: Wanted
  /// nil where the command is the first process, or there is none.
  let first: ProcessStatus?
  let command: ProcessStatus?

  /// Our own init keeps the right to signal the command, and nothing else (Stage/init.c).
  private static let ofInit = CapabilitySet([.kill])

  func capabilities() -> AuditFinding {
    var differences: [AuditDifference] = []
    let compare = { (who: String, sets: [(name: String, wanted: CapabilitySet, found: CapabilitySet)]) in
      // Less than it was given it may hold: what it gave up is its own affair.
      for set in sets where !set.found.isSubset(of: set.wanted) {
        differences.append(
          AuditDifference("\(set.name) of the \(who)", wanted: "\(set.wanted)", found: "\(set.found)"))
      }
    }
    if let command {
      compare(
        "command",
        [
          ("effective", wanted.effective, command.effective), ("permitted", wanted.effective, command.permitted),
          ("inheritable", [], command.inheritable), ("bounding", wanted.capabilities, command.bounding),
          ("ambient", [], command.ambient),
        ])
    }
    if let first {
      // Its bounding set is of no use to it: it executes nothing, and gains nothing by it.
      compare(
        "init",
        [
          ("effective", Self.ofInit, first.effective), ("permitted", Self.ofInit, first.permitted),
          ("inheritable", [], first.inheritable), ("ambient", [], first.ambient),
        ])
    }
    let held = [command.map { "command \(count($0.effective))" }, first.map { "init \(count($0.effective))" }]
    return AuditFinding(
      name: "capabilities", seen: held.compactMap { $0 }.joined(separator: ", ") + "; none inheritable, none ambient",
      differences: differences)
  }

  private func count(_ set: CapabilitySet) -> String { "holds \(set.list.count)" }

  func seccomp() -> AuditFinding {
    var differences: [AuditDifference] = []
    // What the launcher itself was under, a container's filter say, both have.
    let inherited = first?.seccompFilters ?? 0
    if let command {
      let least = wanted.filters + inherited
      if command.seccompMode != 2 || command.seccompFilters < least {
        differences.append(
          AuditDifference(
            "command", wanted: "mode 2, filters \(least)",
            found: "mode \(command.seccompMode), filters \(command.seccompFilters)"))
      }
    }
    let seen = command.map { "mode 2, filters \($0.seccompFilters)" } ?? "no command"
    return AuditFinding(name: "seccomp", seen: seen, differences: differences)
  }

  func noNewPrivileges() -> AuditFinding {
    var differences: [AuditDifference] = []
    for (who, status, isWanted) in [("command", command, wanted.noNewPrivileges), ("init", first, true)] {
      guard let status, isWanted, !status.noNewPrivileges else { continue }
      differences.append(AuditDifference(who, wanted: "1", found: "0"))
    }
    return AuditFinding(
      name: "no_new_privs", seen: command.map { $0.noNewPrivileges ? "1" : "0, as asked for" } ?? "1",
      differences: differences)
  }

  /// Maps of the user namespace, and that every id of the processes is one of them.
  func ids(_ maps: (uids: String, gids: String, setgroups: String), denied: Bool) -> AuditFinding {
    var differences: [AuditDifference] = []
    for (name, wanted, found) in [("uid_map", wanted.uids, maps.uids), ("gid_map", wanted.gids, maps.gids)] {
      let text = wanted.map { "\($0)" }.joined(separator: ", ")
      if text != found { differences.append(AuditDifference(name, wanted: text, found: found)) }
    }
    if denied, maps.setgroups != "deny" {
      differences.append(AuditDifference("setgroups", wanted: "deny", found: maps.setgroups))
    }
    for (who, status) in [("command", command), ("init", first)] {
      guard let status else { continue }
      let groups = wanted.keepsGroups ? [] : status.groups
      for (name, ids, map) in [
        ("uids", status.uids, wanted.uids), ("gids", status.gids, wanted.gids), ("groups", groups, wanted.gids),
      ] where !ids.allSatisfy({ id in map.contains { $0.outsideRange.contains(id) } }) {
        differences.append(
          AuditDifference(
            "\(name) of the \(who)", wanted: "ids of the zone",
            found: ids.map { String($0) }.joined(separator: " ")))
      }
    }
    return AuditFinding(
      name: "ids",
      seen: wanted.uids.map { "\($0.inside) is \($0.outside), \($0.count) of them" }.joined(separator: "; "),
      differences: differences)
  }
}
