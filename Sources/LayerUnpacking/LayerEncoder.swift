internal import CZlib
internal import CZstd
public import ZoneRuntime

/// Compresses a layer's archive as it comes. Equal archives give equal blobs: no time and no name is in them.
public final class LayerEncoder {
  private let gzip: UnsafeMutablePointer<z_stream>?
  private let zstd: OpaquePointer?
  private var room = [UInt8](repeating: 0, count: 1 << 17)

  /// gzip's own default, and zstd's.
  private static let (gzipLevel, zstdLevel): (CInt, CInt) = (6, 3)

  public init(_ compression: MediaType.Compression) throws(ByteSourceError) {
    var stream: UnsafeMutablePointer<z_stream>?
    var context: OpaquePointer?
    switch compression {
    case .none: break
    case .gzip:
      let new = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
      new.initialize(to: z_stream())
      // 15: the largest window there is; 16: gzip, whose header then has no time; 8: the memory of zlib's own default.
      let result = deflateInit2_(
        new, Self.gzipLevel, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, zlibVersion(),
        CInt(MemoryLayout<z_stream>.size))
      guard result == Z_OK else {
        new.deallocate()
        throw ByteSourceError("zlib does not begin: error \(result)")
      }
      stream = new
    case .zstd:
      context = ZSTD_createCCtx()
      guard context != nil else { throw ByteSourceError("zstd does not begin: no memory") }
      ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Self.zstdLevel)
      ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
    }
    (gzip, zstd) = (stream, context)
  }

  deinit {
    if let gzip {
      deflateEnd(gzip)
      gzip.deallocate()
    }
    if let zstd { ZSTD_freeCCtx(zstd) }
  }

  /// - Parameters:
  ///   - isLast: nothing comes behind these.
  ///   - write: gets what came of them, piece by piece.
  /// - Throws: what `write` throws, or the library's refusal.
  public func put(
    _ bytes: UnsafeRawBufferPointer, isLast: Bool, _ write: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    if let gzip {
      try put(gzip, bytes, isLast, write)
    } else if let zstd {
      try put(zstd, bytes, isLast, write)
    } else if bytes.count > 0 {
      try write(bytes)
    }
  }

  private func put(
    _ stream: UnsafeMutablePointer<z_stream>, _ bytes: UnsafeRawBufferPointer, _ isLast: Bool,
    _ write: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    stream.pointee.next_in = UnsafeMutableRawPointer(mutating: bytes.baseAddress)?.assumingMemoryBound(to: UInt8.self)
    stream.pointee.avail_in = uInt(bytes.count)
    try room.withUnsafeMutableBytes { room in
      while true {
        stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = uInt(room.count)
        let result = deflate(stream, isLast ? Z_FINISH : Z_NO_FLUSH)
        guard result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR else {
          throw ByteSourceError("zlib: error \(result)")
        }
        let made = room.count - Int(stream.pointee.avail_out)
        if made > 0 { try write(UnsafeRawBufferPointer(rebasing: room[..<made])) }
        if isLast ? result == Z_STREAM_END : stream.pointee.avail_out > 0 { return }
      }
    }
  }

  private func put(
    _ context: OpaquePointer, _ bytes: UnsafeRawBufferPointer, _ isLast: Bool,
    _ write: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    var input = ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
    try room.withUnsafeMutableBytes { room in
      while true {
        var output = ZSTD_outBuffer(dst: room.baseAddress, size: room.count, pos: 0)
        let left = ZSTD_compressStream2(context, &output, &input, isLast ? ZSTD_e_end : ZSTD_e_continue)
        guard ZSTD_isError(left) == 0 else {
          throw ByteSourceError("zstd: \(String(cString: ZSTD_getErrorName(left)))")
        }
        if output.pos > 0 { try write(UnsafeRawBufferPointer(rebasing: room[..<output.pos])) }
        if isLast ? left == 0 : input.pos == input.size { return }
      }
    }
  }
}
