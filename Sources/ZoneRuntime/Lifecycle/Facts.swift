internal import Glibc
internal import LinuxNS
internal import VirtualNet

/// Which walls a zone gets, and its ids: what its namespaces are made from.
struct ZoneIds {
  var tier: WallTier
  var uids: [IdMap]
  var gids: [IdMap]
}

extension ZoneIds {
  /// Each id under its own number, as a sandbox has them.
  fileprivate init(itself maps: UserIdMaps, isBare: Bool) throws(SyntaxError) {
    let itself = { (map: IdMap) throws(SyntaxError) in
      try IdMap(inside: map.outside, outside: map.outside, count: map.count)
    }
    self.init(
      tier: isBare ? .bare : maps.needsHelper ? .subordinate : .single, uids: try maps.uids.map(itself),
      gids: try maps.gids.map(itself))
    try uids.validateIdMaps()
    try gids.validateIdMaps()
  }
}

/// What a zone's record names, beside: known before the rest of its plan.
struct Ground {
  var ids: ZoneIds
  var capabilities: CapabilitySet
  /// The copy of the host's /etc below a sparse zone's own; empty for other brands.
  var etcTemplate: String
}

extension ZoneSpec {
  /// - Throws: for a group of calls that there is none of.
  func seccompProfile(_ capabilities: CapabilitySet, _ tier: WallTier) throws(ZoneError) -> SeccompProfile {
    do throws(SyntaxError) {
      return SeccompProfile(
        capabilities: capabilities, nesting: nesting, shared: .of(self, tier), groups: try CallGroups(named: calls))
    } catch { throw .syntax(error) }
  }
}

/// Looking at the machine and the caller, for the planner.
extension Zones {
  func ground(for spec: ZoneSpec, _ ids: ZoneIds) throws(ZoneError) -> Ground {
    let capabilities: CapabilitySet
    do {
      capabilities = try spec.defaultCapabilities.applying(
        add: spec.capAdd, drop: spec.capDrop, known: .known(last: Capability.last()))
    } catch { throw .refused("\(error)") }
    return Ground(
      ids: ids, capabilities: capabilities,
      etcTemplate: spec.brand == .sparse && ids.tier != .bare ? try etcTemplate() : "")
  }

  /// - Parameter root: of a zone of an image; `spec` is completed by it.
  func facts(
    for spec: ZoneSpec, on ground: Ground, root: RootRecord?, terminalSize: WindowSize? = nil
  ) throws(ZoneError) -> HostFacts {
    let files = try files(spec.name)
    let filter: [UInt8]
    let profile = try spec.seccompProfile(ground.capabilities, ground.ids.tier)
    do {
      filter = try SeccompCache(directory: "\(directories.shared)/seccomp").bytes(for: profile)
    } catch { throw .refused("\(error)") }
    var facts = HostFacts(
      tier: ground.ids.tier, uid: geteuid(), gid: getegid(), uids: ground.ids.uids, gids: ground.ids.gids,
      runDirectory: files.run,
      dataDirectory: files.data, dataRoot: directories.data, etcTemplate: ground.etcTemplate,
      volumeDirectory: directories.volumes,
      user: ZoneUser(uid: 0, gid: 0, groups: [], name: "root", home: "/root", shell: "/bin/sh"),
      capabilities: ground.capabilities, seccomp: filter, resolvConf: "", hosts: Self.hosts(spec))
    facts.terminalSize = terminalSize
    if let watch = spec.sandbox?.watch { facts.watchedFilter = Watcher.filter(filter, watch) }
    if spec.brand == .sparse { try addHostRoot(to: &facts) }
    try addLayers(root, of: spec, to: &facts)
    if let account = spec.sandbox?.account {
      facts.landlock = .ofKernel()
      if ground.ids.tier == .bare {
        try addBareFacts(spec, to: &facts)
      } else {
        try addAccounts(account, to: &facts)
      }
    }
    facts.user = try user(spec.user, spec, facts)
    if ground.ids.tier == .single { facts.user.groups = [] }
    facts.resolvConf = try resolvConf(spec, ground.ids.tier)
    try addIdMappable(spec, to: &facts)
    return facts
  }

  /// The copy of the host's present /etc. When a new one was made, those that no zone lies on go, but for the last few:
  /// a zone that is just starting may not have written down yet which is its own.
  private func etcTemplate() throws(ZoneError) -> String {
    let template = EtcTemplate(store: "\(directories.shared)/etc")
    let (path, isNew) = try attempt("copy the host's /etc") { () throws(SyscallError) in try template.made() }
    guard isNew else { return path }
    var used: Set<String> = [path]
    do throws(ZoneError) {
      for name in try names() {
        if let own = try files(name).readRecord()?.etcTemplate { used.insert(own) }
      }
    } catch { return path }  // which one that zone lies on is not known, so all stay
    do throws(SyscallError) { try template.prune(keeping: used, newest: 3) } catch {
      notice("could not remove old copies of /etc: \(error)")
    }
    return path
  }

  /// Which walls this caller can have, and the zone's ids.
  func ids(for spec: ZoneSpec) throws(ZoneError) -> ZoneIds {
    if let sandbox = spec.sandbox { return try ids(of: sandbox) }
    let uid = geteuid()
    if uid == 0 {
      let range = try lease(spec.name)
      do throws(SyntaxError) {
        let map = [try IdMap(inside: 0, outside: range.start, count: range.count)]
        return ZoneIds(tier: .root, uids: map, gids: map)
      } catch { throw .syntax(error) }
    }
    do throws(SyntaxError) {
      let maps = try UserIdMaps.ofCaller()
      return ZoneIds(tier: maps.needsHelper ? .subordinate : .single, uids: maps.uids, gids: maps.gids)
    } catch { throw .syntax(error) }
  }

  private func ids(of sandbox: SandboxSpec) throws(ZoneError) -> ZoneIds {
    if let bare = sandbox.bare, sandbox.manyIds {
      throw .refused("cannot give the sandbox more than your own id (--ids many): \(bare.why)")
    }
    do throws(SyntaxError) {
      let maps = sandbox.manyIds ? try UserIdMaps.ofCaller() : try .single(uid: geteuid(), gid: getegid())
      if maps.needsHelper == sandbox.manyIds { return try ZoneIds(itself: maps, isBare: sandbox.bare != nil) }
    } catch { throw .syntax(error) }
    throw .refused(
      "cannot give the sandbox more than your own id (--ids many): you have no subordinate ones (usermod --add-subuids and --add-subgids), or newuidmap is not installed (apt install uidmap)"
    )
  }

  /// The system's accounts and the caller's own: names are all that files of others in sight have of theirs.
  private func addAccounts(_ account: SandboxAccount, to facts: inout HostFacts) throws(ZoneError) {
    let template = facts.etcTemplate
    let read = { (name: String) throws(ZoneError) -> String in
      try attempt("read the copy of /etc/\(name)") { () throws(SyscallError) in
        String(decoding: try FileSystem.read("\(template)/\(name)"), as: UTF8.self)
      }
    }
    let (passwd, group) = (try read("passwd"), try read("group"))
    let line = "\(account.name):x:\(account.uid):\(account.gid)::\(account.home):\(account.shell)\n"
    // The first line of an id is the one that counts.
    facts.passwd = line + passwd
    let has = group.split(separator: "\n").contains { line in
      line.split(separator: ":", omittingEmptySubsequences: false).dropFirst(2).first == "\(account.gid)"
    }
    facts.group = has ? group : group + "\(account.name):x:\(account.gid):\n"
  }

  private func addHostRoot(to facts: inout HostFacts) throws(ZoneError) {
    for name in ["usr", "opt", "bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
      var status = stat()
      guard lstat("/\(name)", &status) == 0 else { continue }
      switch status.st_mode & S_IFMT {
      case S_IFLNK:
        let target = try attempt("read /\(name)") { () throws(SyscallError) in try FileSystem.readLink("/\(name)") }
        facts.rootLinks.append((name, target))
      case S_IFDIR: facts.rootDirectories.append(name)
      default: continue
      }
    }
  }

  /// Only root attaches with id maps.
  private func addIdMappable(_ spec: ZoneSpec, to facts: inout HostFacts) throws(ZoneError) {
    guard facts.tier == .root else { return }
    var paths: [String] = [facts.dataRoot]
    for name in facts.rootDirectories { paths.append("/\(name)") }
    if spec.brand == .sparse {
      for (_, name) in LaunchPlanner.lasting { paths.append("\(facts.dataDirectory)/root/\(name)") }
    }
    if spec.network != .none {
      for name in ["hosts", "resolv.conf"] { paths.append("\(facts.runDirectory)/\(name)") }
    }
    if case .directory(let path) = spec.brand { paths.append(path) }
    for volume in spec.volumes {
      switch volume.source {
      case .path(let path): paths.append(path)
      case .volume(let name):
        let path = "\(facts.volumeDirectory)/\(name)"
        if isDisk(path) { facts.disks.insert(name) } else { paths.append(path) }
      case .tmpfs: break
      }
    }
    for path in paths {
      guard FileSystem.exists(path) else { continue }
      let refusal = try attempt("look at \(path)") { () throws(SyscallError) in try IdMappable.refusal(path) }
      if refusal == nil { facts.idmappable.append(path) }
    }
  }

  /// The zone's own accounts. The files are the zone's, hence hostile: read below its root, by descriptor, and bounded.
  func user(_ text: String?, _ spec: ZoneSpec, _ facts: HostFacts) throws(ZoneError) -> ZoneUser {
    if let account = spec.sandbox?.account {
      guard text == spec.user else { throw .refused("a sandbox has one user, \(account.name) (leave --user out)") }
      return ZoneUser(
        uid: account.uid, gid: account.gid, groups: [], name: account.name, home: account.home, shell: account.shell)
    }
    let isRoot = text == nil || text == "0" || text == "0:0"
    if isRoot, spec.brand.isForeignTree {
      return ZoneUser(uid: 0, gid: 0, groups: [0], name: "root", home: "/root", shell: "/bin/sh")
    }
    let roots: [String] =
      switch spec.brand {
      case .sparse: spec.ephemeral ? [facts.etcTemplate] : ["\(facts.dataDirectory)/root/etc", facts.etcTemplate]
      case .directory(let path): ["\(path)/etc"]
      case .empty, .image: []
      }
    // Of a zone that was never started there may be none.
    let place = facts.layers == nil || spec.ephemeral ? nil : try? OwnLayer.place(ZoneFiles(directories, spec.name))
    let own = place.flatMap { FileSystem.exists($0) ? $0 : nil }
    let read = { (name: String) -> [UInt8] in
      if let layers = facts.layers {
        if let bytes = (try? layered("etc/\(name)", layers, own)) ?? nil { return bytes }
      }
      for root in roots {
        guard let folder = try? OwnedFD.open(root, O_PATH | O_DIRECTORY),
          let file = try? RootFD(folder).open(name, O_RDONLY | O_NONBLOCK),
          let bytes = try? FileSystem.read(file, limit: 4 << 20)
        else { continue }  // no such file is the same as an empty one
        return bytes
      }
      return []
    }
    do { return try ZoneUser.resolve(text, passwd: read("passwd"), group: read("group")) } catch {
      throw .syntax(error)
    }
  }

  static func hosts(_ spec: ZoneSpec) -> String {
    let name = spec.hostname ?? spec.name
    let short = name.split(separator: ".").first.map(String.init) ?? name
    let names = short == name ? name : "\(name) \(short)"
    return "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t\(names)\n"
  }

  /// Whom the zone asks for names: its network's helper; the host's own resolvers where it shares the host's network.
  private func resolvConf(_ spec: ZoneSpec, _ tier: WallTier) throws(ZoneError) -> String {
    switch spec.network {
    case .none: return ""
    case .host:
      let bytes = (try? FileSystem.read("/etc/resolv.conf")) ?? []  // a host without one has no names to give
      return String(decoding: bytes, as: UTF8.self)
    case .named(let network):
      do {
        let place = try networks().prepare(zone: spec.name, network: network)
        // ndots:0, so that a zone's one-label name is asked for as it is.
        return "nameserver \(place.nameServer)\noptions ndots:0\n"
      } catch { throw .refused("\(error)") }
    }
  }

  func networks() throws(NetworkError) -> Networks {
    if geteuid() != 0 { return try userNetworks() }
    var helper = [zonectl]
    if let root = directories.root { helper += ["--root", root] }
    helper.append("network-names")
    return try Networks(
      NetworkDirectories(data: directories.shared, run: directories.sharedRun, instanceTag: directories.tag),
      helper: helper, group: helperGroup, notice: notice)
  }

  /// What was killed or flushed of the networks is put right: called by whoever looks at the zones. What cannot be is told,
  /// and the look goes on.
  public func mendNetworks() {
    do { try networks().mend() } catch { notice("\(error)") }
  }
}
