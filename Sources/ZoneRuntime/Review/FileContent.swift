internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// The bytes of regular files, holes left out: one of eight exabytes that is all hole costs nothing.
enum FileContent {
  private static let chunk = 1 << 18

  /// - Throws: EINVAL where one of them is no regular file any more.
  static func isSame(_ one: borrowing OwnedFD, _ other: borrowing OwnedFD, _ path: BytePath) throws(SyscallError)
    -> Bool
  {
    let facts = try FileFacts.of(open: one)
    let others = try FileFacts.of(open: other)
    try expectFile(facts, path)
    try expectFile(others, path)
    guard facts.size == others.size else { return false }
    var at: Int64 = 0
    var room = [UInt8](repeating: 0, count: chunk)
    var second = [UInt8](repeating: 0, count: chunk)
    while at < facts.size {
      at = min(try nextData(one, at, facts.size, path), try nextData(other, at, facts.size, path))
      let wanted = Int(min(Int64(chunk), facts.size - at))
      if wanted <= 0 { return true }
      let got = try read(one, at, wanted, &room, path)
      guard try read(other, at, wanted, &second, path) == got, room[..<got] == second[..<got] else { return false }
      if got == 0 { return true }  // cut meanwhile
      at += Int64(got)
    }
    return true
  }

  /// Copies all, with its holes.
  static func copy(_ from: borrowing OwnedFD, _ to: borrowing OwnedFD, _ path: BytePath) throws(SyscallError) {
    let size = try FileFacts.of(open: from).size
    try FileSystem.call("ftruncate", path.words) { ftruncate(to.raw, off_t(size)) }
    var room = [UInt8](repeating: 0, count: chunk)
    var at: Int64 = 0
    while true {
      at = try nextData(from, at, size, path)
      if at >= size { return }
      let result = zns_seek_hole(from.raw, at)
      let end = min(size, Int64(try check(result, "lseek", path.words)))
      while at < end {
        let got = try read(from, at, Int(min(Int64(chunk), end - at)), &room, path)
        guard got > 0 else { throw SyscallError(call: "read", errno: EIO, path: path.words) }
        try write(to, at, room[..<got], path)
        at += Int64(got)
      }
    }
  }

  static func expectFile(_ facts: FileFacts, _ path: BytePath) throws(SyscallError) {
    guard facts.kind == .file else {
      throw SyscallError(call: "open", errno: EINVAL, path: path.words, step: "take what was a regular file before")
    }
  }

  /// The size where nothing but a hole follows.
  private static func nextData(_ file: borrowing OwnedFD, _ at: Int64, _ size: Int64, _ path: BytePath)
    throws(SyscallError) -> Int64
  {
    let result = zns_seek_data(file.raw, at)
    if result == -Int(ENXIO) { return size }
    return Int64(try check(result, "lseek", path.words))
  }

  private static func read(
    _ file: borrowing OwnedFD, _ at: Int64, _ count: Int, _ room: inout [UInt8], _ path: BytePath
  ) throws(SyscallError) -> Int {
    var done = 0
    while done < count {
      let got = room.withUnsafeMutableBytes {
        pread(file.raw, $0.baseAddress! + done, count - done, off_t(at) + off_t(done))
      }
      let error = errno
      if got == 0 { break }
      if got < 0 {
        if error == EINTR { continue }
        throw SyscallError(call: "read", errno: error, path: path.words)
      }
      done += got
    }
    return done
  }

  private static func write(_ file: borrowing OwnedFD, _ at: Int64, _ bytes: ArraySlice<UInt8>, _ path: BytePath)
    throws(SyscallError)
  {
    var done = 0
    while done < bytes.count {
      let sent = bytes.withUnsafeBytes {
        pwrite(file.raw, $0.baseAddress! + done, $0.count - done, off_t(at) + off_t(done))
      }
      let error = errno
      if sent < 0 {
        if error == EINTR { continue }
        throw SyscallError(call: "write", errno: error, path: path.words)
      }
      done += sent
    }
  }
}
