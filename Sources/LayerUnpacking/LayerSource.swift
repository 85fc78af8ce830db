internal import Crypto
internal import ZoneRuntime

/// A layer's archive out of its blob: decoded, counted and hashed on the way.
struct LayerSource: ByteSource, ~Copyable {
  private let input: BlobInput
  private let decoder: any Decoder
  private let tally: LayerTally

  /// - Parameters:
  ///   - said: what the blob's media type says; nil: nothing does.
  ///   - tally: is asked for the digest when the archive was read to its end.
  init(_ blob: consuming DescriptorSource, said: MediaType.Compression?, tally: LayerTally)
    throws(ByteSourceError)
  {
    input = BlobInput(blob)
    self.tally = tally
    _ = try input.fill(4)
    let found = MediaType.Compression(magic: input.left)
    // Whoever looked at it as the one thing must not find it unpacked as the other.
    if let said, said != found {
      throw ByteSourceError("its media type says \(Self.words(said)), its first bytes say \(Self.words(found))")
    }
    switch found {
    case .none: decoder = PlainDecoder()
    case .gzip: decoder = try GzipDecoder()
    case .zstd: decoder = try ZstdDecoder()
    }
  }

  mutating func read(into room: UnsafeMutableRawBufferPointer) throws(ByteSourceError) -> Int {
    let count = try decoder.read(from: input, into: room)
    try tally.take(UnsafeRawBufferPointer(rebasing: room[..<count]))
    return count
  }

  private static func words(_ compression: MediaType.Compression) -> String {
    compression == .none ? "no compression" : compression.rawValue
  }
}

/// What of an archive has come: how much, and its hash.
final class LayerTally {
  private enum Hash {
    case sha256(SHA256)
    case sha512(SHA512)
  }

  private var hash: Hash
  private let most: Int64
  private(set) var bytes: Int64 = 0

  init(_ algorithm: ContentDigest.Algorithm, most: Int64) {
    hash = algorithm == .sha256 ? .sha256(SHA256()) : .sha512(SHA512())
    self.most = most
  }

  func take(_ piece: UnsafeRawBufferPointer) throws(ByteSourceError) {
    bytes += Int64(piece.count)
    guard bytes <= most else { throw ByteSourceError("more than \(most) bytes when it is decoded") }
    switch hash {
    case .sha256(var hasher):
      hasher.update(bufferPointer: piece)
      hash = .sha256(hasher)
    case .sha512(var hasher):
      hasher.update(bufferPointer: piece)
      hash = .sha512(hasher)
    }
  }

  /// Of what has come.
  var digest: ContentDigest? {
    switch hash {
    case .sha256(let hasher): ContentDigest(.sha256, hash: Array(hasher.finalize()))
    case .sha512(let hasher): ContentDigest(.sha512, hash: Array(hasher.finalize()))
    }
  }
}
