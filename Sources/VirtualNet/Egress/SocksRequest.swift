/// SOCKS 5 (RFC 1928) as a client speaks it: a greeting, then a request.
enum SocksRequest: Equatable {
  case connect(EgressTarget)
  /// A reply's number: what was asked is not done here, or is nothing that can be asked.
  case refused(UInt8)

  static let version: UInt8 = 5

  enum Reply {
    static let succeeded: UInt8 = 0, failure: UInt8 = 1, notAllowed: UInt8 = 2, hostUnreachable: UInt8 = 4
    static let connectionRefused: UInt8 = 5, expired: UInt8 = 6, commandUnknown: UInt8 = 7, addressUnknown: UInt8 = 8
  }

  /// Whether the client can do without authentication (method 0).
  static func greeting(_ bytes: [UInt8]) -> Reading<Bool> {
    guard bytes.count >= 2 else { return .incomplete }
    guard bytes[0] == version, bytes[1] > 0 else { return .wrong("a greeting of no SOCKS 5") }
    let length = 2 + Int(bytes[1])
    guard bytes.count >= length else { return .incomplete }
    return .complete(bytes[2..<length].contains(0), length: length)
  }

  static func greetingReply(accepts: Bool) -> [UInt8] { [version, accepts ? 0 : 0xff] }

  static func request(_ bytes: [UInt8]) -> Reading<SocksRequest> {
    guard bytes.count >= 5 else { return .incomplete }
    guard bytes[0] == version, bytes[2] == 0 else { return .wrong("a request of no SOCKS 5") }
    let addressLength: Int
    switch bytes[3] {
    case 1: addressLength = 4
    case 3: addressLength = 1 + Int(bytes[4])
    case 4: addressLength = 16
    default: return .complete(.refused(Reply.addressUnknown), length: bytes.count)
    }
    let length = 4 + addressLength + 2
    guard bytes.count >= length else { return .incomplete }
    let address = bytes[4..<4 + addressLength]
    let port = UInt16(bytes[length - 2]) << 8 | UInt16(bytes[length - 1])
    let host: EgressHost? =
      switch bytes[3] {
      case 1: IPv4Address(bytes: address).map { .address(IPAddress($0)) }
      case 4: IPAddress(bytes: address).map { .address($0) }
      default: EgressHost(EgressDenial.printable(address.dropFirst(), most: 255))
      }
    // CONNECT alone: BIND and UDP ASSOCIATE would let others in, or out past the names.
    guard bytes[1] == 1 else { return .complete(.refused(Reply.commandUnknown), length: length) }
    guard let host, port > 0 else { return .complete(.refused(Reply.addressUnknown), length: length) }
    return .complete(.connect(EgressTarget(host: host, port: port)), length: length)
  }

  /// The address bound is nobody's business: 0.0.0.0:0.
  static func reply(_ number: UInt8) -> [UInt8] { [version, number, 0, 1, 0, 0, 0, 0, 0, 0] }
}
