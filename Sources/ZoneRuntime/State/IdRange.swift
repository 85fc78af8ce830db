/// Ids next to each other: `count` of them from `start`.
public struct IdRange: Hashable, Sendable, CustomStringConvertible {
  public let start: UInt32
  public let count: UInt32

  /// nil for an empty range and one that would hold 4294967295, which is -1 to the kernel: "no id".
  public init?(start: UInt32, count: UInt32) {
    guard count > 0, UInt64(start) + UInt64(count) <= UInt64(UInt32.max) else { return nil }
    self.start = start
    self.count = count
  }

  public var last: UInt32 { start + (count - 1) }
  public func overlaps(_ other: IdRange) -> Bool { start <= other.last && other.start <= last }
  public func contains(_ id: UInt32) -> Bool { id >= start && id <= last }

  /// `100000-165535`.
  public var description: String { "\(start)-\(last)" }
}

/// A line of /proc/PID/uid_map or gid_map (user_namespaces(7)): `count` ids from `inside` are those from `outside`.
///
/// A value of this type is in range: overflow is an error when it is made, wherever it comes from. Elsewhere a
/// wrapped number made an ordinary id the host's root (CVE-2026-30892).
public struct IdMap: Hashable, Sendable, CustomStringConvertible {
  public let inside: UInt32
  public let outside: UInt32
  public let count: UInt32

  public init(inside: UInt32, outside: UInt32, count: UInt32) throws(SyntaxError) {
    guard IdRange(start: inside, count: count) != nil, IdRange(start: outside, count: count) != nil else {
      throw SyntaxError(
        what: "id map", value: "\(inside):\(outside):\(count)",
        why: "the count must be 1 or more and no id above \(UInt32.max - 1)")
    }
    self.inside = inside
    self.outside = outside
    self.count = count
  }

  /// `INSIDE:OUTSIDE:COUNT`, decimal numbers only.
  public init(parsing text: String) throws(SyntaxError) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { StrictNumber.number($0.utf8) }
    guard parts.count == 3, let inside = parts[0], let outside = parts[1], let count = parts[2] else {
      throw SyntaxError(what: "id map", value: text, why: "wants INSIDE:OUTSIDE:COUNT, 0:100000:65536 say")
    }
    try self.init(inside: inside, outside: outside, count: count)
  }

  /// As the kernel reads it: `0 100000 65536`.
  public var description: String { "\(inside) \(outside) \(count)" }

  var insideRange: IdRange { IdRange(start: inside, count: count)! }
  var outsideRange: IdRange { IdRange(start: outside, count: count)! }
}

extension Collection<IdMap> {
  /// The host's id of an id of the zone; nil where it is not mapped.
  public func outside(of inside: UInt32) -> UInt32? {
    first { $0.insideRange.contains(inside) }.map { $0.outside + (inside - $0.inside) }
  }

  /// The kernel's conditions on a whole map (user_namespaces(7)): 1 to 340 lines, none overlapping on either side.
  public func validateIdMaps() throws(SyntaxError) {
    guard (1...340).contains(count) else {
      throw SyntaxError(what: "id maps", value: "\(count) lines", why: "the kernel takes 1 to 340")
    }
    for side in [map { $0.insideRange }, map { $0.outsideRange }] {
      let sorted = side.sorted { $0.start < $1.start }
      for (a, b) in zip(sorted, sorted.dropFirst()) where a.overlaps(b) {
        throw SyntaxError(what: "id maps", value: "\(a) and \(b)", why: "they overlap")
      }
    }
  }
}

/// Numbers of files and options that decide whose power somebody gets.
enum StrictNumber {
  /// An id: as `number`, but never 4294967295, which is -1 to the kernel.
  static func id(_ digits: some Collection<UInt8>) -> UInt32? {
    number(digits).flatMap { $0 < UInt32.max ? $0 : nil }
  }

  /// Decimal digits only, no sign, space or leading zero (a person may have meant octal), 32 bits. nil for all else.
  static func number(_ digits: some Collection<UInt8>) -> UInt32? {
    guard (1...10).contains(digits.count), digits.count == 1 || digits.first != 48 else { return nil }
    var value: UInt64 = 0
    for digit in digits {
      guard (48...57).contains(digit) else { return nil }
      value = value * 10 + UInt64(digit - 48)
    }
    return UInt32(exactly: value)
  }
}
