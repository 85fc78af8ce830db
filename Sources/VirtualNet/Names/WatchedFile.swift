internal import Glibc
internal import LinuxNS

/// A file that is parsed again when it was replaced or changed.
struct WatchedFile: Sendable {
  struct Stamp: Equatable, Sendable {
    var inode: UInt64
    var seconds: Int
    var nanoseconds: Int
    var size: Int
  }

  let path: String
  private var seen: Stamp?
  private(set) var isMissing = false

  init(_ path: String) { self.path = path }

  /// - Returns: whether there is something new to read; an absent file is not, and shows as `isMissing`.
  mutating func hasChanged() -> Bool {
    guard let status = try? FileSystem.status(path) else {
      isMissing = true
      return false
    }
    isMissing = false
    let stamp = Stamp(
      inode: UInt64(status.st_ino), seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec,
      size: Int(status.st_size))
    defer { seen = stamp }
    return stamp != seen
  }
}
