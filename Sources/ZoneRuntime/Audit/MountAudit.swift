internal import LinuxNS

/// The mounts of a zone beside those of its plan. Pure: all that is to be known of the machine is given.
struct MountAudit {
  /// A place of the host's in its file system.
  struct Place: Equatable, Sendable {
    var device: String
    var root: String
  }

  var zone: [MountEntry]
  var host: [MountEntry]
  /// Where the sources of the plan are now.
  var places: [String: Place]
  /// The disks of the plan, by the loop devices that have them.
  var backing: [String: String] = [:]
  /// Which covered and read-only paths this kernel has, and whether each is a directory.
  var isDirectory: [String: Bool]
  /// The mount that a target of the plan leads to, where links are on the way.
  var targets: [String: Int]
  /// The zone's v2 group, as mountinfo has it; nil where there is none.
  var group: String?
  /// The zone was given the power to mount.
  var mayMount: Bool

  private var differences: [AuditDifference] = []
  private var known: Set<Int> = []

  init(
    zone: [MountEntry], host: [MountEntry], places: [String: Place] = [:], isDirectory: [String: Bool] = [:],
    targets: [String: Int] = [:], group: String? = nil, mayMount: Bool = false
  ) {
    self.zone = zone
    self.host = host
    self.places = places
    self.isDirectory = isDirectory
    self.targets = targets
    self.group = group
    self.mayMount = mayMount
  }

  static func compare(_ wanted: [WantedMount], _ audit: MountAudit) -> (seen: String, differences: [AuditDifference]) {
    var audit = audit
    audit.compare(wanted.filter { audit.isExpected($0) })
    let own = audit.zone.count - audit.known.count
    let seen = "\(audit.known.count) as planned" + (own > 0 && audit.mayMount ? ", \(own) of the zone's own" : "")
    return (seen, audit.differences)
  }

  /// What this kernel does not have is not covered either.
  private func isExpected(_ mount: WantedMount) -> Bool {
    switch mount.content {
    case .cover, .itself: isDirectory[mount.target] != nil
    default: true
    }
  }

  private mutating func compare(_ wanted: [WantedMount]) {
    var targets: [String] = []
    for mount in wanted where !targets.contains(mount.target) { targets.append(mount.target) }
    for target in targets {
      let layers = wanted.filter { $0.target == target }
      let found = stack(at: target)
      for (index, layer) in layers.enumerated() {
        if found.indices.contains(index) {
          known.insert(found[index].id)
          compare(layer, found[index])
        } else if !layer.isOptional {
          differences.append(AuditDifference(target, wanted: words(layer), found: "nothing mounted there"))
        }
      }
    }
    let trees = wanted.filter { if case .tree(_, recursive: true) = $0.content { true } else { false } }
    for entry in zone where !known.contains(entry.id) { judge(entry, trees) }
    let shared = Set(host.flatMap { $0.peers.compactMap(Self.peerGroup) })
    for entry in zone {
      for peer in entry.peers {
        guard let number = Self.peerGroup(peer), shared.contains(number) else { continue }
        differences.append(
          AuditDifference(entry.target, wanted: "no mount crosses from or to the host", found: "\(peer) with the host"))
      }
    }
  }

  /// What is mounted at a target, from the lowest up.
  private func stack(at target: String) -> [MountEntry] {
    var rest = zone.filter { $0.target == target }
    if rest.isEmpty, let id = targets[target], let resolved = zone.first(where: { $0.id == id })?.target {
      rest = zone.filter { $0.target == resolved }
    }
    var ordered: [MountEntry] = []
    while !rest.isEmpty {
      let lowest = rest.firstIndex { entry in !rest.contains { $0.id == entry.parent && $0.id != entry.id } } ?? 0
      ordered.append(rest.remove(at: lowest))
    }
    return ordered
  }

  private mutating func compare(_ wanted: WantedMount, _ found: MountEntry) {
    let flags = MountFlag.table.filter { wanted.flags & $0.flag != 0 && !found.options.contains($0.name) }
    let mapping = wanted.idsAreMapped && !found.options.contains("idmapped")
    if shows(wanted, found), flags.isEmpty, !mapping { return }
    differences.append(AuditDifference(wanted.target, wanted: words(wanted), found: words(found)))
  }

  private func shows(_ wanted: WantedMount, _ found: MountEntry) -> Bool {
    switch wanted.content {
    case .own(let type):
      guard found.type == type else { return false }
      return type == "cgroup2" ? group == nil || found.root == group : found.root == "/"
    case .overlay(let options):
      let there = found.superOptions.split(separator: ",").map(String.init)
      return found.type == "overlay" && options.allSatisfy(there.contains)
    case .tree(let path, _):
      return places[path] == Place(device: found.device, root: found.root)
    case .disk(let path): return found.type == "ext4" && found.root == "/" && backing[found.device] == path
    case .itself:
      guard let above = zone.first(where: { $0.id == found.parent }), found.device == above.device else { return false }
      return found.root == String(wanted.target.dropFirst(above.target.count))
    case .cover:
      if isDirectory[wanted.target] == true {
        // Of one inode, its own: nothing can be in it.
        return found.type == "tmpfs" && found.options.contains("ro")
          && found.superOptions.split(separator: ",").contains { $0 == "nr_inodes=1" }
      }
      // The zone's own /dev/null: of its /dev, or of the host's where that was attached to it.
      let null = stack(at: "/dev/null").last ?? stack(at: "/dev").last
      return found.root == "/null" && found.device == null?.device
    }
  }

  /// A mount that the plan does not name.
  private mutating func judge(_ entry: MountEntry, _ trees: [WantedMount]) {
    for tree in trees {
      guard case .tree(let path, _) = tree.content, let rest = Self.rest(of: entry.target, below: tree.target),
        host.contains(where: { $0.target == path + rest && $0.device == entry.device && $0.root == entry.root })
      else { continue }
      // It came along with the tree, and so did the tree's flags.
      known.insert(entry.id)
      let missing = MountFlag.table.filter { tree.flags & $0.flag != 0 && !entry.options.contains($0.name) }
      if !missing.isEmpty {
        differences.append(
          AuditDifference(
            entry.target, wanted: MountFlag.text(tree.flags), found: entry.options.joined(separator: ",")))
      }
      return
    }
    if mayMount, !leadsOut(entry) { return }
    differences.append(AuditDifference(entry.target, wanted: "no such mount", found: words(entry)))
  }

  /// Whether it shows more of a file system of the host's than the zone was given.
  private func leadsOut(_ entry: MountEntry) -> Bool {
    guard host.contains(where: { $0.device == entry.device }) else { return false }
    return !zone.contains {
      known.contains($0.id) && $0.device == entry.device && Self.rest(of: entry.root, below: $0.root) != nil
    }
  }

  /// `/a/b` below `/a` is `/b`.
  private static func rest(of path: String, below folder: String) -> String? {
    if folder == "/" { return path == "/" ? "" : path }
    guard path == folder || path.hasPrefix(folder + "/") else { return nil }
    return String(path.dropFirst(folder.count))
  }

  /// The number of a peer group, by which both sides of it name it: `shared:7`, `master:7`.
  private static func peerGroup(_ peer: String) -> Int? { peer.split(separator: ":").last.flatMap { Int($0) } }

  private func words(_ mount: WantedMount) -> String {
    let what =
      switch mount.content {
      case .own(let type): type
      case .overlay: "overlay of \(mount.target)"
      case .tree(let path, _), .disk(let path): path
      case .itself: "read-only"
      case .cover: "covered"
      }
    let flags = MountFlag.text(mount.flags)
    return what + (flags.isEmpty ? "" : " \(flags)") + (mount.idsAreMapped ? " ids mapped" : "")
  }

  private func words(_ entry: MountEntry) -> String {
    "\(entry.type) \(entry.root) \(entry.options.joined(separator: ","))"
  }
}
