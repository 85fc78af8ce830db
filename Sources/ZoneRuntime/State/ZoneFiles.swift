internal import Glibc
internal import LinuxNS
internal import VirtualNet

/// The two folders that all zones' files lie in, opened: who reads a thousand zones looks their paths up from there.
final class ZoneFolders: Sendable {
  fileprivate let data: OwnedFD
  fileprivate let run: OwnedFD

  init(_ directories: Directories) throws(SyscallError) {
    data = try OwnedFD.open(directories.data, O_PATH | O_DIRECTORY)
    run = try OwnedFD.open(directories.run, O_PATH | O_DIRECTORY)
  }
}

/// The files of one zone: which there are, how they are read, replaced and locked.
struct ZoneFiles: Sendable {
  let name: String
  let data: String
  let run: String
  /// Only a shorter way to what is read.
  var folders: ZoneFolders?

  init(_ directories: Directories, _ name: String) {
    self.name = name
    data = directories.data(of: name)
    run = directories.run(of: name)
  }

  private enum Folder { case data, run }

  private struct File {
    let folder: Folder
    let name: String

    static let spec = File(folder: .data, name: "spec.json")
    static let ephemeralSpec = File(folder: .run, name: "spec.json")
    static let lastExit = File(folder: .data, name: "exit.json")
    static let record = File(folder: .run, name: "state.json")
    static let keeperRecord = File(folder: .run, name: "keeper.json")
    static let socket = File(folder: .run, name: "keeper.sock")
  }

  var spec: String { path(.spec) }
  /// An ephemeral zone has nothing that lasts: its spec lies with its state.
  var ephemeralSpec: String { path(.ephemeralSpec) }
  /// There while `create` makes the root.
  var incomplete: String { "\(data)/incomplete" }
  /// There from the end of `create` on.
  var installed: String { "\(data)/installed" }
  var root: String { "\(data)/root" }
  var lastExit: String { path(.lastExit) }
  var record: String { path(.record) }
  var keeperRecord: String { path(.keeperRecord) }
  var socket: String { path(.socket) }

  private func path(_ file: File) -> String { "\(file.folder == .data ? data : run)/\(file.name)" }

  var isEphemeral: Bool { FileSystem.exists(ephemeralSpec) }
  var exists: Bool { FileSystem.exists(data) || FileSystem.exists(run) }

  /// - Throws: for what is no spec of this zone, or one that nobody could have asked for.
  func readSpec() throws(ZoneError) -> ZoneSpec? {
    for file in [File.spec, .ephemeralSpec] {
      guard let bytes = try read(file) else { continue }
      let path = path(file)
      let spec = try decode(ZoneSpec.self, bytes, path)
      try checkVersion(spec.version, ZoneSpec.currentVersion, path)
      if let why = spec.unsound(as: name) { throw .refused("cannot use \(path): \(why)") }
      return spec
    }
    return nil
  }

  /// A spec that lasts goes to disk before we say so; an ephemeral one ends with the boot anyway.
  func writeSpec(_ value: ZoneSpec) throws(ZoneError) {
    try write(value, value.ephemeral ? ephemeralSpec : spec, durable: !value.ephemeral)
  }

  /// A spec that lasts, and what the zone's root is made of: on disk both, at the cost of one.
  /// - Parameter file: that says the same of the root, and is on disk.
  func write(_ spec: ZoneSpec, _ root: RootRecord?, sameAs file: String?) throws(ZoneError) {
    guard let root else { return try writeSpec(spec) }
    let own = path(.spec)
    let above = "\(data)/\(RootRecord.file)"
    // Where it cannot have one more name (EMLINK), or has a file of that name, it is written.
    if let file, link(file, above) == 0 { return try writeSpec(spec) }
    let bytes: [UInt8]
    do { bytes = try JSON.encode(spec, name: own) } catch { throw .json(error) }
    let rootBytes = try RecordFile.bytes(of: root, above)
    try attempt("save \(own)") { () throws(SyscallError) in
      try FileSystem.replaceDurably([(above, rootBytes), (own, bytes)])
    }
  }

  func readRecord() throws(ZoneError) -> RunRecord? {
    guard let bytes = try read(.record) else { return nil }
    let value = try decode(RunRecord.self, bytes, record)
    try checkVersion(value.version, RunRecord.currentVersion, record)
    if let why = value.unsound(as: name) { throw .refused("cannot use \(record): \(why)") }
    return value
  }

  func writeRecord(_ value: RunRecord) throws(ZoneError) {
    try write(value, record, durable: false)
  }

  func readKeeper() throws(ZoneError) -> KeeperRecord? {
    guard let bytes = try read(.keeperRecord) else { return nil }
    let value = try decode(KeeperRecord.self, bytes, keeperRecord)
    try checkVersion(value.version, KeeperRecord.currentVersion, keeperRecord)
    if let why = value.unsound { throw .refused("cannot use \(keeperRecord): \(why)") }
    return value
  }

  /// Only for a keeper that has become `zonectl`: a living one writes its own.
  func writeKeeper(_ value: KeeperRecord) throws(ZoneError) { try write(value, keeperRecord, durable: false) }

  func readExit() throws(ZoneError) -> ZoneExit? {
    guard let bytes = try read(.lastExit) else { return nil }
    let value = try decode(ZoneExit.self, bytes, lastExit)
    if let why = value.unsound { throw .refused("cannot use \(lastExit): \(why)") }
    return value
  }

  func writeExit(_ value: ZoneExit) throws(ZoneError) { try write(value, lastExit, durable: false) }

  private func write(_ value: some JSONValue, _ path: String, durable: Bool) throws(ZoneError) {
    let bytes: [UInt8]
    do { bytes = try JSON.encode(value, name: path) } catch { throw .json(error) }
    try attempt("save \(path)") { () throws(SyscallError) in
      try FileSystem.replace(path, with: bytes, mode: 0o600, durable: durable)
    }
  }

  /// Of our own files only what we write is read: a regular file of a size that ours can have. A pipe of that name would
  /// make us wait, a link lead elsewhere. What it is, is asked where it gave nothing: `list` reads thousands.
  private func read(_ which: File) throws(ZoneError) -> [UInt8]? {
    let path = path(which)
    do throws(SyscallError) {
      let file = try open(which, path)
      let bytes: [UInt8]
      do throws(SyscallError) {
        bytes = try FileSystem.read(file, limit: Self.mostBytes, name: path, lastBelow: 8192)
      } catch {
        try Self.checkRegular(file, path)
        throw error
      }
      if bytes.isEmpty { try Self.checkRegular(file, path) }
      return bytes
    } catch {
      guard error.errno == ENOENT || error.errno == ENOTDIR else { throw .call("read \(path)", error) }
      return nil
    }
  }

  private func open(_ file: File, _ path: String) throws(SyscallError) -> OwnedFD {
    let flags = O_RDONLY | O_NONBLOCK | O_NOFOLLOW
    guard let folders else { return try OwnedFD.open(path, flags) }
    do throws(SyscallError) {
      let folder = file.folder == .data ? folders.data.raw : folders.run.raw
      return try OwnedFD.openat(folder, "\(name)/\(file.name)", flags)
    } catch {
      var error = error
      error.path = path
      throw error
    }
  }

  /// Whether the zone's keeper is among those that listen.
  func isHeard(among keepers: ListeningSockets) -> Bool {
    guard let folders else { return keepers.contain(socket) }
    return keepers.contain("\(name)/\(File.socket.name)", in: folders.run.raw)
  }

  private static func checkRegular(_ file: borrowing OwnedFD, _ path: String) throws(SyscallError) {
    var status = stat()
    guard fstat(file.raw, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw SyscallError(call: "open", errno: EINVAL, path: path, step: "take what is no regular file")
    }
  }

  /// Above all that execve(2) takes as arguments and environment (6 MiB), which a spec may hold.
  private static let mostBytes = 16 << 20

  private func checkVersion(_ version: Int, _ known: Int, _ path: String) throws(ZoneError) {
    guard version > known else { return }
    throw .refused("cannot read \(path): it is of version \(version), and this zonectl knows \(known); upgrade")
  }

  private func decode<Value: JSONValue>(_ type: Value.Type, _ bytes: [UInt8], _ path: String) throws(ZoneError) -> Value
  {
    do { return try JSON.decode(type, from: bytes, name: path) } catch { throw .json(error) }
  }

  /// Puts an `exit.json` that cannot be read out of the way, beside its place: what was in it may be of use to somebody.
  /// - Returns: why it could not be read; nil where it could, or there is none.
  func setAsideLastExit() throws(ZoneError) -> ZoneError? {
    do throws(ZoneError) { _ = try readExit() } catch {
      let why = error
      try attempt("put \(lastExit) out of the way") { () throws(SyscallError) in
        try FileSystem.call("rename", lastExit) { rename(lastExit, "\(lastExit).unreadable") }
      }
      return why
    }
    return nil
  }

  /// The names in one of its directories; none where it is missing, or something else has its name.
  func names(in folder: String) throws(SyscallError) -> [String] {
    do throws(SyscallError) { return try FileSystem.list(folder) } catch {
      guard error.errno == ENOENT || error.errno == ENOTDIR else { throw error }
      return []
    }
  }

  /// The zone's lock: its data directory, or its run directory where it is ephemeral. Locked again where the directory
  /// was replaced or removed while we waited. nil where there is no such zone.
  func lock() throws(ZoneError) -> FileLock? {
    for _ in 0..<1000 {
      guard let path = [data, run].first(where: FileSystem.exists) else { return nil }
      let lock: FileLock
      do { lock = try FileLock(path) } catch {
        if error.errno == ENOENT { continue }
        throw .call("lock zone \(name)", error)
      }
      var held = stat()
      var now = stat()
      guard fstat(lock.file.raw, &held) == 0, stat(path, &now) == 0, held.st_ino == now.st_ino,
        held.st_dev == now.st_dev
      else { continue }
      return lock
    }
    throw .refused("cannot lock zone \(name): it is being made and removed without end")
  }
}
