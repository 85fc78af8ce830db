internal import LinuxNS

/// A zone of an image: its layers, which nobody writes, under one of the zone's own.
extension LaunchPlanner {
  mutating func planImageRoot(_ layers: RootLayers) {
    // All layers and the zone's own are seen with the zone's ids by one mount, however many they are.
    if byHost { plan.tree.append(.hostTree(tree(facts.dataRoot), on: facts.dataRoot)) }
    var upper = "\(facts.dataDirectory)/own/root"
    var work = "\(facts.dataDirectory)/own/work"
    if spec.ephemeral {
      // Below the overlay, out of sight and locked there.
      planRootTmpfs()
      plan.tree.append(.directory("/upper", mode: UInt64(layers.topMode), fresh: true))
      plan.tree.append(.directory("/work", mode: 0o700, fresh: true))
      upper = "\(facts.runDirectory)/upper"
      work = "\(facts.runDirectory)/work"
    } else if byHost {
      plan.tree.append(.fileIds(uid: rootUID, gid: rootGID))
    }
    // A store has one form for root and users: deleted names are devices, opaque directories have a user.* attribute.
    let options = "lowerdir=\(layers.names.joined(separator: ":")),upperdir=\(upper),workdir=\(work),userxattr"
    plan.tree.append(.rootOverlay(on: facts.runDirectory, from: layers.links, options: options, flags: MountFlag.noDev))
    for path in ["/proc", "/sys"] { plan.tree.append(.directory(path, fresh: false)) }
  }
}
