import Glibc
import LinuxNS
import ZoneRuntime

/// A file that is appended to and rotated by renaming (`PATH.1`), read from its beginning and on.
struct GrowingFile: ~Copyable {
  let path: String
  private var file: OwnedFD?
  private var inode: ino_t = 0

  init(_ path: String) { self.path = path }

  /// What was rotated away, and then what there is. There may be neither.
  mutating func begin(_ body: (ArraySlice<UInt8>) -> Void) throws(SyscallError) {
    if let rotated = try? FileSystem.read("\(path).1", limit: 1 << 30) { body(rotated[...]) }
    try reopen()
    _ = try read(body)
  }

  /// What was written since. Whoever appends only appends and renames, so looking ten times a second is enough and costs
  /// next to nothing.
  /// - Returns: whether there was anything.
  mutating func more(_ body: (ArraySlice<UInt8>) -> Void) throws(SyscallError) -> Bool {
    let rotated = try wasReplaced()
    let any = try read(body)
    guard rotated else { return any }
    try reopen()
    return try read(body) || any
  }

  private mutating func read(_ body: (ArraySlice<UInt8>) -> Void) throws(SyscallError) -> Bool {
    if descriptor == nil { try reopen() }
    guard let raw = descriptor else { return false }
    var any = false
    var room = [UInt8](repeating: 0, count: 65536)
    while true {
      let got = Glibc.read(raw, &room, room.count)
      let error = errno
      if got > 0 {
        any = true
        body(room[0..<got])
      } else if got == 0 {
        return any
      } else if error != EINTR {
        throw SyscallError(call: "read", errno: error, path: path)
      }
    }
  }

  private var descriptor: CInt? {
    switch file {
    case .some(let file): file.raw
    case .none: nil
    }
  }

  private func wasReplaced() throws(SyscallError) -> Bool {
    guard descriptor != nil, let now = try? FileSystem.status(path) else { return false }  // being renamed
    return now.st_ino != inode
  }

  private mutating func reopen() throws(SyscallError) {
    file = nil
    do {
      file = .some(try OwnedFD.open(path, O_RDONLY | O_NOFOLLOW))
    } catch {
      guard error.errno == ENOENT else { throw error }
      return  // nothing was written yet
    }
    var status = stat()
    if let raw = descriptor, fstat(raw, &status) == 0 { inode = status.st_ino }
  }
}
