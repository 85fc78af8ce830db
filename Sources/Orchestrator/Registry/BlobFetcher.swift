internal import AsyncHTTPClient
internal import Dispatch
internal import Glibc
internal import LinuxNS
internal import NIOCore
public import ZoneRuntime

/// What is to be told of one blob while it comes.
public struct FetchNews: Sendable {
  public enum State: Sendable {
    /// Somebody else fetches it.
    case waiting
    case fetching
    case done
  }

  /// `layer 2 of 5`
  public var words: String
  public var digest: ContentDigest
  public var state: State
  /// Bytes that are here, of so many.
  public var have: Int64
  public var size: Int64
}

/// Brings blobs from a registry into the store. What came before a connection broke, or somebody ended us, is not fetched
/// again.
struct BlobFetcher: Sendable {
  let store: ImageStore
  let client: RegistryClient
  let tell: @Sendable (FetchNews) -> Void

  /// - Parameter words: which of the image's blobs it is.
  func fetch(_ blob: ImageDescriptor, _ words: String) async throws(ImageError) {
    do throws(ImageError) {
      if let here = try stored({ () throws(ZoneError) in try store.size(ofBlob: blob.digest) }) {
        guard here == blob.size else {
          throw ImageError("\(here) bytes have this digest, and \(blob.size) are promised")
        }
        return
      }
      let news = FetchNews(words: words, digest: blob.digest, state: .waiting, have: 0, size: blob.size)
      guard let part = try await part(blob.digest, { tell(news) }) else { return }
      try await fetch(blob, into: part, words)
    } catch {
      throw ImageError("\(words) (\(blob.digest.algorithm.rawValue):\(blob.digest.short)…): \(error.why)")
    }
  }

  /// Its lock may be another's for as long as a fetch takes: that is waited for outside of the tasks' threads.
  private func part(_ digest: ContentDigest, _ waiting: @escaping @Sendable () -> Void) async throws(ImageError)
    -> BlobPart?
  {
    let store = store
    let result: Result<BlobPart?, ImageError> = await withCheckedContinuation { continuation in
      DispatchQueue.global().async {
        do throws(ZoneError) {
          continuation.resume(returning: .success(try store.part(digest, waiting: waiting)))
        } catch {
          continuation.resume(returning: .failure(ImageError(error.description)))
        }
      }
    }
    return try result.get()
  }

  private func fetch(_ blob: ImageDescriptor, into part: BlobPart, _ words: String) async throws(ImageError) {
    var progress = try resumed(part, blob)
    // Of another's making: if all of it has the wrong hash, that is the reason, and it is fetched whole.
    var isOthers = progress.have > 0
    while true {
      try await complete(&progress, part, blob, words)
      let found = progress.hash.digest
      if found == blob.digest { break }
      guard isOthers else {
        store.abandon(part)
        throw ImageError("its bytes are \(found.text)")
      }
      isOthers = false
      progress = try emptied(part, blob)
    }
    try stored { () throws(ZoneError) in try store.finish(part, as: blob.digest) }
    tell(FetchNews(words: words, digest: blob.digest, state: .done, have: blob.size, size: blob.size))
  }

  /// What of a blob is in its file.
  private struct Progress {
    var hash: BlobHash
    var have: Int64 = 0
  }

  /// What was left of it, read once more: a hash cannot be kept.
  private func resumed(_ part: BlobPart, _ blob: ImageDescriptor) throws(ImageError) -> Progress {
    var progress = Progress(hash: BlobHash(blob.digest.algorithm))
    let left = try called { () throws(SyscallError) in try FileFacts.of(open: part.file).size }
    guard left <= blob.size else { return try emptied(part, blob) }
    let file = ImportFile(try called { () throws(SyscallError) in try part.file.duplicate() }, size: left)
    var room = [UInt8](repeating: 0, count: 1 << 20)
    while progress.have < left {
      var got = 0
      var failure: ImageError?
      room.withUnsafeMutableBytes { bytes in
        do throws(ImageError) { got = try file.read(at: progress.have, into: bytes) } catch { failure = error }
      }
      if let failure { throw failure }
      room.withUnsafeBytes { progress.hash.update(UnsafeRawBufferPointer(rebasing: $0[..<got])) }
      progress.have += Int64(got)
    }
    try place(part, at: left)
    return progress
  }

  private func emptied(_ part: BlobPart, _ blob: ImageDescriptor) throws(ImageError) -> Progress {
    try called { () throws(SyscallError) in
      try FileSystem.call("ftruncate", part.path) { ftruncate(part.file.raw, 0) }
    }
    try place(part, at: 0)
    return Progress(hash: BlobHash(blob.digest.algorithm))
  }

  private func place(_ part: BlobPart, at offset: Int64) throws(ImageError) {
    guard lseek(part.file.raw, off_t(offset), SEEK_SET) >= 0 else {
      throw ImageError("lseek: \(SyscallError.describe(errno))")
    }
  }

  /// Until all is there, by as many requests as it takes.
  private func complete(_ progress: inout Progress, _ part: BlobPart, _ blob: ImageDescriptor, _ words: String)
    async throws(ImageError)
  {
    var patience = RegistryPatience()
    var isFirst = true
    // An empty one is asked for, too: whoever has not got it says so.
    while progress.have < blob.size || isFirst && blob.size == 0 {
      isFirst = false
      let before = progress.have
      do throws(RegistryFailure) { try await request(&progress, part, blob, words) } catch {
        if progress.have > before { patience.progressed() }
        try await patience.wait(after: error)
      }
    }
  }

  private func request(_ progress: inout Progress, _ part: BlobPart, _ blob: ImageDescriptor, _ words: String)
    async throws(RegistryFailure)
  {
    let answer = try await client.blob(blob.digest, from: progress.have)
    guard [200, 206, 416].contains(answer.status) else { throw await answer.failure() }
    do throws(ImageError) {
      let brings = try BlobAnswer.read(
        status: answer.status, asked: progress.have, size: blob.size, range: answer.value("Content-Range"),
        length: answer.value("Content-Length"))
      switch brings {
      case .bytes(from: 0, _) where progress.have > 0: progress = try emptied(part, blob)
      case .bytes: break
      case .again:
        progress = try emptied(part, blob)
        return
      }
    } catch { throw RegistryFailure(error) }
    var news = FetchNews(words: words, digest: blob.digest, state: .fetching, have: progress.have, size: blob.size)
    tell(news)
    do {
      for try await buffer in answer.body {
        guard progress.have + Int64(buffer.readableBytes) <= blob.size else {
          throw RegistryFailure("more than \(blob.size) bytes come, and no more are promised")
        }
        try write(buffer, to: part)
        buffer.withUnsafeReadableBytes { progress.hash.update($0) }
        progress.have += Int64(buffer.readableBytes)
        news.have = progress.have
        tell(news)
      }
    } catch { throw RegistryTransport.failure(error, answer.url) }
    guard progress.have == blob.size else {
      throw RegistryFailure(
        "\(blob.size) bytes are promised, and \(progress.have) came from \(answer.url.authority)", isPassing: true)
    }
  }

  private func write(_ buffer: ByteBuffer, to part: BlobPart) throws(RegistryFailure) {
    let error = buffer.withUnsafeReadableBytes { FileSystem.write(all: $0, to: part.file) }
    guard error == 0 else {
      throw RegistryFailure(ImageError(BlobIntake.words(SyscallError(call: "write", errno: error, path: part.path))))
    }
  }
}
