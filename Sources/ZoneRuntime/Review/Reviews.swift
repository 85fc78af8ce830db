internal import Glibc
internal import LinuxNS

/// The reviews of a place: made before a run, found after it.
extension Review {
  /// A new review with an empty layer.
  /// - Parameters:
  ///   - path: the real tree, a directory.
  ///   - id: a DNS label that no other review has.
  public static func make(of path: String, id: String, command: [String], in directories: Directories)
    throws(ZoneError) -> Review
  {
    guard isDNSLabel(id) else {
      throw .usage("'\(id)' is no name of a review (a-z, 0-9 and inner hyphens, at most 63)")
    }
    try directories.make()
    let place = directories.reviews
    var review = Review.blank
    review.id = id
    review.command = command
    review.folder = "\(place)/\(id)"
    if FileSystem.exists(review.folder) {
      throw .refused(
        "there is a review '\(id)' already (zonectl changes apply --id \(id), or drop; or take another name)")
    }
    review.tree = try realPath(path)
    if "\(try realPath(directories.data))/".hasPrefix(review.tree == "/" ? "/" : "\(review.tree)/") {
      throw .refused("cannot review changes of \(review.tree): reviews are kept in it (name another place with --root)")
    }
    let made = review
    return try attempt("make a review of \(review.tree)") { () throws(SyscallError) -> Review in
      try FileSystem.makeDirectories(place, mode: 0o700)
      try sweep(place)
      return try made.fill(below: place)
    }
  }

  /// Under a name that no search finds, then by its own: there are no halves.
  private func fill(below place: String) throws(SyscallError) -> Review {
    var review = self
    let unfinished = "\(place)/.\(id)\(Self.makingSuffix)"
    try FileSystem.removeTree(unfinished)
    try FileSystem.makeDirectories(unfinished, mode: 0o700)
    let lock = try FileLock(unfinished)
    for folder in ["upper", "work"] { try FileSystem.makeDirectories("\(unfinished)/\(folder)", mode: 0o700) }
    let real = try OwnedFD.open(tree, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    review.identity = try TreeIdentity.of(real)
    let upper = try OwnedFD.open("\(unfinished)/upper", O_RDONLY | O_DIRECTORY)
    review.started = UInt64(max(0, try FileFacts.of(open: upper).changed))
    // The command sees the upper directory's attributes as the tree's own.
    let facts = try FileFacts.of(open: real)
    for attribute in try Xattr.all(of: real, .root) where attribute.has(prefix: "user.") {
      try attribute.set(on: upper, .root)
    }
    try upper.setMode(facts.mode & 0o1777 | 0o700, .root)
    try upper.setModified(facts.modified, .root)
    let bytes: [UInt8]
    do { bytes = try JSON.encode(review, name: record) } catch {
      throw SyscallError(call: "write", errno: EINVAL, path: record, step: "\(error)")
    }
    try FileSystem.replace("\(unfinished)/review.json", with: bytes, durable: true)
    try FileSystem.call("rename", folder) { rename(unfinished, folder) }
    withExtendedLifetime(lock) {}
    return review
  }

  private static let makingSuffix = ".making"

  /// Takes away what a killed `make` has left; what is locked is being made.
  private static func sweep(_ place: String) throws(SyscallError) {
    for name in try FileSystem.list(place) where name.hasPrefix(".") && name.hasSuffix(makingSuffix) {
      let path = "\(place)/\(name)"
      guard let folder = try? OwnedFD.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW) else { continue }  // gone
      if flock(folder.raw, LOCK_EX | LOCK_NB) == 0 { try FileSystem.removeTree(path) }
    }
  }

  private static func realPath(_ path: String) throws(ZoneError) -> String {
    guard let found = realpath(path, nil) else {
      throw .call("find \(path)", SyscallError(call: "realpath", errno: errno, path: path))
    }
    defer { free(found) }
    guard let text = String(validatingCString: found) else {
      throw .refused("cannot review changes of \(path): its path is no text (rename the directory)")
    }
    return text
  }

  // MARK: finding

  /// All of the place, by their ids.
  public static func all(in directories: Directories) throws(ZoneError) -> [Review] {
    var names: [String] = []
    do throws(SyscallError) { names = try FileSystem.list(directories.reviews) } catch {
      guard error.errno == ENOENT else { throw .call("look for reviews", error) }
    }
    var found: [Review] = []
    for name in names where isDNSLabel(name) {
      if let review = try read(name, in: directories) { found.append(review) }
    }
    return found
  }

  /// The review of that id; without one the only one there is, or the only one of the tree that `folder` is in.
  public static func find(_ id: String?, from folder: String, in directories: Directories) throws(ZoneError) -> Review {
    if let id {
      guard isDNSLabel(id), let review = try read(id, in: directories) else {
        throw .refused("no review is named '\(id)'")
      }
      return review
    }
    let all = try all(in: directories)
    let here = all.filter { folder == $0.tree || folder.hasPrefix($0.tree == "/" ? "/" : "\($0.tree)/") }
    if all.count == 1 { return all[0] }
    if here.count == 1 { return here[0] }
    guard !all.isEmpty else { throw .refused("there is no review (zonectl sandbox --review makes one)") }
    let names = (here.isEmpty ? all : here).prefix(8).map { "\($0.id) (of \($0.tree))" }.joined(separator: ", ")
    throw .refused("there are \((here.isEmpty ? all : here).count) reviews: \(names); name one with --id")
  }

  private static func read(_ id: String, in directories: Directories) throws(ZoneError) -> Review? {
    var blank = Review.blank
    blank.folder = "\(directories.reviews)/\(id)"
    let path = blank.record
    let bytes: [UInt8]
    do throws(SyscallError) {
      let file = try OwnedFD.open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW)
      guard try FileFacts.of(open: file).kind == .file else {
        throw SyscallError(call: "open", errno: EINVAL, path: path, step: "take what is no regular file")
      }
      bytes = try FileSystem.read(file, name: path)
    } catch {
      guard error.errno == ENOENT || error.errno == ENOTDIR else { throw .call("read \(path)", error) }
      return nil
    }
    var review: Review
    do { review = try JSON.decode(Review.self, from: bytes, name: path) } catch { throw .json(error) }
    guard review.version <= currentVersion else {
      throw .refused(
        "cannot read \(path): it is of version \(review.version), and this zonectl knows \(currentVersion); upgrade")
    }
    guard review.id == id, review.tree.hasPrefix("/") else {
      throw .refused("cannot use \(path): it is the record of a review '\(review.id)'")
    }
    review.folder = blank.folder
    return review
  }

  // MARK: holding

  /// - Parameter shared: for who only looks.
  /// - Throws: at once where the command still runs, or somebody else applies or drops.
  public func lock(shared: Bool = false) throws(ZoneError) -> ReviewLock {
    let file = try attempt("lock review \(id)") { () throws(SyscallError) in
      try OwnedFD.open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    }
    guard flock(file.raw, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0 else {
      let error = errno
      guard error == EWOULDBLOCK else {
        throw .call("lock review \(id)", SyscallError(call: "flock", errno: error, path: folder))
      }
      throw .refused(
        "cannot take review \(id): its command still runs, or somebody applies or drops it (wait for that)")
    }
    // Dropped while we came.
    guard let now = try? FileSystem.status(folder), let held = try? FileFacts.of(open: file),
      UInt64(now.st_ino) == held.inode
    else { throw .refused("no review is named '\(id)'") }
    return ReviewLock(file: file)
  }

  /// With all it holds. The lock is held.
  func remove() throws(ZoneError) {
    try attempt("remove review \(id)") { () throws(SyscallError) in
      // The record first: what is left of a removal that was cut is no review, and swept with the next `make`.
      let leftover = "\(FileSystem.parent(of: folder))/.\(id).removed\(Self.makingSuffix)"
      try FileSystem.removeTree(leftover)
      try FileSystem.call("rename", folder) { rename(folder, leftover) }
      try FileSystem.removeTree(leftover)
    }
  }
}

extension Directories {
  /// A folder for each review, by its id.
  public var reviews: String { "\(shared)/reviews" }
}
