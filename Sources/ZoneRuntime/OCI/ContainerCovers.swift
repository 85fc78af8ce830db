internal import LinuxNS

/// Covers and a read-only root that are to hold against the root of a user namespace: made on its own side they are its to
/// take off. What can be is made on the host's side as well, and locked by the copy (mount_namespaces(7)).
extension ContainerPlanner {
  /// The container's side makes all of them once more: a link may lead below what only that side mounts.
  mutating func planLockedCovers() {
    for path in linux.readonlyPaths where !isLate(path) { plan.tree.append(.readOnlyPath(path, following: true)) }
    for path in linux.maskedPaths where !isLate(path) { plan.tree.append(.mask(path, following: true)) }
    guard config.root?.readonly == true, let places = placesInRoot else { return }
    for path in places { plan.tree.append(.directory(path, fresh: false)) }
    plan.tree.append(.simple(.readOnly, "make the root read-only"))
  }

  /// Covered now, nothing more could be mounted or made there; or it is not there yet.
  private func isLate(_ path: String) -> Bool {
    late.contains { $0 == path || Self.isBelow($0, path) || Self.isBelow(path, $0) }
  }

  /// Mount points that the container's side would make in the root itself; nil where the root cannot be read-only before:
  /// hooks are there to change it, and of what is not there only the last folder is made here.
  private var placesInRoot: [String]? {
    let hooks = config.hooks
    guard hooks.prestart.isEmpty, hooks.createRuntime.isEmpty, hooks.createContainer.isEmpty else { return nil }
    let places = late.filter { place in
      !config.mounts.contains { $0.destination != place && Self.isBelow(place, $0.destination) }
    }
    return places.allSatisfy { $0.split(separator: "/").count == 1 } ? places : nil
  }

  private static func isBelow(_ path: String, _ folder: String) -> Bool {
    path.hasPrefix(folder == "/" ? "/" : "\(folder)/") && path != folder
  }
}
