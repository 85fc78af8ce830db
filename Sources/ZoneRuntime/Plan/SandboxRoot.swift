internal import LinuxNS

/// The root of a sandbox: as a sparse one that passes, with the host's own /usr/local, a private home, and the caller's
/// places at their own paths.
extension LaunchPlanner {
  mutating func planSandboxRoot() {
    guard let sandbox = spec.sandbox else { return }
    planRootTmpfs()
    planSparseFrame()
    planPassingVar()
    planEtc()
    plan.tree.append(.file("/etc/passwd", facts.passwd))
    plan.tree.append(.file("/etc/group", facts.group))
    plan.tree.append(.readOnly("/etc"))
    for path in Paths.above(sandbox.account.home) { plan.tree.append(.directory(path, fresh: false)) }
    plan.tree.append(.directory(sandbox.account.home, mode: 0o700, fresh: false))
    // Before the places, so that none of the caller's own is written over.
    for (path, text) in sandbox.files.sorted(by: { $0.key < $1.key }) { plan.tree.append(.file(path, text)) }
    for place in sandbox.places { plan(place) }
  }

  private mutating func plan(_ place: SandboxPlace) {
    let closed = MountFlag.noSuid | MountFlag.noDev
    let source = place.source ?? place.path
    switch place.access {
    case .readOnly:
      plan.tree.append(
        .attach(tree(source, attributes: closed | MountFlag.readOnly), on: place.path, flags: [.make, .straight]))
    case .writable, .pinned:
      plan.tree.append(.attach(tree(source, attributes: closed), on: place.path, flags: [.make, .straight]))
    case .passing:
      // The layer lies below the overlay, out of sight.
      plan.tree.append(.mount("tmpfs", on: place.path, flags: closed, options: "mode=700,size=25%", make: true))
      for name in ["upper", "work"] { plan.tree.append(.directory("\(place.path)/\(name)", fresh: false)) }
      planLayers(on: place.path, over: source, in: facts.runDirectory + place.path)
    case .reviewed: planLayers(on: place.path, over: place.path, in: source)
    case .hidden where place.isDirectory:
      plan.tree.append(
        .mount(
          "tmpfs", on: place.path, flags: closed | MountFlag.noExec | MountFlag.readOnly,
          options: "mode=555,nr_inodes=1", make: true))
    case .hidden:
      plan.tree.append(.attach(tree("/dev/null", attributes: MountFlag.noSuid | MountFlag.noExec), on: place.path))
    }
  }

  private mutating func planLayers(on path: String, over lower: String, in layers: String) {
    plan.tree.append(
      .overlay(
        on: path, options: "lowerdir=\(lower),upperdir=\(layers)/upper,workdir=\(layers)/work,userxattr",
        flags: MountFlag.noDev | MountFlag.noSuid, make: true))
  }
}
