internal import Glibc

/// An IPv4 or IPv6 address as one number, so that prefixes are arithmetic. IPv4 is what it is in IPv6, ::ffff:a.b.c.d
/// (RFC 4291, 2.5.5.2): the two spellings are one address.
public struct IPAddress: Hashable, Sendable, CustomStringConvertible {
  let high: UInt64, low: UInt64

  init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  public init(_ address: IPv4Address) { self.init(high: 0, low: 0xffff_0000_0000 | UInt64(address.number)) }

  /// Sixteen bytes, in the order of the network.
  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 16 else { return nil }
    self.init(
      high: bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) },
      low: bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) })
  }

  /// The strict form of inet_pton(3), without brackets and without a link.
  public init?(_ text: some StringProtocol) {
    if let address = IPv4Address(text) {
      self.init(address)
      return
    }
    var raw = in6_addr()
    guard inet_pton(AF_INET6, String(text), &raw) == 1 else { return nil }
    self.init(bytes: withUnsafeBytes(of: raw) { Array($0) })
  }

  public var ipv4: IPv4Address? {
    high == 0 && low >> 32 == 0xffff ? IPv4Address(UInt32(truncatingIfNeeded: low)) : nil
  }

  var bytes: [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: high >> (56 - 8 * $0)) }
      + (0..<8).map { UInt8(truncatingIfNeeded: low >> (56 - 8 * $0)) }
  }

  func socketAddress(port: UInt16) -> sockaddr_storage {
    if let ipv4 { return SocketAddress.ipv4(ipv4, port) }
    return SocketAddress.ipv6(bytes, port)
  }

  public var description: String {
    if let ipv4 { return ipv4.description }
    var groups: [String] = []
    for index in 0..<8 {
      let half = index < 4 ? high : low
      groups.append(String(UInt16(truncatingIfNeeded: half >> UInt64(48 - 16 * (index % 4))), radix: 16))
    }
    let text = groups.joined(separator: ":")
    return IPv6Text.canonical(text) ?? text
  }
}

/// The addresses that begin with the same bits: `10.0.0.0/8`, `2001:db8::/32`, or one address.
public struct IPPrefix: Hashable, Sendable, CustomStringConvertible {
  public let base: IPAddress
  /// 0 to 128, counted as in IPv6: 96 more than an IPv4 prefix is written with.
  public let length: Int

  /// Bits beyond the prefix are cleared.
  init(_ address: IPAddress, length: Int) {
    precondition((0...128).contains(length))
    self.length = length
    base = Self.cut(address, length)
  }

  /// `ADDRESS/LENGTH`, or `ADDRESS` for that one alone; nil also where bits beyond the length are set.
  public init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let first = parts.first, let address = IPAddress(first) else { return nil }
    // As it is written: ::ffff:10.0.0.0/104 is IPv6's way of saying 10.0.0.0/8.
    let most = IPv4Address(first) == nil ? 128 : 32
    var written = most
    if parts.count == 2 {
      guard let length = Int(parts[1]), (0...most).contains(length),
        parts[1].utf8.allSatisfy({ (48...57).contains($0) })
      else { return nil }
      written = length
    }
    let length = written + 128 - most
    guard Self.cut(address, length) == address else { return nil }
    self.init(address, length: length)
  }

  private static func cut(_ address: IPAddress, _ length: Int) -> IPAddress {
    func mask(_ bits: Int) -> UInt64 { bits <= 0 ? 0 : bits >= 64 ? .max : .max << UInt64(64 - bits) }
    return IPAddress(high: address.high & mask(length), low: address.low & mask(length - 64))
  }

  /// A prefix of IPv6 holds no address of IPv4, however short it is: ::/0 is all of IPv6 and nothing else.
  public func contains(_ address: IPAddress) -> Bool {
    (address.ipv4 == nil || length >= 96) && Self.cut(address, length) == base
  }

  /// Whether all of `other` is in it.
  func contains(_ other: IPPrefix) -> Bool { other.length >= length && contains(other.base) }

  public var description: String {
    if length == 128 { return base.description }
    return base.ipv4 != nil && length >= 96 ? "\(base)/\(length - 96)" : "\(base)/\(length)"
  }
}
