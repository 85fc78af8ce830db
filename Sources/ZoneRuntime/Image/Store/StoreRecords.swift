internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// An image that a person asked for.
public struct FoundImage: Equatable, Sendable {
  /// The name it was found by; nil where it was asked for by its id.
  public var name: ImageReference?
  public var record: ImageRecord
}

/// The store's records, read and written.
extension ImageStore {
  // MARK: layers

  public func layerRecord(_ number: Int) throws(ZoneError) -> LayerRecord? {
    try RecordFile.read(LayerRecord.self, "\(layer(number))/layer.json")
  }

  /// The numbers that stand in a folder of layers, in their order.
  func numbers(in folder: String) throws(ZoneError) -> [Int] {
    let names = try attempt("look at \(folder)") { () throws(SyscallError) in try FileSystem.list(folder) }
    return names.compactMap(LayerNumber.parse)
  }

  // MARK: images

  public func image(_ manifest: ContentDigest) throws(ZoneError) -> ImageRecord? {
    let file = "\(images)/\(manifest.path)"
    guard let record = try RecordFile.read(ImageRecord.self, file) else { return nil }
    guard record.manifest == manifest else {
      throw .refused("cannot use \(file): it is the record of \(record.manifest.text)")
    }
    return record
  }

  public func write(_ record: ImageRecord) throws(ZoneError) {
    // First, and the last to be removed: what nobody has a record of, `prune` takes the layers of.
    try RecordFile.write(record, "\(images)/\(record.manifest.path)", draft: draft())
    try RecordFile.write(try start(of: record), startFile(of: record.manifest), draft: draft())
  }

  /// An image's record that stands, with what a zone of it begins with: who wrote the one may have been killed before the other.
  public func completed(_ manifest: ContentDigest) throws(ZoneError) -> ImageRecord? {
    guard let record = try image(manifest) else { return nil }
    if !FileSystem.exists(startFile(of: manifest)) { try write(record) }
    return record
  }

  private func start(of image: ImageRecord) throws(ZoneError) -> RootRecord {
    var root = RootRecord(image: RootImage(name: RootImage.blank.name, manifest: image.manifest), layers: image.stack)
    root.use = image.use
    guard let top = image.top else { return root }
    let path = self.root(ofLayer: top)
    let status = try attempt("look at \(path)") { () throws(SyscallError) in
      try FileSystem.status(path, followingLinks: false)
    }
    root.top.layer = top
    root.top.mode = status.st_mode & 0o7777
    (root.top.uid, root.top.gid) = (status.st_uid, status.st_gid)
    root.top.modified = Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
    return root
  }

  /// All that are here, in the order of their digests.
  public func allImages() throws(ZoneError) -> [ImageRecord] {
    var found: [ImageRecord] = []
    for digest in try digests(in: images) { if let record = try image(digest) { found.append(record) } }
    return found
  }

  /// The names of a folder of digests. What is none stops who looks: nothing is guessed.
  func digests(in folder: String) throws(ZoneError) -> [ContentDigest] {
    var found: [ContentDigest] = []
    for algorithm in [ContentDigest.Algorithm.sha256, .sha512] {
      let place = "\(folder)/\(algorithm.rawValue)"
      for name in try attempt("look at \(place)", { () throws(SyscallError) in try FileSystem.list(place) }) {
        guard let digest = try? ContentDigest(parsing: "\(algorithm.rawValue):\(name)") else {
          throw .refused("cannot use \(place)/\(shortened(name)): it is no digest's (move it away)")
        }
        found.append(digest)
      }
    }
    return found
  }

  // MARK: names

  func file(_ name: ImageReference) -> String { "\(references)/\(name.storePath)" }

  public func reference(_ name: ImageReference) throws(ZoneError) -> ReferenceRecord? {
    try RecordFile.read(ReferenceRecord.self, file(name))
  }

  /// The name is there when this returns, also after a power cut.
  public func write(_ record: ReferenceRecord, as name: ImageReference) throws(ZoneError) {
    let file = file(name)
    // Who deletes a name takes the folders away that are empty then.
    for turn in 1... {
      try attempt("save the name \(name.familiar)") { () throws(SyscallError) in
        try makeFolders(FileSystem.parent(of: file))
      }
      do throws(ZoneError) { return try RecordFile.write(record, file, draft: draft()) } catch {
        guard case .call(_, let call) = error, call.errno == ENOENT, turn < 16 else { throw error }
      }
    }
  }

  /// For who reads what a name leads to and writes it anew, or takes it away: of two one would be undone.
  func lockNames() throws(ZoneError) -> StoreLock {
    let path = "\(self.path)/names"
    return try attempt("lock the names of images") { () throws(SyscallError) in
      StoreLock(file: try Self.lockedFile(path))
    }
  }

  /// What is noted of a name, and not what it leads to.
  /// - Throws: where it is not here.
  func change(_ name: ImageReference, _ change: (inout ReferenceRecord) -> Void) throws(ZoneError) {
    let lock = try lockNames()
    guard var record = try reference(name) else { throw Self.noName(name) }
    change(&record)
    try RecordFile.rewrite(record, file(name), draft: draft())
    withExtendedLifetime(lock) {}
  }

  static func noName(_ name: ImageReference) -> ZoneError {
    .refused("no image is named \(name.familiar) (zonectl image list shows what is here)")
  }

  /// What a name leads to from now on. Until when it is wanted stays.
  public func put(_ record: ReferenceRecord, as name: ImageReference) throws(ZoneError) {
    let lock = try lockNames()
    var record = record
    // Of one that cannot be read nothing is known: it is replaced.
    if let old = (try? reference(name)) ?? nil { (record.expires, record.warned) = (old.expires, old.warned) }
    try write(record, as: name)
    withExtendedLifetime(lock) {}
  }

  /// Missing folders of `refs`, each on disk before what is in it.
  private func makeFolders(_ folder: String) throws(SyscallError) {
    if mkdir(folder, 0o700) == 0 { return try Self.sync(folder: FileSystem.parent(of: folder)) }
    let error = errno
    if error == EEXIST { return }
    guard error == ENOENT, folder.utf8.count > references.utf8.count else {
      throw SyscallError(call: "mkdir", errno: error, path: folder)
    }
    try makeFolders(FileSystem.parent(of: folder))
    guard mkdir(folder, 0o700) == 0 || errno == EEXIST || errno == ENOENT else {
      throw SyscallError(call: "mkdir", errno: errno, path: folder)
    }
    try? Self.sync(folder: FileSystem.parent(of: folder))  // it may be gone again: the write sees that
  }

  /// Takes a name away. A missing one is fine.
  /// The names' lock is the caller's.
  func remove(_ name: ImageReference) throws(ZoneError) {
    let file = file(name)
    try attempt("delete the name \(name.familiar)") { () throws(SyscallError) in
      guard unlink(file) == 0 || errno == ENOENT else { throw SyscallError(call: "unlink", errno: errno, path: file) }
      var folder = FileSystem.parent(of: file)
      while folder.utf8.count > references.utf8.count, rmdir(folder) == 0 { folder = FileSystem.parent(of: folder) }
      // What is left of the way, on disk; a folder that somebody else has just taken away needs none.
      while folder.utf8.count > references.utf8.count, !FileSystem.exists(folder) {
        folder = FileSystem.parent(of: folder)
      }
      try Self.sync(folder: folder)
    }
  }

  /// All names, in the order of their texts. What is none stops who looks: nothing is guessed.
  public func allReferences() throws(ZoneError) -> [(name: ImageReference, record: ReferenceRecord)] {
    var found: [(name: ImageReference, record: ReferenceRecord)] = []
    try walk("") { path throws(ZoneError) in
      guard let name = ImageReference(storePath: path) else {
        throw .refused("cannot use \(references)/\(shortened(path)): it is no image's name (move it away)")
      }
      if let record = try reference(name) { found.append((name, record)) }
    }
    return found.sorted { $0.name.text.utf8.lexicographicallyPrecedes($1.name.text.utf8) }
  }

  /// Each file below `refs`. A name has at most 255 bytes, so at most 128 parts.
  private func walk(_ path: String, depth: Int = 0, _ body: (String) throws(ZoneError) -> Void) throws(ZoneError) {
    let folder = path.isEmpty ? references : "\(references)/\(path)"
    var names: [String] = []
    do throws(SyscallError) { names = try FileSystem.list(folder) } catch {
      guard error.errno == ENOENT, depth > 0 else { throw .call("look at the names of images", error) }
    }
    for name in names {
      let below = path.isEmpty ? name : "\(path)/\(name)"
      if name.utf8.first == UInt8(ascii: ":") || depth > 130 {
        try body(below)
      } else {
        try walk(below, depth: depth + 1, body)
      }
    }
  }

  /// Notes that an image was used: `list` tells when. Best effort: a disk that cannot be written keeps nobody from it.
  public func touch(_ name: ImageReference) { utimensat(AT_FDCWD, file(name), nil, AT_SYMLINK_NOFOLLOW) }

  /// Nanoseconds since 1970; nil where there is no such name.
  public func lastUse(_ name: ImageReference) -> UInt64? {
    guard let status = try? FileSystem.status(file(name), followingLinks: false) else { return nil }
    return UInt64(max(0, status.st_mtim.tv_sec)) * 1_000_000_000 + UInt64(max(0, status.st_mtim.tv_nsec))
  }

  // MARK: finding

  /// The image of a name that is here. `create` holds the store's lock (shared) from before this until `root.json` names
  /// the layers.
  /// - Returns: nil where there is none: it is to be pulled. A name with a digest means that one, whatever the tag says now.
  public func resolve(_ name: ImageReference) throws(ZoneError) -> ImageRecord? {
    guard let digest = name.digest else {
      guard let record = try reference(name) else { return nil }
      guard let image = try image(record.manifest) else {
        throw .refused(
          "cannot use the image \(name.familiar): its record \(record.manifest.text) is gone (pull or import it again)")
      }
      return image
    }
    if let image = try image(digest) { return image }
    // The digest of an index: what was pulled by it, or under one of this repository's names.
    if let record = try reference(name.byDigest) { return try image(record.manifest) }
    for (other, record) in try allReferences() where other.name == name.name && record.index == digest {
      return try image(record.manifest)
    }
    return nil
  }

  /// What a person calls an image: a name, or as many digits of its id as no other image has. A name comes first.
  public func find(_ text: String) throws(ZoneError) -> FoundImage {
    var name: ImageReference?
    var failure: SyntaxError?
    do throws(SyntaxError) { name = try ImageReference(parsing: text) } catch { failure = error }
    if let name, let record = try resolve(name) { return FoundImage(name: name, record: record) }
    if let record = try byId(text) { return FoundImage(name: nil, record: record) }
    if let failure { throw .commandLine(failure.description) }
    throw .refused("no image is named '\(shortened(text))' (zonectl image list shows what is here)")
  }

  /// - Returns: nil where the text is no id's beginning, or no image has it.
  private func byId(_ text: String) throws(ZoneError) -> ImageRecord? {
    let prefix = "sha256:"
    let digits = text.hasPrefix(prefix) ? String(text.dropFirst(prefix.utf8.count)) : text
    guard (1...64).contains(digits.utf8.count),
      digits.utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) })
    else { return nil }
    var found: ImageRecord?
    for image in try allImages() where image.id.hex.hasPrefix(digits) || image.manifest.hex == digits {
      if let other = found, other.id != image.id {
        throw .refused(
          "more than one image has an id that begins with '\(digits)': \(other.id.short), \(image.id.short)")
      }
      found = found ?? image
    }
    return found
  }
}
