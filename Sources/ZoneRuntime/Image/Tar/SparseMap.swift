/// Where the bytes of a sparse file lie in it; between them are holes.
struct SparseMap: Equatable {
  struct Segment: Equatable {
    var offset: Int64
    var length: Int64
  }

  /// In order, apart from each other, inside of `size`.
  let segments: [Segment]
  /// Of the file.
  let size: Int64

  /// - Parameters:
  ///   - size: of the file, holes counted.
  ///   - stored: how many bytes follow in the archive.
  init(_ segments: [Segment], size: Int64, stored: Int64) throws(TarFault) {
    var end: Int64 = 0
    var sum: Int64 = 0
    for segment in segments {
      guard segment.offset >= end, segment.length >= 0, segment.length <= size, segment.offset <= size - segment.length
      else { throw TarFault("a sparse file whose parts overlap or lie outside of it") }
      end = segment.offset + segment.length
      sum += segment.length
    }
    guard sum == stored else { throw TarFault("a sparse file with \(stored) bytes, and a map of \(sum)") }
    self.segments = segments.filter { $0.length > 0 }
    self.size = size
  }

  /// GNU's old format: four or 21 pairs of a header, each two numbers of 12 bytes (GNU tar manual, "Old GNU Format").
  /// - Returns: those before the first empty pair.
  static func pairs(_ field: ArraySlice<UInt8>) throws(TarFault) -> [Segment] {
    var segments: [Segment] = []
    var at = field.startIndex
    while at + 24 <= field.endIndex, field[at] != 0 {
      segments.append(
        Segment(
          offset: try TarHeader.number(field[at..<(at + 12)], "sparse offset"),
          length: try TarHeader.number(field[(at + 12)..<(at + 24)], "sparse length")))
      at += 24
    }
    return segments
  }
}

/// The records `GNU.sparse.*`: three versions of one thing (GNU tar manual, "PAX Format, Versions 0.0 and 0.1", "1.0").
struct PaxSparse: Equatable {
  var major: Int64?
  var minor: Int64?
  var name: [UInt8]?
  var size: Int64?
  /// 0.0 and 0.1; 1.0 has it before the content.
  var segments: [SparseMap.Segment] = []
  var hasMap = false
  private var offset: Int64?

  var isThere: Bool { major != nil || size != nil || hasMap }
  /// The entry's own name is none then.
  var isNamed: Bool { isThere && name != nil }
  var isBeforeContent: Bool { major == 1 && minor == 0 }

  mutating func take(_ key: String, _ value: [UInt8], _ limits: TarLimits) throws(TarFault) {
    switch key {
    case "major": major = try PaxRecords.decimal(value, "sparse version")
    case "minor": minor = try PaxRecords.decimal(value, "sparse version")
    case "name":
      guard !value.isEmpty, !value.contains(0) else { throw TarFault("a sparse file without a name") }
      name = value
    case "size", "realsize": size = try PaxRecords.decimal(value, "sparse size")
    case "numblocks": hasMap = true
    case "offset":
      guard offset == nil else { throw TarFault("a sparse map that does not fit") }
      offset = try PaxRecords.decimal(value, "sparse offset")
    case "numbytes":
      guard let start = offset else { throw TarFault("a sparse map that does not fit") }
      offset = nil
      try add(start, try PaxRecords.decimal(value, "sparse length"), limits)
    case "map":
      guard segments.isEmpty else { throw TarFault("two sparse maps") }
      hasMap = true
      if value.isEmpty { return }
      let numbers = value.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
      guard numbers.count % 2 == 0 else { throw TarFault("a sparse map that does not fit") }
      for index in stride(from: 0, to: numbers.count, by: 2) {
        try add(
          try PaxRecords.decimal(numbers[index], "sparse offset"),
          try PaxRecords.decimal(numbers[index + 1], "sparse length"), limits)
      }
    default: throw TarFault("a sparse file with '\(shortened(key))', which is not known")
    }
  }

  private mutating func add(_ offset: Int64, _ length: Int64, _ limits: TarLimits) throws(TarFault) {
    guard segments.count < limits.segments else {
      throw TarFault("a sparse file of more than \(limits.segments) parts")
    }
    hasMap = true
    segments.append(SparseMap.Segment(offset: offset, length: length))
  }
}

/// Version 1.0's map as it comes: decimal numbers, a line each: how many pairs, then the pairs.
struct SparseMapLines {
  private var numbers: [Int64] = []
  private var line: [UInt8] = []
  private var wanted: Int?

  /// - Returns: whether the map is complete. What follows it in its block is padding.
  mutating func take(_ block: [UInt8], _ limits: TarLimits) throws(TarFault) -> Bool {
    for byte in block {
      if isComplete { break }
      guard byte == 10 else {
        guard line.count < 19 else { throw TarFault("a sparse map that does not fit") }
        line.append(byte)
        continue
      }
      let number = try PaxRecords.decimal(line, "sparse map's number")
      line = []
      if wanted != nil {
        numbers.append(number)
      } else {
        guard number <= Int64(limits.segments) else {
          throw TarFault("a sparse file of more than \(limits.segments) parts")
        }
        wanted = Int(number) * 2
      }
    }
    return isComplete
  }

  private var isComplete: Bool { wanted.map { numbers.count == $0 } ?? false }

  var segments: [SparseMap.Segment] {
    stride(from: 0, to: numbers.count - 1, by: 2).map {
      SparseMap.Segment(offset: numbers[$0], length: numbers[$0 + 1])
    }
  }
}
