import Testing

@testable import ZoneRuntime

/// Which frozen layers become one.
struct FoldPlanTests {
  /// Layers of an image are 1 and 2.
  private func runs(_ layers: [Int], _ snapshots: [[Int]], shared: Set<Int> = []) -> [[Int]] {
    FoldPlan.runs(root(layers, snapshots)) { $0 > 2 && !shared.contains($0) }
  }

  private func root(_ layers: [Int], _ snapshots: [[Int]]) -> RootRecord {
    var root = RootRecord(image: nil, layers: layers)
    root.top.layer = layers.first
    for (index, stack) in snapshots.enumerated() {
      var top = RootTop()
      top.layer = stack.first
      root.snapshots.append(RootSnapshot(name: "s\(index)", made: 0, layers: stack, top: top))
    }
    return root
  }

  @Test func betweenStatesThatAreWantedNothingStays() {
    #expect(runs([2, 1], []).isEmpty)
    #expect(runs([3, 2, 1], []).isEmpty)
    #expect(runs([4, 3, 2, 1], []) == [[4, 3]])
    #expect(runs([6, 5, 4, 3, 2, 1], []) == [[6, 5, 4, 3]])
    #expect(runs([6, 5, 4, 3, 2, 1], [[3, 2, 1]]) == [[6, 5, 4]])
    #expect(runs([6, 5, 4, 3, 2, 1], [[4, 3, 2, 1]]) == [[6, 5], [4, 3]])
    #expect(runs([6, 5, 4, 3, 2, 1], [[3, 2, 1], [4, 3, 2, 1], [5, 4, 3, 2, 1]]).isEmpty)
  }

  /// After a rollback a root has branches.
  @Test func whereStatesPartIsABorder() {
    #expect(runs([7, 3, 2, 1], [[6, 5, 4, 3, 2, 1]]) == [[6, 5, 4]])
    #expect(runs([8, 7, 4, 3, 2, 1], [[6, 5, 4, 3, 2, 1]]) == [[8, 7], [4, 3], [6, 5]])
    #expect(runs([4, 3, 2, 1], [[6, 5, 4, 3, 2, 1]]) == [[4, 3], [6, 5]])
    #expect(runs([2, 1], [[6, 5, 4, 2, 1]]) == [[6, 5, 4]])
  }

  /// After a rebase a layer lies on another image in some of the states: what it hides there is something else.
  @Test func whatLiesOnDifferentLayersStays() {
    #expect(runs([5, 4, 2, 1], [[5, 4, 3, 1]]).isEmpty)
    #expect(runs([6, 5, 4, 2, 1], [[7, 4, 3, 1]]) == [[6, 5]])
  }

  @Test func whatOthersHaveStays() {
    #expect(runs([6, 5, 4, 3, 2, 1], [], shared: [4]) == [[6, 5]])
    #expect(runs([6, 5, 4, 3, 2, 1], [], shared: [5]) == [[4, 3]])
  }

  /// Of nothing no overlay is mounted, by which one looks what a deletion hides.
  @Test func theLowestOfAllStays() {
    let root = root([5, 4, 3], [])
    #expect(FoldPlan.runs(root) { _ in true } == [[5, 4]])
  }

  /// Whose directory a root looks like.
  @Test func aTopStays() {
    var root = root([6, 5, 4, 3, 2, 1], [])
    root.top.layer = 5
    #expect(FoldPlan.runs(root) { $0 > 2 } == [[5, 4, 3]])
  }

  @Test func eachStateHasTheNewOne() {
    let before = root([8, 7, 4, 3, 2, 1], [[6, 5, 4, 3, 2, 1], [4, 3, 2, 1]])
    let after = before.folded([4, 3], into: 9).folded([8, 7], into: 10)
    #expect(after == root([10, 9, 2, 1], [[6, 5, 9, 2, 1], [9, 2, 1]]))
    #expect(FoldPlan.runs(after) { $0 > 2 } == [[6, 5]])
  }
}
