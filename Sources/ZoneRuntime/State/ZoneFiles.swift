internal import Glibc
internal import LinuxNS

/// The files of one zone: which there are, how they are read, replaced and locked.
struct ZoneFiles: Sendable {
  let name: String
  let data: String
  let run: String

  init(_ directories: Directories, _ name: String) {
    self.name = name
    data = directories.data(of: name)
    run = directories.run(of: name)
  }

  var spec: String { "\(data)/spec.json" }
  /// An ephemeral zone has nothing that lasts: its spec lies with its state.
  var ephemeralSpec: String { "\(run)/spec.json" }
  /// There while `create` makes the root.
  var incomplete: String { "\(data)/incomplete" }
  /// There from the end of `create` on.
  var installed: String { "\(data)/installed" }
  var root: String { "\(data)/root" }
  var lastExit: String { "\(data)/exit.json" }
  var record: String { "\(run)/state.json" }
  var keeperRecord: String { "\(run)/keeper.json" }
  var socket: String { "\(run)/keeper.sock" }

  var isEphemeral: Bool { FileSystem.exists(ephemeralSpec) }
  var exists: Bool { FileSystem.exists(data) || FileSystem.exists(run) }

  func readSpec() throws(ZoneError) -> ZoneSpec? {
    for path in [spec, ephemeralSpec] {
      guard let bytes = try read(path) else { continue }
      let spec = try decode(ZoneSpec.self, bytes, path)
      guard spec.version <= ZoneSpec.currentVersion else {
        throw .refused("cannot read \(path): it is of version \(spec.version), and this zonectl knows \(ZoneSpec.currentVersion); upgrade")
      }
      return spec
    }
    return nil
  }

  /// A spec that lasts goes to disk before we say so; an ephemeral one ends with the boot anyway.
  func writeSpec(_ value: ZoneSpec) throws(ZoneError) {
    let path = value.ephemeral ? ephemeralSpec : spec
    let bytes = if let plain = StartJSON.spec(value) { plain } else { try encode(value) }
    try write(bytes, path, durable: !value.ephemeral)
  }

  func readRecord() throws(ZoneError) -> RunRecord? {
    guard let bytes = try read(record) else { return nil }
    return try decode(RunRecord.self, bytes, record)
  }

  func writeRecord(_ value: RunRecord) throws(ZoneError) {
    let bytes = if let plain = StartJSON.record(value) { plain } else { try encode(value) }
    try write(bytes, record, durable: false)
  }

  func readKeeper() throws(ZoneError) -> KeeperRecord? {
    guard let bytes = try read(keeperRecord) else { return nil }
    return try decode(KeeperRecord.self, bytes, keeperRecord)
  }

  func readExit() throws(ZoneError) -> ZoneExit? {
    guard let bytes = try read(lastExit) else { return nil }
    return try decode(ZoneExit.self, bytes, lastExit)
  }

  func writeExit(_ value: ZoneExit) throws(ZoneError) { try write(try encode(value), lastExit, durable: false) }

  private func encode(_ value: some Encodable) throws(ZoneError) -> [UInt8] {
    do { return try JSON.encode(value) } catch { throw .json(error) }
  }

  private func write(_ bytes: [UInt8], _ path: String, durable: Bool) throws(ZoneError) {
    try attempt("save \(path)") { () throws(SyscallError) in
      try FileSystem.replace(path, with: bytes, mode: 0o600, durable: durable)
    }
  }

  private func read(_ path: String) throws(ZoneError) -> [UInt8]? {
    do { return try FileSystem.read(path) } catch {
      guard error.errno == ENOENT || error.errno == ENOTDIR else { throw .call("read \(path)", error) }
      return nil
    }
  }

  private func decode<Value: Decodable>(_ type: Value.Type, _ bytes: [UInt8], _ path: String) throws(ZoneError) -> Value {
    do { return try JSON.decode(type, from: bytes, name: path) } catch { throw .json(error) }
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
      guard fstat(lock.file.raw, &held) == 0, stat(path, &now) == 0, held.st_ino == now.st_ino, held.st_dev == now.st_dev
      else { continue }
      return lock
    }
    throw .refused("cannot lock zone \(name): it is being made and removed without end")
  }
}
