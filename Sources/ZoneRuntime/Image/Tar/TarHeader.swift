/// A header's 512 bytes (POSIX.1-2017 pax(1), "ustar Interchange Format"; GNU tar manual, "Basic Tar Format").
struct TarHeader: Equatable {
  static let blockSize = 512

  enum Format { case v7, ustar, gnu, star }

  var format: Format
  /// With the prefix, where the format has one.
  var path: [UInt8]
  var mode: UInt32
  var uid: Int64
  var gid: Int64
  /// Of what follows the header, as the header says.
  var size: Int64
  /// Seconds since 1970.
  var modified: Int64
  var type: UInt8
  var linkName: [UInt8]
  var major: Int64
  var minor: Int64

  /// - Parameter block: 512 bytes, not all of them zero.
  init(_ block: [UInt8]) throws(TarFault) {
    try Self.check(block)
    type = block[156]
    if block[257..<265].elementsEqual(Array("ustar  \0".utf8)) {
      format = .gnu
    } else if block[257..<262].elementsEqual(Array("ustar".utf8)) {
      format = block[508..<512].elementsEqual(Array("tar\0".utf8)) ? .star : .ustar
    } else {
      format = .v7
    }
    path = Self.text(block[0..<100])
    if format == .ustar || format == .star {
      // star keeps two times behind a shorter prefix.
      let prefix = Self.text(block[345..<(format == .star ? 476 : 500)])
      if !prefix.isEmpty { path = prefix + [UInt8(ascii: "/")] + path }
    }
    linkName = Self.text(block[157..<257])
    mode = UInt32(truncatingIfNeeded: try Self.number(block[100..<108], "mode") & 0o7777)
    uid = try Self.number(block[108..<116], "uid")
    gid = try Self.number(block[116..<124], "gid")
    size = try Self.number(block[124..<136], "size")
    modified = try Self.number(block[136..<148], "mtime")
    (major, minor) = (0, 0)
    if format != .v7, type == UInt8(ascii: "3") || type == UInt8(ascii: "4") {
      major = try Self.number(block[329..<337], "devmajor")
      minor = try Self.number(block[337..<345], "devminor")
    }
    guard size >= 0 else { throw TarFault("a size of \(size)") }
  }

  /// The sum of all bytes, those of the sum itself taken as blanks; as signed ones too, which some wrote.
  private static func check(_ block: [UInt8]) throws(TarFault) {
    var (unsigned, signed) = (Int64(0), Int64(0))
    for (index, byte) in block.enumerated() {
      let counted = (148..<156).contains(index) ? 32 : byte
      unsigned += Int64(counted)
      signed += Int64(Int8(bitPattern: counted))
    }
    let told = try number(block[148..<156], "checksum")
    guard told == unsigned || told == signed else {
      throw TarFault("no header of a tar archive (its checksum is wrong)")
    }
  }

  /// Up to the first NUL.
  static func text(_ field: ArraySlice<UInt8>) -> [UInt8] { Array(field.prefix { $0 != 0 }) }

  /// Octal digits with blanks or NULs around them, or GNU's binary form: the first bit is set, and the rest is a number in
  /// two's complement, the highest byte first. An empty field is 0.
  static func number(_ field: ArraySlice<UInt8>, _ name: String) throws(TarFault) -> Int64 {
    guard let first = field.first else { return 0 }
    if first & 0x80 != 0 {
      let isNegative = first & 0x40 != 0
      var value: Int64 = isNegative ? -1 : 0
      for (index, byte) in field.enumerated() {
        let digit = index == 0 ? (isNegative ? byte : byte & 0x7f) : byte
        guard (value << 8) >> 8 == value else { throw TarFault("a \(name) of more than 63 bits") }
        value = value << 8 | Int64(digit)
      }
      return value
    }
    var value: Int64 = 0
    var rest = field.drop { $0 == 32 || $0 == 0 }
    while let digit = rest.first, (48...55).contains(digit) {
      value = value << 3 | Int64(digit - 48)  // at most 12 digits
      rest = rest.dropFirst()
    }
    guard rest.allSatisfy({ $0 == 32 || $0 == 0 }) else { throw TarFault("a \(name) that is no octal number") }
    return value
  }
}
