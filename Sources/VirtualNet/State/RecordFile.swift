internal import Glibc
internal import LinuxNS

/// The text form of our files: a version line, then one record a line, words parted by single spaces.
///
/// Words never hold spaces: they are names that were checked, numbers and addresses. Read and written as bytes, since
/// every attach reads the records of all zones of its network.
enum RecordFile {
  /// A line's words.
  struct Line {
    fileprivate let bytes: [UInt8]
    fileprivate var words: [Range<Int>] = []
    /// From 1, as editors count.
    fileprivate(set) var number = 1

    fileprivate init(_ bytes: [UInt8]) { self.bytes = bytes }

    var count: Int { words.count }
    var kind: String { count > 0 ? self[0] : "" }
    subscript(_ index: Int) -> String { String(decoding: bytes[words[index]], as: UTF8.self) }

    /// A decimal number without a sign.
    func unsigned<T: FixedWidthInteger & UnsignedInteger>(_ index: Int, as: T.Type = T.self) -> T? {
      var value: T = 0
      for byte in bytes[words[index]] {
        guard (48...57).contains(byte) else { return nil }
        let (product, tooMuch) = value.multipliedReportingOverflow(by: 10)
        let (sum, still) = product.addingReportingOverflow(T(byte - 48))
        guard !tooMuch, !still else { return nil }
        value = sum
      }
      return value
    }

    func address(_ index: Int) -> IPv4Address? { IPv4Address(text: bytes[words[index]]) }
    func mac(_ index: Int) -> MACAddress? { MACAddress(text: bytes[words[index]]) }
  }

  /// A file being written.
  struct Writer {
    private(set) var bytes: [UInt8] = []

    init(kind: String, version: Int) { line(kind, "\(version)") }

    mutating func line(_ words: String...) {
      for (index, word) in words.enumerated() {
        if index > 0 { bytes.append(UInt8(ascii: " ")) }
        bytes.append(contentsOf: word.utf8)
      }
      bytes.append(UInt8(ascii: "\n"))
    }
  }

  /// - Returns: nil where there is no such file.
  static func read(_ path: String) throws(NetworkError) -> [UInt8]? {
    do { return try FileSystem.read(path) } catch {
      if error.errno == ENOENT { return nil }
      throw .system("read \(path)", error)
    }
  }

  /// Hands every record to `take`, which says whether it is one.
  /// - Parameter mend: what a person does about a damaged file.
  /// - Throws: `.damaged` with the line, `.conflict` for a file of another version.
  static func parse(
    _ bytes: [UInt8], kind: String, version: Int, path: String, mend: String, _ take: (Line) -> Bool
  ) throws(NetworkError) {
    var line = Line(bytes)
    guard bytes.last == UInt8(ascii: "\n") else { throw .damaged(path: path, line: 1, mend: mend) }
    var start = 0
    for (at, byte) in bytes.enumerated() {
      guard byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\n") else { continue }
      line.words.append(start..<at)
      start = at + 1
      guard byte == UInt8(ascii: "\n") else { continue }
      if line.number == 1 {
        guard line.count == 2, line[0] == kind else { throw .damaged(path: path, line: 1, mend: mend) }
        guard line[1] == String(version) else {
          throw .conflict("cannot read \(path): it is of version \(line[1]), this program knows \(version)")
        }
      } else {
        guard !line.words.contains(where: { $0.isEmpty }), take(line) else {
          throw .damaged(path: path, line: line.number, mend: mend)
        }
      }
      line.words.removeAll(keepingCapacity: true)
      line.number += 1
    }
  }

  static func write(_ path: String, _ bytes: [UInt8]) throws(NetworkError) {
    // One draft a file: what a killed writer left is written over by the next one, who has the lock as he had.
    do { try FileSystem.replace(path, with: bytes, draft: "\(path).tmp") } catch {
      throw .system("write \(path)", error)
    }
  }

  /// What writers that were killed left in a folder: under the lock, all drafts that there are.
  static func drafts(in folder: String) throws(NetworkError) -> [String] {
    do { return try FileSystem.list(folder).filter { $0.hasSuffix(".tmp") }.map { "\(folder)/\($0)" } } catch {
      if error.errno == ENOENT { return [] }
      throw .system("list the networks", error)
    }
  }

  static func remove(_ path: String) throws(NetworkError) {
    unlink("\(path).tmp")  // most often there is none
    guard unlink(path) != 0 else { return }
    let error = errno
    if error != ENOENT { throw .system("remove \(path)", SyscallError(call: "unlink", errno: error)) }
  }
}
