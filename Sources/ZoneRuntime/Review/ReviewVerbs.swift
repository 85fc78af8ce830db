internal import Glibc
public import LinuxNS

/// What `apply` has done.
public struct ReviewOutcome: Sendable {
  public var applied: [TreeChange] = []
  /// These are still in the layer.
  public var refused: [Refusal] = []
  /// What of an applied path was left out.
  public var notes: [Refusal] = []
  /// Nothing was left to decide, and the review was removed.
  public var isGone = false
}

extension Review {
  /// A word of the command line as a path below the tree: absolute, or from `folder` where that is in the tree and from
  /// the tree's top otherwise; `..` is taken by the letter, and no link is followed. What stands in quotes is read as
  /// `changes list` writes it.
  public func path(_ word: String, from folder: String) throws(ZoneError) -> BytePath {
    let inside = Self.below(tree, folder)
    var names = word.hasPrefix("/") ? [] : (inside ?? .root).bytes.split(separator: UInt8(ascii: "/")).map { Array($0) }
    if let quoted = BytePath(quoted: word) { return quoted }
    if word.isEmpty { throw .usage("a PATH is empty") }
    var text = word
    if word.hasPrefix("/") {
      guard let below = Self.below(tree, word) else { throw .usage("\(word) is not below \(tree)") }
      text = String(decoding: below.bytes, as: UTF8.self)
    }
    for name in text.utf8.split(separator: UInt8(ascii: "/")) {
      switch String(decoding: Array(name), as: UTF8.self) {
      case ".": continue
      case "..":
        guard !names.isEmpty else { throw .usage("\(word) leads out of \(tree)") }
        names.removeLast()
      default: names.append(Array(name))
      }
    }
    return names.reduce(BytePath.root) { $0.appending($1) }
  }

  private static func below(_ tree: String, _ path: String) -> BytePath? {
    if path == tree { return .root }
    guard path.hasPrefix(tree == "/" ? "/" : "\(tree)/") else { return nil }
    return BytePath(Array(path.utf8.dropFirst(tree == "/" ? 1 : tree.utf8.count + 1)))
  }

  /// What the command has changed, of what was chosen.
  public func changes(_ paths: [BytePath] = []) throws(ZoneError) -> ReviewChanges {
    let lock = try lock(shared: true)
    defer { withExtendedLifetime(lock) {} }
    return try changesOfOwner(paths)
  }

  /// The same for who holds the lock: the run that has just ended.
  public func changesOfOwner(_ paths: [BytePath] = []) throws(ZoneError) -> ReviewChanges {
    let (look, plan) = try plan(ReviewTrees.open(self), ReviewChoice(paths: paths))
    let problems = look.problems.filter { problem in paths.isEmpty || paths.contains { $0.covers(problem.path) } }
    try expectFound(paths, plan.changes, problems)
    return ReviewChanges(review: self, changes: plan.changes, problems: problems)
  }

  /// Brings what was chosen into the real tree. What was cut by a kill goes on where it stopped with the next call.
  public func apply(_ choice: ReviewChoice) throws(ZoneError) -> ReviewOutcome {
    let lock = try lock()
    defer { withExtendedLifetime(lock) {} }
    let trees = try ReviewTrees.open(self)
    let drafts = try attempt("apply review \(id)") { () throws(SyscallError) -> Drafts in
      let drafts = try Drafts.of(self)
      try drafts.recover(in: trees.real)
      try FileSystem.removeTree(bin)
      try trees.makeDeletionsExplicit()
      return drafts
    }
    let (look, plan) = try plan(trees, choice)
    let problems = look.problems.filter { problem in choice.has(problem.path) }
    try expectFound(choice.paths, plan.changes, problems)
    var outcome = ReviewOutcome(refused: plan.refused + problems, notes: plan.notes)
    var run = ApplyRun(pairs: look.pairs, done: plan.done)
    let steps = ReviewSteps(look.pairs, drafts)
    try run.carryOut(plan.steps, steps, trees, self)
    outcome.refused = (outcome.refused + run.refused).sorted { $0.path < $1.path }
    let left = Set(outcome.refused.map { $0.path } + plan.done.map { look.pairs[$0].path })
    outcome.applied = plan.changes.filter { change in
      !left.contains(change.path) && !outcome.refused.contains { $0.path.covers(change.path) }
    }
    outcome.isGone = try removeIfEmpty(trees, outcome, choice)
    return outcome
  }

  /// Forgets what was chosen; without a path the review.
  public func drop(_ paths: [BytePath]) throws(ZoneError) {
    let lock = try lock()
    defer { withExtendedLifetime(lock) {} }
    guard !paths.isEmpty, !paths.contains(.root) else { return try remove() }
    let trees = try ReviewTrees.open(self)
    try attempt("drop changes of review \(id)") { () throws(SyscallError) in
      try FileSystem.removeTree(bin)
      try trees.makeDeletionsExplicit()
    }
    for path in paths {
      let isThere = try attempt("look for \(path.words)") { () throws(SyscallError) in
        try trees.layer.look(path) != nil
      }
      guard isThere else { throw .refused("no change is at \(path.words) (zonectl changes list)") }
      try attempt("drop \(path.words)") { () throws(SyscallError) in try trees.forgetTree(path, bin) }
    }
    _ = try removeIfEmpty(trees, ReviewOutcome(), ReviewChoice(paths: paths))
  }

  /// Forgets the review, for who holds the lock.
  public func dropByOwner() throws(ZoneError) { try remove() }

  private var bin: String { "\(folder)/dropped" }

  func plan(_ trees: borrowing ReviewTrees, _ choice: ReviewChoice) throws(ZoneError) -> (ReviewLook, ReviewPlan) {
    let look: ReviewLook
    do { look = try trees.look() } catch { throw .call("look at review \(id)", error) }
    return (look, ReviewPlan(look.pairs, choice, started: Int64(clamping: started)))
  }

  /// A path that chooses nothing was not meant.
  func expectFound(_ paths: [BytePath], _ changes: [TreeChange], _ problems: [Refusal]) throws(ZoneError) {
    for path in paths where !path.isRoot {
      let isFound =
        changes.contains { path.covers($0.path) } || problems.contains { path.covers($0.path) }
      guard isFound else { throw .refused("no change is at \(path.words) (zonectl changes list)") }
    }
  }

  private func removeIfEmpty(_ trees: borrowing ReviewTrees, _ outcome: ReviewOutcome, _ choice: ReviewChoice)
    throws(ZoneError) -> Bool
  {
    guard outcome.refused.isEmpty else { return false }
    let isEmpty = try attempt("look at review \(id)") { () throws(SyscallError) -> Bool in
      guard try trees.layer.names(.root).isEmpty else { return false }
      guard let top = try LayerEntry.read(trees.layer, .root) else { return true }
      let pair = TreePair(path: .root, layer: top, real: try RealEntry.read(trees.real, .root))
      return Difference.kind(of: pair) == nil
    }
    if isEmpty { try remove() }
    return isEmpty
  }
}
