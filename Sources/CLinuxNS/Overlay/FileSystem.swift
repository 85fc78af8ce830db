internal import CLinuxNS

#if hasFeature(Embedded)
  public import Glibc
#else
  internal import Glibc
  public import SwiftGlibc
#endif

/// Whole-file work without Foundation. Paths here are the host's own; anything below a zone's root goes by `RootFD`.
public enum FileSystem {
  /// Reads a whole file; `limit` guards against endless ones (EFBIG).
  public static func read(_ path: String, limit: Int = 16 << 20) throws(SyscallError) -> [UInt8] {
    let file = try OwnedFD.open(path, O_RDONLY)
    return try read(file, limit: limit, name: path)
  }

  /// Reads from the descriptor's position to its end.
  /// - Parameter lastBelow: a read of fewer bytes is the last one, and no other is made to see the end: 8192 for files of a
  ///   disk, whose reads are short at the end alone (read(2)), 2048 for the kernel's, which are told by the page. 0: none.
  public static func read(
    _ file: borrowing OwnedFD, limit: Int = 16 << 20, name: String? = nil, lastBelow: Int = 0
  ) throws(SyscallError) -> [UInt8] {
    var bytes: [UInt8] = []
    while true {
      // On the stack and not zeroed: most files of ours and of the kernel are one line.
      let (got, error) = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 8192) { room in
        let got = Glibc.read(file.raw, room.baseAddress, room.count)
        let error = errno
        if got > 0 { bytes.append(contentsOf: UnsafeBufferPointer(rebasing: room[0..<got])) }
        return (got, error)
      }
      if got == 0 { return bytes }
      if got < 0 {
        if error == EINTR { continue }
        throw SyscallError(call: "read", errno: error, path: name)
      }
      guard bytes.count <= limit else { throw SyscallError(call: "read", errno: EFBIG, path: name) }
      if got < lastBelow { return bytes }
    }
  }

  /// The file as text with surrounding white space removed; for one-line kernel files.
  public static func readLine(_ path: String) throws(SyscallError) -> String {
    let bytes = try read(try OwnedFD.open(path, O_RDONLY), name: path, lastBelow: 2048)
    var slice = bytes[...]
    while let last = slice.last, last == 10 || last == 32 || last == 9 || last == 0 { slice.removeLast() }
    while let first = slice.first, first == 10 || first == 32 || first == 9 { slice.removeFirst() }
    return String(decoding: slice, as: UTF8.self)
  }

  public static func write(_ bytes: some Collection<UInt8>, to file: borrowing OwnedFD, name: String? = nil)
    throws(SyscallError)
  {
    let bytes = Array(bytes)
    let error = bytes.withUnsafeBytes { write(all: $0, to: file) }
    if error != 0 { throw SyscallError(call: "write", errno: error, path: name) }
  }

  /// - Returns: 0, or errno.
  public static func write(all bytes: UnsafeRawBufferPointer, to file: borrowing OwnedFD) -> CInt {
    var done = 0
    while done < bytes.count {
      let sent = Glibc.write(file.raw, bytes.baseAddress! + done, bytes.count - done)
      let error = errno
      if sent >= 0 { done += sent } else if error != EINTR { return error }
    }
    return 0
  }

  /// Writes text into an existing file, in one write(2): the way of /proc, /sys and cgroup files.
  public static func writeKernelFile(_ path: String, _ text: String) throws(SyscallError) {
    let file = try OwnedFD.open(path, O_WRONLY)
    try write(Array(text.utf8), to: file, name: path)
  }

  /// Replaces a file: a temporary file beside it, then rename(2), so a reader never sees half of one.
  /// - Parameters:
  ///   - durable: also fsync the file and its directory; for specs, not for run state.
  ///   - draft: the temporary file; otherwise one of this thread's own. For who writes under a lock.
  public static func replace(
    _ path: String, with bytes: some Collection<UInt8>, mode: UInt32 = 0o600, durable: Bool = false,
    draft: String? = nil
  )
    throws(SyscallError)
  {
    let temporary = draft ?? "\(path).\(getpid()).\(zns_gettid()).tmp"
    // Opened first: what fails for want of a descriptor has replaced nothing.
    var folder: OwnedFD?
    if durable { folder = try OwnedFD.open(parent(of: path), O_RDONLY | O_DIRECTORY) }
    let file = try OwnedFD.open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: mode)
    do {
      try write(bytes, to: file, name: temporary)
      if durable { try call("fsync", temporary) { fsync(file.raw) } }
      try call("rename", path) { rename(temporary, path) }
      if let folder = folder.take() { try call("fsync", path) { fsync(folder.raw) } }
    } catch {
      unlink(temporary)  // best effort: the first error is the one to report
      throw error
    }
  }

  /// Replaces files of one directory as `replace` does, durably, one after the other. Each is on its way to the disk before
  /// the first is waited for, and the directory is waited for once: two cost little more than one.
  public static func replaceDurably(_ files: [(path: String, bytes: [UInt8])]) throws(SyscallError) {
    guard let first = files.first else { return }
    let folder = try OwnedFD.open(parent(of: first.path), O_RDONLY | O_DIRECTORY)
    let temporary = { (path: String) in "\(path).\(getpid()).\(zns_gettid()).tmp" }
    var drafts: [CInt] = []
    defer { for draft in drafts { close(draft) } }
    do throws(SyscallError) {
      for (path, bytes) in files {
        let file = try OwnedFD.open(temporary(path), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600)
        try write(bytes, to: file, name: temporary(path))
        // The last one is waited for at once.
        if drafts.count + 1 < files.count { zns_start_writing(file.raw) }
        drafts.append(file.take())
      }
      for (draft, file) in zip(drafts, files) { try call("fsync", file.path) { fsync(draft) } }
      for (path, _) in files { try call("rename", path) { rename(temporary(path), path) } }
      try call("fsync", first.path) { fsync(folder.raw) }
    } catch {
      for (path, _) in files { unlink(temporary(path)) }  // best effort: the first error is the one to report
      throw error
    }
  }

  /// Each takes the other's place, at once (renameat2(2), RENAME_EXCHANGE).
  public static func exchange(_ path: String, _ other: String) throws(SyscallError) {
    try check(zns_renameat2(AT_FDCWD, path, AT_FDCWD, other, 2), "renameat2", path)
  }

  /// mkdir(2), and its missing parents. Existing directories are left as they are.
  public static func makeDirectories(_ path: String, mode: UInt32 = 0o755) throws(SyscallError) {
    if mkdir(path, mode) == 0 { return }
    let error = errno
    switch error {
    case EEXIST: return
    case ENOENT:
      try makeDirectories(parent(of: path), mode: mode)
      guard mkdir(path, mode) == 0 || errno == EEXIST else {
        throw SyscallError(call: "mkdir", errno: errno, path: path)
      }
    default: throw SyscallError(call: "mkdir", errno: error, path: path)
    }
  }

  public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  /// Extended attributes of a directory as another has them: the user's, and access lists.
  public static func copyAttributes(_ path: String, to other: String) throws(SyscallError) {
    try check(zns_copy_attributes(path, other), "copy extended attributes", other)
  }

  /// - Parameter time: nanoseconds since 1970.
  public static func setModified(_ path: String, _ time: Int64) throws(SyscallError) {
    try check(zns_set_modified(AT_FDCWD, path, time), "utimensat", path)
  }

  /// Whether two have the same of what `copyAttributes` copies.
  /// - Parameter other: nil: none.
  public static func haveSameAttributes(_ path: String, _ other: String?) throws(SyscallError) -> Bool {
    try check(zns_same_attributes(path, other), "compare extended attributes", path) == 1
  }

  /// The target of a link that was opened with O_PATH and O_NOFOLLOW.
  public static func readLink(of link: borrowing OwnedFD, _ name: String) throws(SyscallError) -> String {
    var room = [UInt8](repeating: 0, count: 4096)
    let count = room.withUnsafeMutableBytes {
      readlinkat(link.raw, "", $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
    }
    let error = errno
    guard count >= 0 else { throw SyscallError(call: "readlinkat", errno: error, path: name) }
    return String(decoding: room[0..<count], as: UTF8.self)
  }

  public static func readLink(_ path: String) throws(SyscallError) -> String {
    var room = [UInt8](repeating: 0, count: 4096)
    let count = room.withUnsafeMutableBytes {
      readlink(path, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
    }
    let error = errno
    guard count >= 0 else { throw SyscallError(call: "readlink", errno: error, path: path) }
    return String(decoding: room[0..<count], as: UTF8.self)
  }

  /// stat(2) or, without `followingLinks`, lstat(2).
  public static func status(_ path: String, followingLinks: Bool = true) throws(SyscallError) -> stat {
    var status = stat()
    let result = followingLinks ? stat(path, &status) : lstat(path, &status)
    let error = errno
    guard result == 0 else { throw SyscallError(call: "stat", errno: error, path: path) }
    return status
  }

  /// The names in a directory, sorted, without `.` and `..`.
  public static func list(_ path: String) throws(SyscallError) -> [String] {
    try list(of: try OwnedFD.open(path, O_RDONLY | O_DIRECTORY), path)
  }

  /// The names in an open directory, from its position on.
  public static func list(of directory: borrowing OwnedFD, _ name: String) throws(SyscallError) -> [String] {
    let copy = try directory.duplicate()
    guard let stream = fdopendir(copy.raw) else { throw SyscallError(call: "fdopendir", errno: errno, path: name) }
    _ = copy.take()  // the stream's now
    defer { closedir(stream) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else {
        let error = errno
        guard error == 0 else { throw SyscallError(call: "getdents64", errno: error, path: name) }
        break
      }
      let entryName = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if entryName != "." && entryName != ".." { names.append(entryName) }
    }
    return names.sorted()
  }

  public static func parent(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.utf8.startIndex ? "/" : String(path[..<slash])
  }

  /// Runs a call that returns -1 and sets errno.
  public static func call(_ name: String, _ path: String?, _ body: () -> CInt) throws(SyscallError) {
    while true {
      let result = body()
      let error = errno
      if result >= 0 { return }
      if error != EINTR { throw SyscallError(call: name, errno: error, path: path) }
    }
  }
}

/// An advisory lock (flock(2)) held while the value lives; released by the kernel when the process dies.
public struct FileLock: ~Copyable, Sendable {
  public let file: OwnedFD

  /// Locks an existing file or directory, waiting for others.
  public init(_ path: String, shared: Bool = false, create: Bool = false) throws(SyscallError) {
    let flags = create ? O_RDWR | O_CREAT | O_NOFOLLOW : O_RDONLY
    let file = try OwnedFD.open(path, flags, mode: 0o600)
    try FileSystem.call("flock", path) { flock(file.raw, shared ? LOCK_SH : LOCK_EX) }
    self.file = file
  }
}
