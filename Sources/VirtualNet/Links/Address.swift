/// An IPv4 address as a number in the host's byte order, so that subnets are arithmetic.
public struct IPv4Address: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var number: UInt32

  public init(_ number: UInt32) { self.number = number }

  /// Four decimal parts without leading zeros, the strict form of inet_pton(3).
  public init?(_ text: some StringProtocol) { self.init(text: text.utf8) }

  init?(text: some Sequence<UInt8>) {
    var parts = 0
    var digits = 0
    var part: UInt32 = 0
    var whole: UInt32 = 0
    for byte in text {
      switch byte {
      case UInt8(ascii: "."):
        guard digits > 0, parts < 3 else { return nil }
        whole = whole << 8 | part
        (parts, digits, part) = (parts + 1, 0, 0)
      case 48...57:
        guard digits == 0 || part > 0 else { return nil }
        (digits, part) = (digits + 1, part * 10 + UInt32(byte - 48))
        guard part <= 255 else { return nil }
      default: return nil
      }
    }
    guard parts == 3, digits > 0 else { return nil }
    number = whole << 8 | part
  }

  init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 4 else { return nil }
    number = bytes.reduce(0) { $0 << 8 | UInt32($1) }
  }

  public var bytes: [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) } }
  public var description: String {
    "\(number >> 24).\(number >> 16 & 0xff).\(number >> 8 & 0xff).\(number & 0xff)"
  }
  public static func < (one: Self, other: Self) -> Bool { one.number < other.number }
  var isLoopback: Bool { number >> 24 == 127 }
}

/// An IPv4 prefix, `10.88.0.0/24`.
public struct IPv4Subnet: Hashable, Sendable, CustomStringConvertible {
  public let base: IPv4Address
  /// 0 to 32.
  public let length: Int

  /// Bits beyond the prefix are cleared.
  public init(_ address: IPv4Address, length: Int) {
    precondition((0...32).contains(length))
    self.length = length
    base = IPv4Address(address.number & Self.mask(length))
  }

  public init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let address = IPv4Address(parts[0]), let length = Int(parts[1]), (0...32).contains(length),
      address.number & ~Self.mask(length) == 0
    else { return nil }
    self.init(address, length: length)
  }

  private static func mask(_ length: Int) -> UInt32 { length == 0 ? 0 : ~UInt32(0) << UInt32(32 - length) }

  public func contains(_ address: IPv4Address) -> Bool { address.number & Self.mask(length) == base.number }
  public func overlaps(_ other: IPv4Subnet) -> Bool { contains(other.base) || other.contains(base) }

  /// The network's own address: the first host of the prefix.
  public var gateway: IPv4Address { IPv4Address(base.number + 1) }
  public var broadcast: IPv4Address { IPv4Address(base.number | ~Self.mask(length)) }
  /// The addresses zones may have: all but base, gateway and broadcast.
  var zones: ClosedRange<UInt32> { base.number + 2...broadcast.number - 1 }
  public var description: String { "\(base)/\(length)" }
}

/// An Ethernet address.
public struct MACAddress: Hashable, Sendable, CustomStringConvertible {
  public let bytes: [UInt8]

  public init?(bytes: [UInt8]) {
    guard bytes.count == 6 else { return nil }
    self.bytes = bytes
  }

  public init?(_ text: some StringProtocol) { self.init(text: text.utf8) }

  init?(text: some Sequence<UInt8>) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(6)
    var digits = 0
    var part: UInt8 = 0
    for byte in text {
      let digit: UInt8
      switch byte {
      case UInt8(ascii: ":"):
        guard digits == 2, bytes.count < 5 else { return nil }
        bytes.append(part)
        (digits, part) = (0, 0)
        continue
      case 48...57: digit = byte - 48
      case 97...102: digit = byte - 87
      case 65...70: digit = byte - 55
      default: return nil
      }
      guard digits < 2 else { return nil }
      (digits, part) = (digits + 1, part << 4 | digit)
    }
    guard digits == 2, bytes.count == 5 else { return nil }
    self.bytes = bytes + [part]
  }

  /// The address that a zone has on a network, always the same: 46 bits of a hash, locally administered, unicast.
  init(zone: String, network: String) {
    let hash = fnv1a("\(network)/\(zone)")
    var bytes = (0..<6).map { UInt8(truncatingIfNeeded: hash >> (8 * $0)) }
    bytes[0] = bytes[0] & 0xfc | 0x02
    self.bytes = bytes
  }

  public var description: String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(17)
    for (index, byte) in bytes.enumerated() {
      if index > 0 { text.append(UInt8(ascii: ":")) }
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
  }
}

/// FNV-1a with a final mix (the plain hash moves little in its high bits for short names). Not for secrets.
func fnv1a(_ text: String) -> UInt64 {
  var hash: UInt64 = 0xcbf2_9ce4_8422_2325
  for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
  hash = (hash ^ hash >> 33) &* 0xff51_afd7_ed55_8ccd
  return hash ^ hash >> 33
}
