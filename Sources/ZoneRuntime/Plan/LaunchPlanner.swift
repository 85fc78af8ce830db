internal import LinuxNS

/// Turns a spec and the facts of the machine into a `LaunchPlan`. Pure: the same inputs give the same plan.
///
/// The order withstood attack (SECURITY.md): the host's mounts are attached in a mount namespace that the zone's user
/// namespace does not own, the clone's copy locks them; proc and sysfs are mounted fresh while the host's are still in
/// sight; pivot_root(2); and the old root goes.
public struct LaunchPlanner {
  let spec: ZoneSpec
  let facts: HostFacts
  var plan: LaunchPlan

  public static func plan(_ spec: ZoneSpec, _ facts: HostFacts) -> LaunchPlan {
    var planner = LaunchPlanner(spec: spec, facts: facts)
    if facts.tier == .bare {
      planner.planBare()
      return planner.plan
    }
    planner.planTree()
    planner.planZone()
    planner.planProcess()
    return planner.plan
  }

  private init(spec: ZoneSpec, facts: HostFacts) {
    self.spec = spec
    self.facts = facts
    plan = LaunchPlan(
      name: spec.name, tier: facts.tier, namespaces: Self.namespaces(spec, facts.tier), uids: facts.uids,
      gids: facts.gids)
    plan.limits = spec.limits
    plan.terminal = spec.terminal
    plan.ownInit = spec.ownInit
  }

  /// Those of the zone's first process. Known before the plan, so that they can be made while it is.
  static func namespaces(_ spec: ZoneSpec, _ tier: WallTier) -> NamespaceFlags {
    if tier == .bare { return [] }
    var namespaces: NamespaceFlags = [.mount, .pid, .ipc, .uts, .cgroup]
    if spec.network != .host { namespaces.insert(.net) }
    // The nested user namespace of an ordinary user locks what the first one attached.
    if tier != .root { namespaces.insert(.user) }
    return namespaces
  }

  var byHost: Bool { facts.tier == .root }
  /// The zone's root as whoever puts the tree together sees it.
  var rootUID: UInt32 { byHost ? facts.uids.outside(of: 0) ?? 0 : 0 }
  var rootGID: UInt32 { byHost ? facts.gids.outside(of: 0) ?? 0 : 0 }

  /// A source by descriptor for host root, by path for the joiner of an ordinary user.
  mutating func tree(_ path: String, recursive: Bool = false, idmap: Bool = true, attributes: UInt64 = 0) -> Tree {
    var tree = Tree(index: nil, path: path, recursive: recursive, attributes: attributes)
    guard byHost else {
      // What the host mounted below is locked in a user namespace: a tree is copied with all of it or not at all.
      tree.recursive = true
      return tree
    }
    plan.sources.append(.tree(path: path, recursive: recursive))
    tree.index = plan.sources.count - 1
    tree.idmap = idmap && facts.idmappable.contains(path)
    return tree
  }

  /// A volume that is a file: host root alone has such.
  private mutating func disk(_ path: String, _ attributes: UInt64) -> Tree {
    plan.sources.append(.disk(path: path))
    return Tree(index: plan.sources.count - 1, path: path, idmap: true, attributes: attributes)
  }

  // MARK: the tree

  private mutating func planTree() {
    switch spec.brand {
    case .sparse where spec.sandbox != nil: planSandboxRoot()
    case .sparse: planSparseRoot()
    case .directory(let path):
      plan.tree.append(.rootTree(tree(path, attributes: MountFlag.noDev), on: facts.runDirectory))
      if byHost { plan.tree.append(.fileIds(uid: rootUID, gid: rootGID)) }
      for path in ["/proc", "/sys"] { plan.tree.append(.directory(path, fresh: false)) }
    case .image:
      if let layers = facts.layers { planImageRoot(layers) }
    case .empty:
      planRootTmpfs()
      for path in ["/proc", "/sys", "/dev", "/run", "/tmp", "/etc"] {
        plan.tree.append(.directory(path, mode: path == "/tmp" ? 0o1777 : 0o755, fresh: true))
      }
    }
    planDevices()
    // An init system takes what it finds there for its own, of this boot.
    if spec.readOnly || spec.isSystem && spec.brand.isForeignTree { planWritableIslands() }
    // Where resolv.conf is a link into /run, that is mounted by now.
    if spec.brand.isForeignTree, spec.network != .none {
      planNameFiles(make: facts.layers != nil)
    }
    planVolumes()
    planSecrets()
    if spec.network == .host {
      // A fresh sysfs shows the network namespace's devices and wants its owner; the host's is given read-only.
      plan.tree.append(
        .attach(tree("/sys", recursive: true, idmap: false, attributes: Tree.kernelView), on: "/sys", flags: .make))
    }
    // Last: until here mount points may have to be made.
    if spec.readOnly {
      plan.tree.append(.simple(.readOnly, "make the root read-only"))
    }
  }

  mutating func planRootTmpfs() {
    let owner = byHost ? "mode=755,uid=\(rootUID),gid=\(rootGID)" : "mode=755"
    plan.tree.append(.rootTmpfs(on: facts.runDirectory, options: owner))
    if byHost { plan.tree.append(.fileIds(uid: rootUID, gid: rootGID)) }
  }

  /// hosts and resolv.conf of a tree that is not ours, or a layer that others are to have: covered, never written.
  /// - Parameter make: what is covered is made where it is missing.
  mutating func planNameFiles(make: Bool = false) {
    for (path, name) in [("/etc/hosts", "hosts"), ("/etc/resolv.conf", "resolv.conf")] {
      let source = tree("\(facts.runDirectory)/\(name)", idmap: true, attributes: MountFlag.readOnly)
      plan.tree.append(.attach(source, on: path, flags: make ? [.make, .optional] : [.optional]))
    }
  }

  private mutating func planWritableIslands() {
    let options = byHost ? "uid=\(rootUID),gid=\(rootGID)" : ""
    var places = [("/tmp", "mode=1777"), ("/run", "mode=755")]
    // Debian's init mounts it itself, which it cannot here.
    if spec.isSystem { places.append(("/run/lock", "mode=1777,size=5m")) }
    for (path, mode) in places {
      plan.tree.append(
        .mount(
          "tmpfs", on: path, flags: MountFlag.noSuid | MountFlag.noDev,
          options: options.isEmpty ? mode : "\(mode),\(options)", make: true))
    }
  }

  private mutating func planVolumes() {
    for volume in spec.volumes {
      let attributes = MountFlag.noSuid | MountFlag.noDev | (volume.readOnly ? MountFlag.readOnly : 0)
      switch volume.source {
      case .path(let path):
        plan.tree.append(.attach(tree(path, recursive: false, attributes: attributes), on: volume.target, flags: .make))
      case .volume(let name):
        let path = "\(facts.volumeDirectory)/\(name)"
        let tree = facts.disks.contains(name) ? disk(path, attributes) : tree(path, attributes: attributes)
        plan.tree.append(.attach(tree, on: volume.target, flags: .make))
      case .tmpfs(let size):
        var options = "mode=1777"
        if let size { options += ",size=\(size)" }
        plan.tree.append(.mount("tmpfs", on: volume.target, flags: attributes, options: options, make: true))
      }
    }
  }

  private mutating func planSecrets() {
    guard !spec.secrets.isEmpty else { return }
    let owner = byHost ? ",uid=\(rootUID),gid=\(rootGID)" : ""
    plan.tree.append(
      .mount(
        "tmpfs", on: "/run/secrets", flags: MountFlag.noSuid | MountFlag.noDev | MountFlag.noExec,
        options: "mode=755,size=16m\(owner)", make: true))
    for secret in spec.secrets {
      plan.sources.append(.content(path: secret.file))
      let uid = byHost ? facts.uids.outside(of: secret.uid) ?? rootUID : secret.uid
      plan.tree.append(.secret(secret.name, source: plan.sources.count - 1, owner: uid))
    }
  }
}
