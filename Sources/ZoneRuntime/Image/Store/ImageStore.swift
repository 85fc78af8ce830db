internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// The images of one place: `.shared/images`. docs/IMAGES.md, "The store", has what lies where and in which order it is
/// written.
public struct ImageStore: Sendable {
  public let path: String
  /// Of the zones that use it.
  public let directories: Directories

  private init(_ directories: Directories) {
    self.directories = directories
    path = directories.images
  }

  // MARK: places

  var record: String { "\(path)/store.json" }
  var lockFile: String { "\(path)/lock" }
  var blobs: String { "\(path)/blobs" }
  var parts: String { "\(path)/fetch" }
  /// Records on their way, and links: a name beside the final one could be an image's.
  var drafts: String { "\(path)/new" }
  var layers: String { "\(path)/layers" }
  var unfinished: String { "\(path)/unpack" }
  /// What mount(2) is told of each layer, short: its working directory is here.
  public var mountLinks: String { "\(path)/l" }
  var diffLinks: String { "\(path)/diff" }
  var jointLinks: String { "\(path)/joint" }
  var images: String { "\(path)/images" }
  /// Of each image the root that a zone of it begins with: all that `create` reads.
  var starts: String { "\(path)/starts" }
  var references: String { "\(path)/refs" }
  var trash: String { "\(path)/trash" }

  public func blob(_ digest: ContentDigest) -> String { "\(blobs)/\(digest.path)" }
  public func layer(_ number: Int) -> String { "\(layers)/\(LayerNumber.text(number))" }
  /// The tree of a layer.
  public func root(ofLayer number: Int) -> String { "\(layer(number))/root" }
  /// Its name below `mountLinks`.
  public func mountLink(_ number: Int) -> String { LayerNumber.text(number) }

  // MARK: opening

  /// - Returns: nil where no image was ever here.
  public static func open(_ directories: Directories) throws(ZoneError) -> ImageStore? {
    let store = ImageStore(directories)
    guard let found = try RecordFile.read(StoreRecord.self, store.record) else { return nil }
    try store.expectOurs(found)
    return store
  }

  /// The store, made where there is none.
  public static func make(_ directories: Directories) throws(ZoneError) -> ImageStore {
    if let store = try open(directories) { return store }
    try directories.make()
    let store = ImageStore(directories)
    try attempt("make the store of images") { () throws(SyscallError) in
      let folders = [
        store.drafts, store.parts, store.layers, store.unfinished, store.mountLinks, store.references, store.trash,
      ]
      for folder in folders { try FileSystem.makeDirectories(folder, mode: 0o700) }
      for folder in [store.blobs, store.diffLinks, store.jointLinks, store.images, store.starts] {
        for algorithm in [ContentDigest.Algorithm.sha256, .sha512] {
          try FileSystem.makeDirectories("\(folder)/\(algorithm.rawValue)", mode: 0o700)
        }
      }
    }
    // Whose ids its files have is written last: with it there is a store.
    let lock = try store.lock(.exclusive)
    if let found = try RecordFile.read(StoreRecord.self, store.record) {
      try store.expectOurs(found)
    } else {
      try RecordFile.write(StoreRecord(ids: try StoreRecord.idsOfCaller()), store.record, draft: store.draft())
      try attempt("save the store of images") { () throws(SyscallError) in try store.sync() }
    }
    withExtendedLifetime(lock) {}
    return store
  }

  private func expectOurs(_ found: StoreRecord) throws(ZoneError) {
    let ours = try StoreRecord.idsOfCaller()
    guard found.ids == ours else {
      throw .refused(
        "cannot use the images in \(path): their files belong to ids '\(found.ids)', and yours are '\(ours)' (have the former ones in /etc/subuid and /etc/subgid again, or remove the folder)"
      )
    }
  }

  // MARK: holding

  public enum Hold: Sendable {
    /// For who adds to it, or makes a zone from it: nothing is removed meanwhile.
    case shared
    /// For who removes.
    case exclusive
  }

  /// Waits for others, who hold it for as long as a pull takes.
  /// - Parameter waiting: called once where somebody has it.
  public func lock(_ hold: Hold, waiting: () -> Void = {}) throws(ZoneError) -> StoreLock {
    let file = try attempt("lock the images in \(path)") { () throws(SyscallError) in
      try OwnedFD.open(lockFile, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
    }
    let operation = hold == .shared ? LOCK_SH : LOCK_EX
    if flock(file.raw, operation | LOCK_NB) == 0 { return StoreLock(file: file) }
    waiting()
    let raw = file.raw
    try attempt("lock the images in \(path)") { () throws(SyscallError) in
      try FileSystem.call("flock", lockFile) { flock(raw, operation) }
    }
    return StoreLock(file: file)
  }

  /// The lock of who adds to it, and a word to the person who waits for it.
  public func share(_ notice: (String) -> Void) throws(ZoneError) -> StoreLock {
    try lock(.shared) { notice("waiting for who removes images …") }
  }

  // MARK: parts of writing

  /// A file beside nothing: what a killed writer leaves there is removed by `prune`.
  func draft() -> String { "\(drafts)/\(getpid()).\(zns_gettid())" }

  /// All that was written to the store's file system is on disk (syncfs(2)).
  func sync() throws(SyscallError) {
    let folder = try OwnedFD.open(path, O_RDONLY | O_DIRECTORY)
    try check(zns_sync_filesystem(folder.raw), "syncfs", path)
  }

  static func sync(folder path: String) throws(SyscallError) {
    let folder = try OwnedFD.open(path, O_RDONLY | O_DIRECTORY)
    let raw = folder.raw
    try FileSystem.call("fsync", path) { fsync(raw) }
  }
}

/// The store's lock, for as long as the value lives.
public struct StoreLock: ~Copyable, Sendable {
  let file: OwnedFD
}

extension Directories {
  public var images: String { "\(shared)/images" }
}

/// `store.json`.
struct StoreRecord: Equatable, Sendable, StoredRecord {
  static let currentVersion = 1
  var version = currentVersion
  /// Whose ids the trees have: `host` where they are as inside of zones; a user's maps otherwise, since another map would
  /// make strangers of all owners.
  var ids: String

  static var blank: StoreRecord { StoreRecord(ids: "") }

  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("ids", &ids)
    try json.field("version", &version)
  }

  var unsound: String? { ids.isEmpty ? "it does not say whose ids its files have" : nil }

  static func idsOfCaller() throws(ZoneError) -> String {
    if geteuid() == 0 { return "host" }
    do throws(SyntaxError) {
      let maps = try UserIdMaps.ofCaller()
      let words = [maps.uids, maps.gids].map { UserIdMaps.helperArguments($0).joined(separator: " ") }
      return words.joined(separator: ", ")
    } catch { throw .syntax(error) }
  }
}
