internal import LinuxNS

/// From a layer's entries, in their order, to the steps that unpack it (image-spec, layer.md, "Applying Changesets").
///
/// Nothing is opened and no clock is asked: the same entries give the same steps. The layer is unpacked by itself, whatever
/// lies below, so that it is unpacked once for all images that have it, and layers beside each other.
///
/// Whiteouts come last, since a name may be deleted below and made anew here, in any order; then the directories' times.
public struct LayerPlanner {
  private let limits: LayerLimits
  private var tree = LayerTree()
  /// The archive's name of the entry that is looked at.
  private var entry: [UInt8] = []
  private var ops: [LayerOp] = []

  public init(limits: LayerLimits = LayerLimits()) { self.limits = limits }

  /// So far, those that were taken away again too.
  public var names: Int { tree.names }

  /// All steps of a whole layer.
  public static func plan(_ entries: [TarEntry], limits: LayerLimits = LayerLimits()) throws(LayerError) -> [LayerOp] {
    var planner = LayerPlanner(limits: limits)
    var ops: [LayerOp] = []
    for entry in entries { ops += try planner.steps(for: entry) }
    return ops + planner.lastSteps()
  }

  /// The steps for the next entry. Where one of them is a `file`, the entry's content belongs to it; all other content is
  /// to be left.
  public mutating func steps(for entry: TarEntry) throws(LayerError) -> [LayerOp] {
    self.entry = entry.path
    ops = []
    let name = try limits.name(entry.path)
    switch name.meaning {
    case .bookkeeping: ops.append(.skipped(path(of: name.parts), .bookkeeping))
    case .opaque, .whiteout: try delete(name, entry)
    case .entry: try make(name.parts, entry)
    }
    guard tree.names <= limits.names else { throw refusal("more than \(limits.names) names in one layer") }
    return ops
  }

  /// The steps when there are no more entries, directory by directory.
  public func lastSteps() -> [LayerOp] {
    var ops: [LayerOp] = []
    var times: [LayerOp] = []
    var waiting: [(node: Int, path: BytePath)] = [(LayerTree.top, .root)]
    while let (node, path) = waiting.popLast() {
      let place = tree[node]
      if place.isOpaque { ops.append(.opaque(path)) }
      if let list = place.defaultAccess { ops.append(.defaultAccess(path, list)) }
      if case .directory(isTold: true) = place.kind { times.append(.modified(path, place.modified)) }
      let order = { (one: [UInt8], other: [UInt8]) in one.lexicographicallyPrecedes(other) }
      // In an opaque directory there is nothing left to delete.
      if !place.isOpaque {
        for name in place.whiteouts.sorted(by: order) where place.children[name] == nil {
          ops.append(.whiteout(path.appending(name)))
        }
      }
      for name in place.children.keys.sorted(by: { order($1, $0) }) {
        guard let child = place.children[name], case .directory = tree[child].kind else { continue }
        waiting.append((child, path.appending(name)))
      }
    }
    return ops + times
  }

  /// What this layer leaves to the stacks that it is in, when there are no more entries.
  /// - Throws: for more than `LayerLimits.notes`: each is looked for in every layer.
  public func notes() throws(LayerError) -> LayerNotes {
    var notes = LayerNotes()
    notes.hidesAll = tree[LayerTree.top].isOpaque
    notes.tellsTop = tree[LayerTree.top].kind == .directory(isTold: true)
    var waiting: [(node: Int, path: BytePath)] = [(LayerTree.top, .root)]
    while let (node, path) = waiting.popLast() {
      let place = tree[node]
      if !path.isRoot {
        if place.kind == .directory(isTold: false) {
          notes.parents.insert(path)
          if place.isOpaque, !place.isAnother { notes.emptied.insert(path) }
        }
        let deletes = !place.isOpaque && place.whiteouts.contains { place.children[$0] == nil }
        if deletes { notes.deletingFolders.insert(path) }
      }
      guard notes.parents.count + notes.deletingFolders.count <= limits.notes else {
        throw LayerError(
          path: path.bytes, why: "more than \(limits.notes) folders that it does not tell of, or deletes names in")
      }
      for (name, child) in place.children {
        if case .directory = tree[child].kind { waiting.append((child, path.appending(name))) }
      }
    }
    return notes
  }

  // MARK: deleting

  private mutating func delete(_ name: LayerName, _ entry: TarEntry) throws(LayerError) {
    if case .directory = entry.kind { throw refusal("a directory whose name deletes another") }
    let folder = try self.folder(name.parts)
    guard case .whiteout(let target) = name.meaning else {
      tree[folder].isOpaque = true
      return
    }
    tree.addWhiteout(target, to: folder)
    // What is deleted below and made here hides all of what was there.
    if let child = tree.child(folder, target), case .directory = tree[child].kind { tree.makeAnother(child) }
  }

  // MARK: making

  private mutating func make(_ parts: [[UInt8]], _ entry: TarEntry) throws(LayerError) {
    let path = path(of: parts)
    guard let name = parts.last else {
      guard case .directory = entry.kind else {
        throw refusal("the top of the layer as something else than a directory")
      }
      let attributes = try attributes(entry, path)
      ops.append(.attributes(.root, tell(LayerTree.top, attributes)))
      return
    }
    if case .device(let isBlock, let major, let minor) = entry.kind {
      guard isBlock || major != 0 || minor != 0 else {
        throw refusal("a device 0:0, which overlayfs takes for a deleted name")
      }
      // An earlier entry of the name goes all the same, as it would where the node is made.
      let folder = try self.folder(Array(parts.dropLast()))
      if tree.child(folder, name) != nil { takeAway(name, folder, path) }
      ops.append(.skipped(path, .device))
      return
    }
    if case .hardLink(let target) = entry.kind { return try makeHardLink(parts, name, path, target) }
    let folder = try self.folder(Array(parts.dropLast()))
    let attributes = try attributes(entry, path)
    if case .directory = entry.kind { return makeDirectory(name, folder, path, attributes) }
    if tree.child(folder, name) != nil { takeAway(name, folder, path) }
    switch entry.kind {
    case .file(let size):
      _ = tree.add(name, to: folder, .other)
      ops.append(.file(path, size: size, attributes))
    case .link(let target):
      guard target.count <= BytePath.mostBytes, !target.contains(0) else {
        throw refusal("a link of \(target.count) bytes")
      }
      _ = tree.add(name, to: folder, .link)
      ops.append(.link(path, target: target, attributes))
    case .fifo:
      _ = tree.add(name, to: folder, .other)
      ops.append(.fifo(path, attributes))
    case .directory, .hardLink, .device: break  // above
    }
  }

  private mutating func makeDirectory(_ name: [UInt8], _ folder: Int, _ path: BytePath, _ attributes: LayerAttributes) {
    var isNew = true
    var hides = tree[folder].whiteouts.contains(name)
    if let old = tree.child(folder, name) {
      if case .directory = tree[old].kind {
        isNew = false
      } else {
        // Had the first of the two been alone, nothing of below would be seen any more.
        takeAway(name, folder, path)
        hides = true
      }
    }
    let node = isNew ? tree.add(name, to: folder, .directory(isTold: true)) : tree.child(folder, name) ?? LayerTree.top
    if hides { tree.makeAnother(node) }
    let told = tell(node, attributes)
    ops.append(isNew ? .directory(path, told) : .attributes(path, told))
  }

  /// Notes what an entry says of a directory.
  /// - Returns: what of it can be given at once.
  private mutating func tell(_ node: Int, _ attributes: LayerAttributes) -> LayerAttributes {
    tree[node].kind = .directory(isTold: true)
    tree[node].modified = attributes.modified
    let isDefault = { (attribute: Xattr) in attribute.isNamed(LayerAttribute.defaultAccess) }
    tree[node].defaultAccess = attributes.xattrs.first(where: isDefault)?.value
    var atOnce = attributes
    atOnce.xattrs.removeAll(where: isDefault)
    return atOnce
  }

  private mutating func makeHardLink(_ parts: [[UInt8]], _ name: [UInt8], _ path: BytePath, _ target: [UInt8])
    throws(LayerError)
  {
    let other: [[UInt8]]
    do throws(LayerError) { other = try LayerName.parts(target) } catch {
      throw refusal("a hard link to \(BytePath(target).words): \(error.why)")
    }
    guard other != parts else { throw refusal("a hard link to itself") }
    let folder = try self.folder(Array(parts.dropLast()))
    if tree.child(folder, name) != nil { takeAway(name, folder, path) }
    var node = LayerTree.top
    for part in other {
      guard let next = tree.child(node, part) else {
        throw refusal("a hard link to \(BytePath(target).words), which is not in this layer")
      }
      node = next
    }
    if case .directory = tree[node].kind { throw refusal("a hard link to the directory \(BytePath(target).words)") }
    let kind = tree[node].kind
    _ = tree.add(name, to: folder, kind)
    ops.append(.hardLink(path, to: self.path(of: other)))
  }

  private mutating func takeAway(_ name: [UInt8], _ folder: Int, _ path: BytePath) {
    tree.remove(name, of: folder)
    ops.append(.remove(path))
  }

  /// The directory of these parts. Those that no entry told of are made.
  private mutating func folder(_ parts: [[UInt8]]) throws(LayerError) -> Int {
    var node = LayerTree.top
    for (index, part) in parts.enumerated() {
      let here = { BytePath(Array(parts[...index].joined(separator: [UInt8(ascii: "/")]))) }
      if let next = tree.child(node, part) {
        switch tree[next].kind {
        case .directory: break
        case .link: throw refusal("it lies behind the link \(here().words) of the same layer")
        case .other: throw refusal("it lies below \(here().words), which is no directory")
        }
        node = next
      } else {
        let isHidden = tree[node].whiteouts.contains(part)
        node = tree.add(part, to: node, .directory(isTold: false))
        if isHidden { tree.makeAnother(node) }
        ops.append(.parent(here()))
      }
    }
    return node
  }

  // MARK: parts

  private mutating func attributes(_ entry: TarEntry, _ path: BytePath) throws(LayerError) -> LayerAttributes {
    for (id, what) in [(entry.uid, "user"), (entry.gid, "group")] where id >= limits.ids {
      let most = limits.fewIds == nil ? limits.ids : LayerLimits().ids
      let why = id < most ? limits.fewIds ?? "" : "a zone has ids below \(most)"
      throw refusal("it belongs to \(what) \(id), and \(why)")
    }
    var kept: [Xattr] = []
    for attribute in entry.xattrs {
      switch LayerAttribute(attribute) {
      case .kept: kept.append(attribute)
      case .left: ops.append(.skipped(path, .attribute(attribute.name)))
      case .refused: throw refusal("it has the extended attribute \(BytePath(attribute.name).words)")
      }
    }
    // Neither has any of `user.`, and only files have capabilities (xattr(7)).
    let isPlain: Bool
    switch entry.kind {
    case .file, .directory: isPlain = true
    default: isPlain = false
    }
    if !isPlain, let odd = kept.first {
      throw refusal("it has \(BytePath(odd.name).words), and is no file or directory")
    }
    return LayerAttributes(
      mode: entry.mode & 0o7777, uid: entry.uid, gid: entry.gid, modified: entry.modified, xattrs: kept)
  }

  private func path(of parts: [[UInt8]]) -> BytePath { BytePath(Array(parts.joined(separator: [UInt8(ascii: "/")]))) }

  private func refusal(_ why: String) -> LayerError { LayerError(path: entry, why: why) }
}
