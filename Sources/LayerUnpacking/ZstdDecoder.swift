internal import CZstd
internal import ZoneRuntime

/// Zstandard (RFC 8878): frames, one behind the other, skippable ones among them, and nothing else.
final class ZstdDecoder: Decoder {
  /// 128 MB: what the program zstd takes without being asked for more, and no layer wants that much (zstd(1), `--long`).
  static let mostWindowLog: CInt = 27

  private let stream: OpaquePointer
  private var frames = 0
  private var isBetween = true

  init() throws(ByteSourceError) {
    guard let made = ZSTD_createDCtx() else { throw ByteSourceError("zstd does not begin: no memory") }
    stream = made
    let result = ZSTD_DCtx_setParameter(made, ZSTD_d_windowLogMax, Self.mostWindowLog)
    guard ZSTD_isError(result) == 0 else { throw Self.refusal(result) }
  }

  deinit { ZSTD_freeDCtx(stream) }

  func read(from input: BlobInput, into room: UnsafeMutableRawBufferPointer) throws(ByteSourceError) -> Int {
    while true {
      let isMore = try input.fill()
      if isBetween, !isMore {
        if frames > 0 { return 0 }
        throw ByteSourceError("ends in the middle of its zstd stream")
      }
      let left = input.left
      var from = ZSTD_inBuffer(src: left.baseAddress, size: left.count, pos: 0)
      var into = ZSTD_outBuffer(dst: room.baseAddress, size: room.count, pos: 0)
      let result = ZSTD_decompressStream(stream, &into, &from)
      guard ZSTD_isError(result) == 0 else {
        if isBetween, frames > 0, ZSTD_getErrorCode(result) == ZSTD_error_prefix_unknown {
          throw ByteSourceError("goes on after its zstd stream with what is none")
        }
        throw Self.refusal(result)
      }
      input.use(from.pos)
      isBetween = result == 0
      if isBetween { frames += 1 }
      if into.pos > 0 { return into.pos }
      if !isMore, !isBetween { throw ByteSourceError("ends in the middle of its zstd stream") }
    }
  }

  private static func refusal(_ result: Int) -> ByteSourceError {
    if ZSTD_getErrorCode(result) == ZSTD_error_frameParameter_windowTooLarge {
      return ByteSourceError("wants a window of more than \(1 << (mostWindowLog - 20)) MB to be decoded")
    }
    return ByteSourceError("no zstd stream: \(String(cString: ZSTD_getErrorName(result)))")
  }
}
