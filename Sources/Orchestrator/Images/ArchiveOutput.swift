internal import Glibc
internal import LayerUnpacking
internal import LinuxNS
internal import ZoneRuntime

/// Where an archive goes.
enum ArchiveOutput {
  /// - Parameters:
  ///   - path: a file, which is there when all of it is, or else as it was; `-` is standard output. What is no regular file
  ///     is written as it is.
  ///   - write: with what it is called in an error.
  static func write(to path: String, _ write: (borrowing OwnedFD, String) throws(ImageError) -> Void)
    throws(ImageError)
  {
    if path == "-" {
      let copy = dup(1)
      guard copy >= 0 else { throw ImageError("\(SyscallError(call: "dup", errno: errno, path: "standard output"))") }
      let output = OwnedFD(raw: copy)
      return try write(output, "standard output")
    }
    let status = try? FileSystem.status(path)
    guard status.map({ $0.st_mode & S_IFMT == S_IFREG }) ?? true else {
      let output = try called { () throws(SyscallError) in try OwnedFD.open(path, O_WRONLY) }
      return try write(output, path)
    }
    let draft = "\(path).\(getpid())"
    do throws(ImageError) {
      let output = try called { () throws(SyscallError) in
        try OwnedFD.open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o666)
      }
      try write(output, path)
      try called { () throws(SyscallError) in
        try FileSystem.call("fsync", path) { fsync(output.raw) }
        try FileSystem.call("rename", path) { rename(draft, path) }
      }
    } catch {
      unlink(draft)
      throw error
    }
  }

  /// It takes what is written at once: nobody has to read it first.
  static func isFile(_ output: borrowing OwnedFD) -> Bool {
    (try? FileFacts.of(open: output).kind) == .file
  }

  /// Sends all that was written into a file.
  static func send(_ file: borrowing OwnedFD, to output: borrowing OwnedFD, _ words: String) throws(ImageError) {
    var room = [UInt8](repeating: 0, count: 1 << 18)
    var at: off_t = 0
    while true {
      let got = room.withUnsafeMutableBytes { pread(file.raw, $0.baseAddress, $0.count, at) }
      if got < 0, errno == EINTR { continue }
      guard got >= 0 else { throw ImageError("\(SyscallError(call: "read", errno: errno, path: "the archive"))") }
      if got == 0 { return }
      at += off_t(got)
      let error = room.withUnsafeBytes {
        FileSystem.write(all: UnsafeRawBufferPointer(rebasing: $0[..<got]), to: output)
      }
      guard error == 0 else { throw ImageError("\(SyscallError(call: "write", errno: error, path: words))") }
    }
  }

  /// Encodes an archive from a pipe, to its end.
  static func encode(
    _ archive: borrowing OwnedFD, by encoder: LayerEncoder, read look: (UnsafeRawBufferPointer) -> Void = { _ in },
    put: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    var room = [UInt8](repeating: 0, count: 1 << 18)
    while true {
      let got = read(archive.raw, &room, room.count)
      let error = errno
      if got < 0 {
        if error == EINTR { continue }
        throw SyscallError(call: "read", errno: error, path: "the archive")
      }
      try room.withUnsafeBytes { room in
        let bytes = UnsafeRawBufferPointer(rebasing: room[..<got])
        look(bytes)
        try encoder.put(bytes, isLast: got == 0, put)
      }
      if got == 0 { return }
    }
  }
}
