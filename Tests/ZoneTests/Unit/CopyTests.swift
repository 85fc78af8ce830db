import CLinuxNS
import Testing

/// The memcpy and memmove of zonectl, beside what they have to do.
@Suite struct CopyTests {
  @Test func bytesArriveWhateverTheirNumberAndOverlap() {
    let sizes = Array(0...300) + [1023, 2047, 2048, 2049, 5000]
    let places = [(100, 5200), (100, 100), (100, 101), (101, 100), (100, 117), (117, 100), (100, 163), (163, 100)]
    let before = (0..<10_400).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }
    for size in sizes {
      for (from, to) in places {
        var bytes = before
        let target = bytes.withUnsafeMutableBytes { room in
          zns_copy(room.baseAddress! + to, room.baseAddress! + from, size) == room.baseAddress! + to
        }
        var wanted = before
        wanted.replaceSubrange(to..<to + size, with: before[from..<from + size])
        #expect(target && bytes == wanted, "\(size) bytes from \(from) to \(to)")
      }
    }
  }
}
