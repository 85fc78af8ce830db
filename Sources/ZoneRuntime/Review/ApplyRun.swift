internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// The steps of a plan, one after the other, and what the layer forgets when they are done.
struct ApplyRun {
  let pairs: [TreePair]
  /// Indices of what the layer may forget.
  var done: [Int]
  var refused: [Refusal] = []
  private var failed: Set<BytePath> = []

  init(pairs: [TreePair], done: [Int]) {
    self.pairs = pairs
    self.done = done
  }

  mutating func carryOut(
    _ plan: [ReviewStep], _ steps: consuming ReviewSteps, _ trees: borrowing ReviewTrees, _ review: Review
  ) throws(ZoneError) {
    var steps = steps
    var folders: [ReviewStep] = []
    for step in plan {
      if case .settle = step {
        folders.append(step)
        continue
      }
      guard carryOut(step, &steps, trees) else { continue }
      // A directory is done when it is settled.
      if case .make = step { continue }
      done.append(step.pair)
    }
    do throws(SyscallError) {
      // What the layer forgets has to be on disk elsewhere.
      if !plan.isEmpty {
        let top = try trees.real.open(.root, O_RDONLY | O_DIRECTORY)
        try check(zns_sync_filesystem(top.raw), "syncfs", review.tree)
      }
      for index in done.sorted(by: >) { try forget(index, trees) }
      // A directory may close itself to us, and so waits until the layer has nothing more for what is in it.
      for step in folders where carryOut(step, &steps, trees) { try forget(step.pair, trees) }
      try steps.end()
    } catch { throw .call("apply review \(review.id)", error) }
  }

  /// - Returns: whether it is done.
  private mutating func carryOut(
    _ step: ReviewStep, _ steps: inout ReviewSteps, _ trees: borrowing ReviewTrees
  ) -> Bool {
    let path = pairs[step.pair].path
    // Once for a directory that could not be made, not again for all in it.
    if case .delete = step {
    } else if failed.contains(path) || failed.contains(path.parent) {
      failed.insert(path)
      return false
    }
    do throws(SyscallError) { try steps.carryOut(step, trees) } catch {
      failed.insert(path)
      refused.append(Refusal(path: path, why: error.description))
      return false
    }
    return true
  }

  private func forget(_ index: Int, _ trees: borrowing ReviewTrees) throws(SyscallError) {
    guard let entry = pairs[index].layer else { return }
    try trees.forget(pairs[index].path, isDirectory: entry.facts.kind == .directory && !entry.isWhiteout)
  }
}
