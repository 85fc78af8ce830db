internal import CZlib
internal import ZoneRuntime

/// gzip (RFC 1952): members, one behind the other, and nothing else. pigz and eStargz write many.
final class GzipDecoder: Decoder {
  /// zlib keeps its address.
  private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
  private var members = 0
  private var isBetween = true

  init() throws(ByteSourceError) {
    stream.initialize(to: z_stream())
    // 15: the largest window there is; 16: gzip alone, with its checksum.
    let result = inflateInit2_(stream, 15 + 16, zlibVersion(), CInt(MemoryLayout<z_stream>.size))
    guard result == Z_OK else { throw ByteSourceError("zlib does not begin: error \(result)") }
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
  }

  func read(from input: BlobInput, into room: UnsafeMutableRawBufferPointer) throws(ByteSourceError) -> Int {
    while true {
      let isMore = try input.fill()
      if isBetween {
        // The first has to be there: an empty blob is no archive.
        if !isMore, members > 0 { return 0 }
        inflateReset(stream)
        isBetween = false
      }
      // Also without more of it: what was decoded may not have had room yet.
      let left = input.left
      let bytes = UnsafeMutableRawPointer(mutating: left.baseAddress)?.assumingMemoryBound(to: UInt8.self)
      stream.pointee.next_in = bytes
      stream.pointee.avail_in = uInt(left.count)
      stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
      stream.pointee.avail_out = uInt(clamping: room.count)
      let given = Int(stream.pointee.avail_out)
      let result = inflate(stream, Z_NO_FLUSH)
      input.use(left.count - Int(stream.pointee.avail_in))
      let made = given - Int(stream.pointee.avail_out)
      switch result {
      case Z_STREAM_END:
        members += 1
        isBetween = true
      case Z_OK: break
      case Z_BUF_ERROR: if !isMore { throw ByteSourceError("ends in the middle of its gzip stream") }
      default: throw refusal(result)
      }
      if made > 0 { return made }
      if !isMore, result == Z_OK { throw ByteSourceError("ends in the middle of its gzip stream") }
    }
  }

  private func refusal(_ result: CInt) -> ByteSourceError {
    if members > 0, stream.pointee.total_out == 0 {
      return ByteSourceError("goes on after its gzip stream with what is none")
    }
    let why = stream.pointee.msg.map { String(cString: $0) } ?? "error \(result)"
    return ByteSourceError("no gzip stream: \(why)")
  }
}
