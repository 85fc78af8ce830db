internal import LinuxNS
internal import ResourceControl

/// All that the making of an OCI container does, in order: made by `ContainerPlanner` from a bundle and the facts of the
/// machine, executed by `Containers`. Opens nothing and changes nothing.
struct ContainerPlan: Sendable {
  /// clone3(2) flags of the process, and those of namespaces that it makes itself when it is in its groups.
  var namespaces: NamespaceFlags = []
  var late: NamespaceFlags = []
  /// The stage puts the root together on the host's side, and the copy into the user namespace locks each mount.
  var builder = false
  var before: [PlannedOp] = []
  var tree: [PlannedOp] = []
  var zone: [PlannedOp] = []
  var process: [PlannedOp] = []
  var sources: [ContainerSource] = []
  /// nil: there is no process.
  var environment: ContainerEnvironment?
}

/// Something of the host's that an op needs, opened before anything of the container's runs.
enum ContainerSource: Equatable, Sendable {
  case tree(path: String, recursive: Bool, HostTree.Propagation, idmap: BundleMount.IdMapping?)
}

/// What the planner has to know beside the bundle.
struct ContainerFacts: Sendable {
  /// The caller is host root: he opens trees, and may mount in a namespace that the container does not own.
  var isRoot: Bool
  /// And of the first user namespace: he may make devices, and take flags off mounts of the host's.
  var isHostRoot: Bool
  /// In a user namespace of one id, Podman's for a user without others, groups cannot be set (user_namespaces(7)).
  var groupsAreKept: Bool
  /// The bundle's root, without links.
  var root: String
  /// Where groups are, for a mount of type cgroup, and the container's own.
  var trees: CgroupTrees
  var cgroup: ContainerCgroup
  var hasSELinux: Bool
  var hasAppArmor: Bool
  /// What the caller may give.
  var capabilities: CapabilitySet
  var filter: [UInt8]?
  /// A session keyring of the container's own (not with --no-new-keyring).
  var newKeyring: Bool

  /// The container's groups cannot be set either, where an ordinary user maps one id of his alone.
  func keepsGroups(_ linux: BundleLinux) -> Bool {
    groupsAreKept || !isRoot && linux.gidMappings.count == 1 && linux.gidMappings[0].count == 1
  }
}

struct ContainerPlanner {
  let config: BundleConfig
  let facts: ContainerFacts
  var plan = ContainerPlan()
  /// Where only the container's side mounts, or makes files.
  var late: [String] = []

  /// - Throws: for what the bundle asks and no container of this caller can have, by the field's name.
  static func plan(_ config: BundleConfig, _ facts: ContainerFacts) throws(ZoneError) -> ContainerPlan {
    var planner = ContainerPlanner(config: config, facts: facts)
    try planner.planNamespaces()
    try planner.planMounts()
    try planner.planDevices()
    try planner.planRest()
    if let process = config.process {
      planner.plan.before = Self.before(process)
      let environment = ContainerEnvironment(process.environment)
      planner.plan.environment = environment
      planner.plan.process = try Self.process(process, environment, config, facts)
    }
    return planner.plan
  }

  private func refused(_ field: String, _ why: String) -> ZoneError { .refused("config.json: \(field): \(why)") }

  var linux: BundleLinux { config.linux }

  // MARK: namespaces

  private mutating func planNamespaces() throws(ZoneError) {
    for namespace in linux.namespaces {
      guard namespace.path == nil else {
        if namespace.flag == .mount {
          throw refused(
            "linux.namespaces", "the mounts of another container cannot be entered: they have a root already")
        }
        continue
      }
      if namespace.flag == .cgroup { plan.late.insert(.cgroup) } else { plan.namespaces.insert(namespace.flag) }
    }
    guard linux.isNew(.mount) else {
      throw refused("linux.namespaces", "a container needs a new mount namespace: its mounts would be the host's")
    }
    if config.hostname != nil || config.domainname != nil, !linux.has(.uts) {
      throw refused("hostname", "without a uts namespace it would be the host's name")
    }
    plan.builder = linux.isNew(.user) && facts.isRoot
  }

  // MARK: mounts

  /// Those that only a process of the container can mount: they show the namespaces of who mounts them.
  private static let insiders = ["proc", "sysfs", "mqueue", "cgroup", "cgroup2"]

  private mutating func planMounts() throws(ZoneError) {
    // Never shared, whatever is asked for: the root is attached below it. What is to stay the host's peer is a bind's tree.
    let below = BundleMount.recursive
    let asked = linux.rootfsPropagation ?? 0
    plan.tree.append(.propagation((asked & (1 << 18 | 1 << 17) != 0 ? 1 << 18 : 1 << 19) | below, on: nil))
    let root = try source(facts.root, recursive: true, isRoot: true)
    plan.tree.append(.rootTree(root, on: facts.root))
    // pivot_root(2) wants it, and what is mounted on it is the container's alone.
    plan.tree.append(.propagation(1 << 18, on: "/"))
    if plan.builder { plan.zone.append(.simple(.enterRoot, "copy the root's mounts to pivot into")) }

    if linux.mountLabel != nil, !facts.hasSELinux {
      throw refused("linux.mountLabel", "SELinux is not enabled in this kernel")
    }
    for mount in config.mounts {
      let path = mount.destination
      let isInsider =
        Self.insiders.contains(mount.type) && !mount.isBind
        || late.contains { path == $0 || path.hasPrefix($0 == "/" ? $0 : "\($0)/") }
      let ops = try self.ops(mount)
      if plan.builder, !isInsider { plan.tree += ops } else { plan.zone += ops }
      if isInsider { late.append(path) }
    }
  }

  private mutating func ops(_ mount: BundleMount) throws(ZoneError) -> [PlannedOp] {
    if mount.type == "cgroup", !mount.isBind { return try cgroupOps(mount) }
    var ops: [PlannedOp] = []
    if mount.isBind {
      if mount.flags & 32 != 0 { throw refused("mounts", "\(mount.destination): remount is not for a bundle's mounts") }
      let path = mount.source ?? ""
      guard path.hasPrefix("/") else {
        throw refused("mounts", "\(mount.destination): the source '\(path)' is not absolute")
      }
      let source = try source(path, recursive: mount.isRecursive, mount.idmap)
      // What is mounted in a user namespace is locked as it is; what is asked for and so already is not touched.
      let mayClear = facts.isHostRoot && (plan.builder || !linux.has(.user))
      func set(_ attributes: BundleMount.Attributes, recursive: Bool) {
        let clear = mayClear ? attributes.clear : 0
        guard attributes.set | clear != 0 else { return }
        ops.append(.attributes(source, set: attributes.set, clear: clear, recursive: recursive))
      }
      set(mount.recursiveAttributes, recursive: true)
      set(mount.attributes, recursive: false)
      ops.append(.attach(source, on: mount.destination, flags: .make))
    } else {
      var data = mount.data
      if mount.type == "tmpfs" || mount.type == "devpts" {
        data = translated(data, owned: mount.type == "tmpfs")
      }
      if let label = linux.mountLabel, ["tmpfs", "mqueue", "devpts"].contains(mount.type) {
        data.append("context=\"\(label)\"")
      }
      ops.append(
        .mount(
          mount.type, from: mount.source ?? mount.type, on: mount.destination, flags: mount.flags,
          options: data.isEmpty ? nil : data.joined(separator: ","), how: Self.covering(mount)))
    }
    for flags in mount.propagation { ops.append(.propagation(flags, on: mount.destination)) }
    return ops
  }

  /// What a tmpfs takes over from the directory that it covers: its mode, as with runc, and with what it held its owner.
  private static func covering(_ mount: BundleMount) -> StageOp.Flags {
    guard mount.type == "tmpfs" else { return [] }
    let says = { (key: String) in mount.data.contains { $0.hasPrefix(key) } }
    var how: StageOp.Flags = says("mode=") ? [] : .keepMode
    if mount.copyUp { how.insert(.copyUp) }
    if mount.copyUp, !says("uid="), !says("gid=") { how.insert(.keepOwner) }
    return how
  }

  /// What the container's mounts have to do with the host's: its own root never anything, for all that is mounted in it
  /// would be mounted on the host.
  private var propagation: HostTree.Propagation {
    (linux.rootfsPropagation ?? 0) & (1 << 20) != 0 ? .kept : .slave
  }

  private mutating func source(
    _ path: String, recursive: Bool, _ idmap: BundleMount.IdMapping? = nil, isRoot: Bool = false
  )
    throws(ZoneError) -> Tree
  {
    var tree = Tree(index: nil, path: path, recursive: recursive)
    guard facts.isRoot else {
      if idmap != nil { throw refused("mounts", "\(path): an id-mapped mount is host root's to make") }
      return tree
    }
    var idmap = idmap
    if idmap?.uids.isEmpty == true {
      idmap?.uids = linux.uidMappings
      idmap?.gids = linux.gidMappings
      if linux.uidMappings.isEmpty { throw refused("mounts", "\(path): there is no id mapping to take over") }
    }
    plan.sources.append(.tree(path: path, recursive: recursive, isRoot ? .private : propagation, idmap: idmap))
    tree.index = plan.sources.count - 1
    return tree
  }

  /// uid= and gid= are the container's ids; where the host mounts, they are told as the host's.
  /// - Parameter owned: it is the container's root's where nothing is said.
  private func translated(_ data: [String], owned: Bool) -> [String] {
    guard plan.builder else { return data }
    var data = data.map { option -> String in
      for (key, maps) in [("uid=", linux.uidMappings), ("gid=", linux.gidMappings)] where option.hasPrefix(key) {
        if let id = UInt32(option.dropFirst(4)), let outside = maps.outside(of: id) { return "\(key)\(outside)" }
      }
      return option
    }
    guard owned else { return data }
    for (key, maps) in [("uid=", linux.uidMappings), ("gid=", linux.gidMappings)] {
      if !data.contains(where: { $0.hasPrefix(key) }), let root = maps.outside(of: 0) { data.append("\(key)\(root)") }
    }
    return data
  }

  /// The type `cgroup` is whatever the host has: the v2 tree, or a tmpfs with each v1 tree. A v1 tree is never writable
  /// inside (CVE-2022-0492).
  private mutating func cgroupOps(_ mount: BundleMount) throws(ZoneError) -> [PlannedOp] {
    let closed = MountFlag.noSuid | MountFlag.noDev | MountFlag.noExec
    let namespaced = linux.has(.cgroup)
    func unified(on path: String, flags: UInt64) throws(ZoneError) -> [PlannedOp] {
      if namespaced { return [.mount("cgroup2", from: "cgroup", on: path, flags: flags, options: nil)] }
      // Without a namespace it would be the whole host's: what is bound is the container's own group.
      guard let own = facts.cgroup.unified else { return [] }
      let tree = try source(own, recursive: false)
      return [
        .attributes(tree, set: flags & 15 | closed, clear: 0, recursive: false), .attach(tree, on: path, flags: .make),
      ]
    }
    guard !facts.trees.v1.isEmpty else { return try unified(on: mount.destination, flags: mount.flags) }
    var ops = [
      PlannedOp.mount("tmpfs", from: "tmpfs", on: mount.destination, flags: closed, options: "mode=755")
    ]
    for tree in facts.trees.v1 {
      let name = tree.path.split(separator: "/").last.map(String.init) ?? tree.controllers.joined(separator: ",")
      let path = "\(mount.destination)/\(name)"
      if namespaced {
        ops.append(
          .mount(
            "cgroup", from: "cgroup", on: path, flags: closed | MountFlag.readOnly,
            options: tree.controllers.joined(separator: ",")))
      } else if let own = tree.controllers.compactMap({ facts.cgroup.v1[$0] }).first {
        let source = try source(own, recursive: false)
        ops.append(.attributes(source, set: closed | MountFlag.readOnly, clear: 0, recursive: false))
        ops.append(.attach(source, on: path, flags: .make))
      }
      if tree.controllers.count > 1 {
        for controller in tree.controllers where controller != name && !controller.contains("=") {
          ops.append(.link("\(mount.destination)/\(controller)", to: name, fresh: false))
        }
      }
    }
    if facts.trees.unified != nil {
      ops += try unified(on: "\(mount.destination)/unified", flags: mount.flags | closed | 1)
    }
    if mount.flags & MountFlag.readOnly != 0 { ops.append(.readOnly(mount.destination)) }
    return ops
  }

  // MARK: devices

  private mutating func planDevices() throws(ZoneError) {
    // Where the host's /dev is bound, it has its devices.
    if config.mounts.contains(where: { $0.destination == "/dev" && $0.isBind }) { return }
    var ops: [PlannedOp] = []
    var devices = linux.devices
    for device in Self.devices where !devices.contains(where: { $0.path == "/dev/\(device.name)" }) {
      devices.append(BundleDevice(character: "/dev/\(device.name)", device.major, device.minor))
    }
    let mayMake = facts.isHostRoot && (plan.builder || !linux.has(.user))
    for device in devices {
      if mayMake {
        let uid = plan.builder ? linux.uidMappings.outside(of: device.uid) : device.uid
        let gid = plan.builder ? linux.gidMappings.outside(of: device.gid) : device.gid
        guard let uid, let gid else {
          throw refused("linux.devices", "\(device.path): its owner \(device.uid):\(device.gid) is not mapped")
        }
        ops.append(.node(device, uid: uid, gid: gid))
      } else {
        // In a user namespace nobody may make devices: the host's own is shown.
        guard device.mode & 0o170000 != 0o010000 else {
          throw refused("linux.devices", "\(device.path): a FIFO cannot be bound")
        }
        ops.append(.attach(try source(device.path, recursive: false), on: device.path, flags: .make))
      }
    }
    for link in Self.deviceLinks { ops.append(.link("/dev/\(link.name)", to: link.target, fresh: false)) }
    if plan.builder { plan.tree += ops } else { plan.zone += ops }
  }

  static let devices = LaunchPlanner.devices
  static let deviceLinks = LaunchPlanner.deviceLinks

  // MARK: the rest of the container's side

  private mutating func planRest() throws(ZoneError) {
    if config.process?.terminal == true { late.append("/dev/console") }
    if plan.builder { planLockedCovers() }
    if linux.isNew(.net) { plan.zone.append(.simple(.loopback, "bring lo up")) }
    if let process = config.process, process.terminal {
      let size = process.consoleSize ?? WindowSize(rows: 0, columns: 0)
      plan.zone.append(.terminal(rows: UInt64(size.rows), columns: UInt64(size.columns)))
      plan.zone.append(.console)
    }
    if let name = config.hostname { plan.zone.append(.hostname(name)) }
    if let name = config.domainname { plan.zone.append(.domainname(name)) }
    plan.zone.append(.simple(.mounted, "run the hooks"))
    for setting in linux.sysctl {
      let path = setting.key.split(separator: setting.key.contains("/") ? "/" : ".").joined(separator: "/")
      plan.zone.append(.write("/proc/sys/\(path)", setting.value))
    }
    if let process = config.process { plan.zone += try Self.labels(process, facts) }
    if config.root?.readonly == true { plan.zone.append(.simple(.readOnly, "make the root read-only")) }
    for path in linux.readonlyPaths { plan.zone.append(.readOnlyPath(path, following: true)) }
    for path in linux.maskedPaths { plan.zone.append(.mask(path, following: true)) }
    plan.zone.append(.simple(.leaveRoot, "pivot into the root and let the host's go"))
    if let propagation = linux.rootfsPropagation, propagation & (1 << 20 | 1 << 17) != 0 {
      plan.zone.append(.propagation(propagation, on: nil))
    }
    if let process = config.process { plan.zone.append(.find(from: process.cwd)) }
  }

  static func labels(_ process: BundleProcess, _ facts: ContainerFacts) throws(ZoneError) -> [PlannedOp] {
    var ops: [PlannedOp] = []
    if let profile = process.apparmorProfile, profile != "unconfined" || facts.hasAppArmor {
      guard facts.hasAppArmor else {
        throw .refused("config.json: process.apparmorProfile: AppArmor is not enabled in this kernel")
      }
      ops.append(.label("/proc/self/attr/apparmor/exec", "exec \(profile)"))
    }
    if let label = process.selinuxLabel {
      guard facts.hasSELinux else {
        throw .refused("config.json: process.selinuxLabel: SELinux is not enabled in this kernel")
      }
      ops.append(.label("/proc/self/attr/exec", label))
    }
    return ops
  }

  // MARK: the process

  /// What it inherits: set where the caller's power over the host still is.
  static func before(_ process: BundleProcess) -> [PlannedOp] {
    var ops: [PlannedOp] = []
    if let score = process.oomScoreAdj { ops.append(.oomScore(score)) }
    for limit in process.rlimits { ops.append(.hardLimit(limit)) }
    return ops
  }

  static func process(
    _ process: BundleProcess, _ environment: ContainerEnvironment, _ config: BundleConfig, _ facts: ContainerFacts
  ) throws(ZoneError) -> [PlannedOp] {
    let linux = config.linux
    var ops: [PlannedOp] = []
    // First: neither a limit of open files nor the filter has to allow it.
    if let place = environment.homeToFind { ops.append(.home(of: process.uid, at: place)) }
    if facts.newKeyring { ops.append(.simple(.keyring, "leave the caller's session keyring")) }
    if let scheduler = process.scheduler { ops.append(.scheduler(scheduler)) }
    if let priority = process.ioPriority { ops.append(.ioPriority(priority)) }
    if let domain = linux.personality { ops.append(.personality(domain)) }
    if let policy = linux.memoryPolicy { ops.append(.memoryPolicy(policy)) }
    for limit in process.rlimits { ops.append(.rlimit(limit)) }
    ops.append(.stdioOwner(process.uid))
    if let umask = process.umask { ops.append(.umask(umask)) }
    let seccomp = facts.filter.map {
      PlannedOp.seccomp($0, flags: (linux.seccomp?.flags ?? 0) | (linux.seccomp?.usesNotify == true ? 8 : 0))
    }
    // Without no_new_privs only CAP_SYS_ADMIN, which may be about to go, may filter.
    if !process.noNewPrivileges, let seccomp { ops.append(seccomp) }
    // Who names none has none (runc's finalizeNamespace); as uid 0 he would have all of the caller's.
    let sets = process.capabilities ?? BundleProcess.Capabilities()
    ops += PlannedOp.capabilities(sets.bounding)
    ops.append(.changeDirectory(process.cwd, make: true))
    ops.append(
      .ids(
        uid: process.uid, gid: process.gid, groups: process.additionalGids, keepGroups: facts.keepsGroups(linux)))
    let permitted = sets.permitted.intersection(facts.capabilities)
    let inheritable = sets.inheritable.intersection(facts.capabilities)
    ops.append(
      .capabilitySets(
        effective: sets.effective.intersection(permitted), permitted: permitted, inheritable: inheritable,
        // capabilities(7): none can be ambient that is not permitted and inheritable.
        ambient: sets.ambient.intersection(permitted).intersection(inheritable)))
    if process.noNewPrivileges {
      ops.append(.simple(.noNewPrivileges, "gain no privileges by execve"))
      if let seccomp { ops.append(seccomp) }
    }
    return ops
  }
}
