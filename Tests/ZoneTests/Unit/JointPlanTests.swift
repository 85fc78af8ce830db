import LinuxNS
import Testing

@testable import ZoneRuntime

/// Layers that were each unpacked by themselves, stacked as overlayfs stacks them, are what the specification says: each
/// applied over the last.
@Suite struct JointPlanTests {
  /// Of a tree: a directory by its mode, anything else by a number of its own.
  enum Node: Equatable {
    case directory(mode: UInt32)
    case other(Int64)
    case whiteout
  }

  // MARK: one layer, unpacked

  struct Layer {
    var nodes: [BytePath: Node] = [.root: .directory(mode: 0o755)]
    var opaque: Set<BytePath> = []
    var notes = LayerNotes()

    init(_ entries: [TarEntry]) throws(LayerError) {
      var planner = LayerPlanner()
      for entry in entries { for op in try planner.steps(for: entry) { carryOut(op) } }
      for op in planner.lastSteps() { carryOut(op) }
      notes = try planner.notes()
    }

    private mutating func carryOut(_ op: LayerOp) {
      switch op {
      case .directory(let path, let attributes), .attributes(let path, let attributes):
        nodes[path] = .directory(mode: attributes.mode)
      case .parent(let path): nodes[path] = .directory(mode: 0o755)
      case .file(let path, let size, _): nodes[path] = .other(size)
      case .link(let path, let target, _): nodes[path] = .other(Int64(-target.count))
      case .fifo(let path, _): nodes[path] = .other(0)
      case .hardLink(let path, let to): nodes[path] = nodes[to]
      case .remove(let path): for below in nodes.keys where path.covers(below) { nodes[below] = nil }
      case .whiteout(let path): nodes[path] = .whiteout
      case .opaque(let path): opaque.insert(path)
      case .modified, .defaultAccess, .skipped: break
      }
    }

    func finding(_ path: BytePath) -> LayerFinding {
      switch nodes[path] {
      case nil: .nothing
      case .whiteout?: .whiteout
      case .other(let number)?: number < 0 ? .link : .other
      case .directory?: .directory(isOpaque: opaque.contains(path) && !path.isRoot)
      }
    }

    func names(_ folder: BytePath) -> [BytePath] { nodes.keys.filter { !$0.isRoot && $0.parent == folder } }
  }

  // MARK: overlayfs

  /// What is seen of layers, the uppermost first, with what a mount does: a merged directory has the uppermost one's
  /// attributes; deleted names are looked for only where two are merged.
  private func seen(_ layers: [Layer]) -> [BytePath: Node] {
    var seen: [BytePath: Node] = [:]
    func look(_ path: BytePath, _ merged: [Layer]) {
      seen[path] = merged[0].nodes[path]
      for name in Set(merged.flatMap { $0.names(path) }) {
        if merged.count == 1, merged[0].nodes[name] == .whiteout {
          seen[name] = .whiteout
          continue
        }
        var folders: [Layer] = []
        search: for layer in merged {
          switch layer.nodes[name] {
          case nil: continue search
          case .directory?:
            folders.append(layer)
            if layer.opaque.contains(name) { break search }
          case .other?:
            if folders.isEmpty { seen[name] = layer.nodes[name] }
            break search
          case .whiteout?: break search
          }
        }
        if !folders.isEmpty { look(name, folders) }
      }
    }
    look(.root, layers)
    return seen
  }

  /// As a zone gets it: the layers that are seen, the joint where there is one, an empty layer of its own.
  private func mounted(_ layers: [Layer]) throws(JointError) -> [BytePath: Node] {
    let plan = try JointPlan.make(layers.map { $0.notes }) { (index, path) throws(SyscallError) in
      layers[index].finding(path)
    }
    var stack = Array(layers[plan.lowest...].reversed())
    // Without an entry an archive is an empty layer.
    if let joint = try? Layer([]), !plan.folders.isEmpty {
      var joint = joint
      for folder in plan.folders {
        #expect(joint.nodes[folder.path.parent] != nil, "\(folder.path.words) before what it lies in")
        joint.nodes[folder.path] = folder.layer.flatMap { layers[$0].nodes[folder.path] } ?? .directory(mode: 0o755)
      }
      stack.insert(joint, at: 0)
    }
    if let own = try? Layer([]) {
      var own = own
      own.nodes[.root] = plan.top.flatMap { layers[$0].nodes[.root] } ?? .directory(mode: 0o755)
      stack.insert(own, at: 0)
    }
    return seen(stack)
  }

  // MARK: the specification

  /// One tree to which archives are applied (layer.md, "Applying Changesets").
  struct Applied {
    var nodes: [BytePath: Node] = [.root: .directory(mode: 0o755)]
    /// Directories that somebody had to invent over something else.
    var disputed: Set<BytePath> = []

    mutating func apply(_ entries: [TarEntry]) throws(LayerError) {
      for entry in entries { try delete(try LayerName(entry.path)) }
      for entry in entries {
        let name = try LayerName(entry.path)
        makeParents(name.meaning == .entry ? name.parts.dropLast() : name.parts[...])
        if name.meaning == .entry { make(name.parts, entry) }
      }
    }

    private func path(_ parts: some Sequence<[UInt8]>) -> BytePath { parts.reduce(.root) { $0.appending($1) } }

    private mutating func clear(_ path: BytePath, itself: Bool) {
      for below in nodes.keys where path.covers(below) && (itself || below != path) {
        nodes[below] = nil
        disputed.remove(below)
      }
    }

    private mutating func delete(_ name: LayerName) throws(LayerError) {
      switch name.meaning {
      case .whiteout(let target): clear(path(name.parts).appending(target), itself: true)
      case .opaque: clear(path(name.parts), itself: false)
      case .entry, .bookkeeping: break
      }
    }

    private mutating func makeParents(_ parts: ArraySlice<[UInt8]>) {
      var here = BytePath.root
      for part in parts {
        here = here.appending(part)
        if case .directory? = nodes[here] { continue }
        if nodes[here] != nil { disputed.insert(here) }
        nodes[here] = .directory(mode: 0o755)
      }
    }

    private mutating func make(_ parts: [[UInt8]], _ entry: TarEntry) {
      let place = path(parts)
      if case .directory = entry.kind {
        nodes[place] = .directory(mode: entry.mode)
        disputed.remove(place)
        return
      }
      let node: Node?
      switch entry.kind {
      case .file(let size): node = .other(size)
      case .link(let target): node = .other(Int64(-target.count))
      case .hardLink(let target): node = nodes[BytePath(target)]
      case .fifo, .directory, .device: node = .other(0)
      }
      clear(place, itself: true)
      nodes[place] = node
    }
  }

  // MARK: cases

  private static func file(_ path: String, _ size: Int64 = 1) -> TarEntry { TarEntry(path, .file(size: size)) }
  private static func folder(_ path: String, _ mode: UInt32) -> TarEntry { TarEntry(path, .directory, mode: mode) }

  private func both(_ archives: [[TarEntry]]) throws -> (mounted: [BytePath: Node], applied: [BytePath: Node]) {
    var layers: [Layer] = []
    var applied = Applied()
    for archive in archives {
      layers.append(try Layer(archive))
      try applied.apply(archive)
    }
    return (try mounted(layers), applied.nodes)
  }

  @Test func aParentThatNobodyToldOfLooksAsBelow() throws {
    let trees = try both([
      [Self.folder("d", 0o700), Self.folder("d/e", 0o710), Self.file("d/a")], [Self.file("d/e/b", 2)],
      [Self.file("d/e/c", 3)],
    ])
    #expect(trees.mounted == trees.applied)
    #expect(trees.mounted["d"] == .directory(mode: 0o700) && trees.mounted["d/e"] == .directory(mode: 0o710))
  }

  @Test func deletedNamesWhereNothingIsMergedAreNotSeen() throws {
    let trees = try both([[Self.file("a")], [Self.folder("d", 0o750), Self.file("d/.wh.x"), Self.file("d/y", 2)]])
    #expect(trees.mounted == trees.applied && trees.mounted["d/x"] == nil)
  }

  @Test func anOpaqueTopHidesAllBelow() throws {
    let trees = try both([[Self.folder("./", 0o700), Self.file("a")], [Self.file(".wh..wh..opq"), Self.file("b", 2)]])
    #expect(trees.mounted["a"] == nil && trees.mounted["b"] == .other(2))
  }

  @Test func whereNothingIsToBeMendedThereIsNoJoint() throws {
    let layers = try [
      Layer([Self.folder("d", 0o700), Self.file("d/a")]), Layer([Self.folder("d", 0o700), Self.file("d/.wh.a")]),
    ]
    let plan = try JointPlan.make(layers.map { $0.notes }) { (index, path) throws(SyscallError) in
      layers[index].finding(path)
    }
    #expect(plan.folders.isEmpty && plan.lowest == 0 && plan.top == nil)
  }

  @Test func aParentThatIsALinkBelowIsRefused() throws {
    let error = #expect(throws: JointError.self) {
      try both([[TarEntry("lib", .link(Array("usr/lib".utf8)))], [Self.file("lib/a")]])
    }
    #expect(
      "\(try #require(error))"
        == "layer 2 has something in lib without telling of it, which is no directory in layer 1")
    // Told of, it takes the link's place.
    let told = try both([
      [TarEntry("lib", .link(Array("usr/lib".utf8)))], [Self.folder("lib", 0o755), Self.file("lib/a")],
    ])
    #expect(told.mounted == told.applied)
  }

  /// A few entries of all kinds, in any order; `number` tells files apart.
  static func archive(_ random: inout SeededNumbers, _ number: inout Int64) -> [TarEntry] {
    let names = ["a", "b", "a/b", "a/b/c", "b/a", "b/a/d", "a/c", "./"]
    let marks = [
      ".wh.a", ".wh.b", "a/.wh.b", "a/.wh.c", "a/b/.wh.c", "b/.wh.a", "a/.wh..wh..opq", "b/.wh..wh..opq",
      ".wh..wh..opq",
    ]
    return (0..<Int.random(in: 1...4, using: &random)).map { _ in
      number += 1
      let name = names.randomElement(using: &random) ?? ""
      switch Int.random(in: 0..<8, using: &random) {
      case 0, 1: return file(marks.randomElement(using: &random) ?? "", 0)
      case 2, 3, 4: return folder(name, UInt32.random(in: 0o700..<0o755, using: &random))
      case 5: return TarEntry(name, .link([97, 98]))
      default: return file(name, number)
      }
    }
  }

  /// A file is found in the layer that shows it, and where none is seen in none.
  private func lookUp(_ path: BytePath, _ layers: [Layer], _ seen: Node?) throws(JointError) {
    let lowest = layers.lastIndex { $0.notes.hidesAll } ?? 0
    let found: Int?
    do throws(SyscallError) {
      found = try StackLookup.layer(showing: path, of: lowest..<layers.count) { (index, path) throws(SyscallError) in
        layers[index].finding(path)
      }
    } catch { throw .call(error) }
    guard case .other? = seen else { return #expect(found == nil, "\(path.words)") }
    #expect(found.flatMap { layers[$0].nodes[path] } == seen, "\(path.words)")
  }

  @Test func aStackIsWhatTheSpecificationSays() throws {
    var random = SeededNumbers(state: 11)
    var (compared, refused, number) = (0, 0, Int64(0))
    for _ in 0..<4000 {
      let archives = (0..<Int.random(in: 2...4, using: &random)).map { _ in Self.archive(&random, &number) }
      var layers: [Layer] = []
      var applied = Applied()
      do throws(LayerError) {
        for archive in archives {
          layers.append(try Layer(archive))
          try applied.apply(archive)
        }
      } catch { continue }
      do throws(JointError) {
        let mounted = try mounted(layers)
        #expect(applied.disputed.isEmpty)
        #expect(mounted == applied.nodes)
        for path in ["a", "a/b", "a/b/c", "a/c", "b/a/d", "b", "c"].map({ BytePath($0) }) {
          try lookUp(path, layers, applied.nodes[path])
        }
        compared += 1
      } catch {
        #expect(!applied.disputed.isEmpty, "\(error)")
        refused += 1
      }
    }
    #expect(compared > 500 && refused > 10, "\(compared) were compared, \(refused) refused")
  }
}
