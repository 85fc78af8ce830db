internal import Crypto
internal import Glibc
internal import LinuxNS
internal import ZoneRuntime

/// A file that is being imported, or a part of one: where others wrote, and may go on writing. What counts is what was
/// read of it once.
final class ImportFile: Sendable {
  private let file: OwnedFD
  private let offset: Int64
  /// Of what is promised; of a pipe nobody knows.
  let size: Int64

  init(_ file: consuming OwnedFD, offset: Int64 = 0, size: Int64) {
    self.file = file
    self.offset = offset
    self.size = size
  }

  /// Bytes from `at` on; fewer than asked for at the end alone.
  func read(at: Int64, into room: UnsafeMutableRawBufferPointer) throws(ImageError) -> Int {
    var done = 0
    let wanted = Int(min(Int64(room.count), max(0, size - at)))
    while done < wanted {
      let got = pread(file.raw, room.baseAddress! + done, wanted - done, off_t(offset + at + Int64(done)))
      let error = errno
      if got == 0 { throw ImageError("it ends at byte \(at + Int64(done)), and has \(size)") }
      if got > 0 { done += got } else if error != EINTR { throw ImageError("read: \(SyscallError.describe(error))") }
    }
    return done
  }

  /// The whole, where it is a document of a size that one may have.
  func document(limit: Int) throws(ImageError) -> [UInt8] {
    guard size <= Int64(limit) else {
      throw ImageError("it has \(size) bytes, and such a document has at most \(limit)")
    }
    var bytes = [UInt8](repeating: 0, count: Int(size))
    var failure: ImageError?
    bytes.withUnsafeMutableBytes { room in
      do throws(ImageError) { _ = try read(at: 0, into: room) } catch { failure = error }
    }
    if let failure { throw failure }
    return bytes
  }

  /// For another process, from its beginning.
  func rewound() throws(SyscallError) -> OwnedFD {
    let copy = try file.duplicate()
    guard lseek(copy.raw, off_t(offset), SEEK_SET) >= 0 else { throw SyscallError(call: "lseek", errno: errno) }
    return copy
  }

  /// A part of it, as a file of its own.
  func part(offset: Int64, size: Int64) throws(ImageError) -> ImportFile {
    do throws(SyscallError) { return ImportFile(try file.duplicate(), offset: self.offset + offset, size: size) } catch
    {
      throw ImageError("\(error)")
    }
  }
}

/// A hash that grows as bytes come.
struct BlobHash {
  private var sha256: SHA256?
  private var sha512: SHA512?

  init(_ algorithm: ContentDigest.Algorithm = .sha256) {
    if algorithm == .sha256 { sha256 = SHA256() } else { sha512 = SHA512() }
  }

  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    sha256?.update(bufferPointer: bytes)
    sha512?.update(bufferPointer: bytes)
  }

  var digest: ContentDigest {
    // A hash has the length that its digest wants.
    if let sha512 { return ContentDigest(.sha512, hash: Array(sha512.finalize()))! }
    return ContentDigest(.sha256, hash: Array(sha256!.finalize()))!
  }

  static func of(_ bytes: [UInt8], _ algorithm: ContentDigest.Algorithm = .sha256) -> ContentDigest {
    var hash = BlobHash(algorithm)
    bytes.withUnsafeBytes { hash.update($0) }
    return hash.digest
  }
}
