internal import Glibc
internal import LinuxNS

/// A layer on its way: `unpack/NNNNNN`, where nobody else looks. What is left of it after a kill is removed by `prune`.
public final class NewLayer: Sendable {
  public let number: Int
  public let folder: String
  /// Tells who looks that somebody is at it.
  private let lock: OwnedFD

  init(_ number: Int, _ folder: String, _ lock: consuming OwnedFD) {
    self.number = number
    self.folder = folder
    self.lock = lock
  }

  /// An empty directory, for the layer's tree.
  public var root: String { "\(folder)/root" }
}

/// The right to unpack layers that are not here: whoever else wants one of them waits, and finds it made.
public final class LayerClaims: Sendable {
  /// Those that are to be unpacked.
  public let missing: Set<ContentDigest>
  private let locks: [ClaimLock]

  init(_ missing: Set<ContentDigest>, _ locks: [ClaimLock]) {
    self.missing = missing
    self.locks = locks
  }
}

final class ClaimLock: Sendable {
  let file: OwnedFD
  private let path: String

  init(_ file: consuming OwnedFD, _ path: String) {
    self.file = file
    self.path = path
  }

  // Gone before the lock is: who waited for it sees that, and takes a new one.
  deinit { unlink(path) }
}

/// Layers: numbers, places, and the links that find them. The store's lock is held, shared.
extension ImageStore {
  // MARK: finding

  /// The layer of a DiffID.
  public func layer(ofDiff digest: ContentDigest) throws(ZoneError) -> Int? { try linked(diffLinks, digest, .image) }
  /// The joint of a stack's ChainID.
  public func joint(ofChain digest: ContentDigest) throws(ZoneError) -> Int? { try linked(jointLinks, digest, .joint) }

  /// A link that outlived its layer leads to nothing, or to another that was given the number: only the record is believed.
  private func linked(_ links: String, _ digest: ContentDigest, _ kind: LayerRecord.Kind) throws(ZoneError) -> Int? {
    guard let target = try? FileSystem.readLink("\(links)/\(digest.path)"),
      let number = target.split(separator: "/").last.flatMap({ LayerNumber.parse(String($0)) }),
      let record = try layerRecord(number), record.kind == kind, record.digest == digest,
      (try? FileSystem.readLink("\(mountLinks)/\(mountLink(number))")) != nil
    else { return nil }
    return number
  }

  /// Which of these layers are missing, for who is going to unpack them. Waits for whoever unpacks one of them now.
  ///
  /// In the order of their digests, so that two who want the same never wait for each other.
  public func claim(_ digests: [ContentDigest], waiting: () -> Void = {}) throws(ZoneError) -> LayerClaims {
    var locks: [ClaimLock] = []
    var missing: Set<ContentDigest> = []
    for digest in Set(digests).sorted() where try layer(ofDiff: digest) == nil {
      let lock = try claim(digest, waiting)
      guard try layer(ofDiff: digest) == nil else { continue }
      locks.append(lock)
      missing.insert(digest)
    }
    return LayerClaims(missing, locks)
  }

  private func claim(_ digest: ContentDigest, _ waiting: () -> Void) throws(ZoneError) -> ClaimLock {
    let path = "\(unfinished)/\(digest.algorithm.rawValue)-\(digest.hex)"
    let file = try attempt("claim the layer \(digest.short)") { () throws(SyscallError) in
      try Self.lockedFile(path, waiting)
    }
    return ClaimLock(file, path)
  }

  /// A file of that name with its lock, made where there is none; made anew where the one that was waited for is gone.
  static func lockedFile(_ path: String, _ waiting: () -> Void = {}) throws(SyscallError) -> OwnedFD {
    while true {
      let file = try writable(path)
      let raw = file.raw
      if flock(raw, LOCK_EX | LOCK_NB) != 0 {
        waiting()
        try FileSystem.call("flock", path) { flock(raw, LOCK_EX) }
      }
      guard let now = try? FileSystem.status(path, followingLinks: false) else { continue }
      if try FileFacts.of(open: file).inode == UInt64(now.st_ino) { return file }
    }
  }

  /// Whoever was killed between making it a blob and giving it its place has left it read-only, which counts for who is
  /// not root.
  private static func writable(_ path: String) throws(SyscallError) -> OwnedFD {
    let flags = O_RDWR | O_CREAT | O_NOFOLLOW
    do throws(SyscallError) { return try OwnedFD.open(path, flags, mode: 0o600) } catch {
      guard error.errno == EACCES, chmod(path, 0o600) == 0 else { throw error }
    }
    return try OwnedFD.open(path, flags, mode: 0o600)
  }

  // MARK: making

  /// A number that nobody has, with an empty tree.
  public func begin() throws(ZoneError) -> NewLayer {
    let taken = Set(try numbers(in: layers) + numbers(in: unfinished))
    // After the last one: gaps are for a store that has come to the end.
    var number = (taken.max() ?? 0) + 1
    if number > LayerNumber.range.upperBound { number = 1 }
    for _ in LayerNumber.range {
      if !taken.contains(number), let new = try begin(number) { return new }
      number = number == LayerNumber.range.upperBound ? 1 : number + 1
    }
    throw .refused("cannot make a layer: all numbers are taken (zonectl image prune)")
  }

  /// - Returns: nil where somebody else was faster.
  private func begin(_ number: Int) throws(ZoneError) -> NewLayer? {
    let folder = "\(unfinished)/\(LayerNumber.text(number))"
    return try attempt("make a layer") { () throws(SyscallError) -> NewLayer? in
      guard mkdir(folder, 0o700) == 0 else {
        if errno == EEXIST { return nil }
        throw SyscallError(call: "mkdir", errno: errno, path: folder)
      }
      let lock = try OwnedFD.open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      let raw = lock.raw
      try FileSystem.call("flock", folder) { flock(raw, LOCK_EX) }
      // It was taken and put into its place between the look and the mkdir. From now on nobody else can.
      if FileSystem.exists(layer(number)) {
        rmdir(folder)
        return nil
      }
      try FileSystem.call("mkdir", folder) { mkdir("\(folder)/root", 0o700) }
      return NewLayer(number, folder, lock)
    }
  }

  /// Takes a layer that failed away.
  public func abandon(_ layer: NewLayer) { try? discard(layer.folder) }  // best effort: `prune` finds what stays

  /// What is known of a layer, before it is put into its place.
  public func note(_ record: LayerRecord, of layer: NewLayer) throws(ZoneError) {
    try RecordFile.write(record, "\(layer.folder)/layer.json")
  }

  /// Puts layers into their places, with the links that find them. All that is in them is on disk before the first is
  /// moved, and the places are when this returns.
  public func place(_ new: [(layer: NewLayer, record: LayerRecord)]) throws(ZoneError) {
    guard !new.isEmpty else { return }
    try attempt("save layers") { () throws(SyscallError) in
      try sync()
      for (layer, record) in new {
        let name = LayerNumber.text(layer.number)
        try FileSystem.call("rename", layer.folder) { rename(layer.folder, self.layer(layer.number)) }
        try link("../layers/\(name)/root", at: "\(mountLinks)/\(name)")
        guard let digest = record.digest, record.kind != .zone else { continue }
        let links = record.kind == .joint ? jointLinks : diffLinks
        try link("../../layers/\(name)", at: "\(links)/\(digest.path)")
      }
      for folder in [layers, mountLinks, "\(diffLinks)/sha256", "\(jointLinks)/sha256"] {
        try Self.sync(folder: folder)
      }
    }
  }

  /// A link, also in the place of one that leads elsewhere.
  func link(_ target: String, at path: String) throws(SyscallError) {
    if symlink(target, path) == 0 { return }
    guard errno == EEXIST else { throw SyscallError(call: "symlink", errno: errno, path: path) }
    let draft = draft()
    unlink(draft)  // of a former process of our number
    try FileSystem.call("symlink", draft) { symlink(target, draft) }
    try FileSystem.call("rename", path) { rename(draft, path) }
  }

  // MARK: removing

  /// Out of sight at once, then removed: who is killed in between leaves it in `trash`.
  func discard(_ path: String) throws(SyscallError) {
    if let place = try throwAway(path) { try TreeRemoval.remove(place) }
  }

  /// - Returns: where it is now; nil where it was not there.
  func throwAway(_ path: String) throws(SyscallError) -> String? {
    let name = path.split(separator: "/").last.map(String.init) ?? "it"
    for turn in 0... {
      let place = "\(trash)/\(name).\(turn)"
      if rename(path, place) == 0 { return place }
      let error = errno
      if error == ENOENT { return nil }
      // What could not be removed, or is being removed by somebody else.
      guard error == ENOTEMPTY || error == EEXIST || error == ENOTDIR || error == EISDIR, turn < 10000 else {
        throw SyscallError(call: "rename", errno: error, path: path)
      }
    }
    return nil
  }

  /// Goes on with removals that were cut.
  func emptyTrash() throws(SyscallError) {
    for name in try FileSystem.list(trash) { try TreeRemoval.remove("\(trash)/\(name)") }
  }
}
