public import LinuxNS

/// What a layer that was unpacked by itself cannot say: noted as it is unpacked, and settled for each stack it is in.
public struct LayerNotes: Equatable, Sendable {
  /// Its top is opaque: what lies below is not seen.
  public var hidesAll = false
  /// An entry says what its top looks like.
  public var tellsTop = false
  /// Directories that no entry told of (`LayerOp.parent`).
  public var parents: Set<BytePath> = []
  /// Those of them whose content below is hidden, and who are themselves the ones below.
  public var emptied: Set<BytePath> = []
  /// Directories with names that are deleted below.
  public var deletingFolders: Set<BytePath> = []

  public init() {}
}

/// What one layer has at a path, by itself.
public enum LayerFinding: Equatable, Sendable {
  case nothing
  /// A deleted name.
  case whiteout
  case directory(isOpaque: Bool)
  case link
  case other
}

/// One more layer on top of a stack, with nothing in it but directories.
///
/// overlayfs gives a merged directory the attributes of the uppermost layer that has it, so a parent which somebody had to
/// invent would change what lies below; and it looks for deleted names only where it merges, so those of a directory that no
/// other layer has would be listed (both seen on Linux 6.18). A directory of the joint's own settles both.
public struct JointPlan: Equatable, Sendable {
  public struct Folder: Equatable, Sendable {
    public var path: BytePath
    /// The layer with the attributes it is to have; nil: none tells of it, and it stays as it was made.
    public var layer: Int?
  }

  /// The lowest layer that is seen.
  public var lowest = 0
  /// The layer whose top is what the root looks like; nil: none tells. A zone's own layer, which lies above all, is made so.
  public var top: Int?
  /// Parents before what is in them; the top is not among them. None: the stack needs no joint.
  public var folders: [Folder] = []

  public init() {}

  /// - Parameters:
  ///   - layers: the lowest first.
  ///   - look: what a layer has at a path.
  /// - Throws: where an invented parent is something else below, which engines treat in different ways.
  public static func make(
    _ layers: [LayerNotes], _ look: (_ layer: Int, _ path: BytePath) throws(SyscallError) -> LayerFinding
  ) throws(JointError) -> JointPlan {
    var plan = JointPlan()
    plan.lowest = layers.lastIndex { $0.hidesAll } ?? 0
    plan.top = layers.indices.last { layers[$0].tellsTop }
    var wanted: Set<BytePath> = []
    for index in layers.indices where index >= plan.lowest {
      let notes = layers[index]
      for path in notes.parents {
        let view = try view(of: path, layers, plan.lowest, look)
        // Of what is hidden, or has its attributes from above, nothing is to be mended.
        guard view.layers.first.map({ layers[$0].parents.contains(path) }) ?? false, view.teller != nil else {
          continue
        }
        wanted.insert(path)
      }
      for path in notes.deletingFolders where !path.isRoot {
        let view = try view(of: path, layers, plan.lowest, look)
        if view.layers == [index] { wanted.insert(path) }
      }
    }
    for path in wanted {
      var above = path.parent
      while !above.isRoot, wanted.insert(above).inserted { above = above.parent }
    }
    for path in wanted.sorted() {
      plan.folders.append(Folder(path: path, layer: try view(of: path, layers, plan.lowest, look).teller))
    }
    return plan
  }

  /// The directory that is seen at a path.
  private struct View {
    /// Those that are merged, the uppermost first.
    var layers: [Int] = []
    /// The first of them that was told of.
    var teller: Int?
  }

  private static func view(
    of path: BytePath, _ layers: [LayerNotes], _ lowest: Int,
    _ look: (Int, BytePath) throws(SyscallError) -> LayerFinding
  ) throws(JointError) -> View {
    var view = View()
    let steps = path.ancestors + [path]
    // Below an emptied one only what it looks like is looked for.
    var isEmptied = false
    for index in layers.indices.reversed() where index >= lowest {
      var isLast = false
      for step in steps {
        let found: LayerFinding
        do throws(SyscallError) { found = try look(index, step) } catch { throw .call(error) }
        if case .directory(let isOpaque) = found {
          if step != path {
            if isOpaque { isLast = true }
            continue
          }
          if !isEmptied { view.layers.append(index) }
          if view.teller == nil, !layers[index].parents.contains(path) { view.teller = index }
          if isOpaque {
            isEmptied = true
            isLast = !layers[index].emptied.contains(path)
          }
        } else if found != .nothing {
          // It hides what lies below, and is hidden by what lies above: rightly where an entry said so. A parent on the way
          // that somebody invented is looked at by itself.
          isLast = true
          if step == path, found != .whiteout, view.teller == nil, let above = view.layers.last {
            throw .parent(path, inventedIn: above, below: index)
          }
        }
        break
      }
      if isLast { break }
    }
    return view
  }
}

/// Why there is no joint for a stack.
public enum JointError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Layers are counted from 0, the lowest.
  case parent(BytePath, inventedIn: Int, below: Int)
  case call(SyscallError)

  public var description: String {
    switch self {
    case .parent(let path, let above, let below):
      "layer \(above + 1) has something in \(path.words) without telling of it, which is no directory in layer \(below + 1)"
    case .call(let error): "\(error)"
    }
  }
}
