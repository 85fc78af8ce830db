internal import CLinuxNS
internal import Glibc
public import LinuxNS

/// A blob on its way, in `fetch`, locked: whoever else wants it waits, and finds it made. What a kill leaves of it is what
/// the next one begins with.
public final class BlobPart: Sendable {
  /// nil: it is known when all of it was seen.
  public let digest: ContentDigest?
  public let path: String
  /// For reading and writing.
  public let file: OwnedFD

  init(_ digest: ContentDigest?, _ path: String, _ file: consuming OwnedFD) {
    self.digest = digest
    self.path = path
    self.file = file
  }
}

/// Blobs: manifests, configurations and layers as they came. The store's lock is held, shared.
extension ImageStore {
  /// In bytes; nil where it is not here.
  public func size(ofBlob digest: ContentDigest) throws(ZoneError) -> Int64? {
    do throws(SyscallError) {
      let status = try FileSystem.status(blob(digest), followingLinks: false)
      return status.st_mode & S_IFMT == S_IFREG ? Int64(status.st_size) : nil
    } catch {
      guard error.errno == ENOENT else { throw .call("look at the blob \(digest.short)", error) }
      return nil
    }
  }

  public func openBlob(_ digest: ContentDigest) throws(ZoneError) -> OwnedFD {
    try attempt("open the blob \(digest.text)") { () throws(SyscallError) in
      try OwnedFD.open(blob(digest), O_RDONLY | O_NOFOLLOW)
    }
  }

  /// Begins a blob, or goes on with what somebody has left of it.
  /// - Returns: nil where it is here, perhaps by now.
  public func part(_ digest: ContentDigest, waiting: () -> Void = {}) throws(ZoneError) -> BlobPart? {
    if try size(ofBlob: digest) != nil { return nil }
    let path = "\(parts)/\(digest.algorithm.rawValue)-\(digest.hex)"
    let file = try attempt("fetch the blob \(digest.short)") { () throws(SyscallError) in
      try Self.lockedFile(path, waiting)
    }
    if try size(ofBlob: digest) != nil {
      unlink(path)  // as it was made by `lockedFile`; best effort: `prune` finds it
      return nil
    }
    return BlobPart(digest, path, file)
  }

  /// Begins a blob whose digest is not known yet, or any other bytes that are only needed for now.
  public func part() throws(ZoneError) -> BlobPart {
    var random: UInt64 = 0
    let path = try attempt("make a file in \(parts)") { () throws(SyscallError) in
      try check(zns_random(&random, 8), "getrandom")
      return "\(parts)/new-\(String(random, radix: 16))"
    }
    let file = try attempt("make a file in \(parts)") { () throws(SyscallError) in try Self.lockedFile(path) }
    return BlobPart(nil, path, file)
  }

  /// The part is the whole blob, and its hash was found to be this one. On disk when this returns.
  public func finish(_ part: BlobPart, as digest: ContentDigest) throws(ZoneError) {
    let place = blob(digest)
    let raw = part.file.raw
    try attempt("save the blob \(digest.short)") { () throws(SyscallError) in
      try FileSystem.call("fsync", part.path) { fsync(raw) }
      // Late: whoever wants to go on with it after a kill has to open it for writing.
      try FileSystem.call("fchmod", part.path) { fchmod(raw, 0o400) }
      try FileSystem.call("rename", place) { rename(part.path, place) }
      try Self.sync(folder: FileSystem.parent(of: place))
    }
  }

  /// What is of no use to anybody.
  public func abandon(_ part: BlobPart) { unlink(part.path) }  // best effort: `prune` finds what stays
}
