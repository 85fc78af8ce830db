public import LinuxNS

/// What a person asked for.
public struct ReviewChoice: Sendable {
  /// Below the tree; each with all below it. Empty: everything.
  public var paths: [BytePath] = []
  /// Also what has changed in the real tree since the run began, and of the protected paths those that are named.
  public var force = false
  /// What is not changed unless it is named and forced, below the tree (`.git/hooks`).
  public var protected: [BytePath] = []

  public init(paths: [BytePath] = [], force: Bool = false, protected: [BytePath] = []) {
    self.paths = paths
    self.force = force
    self.protected = protected
  }

  func has(_ path: BytePath) -> Bool { paths.isEmpty || paths.contains { $0.covers(path) } }

  /// The protected path that a change would touch: it is that one, lies below it, or takes a directory above it away.
  func protection(of path: BytePath, takesAway: Bool) -> BytePath? {
    guard let found = protected.first(where: { $0.covers(path) || (takesAway && path.covers($0)) }) else { return nil }
    let isNamed = paths.contains {
      $0 == path || (found.covers($0) && ($0.covers(path) || (!takesAway && path.covers($0))))
    }
    return isNamed && force ? nil : found
  }
}

/// One act on the real tree; the executor does them in their order and decides nothing.
enum ReviewStep: Sendable, Equatable {
  /// A directory that is not there yet, or another kind of thing.
  case make(Int)
  /// A file, link or FIFO, in place of what is there.
  case place(Int)
  /// Another name for the file of an earlier step, or for a real one that is as the layer's.
  case link(Int, to: Int)
  case delete(Int)
  /// A directory's mode, attributes and time, when all in it is done.
  case settle(Int)

  /// The index of its pair.
  var pair: Int {
    switch self {
    case .make(let pair), .place(let pair), .link(let pair, to: _), .delete(let pair), .settle(let pair): pair
    }
  }
}

/// From two looks to what is listed and what is done; no call is made here.
struct ReviewPlan: Sendable {
  /// Of what was chosen, in the order of paths.
  var changes: [TreeChange] = []
  var steps: [ReviewStep] = []
  var refused: [Refusal] = []
  /// Chosen, and the same in both trees, or left out: they leave the layer without an act. Indices of pairs.
  var done: [Int] = []
  /// What is not taken over, for a person to know.
  var notes: [Refusal] = []

  init(_ pairs: [TreePair], _ choice: ReviewChoice, started: Int64) {
    var maker = PlanMaker(pairs: pairs, choice: choice, started: started)
    maker.go()
    self = maker.plan
  }

  fileprivate init() {}
}

private struct PlanMaker {
  let pairs: [TreePair]
  let choice: ReviewChoice
  let started: Int64
  var plan = ReviewPlan()
  private var changes: [TreeChange.Kind?] = []
  /// The chosen names of each file that has several in the layer.
  private var groups: [UInt64: [Int]] = [:]
  /// By the file's inode in the layer: the pair that it is placed for.
  private var placed: [UInt64: Int] = [:]
  private var deletions: [ReviewStep] = []
  private var folders: [ReviewStep] = []
  /// By path: the directory would have to be made first, and may not be.
  private var blocked: Set<BytePath> = []
  /// Directories on the way to what was chosen that have to be made.
  private var needed: Set<BytePath> = []

  init(pairs: [TreePair], choice: ReviewChoice, started: Int64) {
    self.pairs = pairs
    self.choice = choice
    self.started = started
  }

  mutating func go() {
    for (index, pair) in pairs.enumerated() {
      if let entry = pair.layer, entry.facts.kind == .file, entry.facts.links > 1, !entry.isWhiteout,
        choice.has(pair.path)
      {
        groups[entry.facts.inode, default: []].append(index)
      }
    }
    changes = pairs.map { Difference.kind(of: $0) }
    for members in groups.values { findLinks(members) }
    findNeeded()
    for index in pairs.indices where choice.has(pairs[index].path) || needed.contains(pairs[index].path) { take(index) }
    plan.steps += deletions + folders.reversed()
  }

  /// Of a file with several names, those that are equal in the real tree and yet another file there are changed.
  private mutating func findLinks(_ members: [Int]) {
    guard let first = members.first(where: { changes[$0] == nil }) else { return }
    for member in members where changes[member] == nil {
      if pairs[member].real?.facts.inode != pairs[first].real?.facts.inode { changes[member] = .modified }
    }
  }

  private mutating func findNeeded() {
    guard !choice.paths.isEmpty else { return }
    for index in pairs.indices where choice.has(pairs[index].path) {
      var above = pairs[index].path
      while !above.isRoot {
        above = above.parent
        if !needed.insert(above).inserted { break }
      }
    }
    needed = needed.filter { !choice.has($0) }
    var made: Set<BytePath> = []
    for (index, pair) in pairs.enumerated() where needed.contains(pair.path) && pair.layer?.facts.kind == .directory {
      if changes[index] == .added || changes[index] == .type { made.insert(pair.path) }
    }
    needed = made
  }

  private mutating func take(_ index: Int) {
    let pair = pairs[index]
    let kind = changes[index]
    if let kind {
      plan.changes.append(
        TreeChange(
          kind: kind, path: pair.path, new: kind == .deleted ? nil : pair.layer?.facts, old: pair.real?.facts))
    }
    if blocked.contains(pair.path.parent) {
      blocked.insert(pair.path)
      return
    }
    if let kind, let why = refusal(pair, kind) {
      plan.refused.append(Refusal(path: pair.path, why: why))
      // What is in a directory that is there goes its own way.
      if kind != .mode { blocked.insert(pair.path) }
      return
    }
    act(index, pair, kind)
  }

  private mutating func act(_ index: Int, _ pair: TreePair, _ kind: TreeChange.Kind?) {
    guard let entry = pair.layer, !entry.isWhiteout else {
      if kind == .deleted { deletions.append(.delete(index)) } else { plan.done.append(index) }
      return
    }
    if kind != nil { tellLeftOut(pair, entry) }
    switch entry.facts.kind {
    case .directory:
      if kind == .added || kind == .type { plan.steps.append(.make(index)) }
      folders.append(.settle(index))
    case .socket, .device:
      plan.notes.append(Refusal(path: pair.path, why: "a \(entry.facts.kind.rawValue) is not taken over"))
      plan.done.append(index)
    case .file, .link, .fifo:
      guard kind != nil else {
        plan.done.append(index)
        return
      }
      plan.steps.append(placing(index, entry))
    }
  }

  /// By a link where another name of the file comes before, or is there already.
  private mutating func placing(_ index: Int, _ entry: LayerEntry) -> ReviewStep {
    guard entry.facts.kind == .file, let members = groups[entry.facts.inode], members.count > 1 else {
      return .place(index)
    }
    if let there = members.first(where: { changes[$0] == nil }) { return .link(index, to: there) }
    if let earlier = placed[entry.facts.inode] { return .link(index, to: earlier) }
    placed[entry.facts.inode] = index
    return .place(index)
  }

  private mutating func tellLeftOut(_ pair: TreePair, _ entry: LayerEntry) {
    let stays = pair.real.map { $0.facts.kind == .directory && entry.facts.kind == .directory ? $0.facts.mode : 0 } ?? 0
    if entry.facts.kind != .link, entry.facts.mode & 0o6000 & ~stays != 0 {
      plan.notes.append(Refusal(path: pair.path, why: "its set-user-id or set-group-id bit is not taken over"))
    }
    if !entry.powers.isEmpty, entry.powers != pair.real?.powers {
      plan.notes.append(
        Refusal(path: pair.path, why: "its access control list or file capabilities are not taken over"))
    }
  }

  private func refusal(_ pair: TreePair, _ kind: TreeChange.Kind) -> String? {
    let takesAway = kind == .deleted || kind == .type
    if let protected = choice.protection(of: pair.path, takesAway: takesAway) {
      return
        "\(protected.words) is protected: what is in it can run outside of the sandbox (look at it with show, then name this path with --force)"
    }
    guard !choice.force, let real = pair.real else { return nil }
    // A directory's own time tells only of names in it, each of which is looked at by itself.
    if real.facts.kind == .directory && !takesAway { return nil }
    // Of a file with other names the ctime changes when one of those goes.
    let changed = real.facts.links > 1 && real.facts.kind == .file ? real.facts.modified : real.facts.changed
    guard max(changed, pair.newestBelow) > started else { return nil }
    return
      "it has changed in the real tree since the run began (look at it, then --force takes the command's, and drop forgets it)"
  }
}
