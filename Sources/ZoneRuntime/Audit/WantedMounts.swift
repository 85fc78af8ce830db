internal import LinuxNS

/// A mount that a plan makes, as the kernel is to tell it: read off the plan's ops, so that the planner stays the only one
/// who says what a zone gets.
struct WantedMount: Equatable, Sendable {
  enum Content: Equatable, Sendable {
    /// A file system of the zone's own.
    case own(type: String)
    /// With these among its options.
    case overlay([String])
    /// A tree of the host's; `recursive`: with what the host has mounted below.
    case tree(String, recursive: Bool)
    /// The file system in a file.
    case disk(String)
    /// What the file system mounted above shows at that very place.
    case itself
    /// Nothing to be seen.
    case cover
  }

  /// Absolute, as the plan names it: links of the zone's tree may be on the way.
  var target: String
  var content: Content
  /// `MountFlag`s that it has at least.
  var flags: UInt64
  var idsAreMapped = false
  /// Left out where its place is missing.
  var isOptional = false
}

extension LaunchPlan {
  /// In the order in which they are made; later ones at the same target lie over earlier ones.
  var mounts: [WantedMount] {
    var wanted: [WantedMount] = []
    for planned in tree + zone {
      let op = planned.op
      switch op.code {
      case .rootTmpfs: wanted.append(WantedMount(target: "/", content: .own(type: "tmpfs"), flags: op.a))
      case .rootTree, .attach:
        var content = WantedMount.Content.tree(source(op), recursive: op.flags.contains(.recursive))
        if sources.indices.contains(Int(op.fd)), case .disk(let path) = sources[Int(op.fd)] { content = .disk(path) }
        wanted.append(
          WantedMount(
            target: op.code == .rootTree ? "/" : Self.path(op, 0), content: content, flags: op.a & 15,
            idsAreMapped: op.flags.contains(.idmap), isOptional: op.flags.contains(.optional)))
      case .mount:
        wanted.append(WantedMount(target: Self.path(op, 0), content: .own(type: Self.text(op, 1)), flags: op.a & 15))
      case .overlay, .rootOverlay:
        let options = Self.text(op, 2).split(separator: ",").map(String.init)
        let target = op.code == .rootOverlay ? "/" : Self.path(op, 0)
        wanted.append(WantedMount(target: target, content: .overlay(options), flags: op.a & 15))
      case .readOnly:
        let target = op.blocks.first.flatMap { $0 } == nil ? "/" : Self.path(op, 0)
        if let last = wanted.lastIndex(where: { $0.target == target }) { wanted[last].flags |= MountFlag.readOnly }
      case .mask: wanted.append(WantedMount(target: Self.path(op, 0), content: .cover, flags: 0))
      case .readOnlyPath:
        wanted.append(WantedMount(target: Self.path(op, 0), content: .itself, flags: Tree.kernelView))
      case .console: wanted.append(WantedMount(target: Self.path(op, 0), content: .own(type: "devpts"), flags: 0))
      default: continue
      }
    }
    return wanted
  }

  /// An attached tree's path: by number for host root, by name for an ordinary user's joiner.
  private func source(_ op: StageOp) -> String {
    if sources.indices.contains(Int(op.fd)) { return sources[Int(op.fd)].path }
    return Self.text(op, 1)
  }

  private static func text(_ op: StageOp, _ block: Int) -> String {
    guard op.blocks.indices.contains(block), let bytes = op.blocks[block] else { return "" }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func path(_ op: StageOp, _ block: Int) -> String { "/" + text(op, block) }
}
