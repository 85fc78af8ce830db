internal import Glibc

/// Where bytes come from: a file, a pipe, a decompressor.
public protocol ByteSource: ~Copyable {
  /// - Parameter room: not empty.
  /// - Returns: how many were read; 0 at the end alone.
  mutating func read(into room: UnsafeMutableRawBufferPointer) throws(ByteSourceError) -> Int
}

/// Why no more bytes came, in the source's words.
public struct ByteSourceError: Error, Equatable, Sendable {
  public var why: String
  public init(_ why: String) { self.why = why }
}

/// A source with a little read ahead, which counts.
struct BufferedSource<Source: ByteSource & ~Copyable>: ~Copyable {
  private var source: Source
  private var buffer: [UInt8]
  private var start = 0
  private var end = 0
  /// Bytes that were given out.
  private(set) var position: Int64 = 0

  init(_ source: consuming Source, ahead: Int = 65536) {
    self.source = source
    buffer = [UInt8](repeating: 0, count: ahead)
  }

  /// As `ByteSource.read`: what is there, up to `room`.
  mutating func read(into room: UnsafeMutableRawBufferPointer) throws(ByteSourceError) -> Int {
    // Whole pieces of a large file go past the buffer.
    if start == end, room.count >= buffer.count {
      let got = try source.read(into: room)
      position += Int64(got)
      return got
    }
    guard try fill() else { return 0 }
    let count = min(room.count, end - start)
    buffer.withUnsafeBytes { room.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[start..<(start + count)])) }
    start += count
    position += Int64(count)
    return count
  }

  /// - Returns: the next `count` bytes; fewer where the source ends.
  mutating func take(_ count: Int) throws(ByteSourceError) -> [UInt8] {
    var taken: [UInt8] = []
    while taken.count < count, try fill() {
      let more = min(count - taken.count, end - start)
      taken += buffer[start..<(start + more)]
      start += more
      position += Int64(more)
    }
    return taken
  }

  /// - Returns: whether there were so many.
  mutating func skip(_ count: Int64) throws(ByteSourceError) -> Bool {
    var left = count
    while left > 0 {
      guard try fill() else { return false }
      let more = Int(min(left, Int64(end - start)))
      start += more
      position += Int64(more)
      left -= Int64(more)
    }
    return true
  }

  /// Reads to the end.
  /// - Returns: whether all that was left is zero.
  mutating func skipZeros() throws(ByteSourceError) -> Bool {
    while try fill() {
      if !areZeros, let other = (start..<end).first(where: { buffer[$0] != 0 }) {
        position += Int64(other - start)
        start = other
        return false
      }
      position += Int64(end - start)
      start = end
    }
    return true
  }

  /// The whole of what is read ahead, a whole piece at a time: an archive may end with many.
  private var areZeros: Bool {
    buffer.withUnsafeBytes { bytes in
      guard let first = bytes.baseAddress, bytes[start] == 0 else { return false }
      return memcmp(first + start, first + start + 1, end - start - 1) == 0
    }
  }

  private mutating func fill() throws(ByteSourceError) -> Bool {
    if start < end { return true }
    start = 0
    end = 0
    // A closure could not throw the error typed; the buffer is taken out, so that nobody else has it meanwhile.
    var room = buffer
    buffer = []
    var failure: ByteSourceError?
    var got = 0
    room.withUnsafeMutableBytes { bytes in
      do throws(ByteSourceError) { got = try source.read(into: bytes) } catch { failure = error }
    }
    buffer = room
    if let failure { throw failure }
    end = got
    return got > 0
  }
}
