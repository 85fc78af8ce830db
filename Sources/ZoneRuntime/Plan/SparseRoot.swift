/// The sparse brand: a tmpfs root, the host's /usr and /opt read-only, everything else the zone's own.
extension LaunchPlanner {
  /// Directories of a sparse zone that last: they lie on disk in its data directory under these names.
  public static let lasting: [(path: String, name: String)] = [
    ("/home", "home"), ("/root", "root"), ("/srv", "srv"), ("/var", "var"), ("/usr/local", "local"),
  ]

  mutating func planSparseRoot() {
    // The layers of /etc are seen with the zone's ids; the host's own rights are needed to get there.
    if byHost { plan.tree.append(.hostTree(tree(facts.dataRoot), on: facts.dataRoot)) }
    planRootTmpfs()
    planSparseFrame()
    if spec.ephemeral {
      planPassingDirectories()
    } else if let layers = facts.layers {
      planLayeredDirectories(layers)
    } else {
      planLastingDirectories()
    }
    planEtc()
  }

  /// The top of the tree, and the host's part of it.
  mutating func planSparseFrame() {
    for path in ["/dev", "/etc", "/home", "/media", "/mnt", "/proc", "/run", "/srv", "/sys", "/var"] {
      plan.tree.append(.directory(path, fresh: true))
    }
    plan.tree.append(.directory("/root", mode: 0o700, fresh: true))
    plan.tree.append(.directory("/tmp", mode: 0o1777, fresh: true))
    for name in facts.rootDirectories { plan.tree.append(.directory("/\(name)", fresh: true)) }
    for link in facts.rootLinks { plan.tree.append(.link("/\(link.name)", to: link.target, fresh: true)) }
    for name in facts.rootDirectories {
      let attributes = MountFlag.readOnly | MountFlag.noDev
      // With mapped ids the zone's root may read what the host's root keeps from others: in /usr there is no such thing,
      // in /opt there may be.
      plan.tree.append(.attach(tree("/\(name)", idmap: name != "opt", attributes: attributes), on: "/\(name)"))
    }
  }

  private mutating func planLastingDirectories() {
    for (path, name) in Self.lasting {
      let attributes = MountFlag.noDev | (spec.readOnly ? MountFlag.readOnly : 0)
      plan.tree.append(.attach(tree("\(facts.dataDirectory)/root/\(name)", attributes: attributes), on: path))
    }
  }

  /// Of a zone that was frozen (`snapshot`, `clone`): each over what it was then.
  private mutating func planLayeredDirectories(_ layers: RootLayers) {
    let flags = MountFlag.noDev | (spec.readOnly ? MountFlag.readOnly : 0)
    for (path, name) in Self.lasting {
      plan.tree.append(overlay(of: name, on: path, layers, rights: ",userxattr", flags: flags))
    }
  }

  /// - Parameter below: a layer under those that were frozen.
  private func overlay(
    of name: String, on path: String, _ layers: RootLayers, below: String? = nil, rights: String, flags: UInt64
  ) -> PlannedOp {
    let lower = (layers.names.map { "\($0)/\(name)" } + (below.map { [$0] } ?? [])).joined(separator: ":")
    let own = "\(facts.dataDirectory)/own"
    return .overlay(
      on: path, at: facts.runDirectory + path, from: layers.links,
      options: "lowerdir=\(lower),upperdir=\(own)/root/\(name),workdir=\(own)/work/\(name)\(rights)", flags: flags)
  }

  /// /var of a root that goes with its zone.
  mutating func planPassingVar() {
    for path in ["cache", "lib", "log", "mail", "spool"] { plan.tree.append(.directory("/var/\(path)", fresh: true)) }
    plan.tree.append(.directory("/var/tmp", mode: 0o1777, fresh: true))
    plan.tree.append(.link("/var/run", to: "/run", fresh: true))
    plan.tree.append(.link("/var/lock", to: "/run/lock", fresh: true))
  }

  private mutating func planPassingDirectories() {
    planPassingVar()
    let owner = byHost ? ",uid=\(rootUID),gid=\(rootGID)" : ""
    let flags = MountFlag.noDev | (spec.readOnly ? MountFlag.readOnly : 0)
    plan.tree.append(.mount("tmpfs", on: "/usr/local", flags: flags, options: "mode=755\(owner)"))
  }

  /// The host's /etc as far as everybody may read it, under a layer of the zone's own. The lower layer is a copy that
  /// never changes: overlayfs over the host's living /etc would be undefined.
  mutating func planEtc() {
    var upper = "\(facts.dataDirectory)/root/etc"
    var work = "\(facts.dataDirectory)/root/.etc-work"
    if spec.ephemeral {
      // Below the overlay, out of sight and locked there.
      let owner = byHost ? ",uid=\(rootUID),gid=\(rootGID)" : ""
      plan.tree.append(
        .mount("tmpfs", on: "/etc", flags: MountFlag.noDev | MountFlag.noSuid, options: "mode=755\(owner)"))
      plan.tree.append(.directory("/etc/upper", fresh: false))
      plan.tree.append(.directory("/etc/work", fresh: false))
      upper = "\(facts.runDirectory)/etc/upper"
      work = "\(facts.runDirectory)/etc/work"
    }
    let rights = byHost ? "" : ",userxattr"
    if let layers = facts.layers {
      plan.tree.append(
        overlay(of: "etc", on: "/etc", layers, below: facts.etcTemplate, rights: rights, flags: MountFlag.noDev))
    } else {
      let layers = "lowerdir=\(facts.etcTemplate),upperdir=\(upper),workdir=\(work)\(rights)"
      plan.tree.append(.overlay(on: "/etc", options: layers, flags: MountFlag.noDev))
    }
    plan.tree.append(.file("/etc/hostname", (spec.hostname ?? spec.name) + "\n"))
    plan.tree.append(.file("/etc/hosts", facts.hosts))
    plan.tree.append(.file("/etc/resolv.conf", facts.resolvConf))
    if spec.readOnly { plan.tree.append(.readOnly("/etc")) }
  }
}
