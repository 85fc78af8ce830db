/// Where a request's body ends, so that a connection carries one request and no second one to another host.
struct HTTPBody: Equatable {
  private enum Phase: Equatable {
    /// So many bytes are left.
    case plain(Int)
    // Chunks (RFC 9112, 7.1): a size in hexadecimal, an extension, the bytes, and at the end a trailer.
    case size(Int, digits: Int)
    case ext(Int)
    case sizeEnd(Int)
    case data(Int)
    case dataCR, dataLF
    case trailer(isEmpty: Bool)
    case trailerLF(isEmpty: Bool)
    case over
    case wrong
  }

  private var phase: Phase

  static func length(_ count: Int) -> HTTPBody { HTTPBody(phase: count == 0 ? .over : .plain(count)) }
  static let chunked = HTTPBody(phase: .size(0, digits: 0))

  private init(phase: Phase) { self.phase = phase }

  var isOver: Bool { phase == .over }
  /// Its chunks are none.
  var isWrong: Bool { phase == .wrong }

  /// How many of these bytes, the next ones, belong to the body.
  mutating func take(_ bytes: some RandomAccessCollection<UInt8>) -> Int {
    var index = bytes.startIndex
    while index < bytes.endIndex, phase != .over, phase != .wrong {
      let left = bytes.distance(from: index, to: bytes.endIndex)
      switch phase {
      case .plain(let count):
        let part = min(count, left)
        index = bytes.index(index, offsetBy: part)
        phase = part == count ? .over : .plain(count - part)
      case .data(let count):
        let part = min(count, left)
        index = bytes.index(index, offsetBy: part)
        phase = part == count ? .dataCR : .data(count - part)
      default:
        phase = step(bytes[index])
        index = bytes.index(after: index)
      }
    }
    return bytes.distance(from: bytes.startIndex, to: index)
  }

  private func step(_ byte: UInt8) -> Phase {
    let cr: UInt8 = 13, lf: UInt8 = 10
    switch phase {
    case .size(let count, let digits):
      if let digit = Self.hexadecimal(byte) {
        return digits < 15 ? .size(count << 4 | digit, digits: digits + 1) : .wrong
      }
      guard digits > 0 else { return .wrong }
      return byte == cr ? .sizeEnd(count) : byte == UInt8(ascii: ";") ? .ext(count) : .wrong
    case .ext(let count): return byte == cr ? .sizeEnd(count) : byte == lf ? .wrong : .ext(count)
    case .sizeEnd(let count): return byte != lf ? .wrong : count == 0 ? .trailer(isEmpty: true) : .data(count)
    case .dataCR: return byte == cr ? .dataLF : .wrong
    case .dataLF: return byte == lf ? .size(0, digits: 0) : .wrong
    case .trailer(let isEmpty):
      return byte == cr ? .trailerLF(isEmpty: isEmpty) : byte == lf ? .wrong : .trailer(isEmpty: false)
    case .trailerLF(let isEmpty): return byte != lf ? .wrong : isEmpty ? .over : .trailer(isEmpty: true)
    case .plain, .data, .over, .wrong: return phase
    }
  }

  private static func hexadecimal(_ byte: UInt8) -> Int? {
    switch byte {
    case 48...57: Int(byte) - 48
    case 65...70: Int(byte) - 55
    case 97...102: Int(byte) - 87
    default: nil
    }
  }
}
