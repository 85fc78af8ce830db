internal import Glibc
internal import LinuxNS

/// The text form of our files: a version line, then one record a line, words parted by single spaces.
///
/// Words never hold spaces: they are names that were checked, numbers and addresses.
struct RecordFile: Equatable, Sendable {
  var records: [[String]]

  static func text(kind: String, version: Int, _ records: [[String]]) -> [UInt8] {
    Array(([["\(kind)", "\(version)"]] + records).map { $0.joined(separator: " ") + "\n" }.joined().utf8)
  }

  /// - Parameter mend: what a person does about a damaged file.
  /// - Returns: nil where there is no such file.
  static func read(_ path: String, kind: String, version: Int, mend: String) throws(NetworkError) -> RecordFile? {
    let bytes: [UInt8]
    do { bytes = try FileSystem.read(path) } catch {
      if error.errno == ENOENT { return nil }
      throw .system("read \(path)", error)
    }
    return try parse(bytes, kind: kind, version: version, path: path, mend: mend)
  }

  static func parse(_ bytes: [UInt8], kind: String, version: Int, path: String, mend: String) throws(NetworkError)
    -> RecordFile
  {
    var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
      .map { String(decoding: $0, as: UTF8.self).split(separator: " ").map(String.init) }
    guard bytes.last == UInt8(ascii: "\n"), lines.first?.first == kind, lines[0].count == 2 else {
      throw .damaged(path: path, line: 1, mend: mend)
    }
    guard lines[0][1] == String(version) else {
      throw .conflict("cannot read \(path): it is of version \(lines[0][1]), this program knows \(version)")
    }
    lines.removeFirst()
    lines.removeLast()
    return RecordFile(records: lines)
  }

  static func write(_ path: String, _ bytes: [UInt8]) throws(NetworkError) {
    do { try FileSystem.replace(path, with: bytes) } catch { throw .system("write \(path)", error) }
  }

  static func remove(_ path: String) throws(NetworkError) {
    guard unlink(path) != 0 else { return }
    let error = errno
    if error != ENOENT { throw .system("remove \(path)", SyscallError(call: "unlink", errno: error)) }
  }
}
