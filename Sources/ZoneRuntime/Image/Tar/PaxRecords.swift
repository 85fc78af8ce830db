internal import LinuxNS

/// What an extended header says of the entry behind it: records `LENGTH KEY=VALUE\n` (POSIX.1-2017 pax(1), "pax Extended
/// Header"). Where two say the same, the later counts; an empty value takes back.
struct PaxRecords: Equatable {
  var path: [UInt8]?
  var linkPath: [UInt8]?
  var size: Int64?
  var uid: Int64?
  var gid: Int64?
  /// Nanoseconds since 1970.
  var modified: Int64?
  var xattrs: [Xattr] = []
  var sparse = PaxSparse()

  /// Linux's XATTR_NAME_MAX, and together what the largest file systems take.
  static let (mostNameBytes, mostXattrs) = (255, 1024)

  init() {}

  init(_ bytes: [UInt8], _ limits: TarLimits) throws(TarFault) {
    var at = 0
    var byName: [[UInt8]: [UInt8]] = [:]
    while at < bytes.count {
      let record = try Self.record(bytes, &at)
      try take(record.key, Array(record.value), &byName, limits)
    }
    guard byName.count <= Self.mostXattrs else { throw TarFault("more than \(Self.mostXattrs) extended attributes") }
    xattrs = byName.map { Xattr(name: $0.key, value: $0.value) }
    xattrs.sort { $0.name.lexicographicallyPrecedes($1.name) }
  }

  /// A global header may say what concerns nobody (git writes its commit); what would be of every later entry is refused,
  /// for readers differ about it.
  static func checkGlobal(_ bytes: [UInt8]) throws(TarFault) {
    var at = 0
    while at < bytes.count {
      let key = String(decoding: try record(bytes, &at).key, as: UTF8.self)
      guard !["path", "linkpath", "size", "uid", "gid", "mtime"].contains(key), !key.hasPrefix("SCHILY.xattr."),
        !key.hasPrefix("GNU.sparse.")
      else { throw TarFault("a header for all entries says their \(shortened(key))") }
    }
  }

  private static func record(_ bytes: [UInt8], _ at: inout Int) throws(TarFault) -> (
    key: ArraySlice<UInt8>, value: ArraySlice<UInt8>
  ) {
    let refusal = TarFault("an extended header whose records do not fit")
    var length = 0
    var cursor = at
    while cursor < bytes.count, (48...57).contains(bytes[cursor]), cursor - at < 8 {
      length = length * 10 + Int(bytes[cursor] - 48)
      cursor += 1
    }
    let end = at + length
    guard cursor > at, cursor < bytes.count, bytes[cursor] == 32, end <= bytes.count, end > cursor + 1,
      bytes[end - 1] == 10
    else { throw refusal }
    let text = bytes[(cursor + 1)..<(end - 1)]
    guard let equals = text.firstIndex(of: UInt8(ascii: "=")), equals > text.startIndex,
      !text[..<equals].contains(0)
    else { throw refusal }
    at = end
    return (text[..<equals], text[(equals + 1)...])
  }

  private mutating func take(
    _ name: ArraySlice<UInt8>, _ value: [UInt8], _ byName: inout [[UInt8]: [UInt8]], _ limits: TarLimits
  ) throws(TarFault) {
    let xattr = "SCHILY.xattr."
    let key = String(decoding: name, as: UTF8.self)
    switch key {
    case "path": path = try Self.name(value)
    case "linkpath": linkPath = try Self.name(value)
    case "size": size = value.isEmpty ? nil : try Self.decimal(value, key)
    case "uid": uid = value.isEmpty ? nil : try Self.decimal(value, key)
    case "gid": gid = value.isEmpty ? nil : try Self.decimal(value, key)
    case "mtime": modified = value.isEmpty ? nil : try Self.time(value)
    case _ where key.hasPrefix(xattr):
      let name = Array(name.dropFirst(xattr.utf8.count))
      guard !name.isEmpty, name.count <= Self.mostNameBytes else {
        throw TarFault("an extended attribute's name of \(name.count) bytes")
      }
      guard value.count <= 65536 else { throw TarFault("an extended attribute of \(value.count) bytes") }
      byName[name] = value
    case _ where key.hasPrefix("GNU.sparse."): try sparse.take(String(key.dropFirst(11)), value, limits)
    default: break  // other times, names of users, what other systems have
    }
  }

  private static func name(_ value: [UInt8]) throws(TarFault) -> [UInt8]? {
    guard !value.contains(0) else { throw TarFault("a name with a NUL in it") }
    return value.isEmpty ? nil : value
  }

  static func decimal(_ value: some Collection<UInt8>, _ name: String) throws(TarFault) -> Int64 {
    guard !value.isEmpty, value.count <= 18, value.allSatisfy({ (48...57).contains($0) }) else {
      throw TarFault("a \(name) that is no number")
    }
    var number: Int64 = 0
    for byte in value { number = number * 10 + Int64(byte - 48) }
    return number
  }

  /// Seconds, with or without a fraction, to nanoseconds; further digits are cut.
  static func time(_ value: [UInt8]) throws(TarFault) -> Int64 {
    let isNegative = value.first == UInt8(ascii: "-")
    let parts = value.dropFirst(isNegative ? 1 : 0).split(
      separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
    guard let whole = parts.first else { throw TarFault("an mtime that is no number") }
    let seconds = try decimal(whole, "mtime")
    var fraction: Int64 = 0
    if parts.count == 2 {
      guard parts[1].allSatisfy({ (48...57).contains($0) }) else { throw TarFault("an mtime that is no number") }
      let digits = parts[1].prefix(9)
      for byte in digits { fraction = fraction * 10 + Int64(byte - 48) }
      for _ in digits.count..<9 { fraction *= 10 }
    }
    let (scaled, isTooMuch) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    guard !isTooMuch, scaled <= Int64.max - 1_000_000_000 else { throw TarFault("an mtime out of range") }
    return isNegative ? -(scaled + fraction) : scaled + fraction
  }
}
