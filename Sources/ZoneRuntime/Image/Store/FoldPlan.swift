/// Which of a root's frozen layers can be one: those of states between which nobody can go back to any more, since their
/// snapshots are deleted. Pure.
public enum FoldPlan {
  /// - Parameters:
  ///   - root: nothing of it is pending.
  ///   - isOurs: the layer was written by a zone, and may be given up by this root.
  /// - Returns: lists of two layers or more, from the top, each to be put together; no layer is in two of them.
  public static func runs(_ root: RootRecord, _ isOurs: (Int) -> Bool) -> [[Int]] {
    let stacks = [root.layers] + root.snapshots.map { $0.layers }
    var under: [Int: [Int]] = [:]
    var over: [Int: Int] = [:]
    // Those that must stay what they are: a state ends with it, or it lies on different layers in different states.
    var ends = Set(([root.top] + root.snapshots.map { $0.top }).compactMap { $0.layer })
    var differs: Set<Int> = []
    for stack in stacks {
      for (index, layer) in stack.enumerated() {
        let rest = Array(stack[(index + 1)...])
        if under[layer] ?? rest != rest { differs.insert(layer) }
        under[layer] = rest
        if index == 0 {
          ends.insert(layer)
        } else {
          if over[layer] ?? stack[index - 1] != stack[index - 1] { ends.insert(layer) }
          over[layer] = stack[index - 1]
        }
      }
    }

    // The lowest needs something under it: an overlay of nothing cannot be mounted, nor looked at.
    func isOne(_ upper: Int, with lower: Int) -> Bool {
      !ends.contains(lower) && under[lower]?.isEmpty == false
        && ![upper, lower].contains { differs.contains($0) || !isOurs($0) }
    }
    var runs: [[Int]] = []
    var done: Set<Int> = []
    for stack in stacks {
      var run: [Int] = []
      for layer in stack where done.insert(layer).inserted {
        if let last = run.last, under[last]?.first == layer, isOne(last, with: layer) {
          run.append(layer)
        } else {
          if run.count > 1 { runs.append(run) }
          run = [layer]
        }
      }
      if run.count > 1 { runs.append(run) }
    }
    return runs
  }
}

extension RootRecord {
  /// With one layer in the place of several, in each state that has them.
  public func folded(_ run: [Int], into layer: Int) -> RootRecord {
    let gone = Set(run)
    func folded(_ stack: [Int]) -> [Int] {
      stack.compactMap { number in
        if number == run[0] { return layer }
        return gone.contains(number) ? nil : number
      }
    }
    func folded(_ top: RootTop) -> RootTop {
      var top = top
      if let number = top.layer, gone.contains(number) { top.layer = layer }
      return top
    }
    var root = self
    (root.layers, root.top) = (folded(layers), folded(top))
    for index in root.snapshots.indices {
      root.snapshots[index].layers = folded(root.snapshots[index].layers)
      root.snapshots[index].top = folded(root.snapshots[index].top)
    }
    return root
  }
}
