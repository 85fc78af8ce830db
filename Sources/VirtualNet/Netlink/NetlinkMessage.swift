/// One netlink request being built: header, fixed part, attributes (netlink(7), linux/netlink.h).
///
/// An attribute's length is a UInt16 that includes its own header. A payload that does not fit is remembered and the
/// whole message refused when it is finished, so a wrapped length can never reach the kernel (CVE-2021-43784).
struct NetlinkMessage: Sendable {
  static let headerLength = 16
  static let nestedFlag: UInt16 = 0x8000

  let type: UInt16
  private(set) var flags: UInt16
  private(set) var bytes: [UInt8]
  private(set) var tooLong: UInt16?

  /// - Parameter flags: `NLM_F_*`; the socket adds the sequence number.
  init(type: UInt16, flags: UInt16) {
    self.type = type
    self.flags = flags
    bytes = [UInt8](repeating: 0, count: Self.headerLength)
  }

  /// A number of the fixed part, in the host's byte order.
  mutating func append(_ number: some FixedWidthInteger) {
    withUnsafeBytes(of: number) { bytes.append(contentsOf: $0) }
  }

  mutating func append(_ payload: [UInt8]) { bytes.append(contentsOf: payload) }

  mutating func attribute(_ type: UInt16, _ payload: some Collection<UInt8>) {
    guard let length = UInt16(exactly: payload.count + 4) else {
      tooLong = tooLong ?? type
      return
    }
    append(length)
    append(type)
    bytes.append(contentsOf: payload)
    pad()
  }

  /// A number in the host's byte order, as rtnetlink wants it.
  mutating func attribute(_ type: UInt16, number: some FixedWidthInteger) {
    attribute(type, withUnsafeBytes(of: number) { Array($0) })
  }

  /// A number in network byte order, as nfnetlink wants it.
  mutating func attribute(_ type: UInt16, big: some FixedWidthInteger) { attribute(type, number: big.bigEndian) }

  /// A string with its terminating zero.
  mutating func attribute(_ type: UInt16, string: String) { attribute(type, Array(string.utf8) + [0]) }

  /// An attribute whose payload is what `body` appends.
  mutating func nested(_ type: UInt16, _ body: (inout NetlinkMessage) -> Void) {
    let start = bytes.count
    append(UInt16(0))
    append(type | Self.nestedFlag)
    body(&self)
    guard let length = UInt16(exactly: bytes.count - start) else {
      tooLong = tooLong ?? type
      return
    }
    withUnsafeBytes(of: length) { bytes.replaceSubrange(start..<start + 2, with: $0) }
  }

  /// The same request, asking for an answer also when it succeeds.
  func acknowledging() -> NetlinkMessage {
    var message = self
    message.flags |= NetlinkFlag.acknowledge
    return message
  }

  private mutating func pad() {
    while bytes.count % 4 != 0 { bytes.append(0) }
  }

  /// The message as it is sent.
  /// - Throws: `.invalid` where an attribute was longer than 65,531 bytes.
  func finished(sequence: UInt32) throws(NetworkError) -> [UInt8] {
    if let tooLong {
      throw .invalid("netlink message \(type): attribute \(tooLong & ~Self.nestedFlag) is longer than 65531 bytes")
    }
    var result = bytes
    guard let length = UInt32(exactly: result.count) else {
      throw .invalid("netlink message \(type) is longer than 4 GiB")
    }
    func put(_ number: some FixedWidthInteger, at offset: Int) {
      withUnsafeBytes(of: number) { result.replaceSubrange(offset..<offset + $0.count, with: $0) }
    }
    put(length, at: 0)
    put(type, at: 4)
    put(flags, at: 6)
    put(sequence, at: 8)
    return result
  }
}

/// `NLM_F_*` (linux/netlink.h).
enum NetlinkFlag {
  static let request: UInt16 = 0x1
  static let acknowledge: UInt16 = 0x4
  static let dump: UInt16 = 0x300
  static let exclusive: UInt16 = 0x200
  static let create: UInt16 = 0x400
  static let append: UInt16 = 0x800
  /// Also set on answers: a dump that changed while it was read.
  static let dumpInterrupted: UInt16 = 0x10
  static let capped: UInt16 = 0x100
  static let extendedAck: UInt16 = 0x200
}
