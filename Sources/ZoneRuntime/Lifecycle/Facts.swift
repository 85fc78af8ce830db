internal import Glibc
internal import LinuxNS
internal import VirtualNet

/// Looking at the machine and the caller, for the planner.
extension Zones {
  /// - Parameter making: whether what is missing (the /etc template, the filter, the id range) may be made; `explain`
  ///   makes nothing.
  func facts(for spec: ZoneSpec, terminalSize: WindowSize?) throws(ZoneError) -> HostFacts {
    let files = try files(spec.name)
    let (tier, uids, gids) = try idMaps(spec)
    let capabilities: CapabilitySet
    let filter: [UInt8]
    do {
      capabilities = try CapabilitySet.zoneDefault.applying(
        add: spec.capAdd, drop: spec.capDrop, known: .known(last: try Capability.last()))
      filter = try SeccompCache(directory: "\(directories.shared)/seccomp").bytes(
        for: SeccompProfile(capabilities: capabilities, nesting: spec.nesting))
    } catch { throw .refused("\(error)") }
    var facts = HostFacts(
      tier: tier, uid: geteuid(), gid: getegid(), uids: uids, gids: gids, runDirectory: files.run,
      dataDirectory: files.data, dataRoot: directories.data, etcTemplate: "", volumeDirectory: directories.volumes,
      user: ZoneUser(uid: 0, gid: 0, groups: [], name: "root", home: "/root", shell: "/bin/sh"),
      capabilities: capabilities, seccomp: filter, resolvConf: "", hosts: Self.hosts(spec))
    facts.terminalSize = terminalSize
    if spec.brand == .sparse {
      try addHostRoot(to: &facts)
      facts.etcTemplate = try etcTemplate()
    }
    facts.user = try user(spec.user, spec, facts)
    if tier == .single { facts.user.groups = [] }
    facts.resolvConf = try resolvConf(spec, tier)
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
    for name in try names() {
      if let own = try files(name).readRecord()?.etcTemplate { used.insert(own) }
    }
    do throws(SyscallError) { try template.prune(keeping: used, newest: 3) } catch {
      notice("could not remove old copies of /etc: \(error)")
    }
    return path
  }

  /// Which walls this caller can have, and the zone's ids.
  func idMaps(_ spec: ZoneSpec) throws(ZoneError) -> (WallTier, [IdMap], [IdMap]) {
    let uid = geteuid()
    if uid == 0 {
      let range = try lease(spec.name)
      do throws(SyntaxError) {
        let map = [try IdMap(inside: 0, outside: range.start, count: range.count)]
        return (.root, map, map)
      } catch { throw .syntax(error) }
    }
    let read = { (path: String) -> [UInt8] in (try? FileSystem.read(path)) ?? [] }  // missing is the same as empty
    do throws(SyntaxError) {
      if FileSystem.exists("/usr/bin/newuidmap") {
        let name = Self.loginName(uid, in: read("/etc/passwd"))
        let maps = try UserIdMaps.many(uid: uid, gid: getegid(), name: name, subuid: read("/etc/subuid"), subgid: read("/etc/subgid"))
        if maps.needsHelper { return (.subordinate, maps.uids, maps.gids) }
      }
      let maps = try UserIdMaps.single(uid: uid, gid: getegid())
      return (.single, maps.uids, maps.gids)
    } catch { throw .syntax(error) }
  }

  /// From /etc/passwd alone: getpwuid(3) of a static executable loads what it was not built with. nil: looked up by
  /// number.
  static func loginName(_ uid: UInt32, in passwd: [UInt8]) -> String? {
    for line in passwd.split(separator: 10) {
      let fields = line.split(separator: 58, maxSplits: 3, omittingEmptySubsequences: false)
      if fields.count > 2, UInt32(String(decoding: fields[2], as: UTF8.self)) == uid {
        return String(decoding: fields[0], as: UTF8.self)
      }
    }
    return nil
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
      case .volume(let name): paths.append("\(facts.volumeDirectory)/\(name)")
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
    let isRoot = text == nil || text == "0" || text == "0:0"
    if isRoot, case .directory = spec.brand {
      return ZoneUser(uid: 0, gid: 0, groups: [0], name: "root", home: "/root", shell: "/bin/sh")
    }
    let roots: [String] =
      switch spec.brand {
      case .sparse: spec.ephemeral ? [facts.etcTemplate] : ["\(facts.dataDirectory)/root/etc", facts.etcTemplate]
      case .directory(let path): ["\(path)/etc"]
      case .empty: []
      }
    let read = { (name: String) -> [UInt8] in
      for root in roots {
        guard let folder = try? OwnedFD.open(root, O_PATH | O_DIRECTORY),
          let file = try? RootFD(folder).open(name, O_RDONLY | O_NONBLOCK),
          let bytes = try? FileSystem.read(file, limit: 4 << 20)
        else { continue }  // no such file is the same as an empty one
        return bytes
      }
      return []
    }
    do { return try ZoneUser.resolve(text, passwd: read("passwd"), group: read("group")) } catch { throw .syntax(error) }
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
      helper: helper, notice: notice)
  }
}
