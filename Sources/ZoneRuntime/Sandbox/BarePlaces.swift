internal import LinuxNS

/// What of a sandbox's places can stand without mounts: Landlock gives a folder with all that lies in it, and takes nothing
/// out. Pure but for `list`.
struct BarePlaces {
  /// The names in a directory; none where it cannot be read.
  let list: (String) -> [String]
  let look: PathLook

  /// - Throws: for what was asked for and cannot be had, by name.
  func places(_ planned: [SandboxPlace]) throws(ZoneError) -> [SandboxPlace] {
    var kept = planned.filter { $0.access == .readOnly || $0.access == .writable }
    for place in kept where place.access == .readOnly {
      guard let holder = kept.first(where: { $0.access == .writable && Paths.lies(place.path, in: $0.path) }) else {
        continue
      }
      throw .refused(
        "cannot make \(place.path) read-only (\(place.why)): the command may write \(holder.path), and without mounts nothing is taken out of a folder that is given"
      )
    }
    for hidden in planned where hidden.access == .hidden {
      for holder in kept where Paths.isOrLies(hidden.path, in: holder.path) {
        guard holder.access == .readOnly, hidden.why != "--hide", hidden.path != holder.path else {
          throw .refused(
            "cannot hide \(hidden.path) (\(hidden.why)): it lies in \(holder.path), and without mounts nothing is taken out of a folder that is given (give folders beside it)"
          )
        }
        kept.removeAll { $0.path == holder.path }
        kept += divided(holder, without: hidden.path)
      }
    }
    return kept
  }

  /// The rights on what is beside it, folder by folder; what comes up there later is out of sight.
  private func divided(_ place: SandboxPlace, without path: String) -> [SandboxPlace] {
    var parts: [SandboxPlace] = []
    for name in list(place.path).sorted() {
      let below = Paths.join(place.path, name)
      if below == path { continue }
      let kind = look(below)
      let part = SandboxPlace(below, place.access, isDirectory: kind == .directory, why: place.why)
      if Paths.lies(path, in: below) {
        parts += divided(part, without: path)
      } else if kind == .directory || kind == .file {
        parts.append(part)
      }
    }
    return parts
  }

  /// Links in the private home to what was given of the caller's own: tools look for themselves in HOME.
  static func links(_ places: [SandboxPlace], from home: String, in other: String) -> [String: String] {
    var links: [String: String] = [:]
    for place in places where Paths.lies(place.path, in: home) {
      let isBelowOne = places.contains { Paths.lies(place.path, in: $0.path) && Paths.lies($0.path, in: home) }
      if !isBelowOne { links[other + place.path.dropFirst(home.utf8.count)] = place.path }
    }
    return links
  }
}
