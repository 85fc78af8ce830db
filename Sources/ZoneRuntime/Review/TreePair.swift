internal import Glibc
public import LinuxNS

/// One path in both trees: what the plan is made of.
struct TreePair: Sendable {
  var path: BytePath
  /// nil: only the real tree has it, below a directory that hides it.
  var layer: LayerEntry?
  var real: RealEntry?
  /// Both are regular files with the same bytes.
  var hasSameContent = false
  /// Of a real directory that would go: when anything in it changed last, by ctime.
  var newestBelow: Int64 = .min
}

/// A path that is not taken, and why: one line.
public struct Refusal: Sendable, Equatable {
  public var path: BytePath
  public var why: String
}

/// A look at the whole layer, and at the real tree wherever the layer says something.
struct ReviewLook: Sendable {
  /// In the order of paths.
  var pairs: [TreePair] = []
  var problems: [Refusal] = []
}

/// Both trees, open.
struct ReviewTrees: ~Copyable {
  let real: TreeFD
  let layer: TreeFD

  /// - Throws: where the real tree is no longer the one that the command saw.
  static func open(_ review: Review) throws(ZoneError) -> ReviewTrees {
    let real = try attempt("open the tree of review \(review.id)") { () throws(SyscallError) in
      try OwnedFD.open(review.tree, O_PATH | O_DIRECTORY | O_NOFOLLOW)
    }
    let now = try attempt("look at \(review.tree)") { () throws(SyscallError) in try TreeIdentity.of(real) }
    guard now.isSame(as: review.identity) else {
      throw .refused(
        "cannot use review \(review.id): \(review.tree) is another directory than when it was made (move it back, or drop the review)"
      )
    }
    let layer = try attempt("open the layer of review \(review.id)") { () throws(SyscallError) in
      try OwnedFD.open(review.upper, O_PATH | O_DIRECTORY | O_NOFOLLOW)
    }
    return ReviewTrees(real: TreeFD(real), layer: TreeFD(layer))
  }

  init(real: consuming TreeFD, layer: consuming TreeFD) {
    self.real = real
    self.layer = layer
  }
}
