internal import LinuxNS
public import ZoneRuntime

/// Frozen layers between which nobody can go back become one: fewer to mount, and room for what one above hides.
extension ZoneStates {
  /// Of all zones at rest, as far as nobody else has their layers: what is folded goes with `prune`. Where one cannot be, that
  /// is told, and nothing is lost.
  /// - Parameter dry: only tells what would be done.
  public func foldAll(dry: Bool) throws(ZoneError) -> [PrunePlan.Fold] {
    let lock = try locked()
    defer { withExtendedLifetime(lock) {} }
    let roots = try store.roots()
    var users: [Int: Int] = [:]
    for root in roots { for number in root.record.numbers { users[number, default: 0] += 1 } }
    var folds: [PrunePlan.Fold] = []
    for root in roots {
      // A clone that is made meanwhile has the old layers, which stay for it.
      let isOurs = { (layer: Int) in users[layer] == 1 && isZones(layer) }
      guard !FoldPlan.runs(root.record, isOurs).isEmpty else { continue }
      do throws(ZoneError) { folds += try fold(root, dry: dry, isOurs) } catch {
        notice("cannot fold the layers of zone \(root.zone): \(error)")
      }
    }
    return folds
  }

  private func fold(
    _ root: StoreLook.Root, dry: Bool, _ isOurs: (Int) -> Bool
  ) throws(ZoneError) -> [PrunePlan.Fold] {
    let zone = root.zone
    // Those of a zone that lives, or may, are mounted one by one.
    guard try zones.status(zone).state.isAtRest, try zones.spec(of: zone).hasFoldableLayers else { return [] }
    var runs: [[Int]] = []
    if dry {
      runs = FoldPlan.runs(root.record, isOurs)
    } else {
      var own = try zones.ownLayer(of: zone, for: "fold the layers of", in: store)
      guard own.isAtRest else { return [] }
      runs = FoldPlan.runs(own.root, isOurs)
      for run in runs { try fold(run, of: &own, isLinking: true) }
    }
    return runs.map { PrunePlan.Fold(zone: zone, layers: $0) }
  }

  /// Makes room for one more layer, whoever else has those that are there.
  func makeRoom(in own: inout OwnLayer, _ zone: String) throws(ZoneError) {
    guard own.isAtRest, !own.hasRoom, try zones.spec(of: zone).hasFoldableLayers else { return }
    let before = own.root.layers.count
    for run in FoldPlan.runs(own.root, isZones) { try fold(run, of: &own, isLinking: false) }
    let now = own.root.layers.count
    if now < before { notice("folded \(before) layers into \(now) (zonectl prune removes what nobody has any more)") }
  }

  private func isZones(_ layer: Int) -> Bool { (try? store.layerRecord(layer))??.kind == .zone }

  private func fold(_ run: [Int], of own: inout OwnLayer, isLinking: Bool) throws(ZoneError) {
    let root = own.root
    let stacks = [root.layers] + root.snapshots.map { $0.layers }
    guard let last = run.last, let stack = stacks.first(where: { $0.contains(last) }),
      let end = stack.firstIndex(of: last)
    else { return }
    let below = Array(stack[(end + 1)...])
    let new: Int
    do throws(ImageError) {
      new = try LayerCopier.fold(run, over: below, in: store, isLinking: isLinking, program: program)
    } catch { throw .refused("\(error)") }
    // Until here nobody has the new one, and from here on this zone has none of the others.
    try own.change { $0 = $0.folded(run, into: new) }
  }
}

extension ZoneSpec {
  /// A sparse zone's are six trees in one, and /etc's has its notes by other names than the store's.
  fileprivate var hasFoldableLayers: Bool { brand.isImage && !ephemeral }
}
