internal import LinuxNS

/// What there is at a path just before a call is made, inside and outside.
struct FileSight: Equatable, Sendable {
  /// In the sandbox' own tree; nil: nothing.
  var inside: PathKind?
  /// In the caller's.
  var outside: PathKind?
  /// The folders that it lies in.
  var folderInside = true
  var folderOutside = true
}

/// Why a sandbox does not let its command do something to a file: from what was given, without asking the kernel. It judges
/// for people and profiles; what happens is decided by mounts.
struct FileVerdict: Sendable {
  let sandbox: SandboxSpec

  private static let machines = ["/usr", "/opt", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"]
  private static let kernels = ["/proc", "/sys"]
  /// In memory, whatever lies there outside.
  private static let temporary = ["/tmp", "/var/tmp", "/dev/shm"]

  /// Whether a read of it is the same in every sandbox, so that nobody has to look.
  static func isEverybodys(_ path: String) -> Bool {
    (machines + kernels).contains { Paths.isOrLies(path, in: $0) }
  }

  /// - Parameter path: absolute, without links.
  /// - Returns: the rule; nil where nothing is refused.
  func rule(_ path: String, _ access: FileAccess, _ sight: FileSight) -> String? {
    if Self.kernels.contains(where: { Paths.isOrLies(path, in: $0) }) {
      let isSetting = Paths.lies(path, in: "/proc/sys") || Paths.lies(path, in: "/sys")
      return access.changes && isSetting ? "the kernel's settings are read-only" : nil
    }
    if let place = sandbox.places.last(where: { Paths.isOrLies(path, in: $0.path) }) {
      return rule(path, access, in: place)
    }
    if Self.machines.contains(where: { Paths.isOrLies(path, in: $0) }) {
      return access.changes ? "the machine's own, read-only" : nil
    }
    if Paths.isOrLies(path, in: "/etc") {
      if access.changes { return "the copy of the machine's /etc is read-only" }
      return sight.inside == nil && sight.outside != nil ? "/etc is a copy of what everybody may read" : nil
    }
    if Paths.lies(path, in: "/dev") {
      return sight.inside == nil && sight.outside != nil ? "a device of the machine's" : nil
    }
    // Nothing but folders on the way to what was given.
    if sandbox.places.contains(where: { Paths.lies($0.path, in: path) }), !access.changes { return nil }
    let isTemporary = Self.temporary.contains { Paths.lies(path, in: $0) }
    if access.changes, isTemporary, !Paths.isOrLies(path, in: sandbox.account.home) { return nil }
    guard sight.inside == nil else { return nil }
    let why = isSecret(path) ? "yours alone" : "not given"
    switch access {
    case .look, .read, .execute: return sight.outside != nil ? "\(why) (--ro PATH gives it)" : nil
    case .write, .remove: return sight.outside != nil ? "\(why) (--rw PATH gives it)" : nil
    case .create:
      // What it makes in its own /run or /var is nobody's loss; in a home the caller's file stays as it was.
      let isDiverted = sight.outside != nil && Paths.isOrLies(path, in: sandbox.account.home)
      let isNowhere = sight.folderOutside && !sight.folderInside
      return isDiverted || isNowhere ? "\(why) (--rw PATH gives it)" : nil
    }
  }

  private func rule(_ path: String, _ access: FileAccess, in place: SandboxPlace) -> String? {
    switch place.access {
    case .hidden:
      if access == .look, path == place.path { return nil }
      return place.why == "--hide" ? "--hide" : "\(place.why) (--ro PATH gives it)"
    case .readOnly: return access.changes ? "\(place.why) (--rw PATH lifts it)" : nil
    case .writable, .passing, .reviewed, .pinned:
      return access == .remove && path == place.path ? "\(place.why), which stays where it is" : nil
    }
  }

  func isSecret(_ path: String) -> Bool {
    Secrets.ofHome.contains { Paths.isOrLies(path, in: Paths.join(sandbox.account.home, $0)) }
  }
}
