internal import Glibc
internal import LinuxNS

extension ImageStore {
  /// Removes what no name, zone or snapshot leads to. Nobody adds to the store meanwhile.
  /// - Parameters:
  ///   - dry: only tells what would go.
  ///   - waiting: called where somebody adds to the store, who is waited for.
  public func prune(_ wish: PrunePlan.Wish, dry: Bool = false, waiting: () -> Void = {}) throws(ZoneError) -> PrunePlan
  {
    let lock = try lock(.exclusive, waiting: waiting)
    let look = try look(measuring: true)
    let plan = PrunePlan.make(look, wish)
    if !dry { try carryOut(plan, keeping: Set(look.layers.keys).subtracting(plan.layers)) }
    withExtendedLifetime(lock) {}
    return plan
  }

  /// What leads to something goes before it, and is gone on disk: a kill leaves nothing that leads to what is not there.
  private func carryOut(_ plan: PrunePlan, keeping kept: Set<Int>) throws(ZoneError) {
    for name in plan.names { try remove(name) }
    try attempt("prune the images") { () throws(SyscallError) in
      for place in [starts, images] {
        for image in plan.images { try unlinkOne("\(place)/\(image.path)") }
        for folder in Set(plan.images.map { $0.algorithm.rawValue }) { try Self.sync(folder: "\(place)/\(folder)") }
      }
      try removeLinks(but: kept)
      for number in plan.layers { try discard(layer(number)) }
      for blob in plan.blobs { try unlinkOne(self.blob(blob)) }
      let begun = plan.leftovers.filter { FileSystem.parent(of: $0) != trash }
      for path in begun { try discard(path) }
      try emptyTrash()
    }
  }

  private func unlinkOne(_ path: String) throws(SyscallError) {
    guard unlink(path) == 0 || errno == ENOENT else { throw SyscallError(call: "unlink", errno: errno, path: path) }
  }

  /// All links but those to these layers. Whether a layer is there was asked once, and answered: a look that fails now would
  /// say that it is not.
  private func removeLinks(but kept: Set<Int>) throws(SyscallError) {
    var changed: [String] = []
    for folder in [mountLinks] + [diffLinks, jointLinks].flatMap({ ["\($0)/sha256", "\($0)/sha512"] }) {
      for name in try FileSystem.list(folder) {
        let path = "\(folder)/\(name)"
        // A layer's number is the last part of a digest's link, and the name of a mount's.
        let last =
          folder == mountLinks ? name : try FileSystem.readLink(path).split(separator: "/").last.map(String.init)
        let number = last.flatMap(LayerNumber.parse)
        if let number, kept.contains(number) { continue }
        try unlinkOne(path)
        if changed.last != folder { changed.append(folder) }
      }
    }
    for folder in changed { try Self.sync(folder: folder) }
  }
}
