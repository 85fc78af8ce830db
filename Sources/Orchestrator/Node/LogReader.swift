internal import Glibc
internal import LinuxNS

/// A line of a zone's log.
public struct LogLine: Codable, Equatable, Sendable {
  public var zone: String
  public var text: String
}

/// Reads a log file that grows and is rotated (`log` becomes `log.1`).
struct LogReader: Sendable {
  let zone: String
  let path: String
  private var inode: UInt64?
  private var offset: Int64 = 0
  private var rest: [UInt8] = []

  init(zone: String, path: String) {
    self.zone = zone
    self.path = path
  }

  /// The whole lines that came since the last call; at the first call the last `tail` of what is there (nil: all).
  mutating func next(tail: Int? = nil) throws(FleetError) -> [LogLine] {
    do {
      guard FileSystem.exists(path) else { return [] }
      let isFirst = inode == nil
      if let inode, try FileOwnership.inode(path) != inode {
        // What was written between our last look and the rotation lies in the file's new place.
        if let old = try? FileOwnership.inode("\(path).1"), old == inode { try read("\(path).1") }
        offset = 0
      }
      try read(path)
      let lines = takeLines()
      guard isFirst, let tail else { return lines }
      return Array(lines.suffix(tail))
    } catch { throw .failed("cannot read the log of \(zone): \(error)") }
  }

  private mutating func read(_ path: String) throws(SyscallError) {
    let file = try OwnedFD.open(path, O_RDONLY | O_NOFOLLOW)
    inode = try FileOwnership.inode("/proc/self/fd/\(file.raw)")
    if try FileOwnership.size("/proc/self/fd/\(file.raw)") < offset { offset = 0 }  // cut in place
    guard lseek(file.raw, off_t(offset), SEEK_SET) >= 0 else {
      throw SyscallError(call: "lseek", errno: errno, path: path)
    }
    let bytes = try FileSystem.read(file, limit: 256 << 20, name: path)
    offset += Int64(bytes.count)
    rest += bytes
  }

  private mutating func takeLines() -> [LogLine] {
    guard let end = rest.lastIndex(of: 10) else { return [] }
    let lines = rest[..<end].split(separator: 10, omittingEmptySubsequences: false)
    rest.removeFirst(end + 1)
    return lines.map { LogLine(zone: zone, text: String(decoding: $0.last == 13 ? $0.dropLast() : $0, as: UTF8.self)) }
  }
}
