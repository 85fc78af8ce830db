/// From what a run did with files to the least that it needs to be given: names generalised, so that the next input in the
/// same folders fits. Pure but for `look`.
public struct LearnedFiles: Equatable, Sendable {
  /// Files and folders, absolute.
  public var readOnly: Set<String> = []
  public var writable: Set<String> = []
  /// What cannot be given, in words.
  public var notes: Set<String> = []

  public init() {}

  /// What has to be known of who learns.
  public struct Ground {
    var account: SandboxAccount
    /// The working directory.
    var folder: String
    /// Absolute paths that the command line names: the next one names others beside them.
    var inputs: [String]
    /// What is there after the run.
    var look: PathLook

    public init(account: SandboxAccount, folder: String, inputs: [String], look: @escaping PathLook) {
      self.account = account
      self.folder = folder
      self.inputs = inputs
      self.look = look
    }

    func isSecret(_ path: String) -> Bool {
      Secrets.ofHome.contains { Paths.isOrLies(path, in: Paths.join(account.home, $0)) }
    }

    /// Of the project: what programs outside would obey.
    func isProtected(_ path: String) -> Bool {
      ProtectedPaths.all.contains { Paths.isOrLies(path, in: Paths.join(folder, $0)) }
    }

    /// Too much to be given because of something in it.
    func isBroad(_ path: String) -> Bool {
      Paths.isOrLies(account.home, in: path) || Paths.above(path).isEmpty
        || ["/var/tmp", "/var/lib", "/usr/local", "/dev/shm"].contains(path)
    }

    /// In every sandbox, or private in each.
    func isBase(_ path: String) -> Bool {
      if FileVerdict.isEverybodys(path) { return true }
      if Paths.isOrLies(path, in: account.home) || Paths.isOrLies(path, in: folder) { return false }
      return ["/etc", "/dev", "/tmp", "/var/tmp", "/run", "/var/run"].contains { Paths.isOrLies(path, in: $0) }
    }
  }

  /// So many files of one folder stand for all of it.
  static let many = 3

  public init(_ sightings: [WatchNotes.Sighting], _ ground: Ground) {
    // What the run made itself comes and goes with what it was made in.
    let made = Set(sightings.filter { $0.access == .create && $0.kind == nil }.map { $0.path })
    for one in sightings where !ground.isBase(one.path) {
      if one.access.changes {
        addWritten(one, made, ground)
      } else if one.kind != nil, !made.contains(one.path) {
        addRead(one, ground)
      }
    }
    settle(ground)
  }

  private mutating func addWritten(_ one: WatchNotes.Sighting, _ made: Set<String>, _ ground: Ground) {
    let there = ground.look(one.path)
    if ground.isSecret(one.path) || ground.isProtected(one.path) {
      if there == nil {
        notes.insert("\(one.path) was written, and cannot be given: it is not there")
      } else {
        writable.insert(one.path)
      }
      return
    }
    var folder = one.kind == .directory && one.access == .write ? one.path : Paths.parent(one.path)
    while made.contains(folder) { folder = Paths.parent(folder) }
    if !ground.isBroad(folder) {
      writable.insert(folder)
    } else if there == .file, one.kind != nil, one.access != .remove {
      writable.insert(one.path)
    } else {
      notes.insert("\(one.path) was written; \(folder) is too much to give for it, so what is written there is lost")
    }
  }

  private mutating func addRead(_ one: WatchNotes.Sighting, _ ground: Ground) {
    if ground.isSecret(one.path) || ground.isProtected(one.path) {
      if one.kind == .file || one.access != .look { readOnly.insert(one.path) }
      return
    }
    let folder = Paths.parent(one.path)
    switch one.kind {
    case .directory:
      guard one.access != .look, !Paths.lies(ground.folder, in: one.path) else { return }
      if ground.isBroad(one.path) {
        notes.insert("\(one.path) was listed; it is too much to give, and nearly empty in a sandbox")
      } else {
        readOnly.insert(one.path)
      }
    case .link:
      if Paths.lies(one.path, in: ground.folder), !ground.isBroad(folder) { readOnly.insert(folder) }
    default:
      let isInput = ground.inputs.contains { Paths.isOrLies(one.path, in: $0) }
      let isData = (Paths.lies(one.path, in: ground.folder) || isInput) && !ground.isBroad(folder)
      readOnly.insert(isData ? folder : one.path)
    }
  }

  /// Many of one folder become the folder, and what lies in something else that is given goes.
  mutating func settle(_ ground: Ground) {
    var folders: [String: Int] = [:]
    for path in readOnly where ground.look(path) != .directory && !ground.isSecret(path) && !ground.isProtected(path) {
      folders[Paths.parent(path), default: 0] += 1
    }
    for (folder, count) in folders where count >= Self.many && !ground.isBroad(folder) { readOnly.insert(folder) }
    let special = { (path: String) in ground.isSecret(path) || ground.isProtected(path) }
    let (allWritable, allReadOnly) = (writable, readOnly)
    writable = allWritable.filter { path in
      special(path) || !allWritable.contains { Paths.lies(path, in: $0) }
    }
    readOnly = allReadOnly.filter { path in
      if allWritable.contains(path) { return false }
      if ground.isProtected(path), !ground.isSecret(path) {
        return !(allReadOnly.union(allWritable)).contains { Paths.lies(path, in: $0) }
      }
      return special(path)
        || !(allReadOnly.contains { Paths.lies(path, in: $0) } || allWritable.contains { Paths.lies(path, in: $0) })
    }
  }
}
