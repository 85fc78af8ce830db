internal import ZoneRuntime

/// A blob as it lies on disk, a buffer of it at a time.
final class BlobInput {
  private var file: DescriptorSource
  private let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 17, alignment: 16)
  private var start = 0
  private var end = 0

  init(_ file: consuming DescriptorSource) { self.file = file }
  deinit { room.deallocate() }

  /// What was read and not used yet.
  var left: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: room[start..<end]) }

  func use(_ count: Int) { start += count }

  /// Has so many bytes ready.
  /// - Parameter count: up to the buffer's size.
  /// - Returns: false where the blob ends before; what there is of it is in `left`.
  func fill(_ count: Int = 1) throws(ByteSourceError) -> Bool {
    guard end - start < count else { return true }
    room.copyMemory(from: left)
    (start, end) = (0, end - start)
    while end < count {
      let got = try file.read(into: UnsafeMutableRawBufferPointer(rebasing: room[end...]))
      if got == 0 { return false }
      end += got
    }
    return true
  }
}

/// How a blob's bytes become an archive's.
protocol Decoder: AnyObject {
  /// As `ByteSource.read`. The end is where the blob ends and nothing was begun: what is cut off, or goes on, is an error.
  func read(from input: BlobInput, into room: UnsafeMutableRawBufferPointer) throws(ByteSourceError) -> Int
}

/// None: as they are.
final class PlainDecoder: Decoder {
  func read(from input: BlobInput, into room: UnsafeMutableRawBufferPointer) throws(ByteSourceError) -> Int {
    guard try input.fill() else { return 0 }
    let count = min(room.count, input.left.count)
    room.copyMemory(from: UnsafeRawBufferPointer(rebasing: input.left[..<count]))
    input.use(count)
    return count
  }
}
