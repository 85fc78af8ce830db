internal import Glibc
internal import LinuxNS

/// What lies on disk as a record of ours: it has a version, and is looked at before it is believed.
protocol StoredRecord: JSONObject {
  static var currentVersion: Int { get }
  var version: Int { get }
  /// Why nobody could have written it; nil where it is sound.
  var unsound: String? { get }
}

enum RecordFile {
  /// Above what a layer of four million names leaves to its stacks.
  static let mostBytes = 64 << 20

  /// - Returns: nil where there is none.
  /// - Throws: for what is no regular file, no record, one of a later version, or one that nobody could have written.
  static func read<Record: StoredRecord>(_ type: Record.Type, _ path: String) throws(ZoneError) -> Record? {
    let bytes: [UInt8]
    do throws(SyscallError) {
      let file = try OwnedFD.open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW)
      guard try FileFacts.of(open: file).kind == .file else {
        throw SyscallError(call: "open", errno: EINVAL, path: path, step: "take what is no regular file")
      }
      bytes = try FileSystem.read(file, limit: mostBytes, name: path, lastBelow: 8192)
    } catch {
      guard error.errno == ENOENT || error.errno == ENOTDIR else { throw .call("read \(path)", error) }
      return nil
    }
    let record: Record
    do { record = try JSON.decode(type, from: bytes, name: path) } catch { throw .json(error) }
    guard record.version <= Record.currentVersion else {
      throw .refused(
        "cannot read \(path): it is of version \(record.version), and this zonectl knows \(Record.currentVersion); upgrade"
      )
    }
    if let why = record.unsound { throw .refused("cannot use \(path): \(why)") }
    return record
  }

  /// On disk when it returns, whole or not at all.
  /// - Parameter draft: the temporary file, where one beside `path` would be taken for something else.
  static func write(_ record: some StoredRecord, _ path: String, draft: String? = nil) throws(ZoneError) {
    let bytes = try bytes(of: record, path)
    try attempt("save \(path)") { () throws(SyscallError) in
      try FileSystem.replace(path, with: bytes, mode: 0o600, durable: true, draft: draft)
    }
  }

  /// As `write`, and the file's time stays: of a name or a volume it tells of the last use.
  static func rewrite(_ record: some StoredRecord, _ path: String, draft: String? = nil) throws(ZoneError) {
    let before = try? FileFacts.at(path)
    try write(record, path, draft: draft)
    guard let used = before?.modified else { return }
    // Best effort: what was written counts.
    try? OwnedFD.open(path, O_PATH | O_NOFOLLOW).setModified(used, BytePath(Array(path.utf8)))
  }

  /// What the file is to say. What is not sound is refused where it is written: nobody would read it again.
  static func bytes(of record: some StoredRecord, _ path: String) throws(ZoneError) -> [UInt8] {
    if let why = record.unsound { throw .refused("cannot write \(path): \(why)") }
    let bytes: [UInt8]
    do { bytes = try JSON.encode(record, name: path) } catch { throw .json(error) }
    guard bytes.count <= mostBytes else { throw .refused("cannot write \(path): it would have \(bytes.count) bytes") }
    return bytes
  }
}
