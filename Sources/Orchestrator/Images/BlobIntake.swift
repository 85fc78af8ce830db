internal import Glibc
internal import LinuxNS
internal import ZoneRuntime

/// Brings bytes of others into the store, under the hash that they turn out to have.
struct BlobIntake {
  let store: ImageStore

  /// A blob that is promised with digest and size. What is here is not read again.
  func take(_ file: ImportFile, as promised: ImageDescriptor) throws(ImageError) {
    if let here = try size(promised) {
      guard here == promised.size else {
        throw ImageError("\(here) bytes have this digest, and \(promised.size) are promised")
      }
      return
    }
    guard file.size == promised.size else {
      throw ImageError("it has \(file.size) bytes, and \(promised.size) are promised")
    }
    guard let part = try part(promised.digest) else { return }
    do throws(ImageError) {
      let found = try copy(file, to: part, promised.digest.algorithm)
      guard found == promised.digest else { throw ImageError("its bytes are \(found.text)") }
      try stored { () throws(ZoneError) in try store.finish(part, as: found) }
    } catch {
      store.abandon(part)
      throw error
    }
  }

  /// A blob that nobody has told the digest of.
  func take(_ file: ImportFile) throws(ImageError) -> ImageDescriptor {
    let part = try stored { () throws(ZoneError) in try store.part() }
    do throws(ImageError) {
      let digest = try copy(file, to: part, .sha256)
      try stored { () throws(ZoneError) in try store.finish(part, as: digest) }
      return ImageDescriptor(mediaType: "", digest: digest, size: file.size)
    } catch {
      store.abandon(part)
      throw error
    }
  }

  /// A document of ours, or one whose bytes were read.
  @discardableResult
  func take(_ bytes: [UInt8], _ mediaType: String, as promised: ContentDigest? = nil) throws(ImageError)
    -> ImageDescriptor
  {
    let digest = BlobHash.of(bytes, promised?.algorithm ?? .sha256)
    if let promised, promised != digest { throw ImageError("its bytes are \(digest.text)") }
    let descriptor = ImageDescriptor(mediaType: mediaType, digest: digest, size: Int64(bytes.count))
    guard let part = try part(digest) else { return descriptor }
    do throws(ImageError) {
      do throws(SyscallError) {
        try FileSystem.call("ftruncate", part.path) { ftruncate(part.file.raw, 0) }
        try FileSystem.write(bytes, to: part.file, name: part.path)
      } catch { throw ImageError(Self.words(error)) }
      try stored { () throws(ZoneError) in try store.finish(part, as: digest) }
    } catch {
      store.abandon(part)
      throw error
    }
    return descriptor
  }

  /// What comes out of a pipe, put down: it is read twice.
  func putDown(_ pipe: borrowing OwnedFD) throws(ImageError) -> (part: BlobPart, file: ImportFile) {
    let part = try stored { () throws(ZoneError) in try store.part() }
    do throws(SyscallError) {
      var room = [UInt8](repeating: 0, count: 1 << 18)
      var size: Int64 = 0
      while true {
        let got = read(pipe.raw, &room, room.count)
        let error = errno
        if got == 0 { break }
        if got < 0 {
          if error == EINTR { continue }
          throw SyscallError(call: "read", errno: error)
        }
        try FileSystem.write(room[..<got], to: part.file, name: part.path)
        size += Int64(got)
      }
      return (part, ImportFile(try part.file.duplicate(), size: size))
    } catch {
      store.abandon(part)
      throw ImageError(Self.words(error))
    }
  }

  /// A manifest or a configuration that is here.
  func document(_ digest: ContentDigest, _ words: String) throws(ImageError) -> [UInt8] {
    do throws(SyscallError) {
      let file = try OwnedFD.open(store.blob(digest), O_RDONLY | O_NOFOLLOW)
      return try FileSystem.read(file, limit: Int(ImageInstaller.mostConfig), name: digest.text)
    } catch { throw ImageError("\(words): \(error)") }
  }

  /// A layer's bytes as they came.
  func blob(_ layer: ImageDescriptor) throws(ImageError) -> ImportFile {
    guard let here = try size(layer) else {
      throw ImageError("its bytes are not here any more (zonectl image pull or import brings them again)")
    }
    guard here == layer.size else { throw ImageError("it has \(here) bytes, and the manifest says \(layer.size)") }
    return ImportFile(
      try called { () throws(SyscallError) in try OwnedFD.open(store.blob(layer.digest), O_RDONLY | O_NOFOLLOW) },
      size: here)
  }

  // MARK: parts

  private func size(_ blob: ImageDescriptor) throws(ImageError) -> Int64? {
    try stored { () throws(ZoneError) in try store.size(ofBlob: blob.digest) }
  }

  private func part(_ digest: ContentDigest) throws(ImageError) -> BlobPart? {
    try stored { () throws(ZoneError) in try store.part(digest) }
  }

  private func copy(_ file: ImportFile, to part: BlobPart, _ algorithm: ContentDigest.Algorithm) throws(ImageError)
    -> ContentDigest
  {
    var hash = BlobHash(algorithm)
    var room = [UInt8](repeating: 0, count: 1 << 20)
    var position: Int64 = 0
    do throws(SyscallError) {
      // What somebody has left of it is of no use: a file is read as fast as it is hashed.
      try FileSystem.call("ftruncate", part.path) { ftruncate(part.file.raw, 0) }
    } catch { throw ImageError("\(error)") }
    while true {
      var got = 0
      var failure: ImageError?
      room.withUnsafeMutableBytes { bytes in
        do throws(ImageError) { got = try file.read(at: position, into: bytes) } catch { failure = error }
      }
      if let failure { throw failure }
      if got == 0 { return hash.digest }
      room.withUnsafeBytes { hash.update(UnsafeRawBufferPointer(rebasing: $0[..<got])) }
      do throws(SyscallError) { try FileSystem.write(room[..<got], to: part.file, name: part.path) } catch {
        throw ImageError(Self.words(error))
      }
      position += Int64(got)
    }
  }

  /// With what can be done where the disk is full.
  static func words(_ error: SyscallError) -> String {
    "\(error)" + (error.errno == ENOSPC || error.errno == EDQUOT ? " (zonectl image prune)" : "")
  }
}

/// What the store refuses, as a part of an import's one line.
func stored<Value: ~Copyable>(_ body: () throws(ZoneError) -> Value) throws(ImageError) -> Value {
  do throws(ZoneError) { return try body() } catch { throw ImageError(error.description) }
}

/// What the kernel refuses, likewise.
func called<Value: ~Copyable>(_ body: () throws(SyscallError) -> Value) throws(ImageError) -> Value {
  do throws(SyscallError) { return try body() } catch { throw ImageError("\(error)") }
}
