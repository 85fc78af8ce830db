/// One message from the kernel.
struct NetlinkReply: Sendable {
  var type: UInt16
  var flags: UInt16
  var sequence: UInt32
  var payload: ArraySlice<UInt8>

  /// Splits what one recv(2) gave; a message whose length does not fit ends the list.
  static func split(_ bytes: ArraySlice<UInt8>) -> [NetlinkReply] {
    var replies: [NetlinkReply] = []
    var rest = bytes
    while let length = rest.number(UInt32.self, at: 0).map(Int.init), length >= NetlinkMessage.headerLength,
      length <= rest.count
    {
      let message = rest.prefix(length)
      replies.append(
        NetlinkReply(
          type: message.number(UInt16.self, at: 4) ?? 0, flags: message.number(UInt16.self, at: 6) ?? 0,
          sequence: message.number(UInt32.self, at: 8) ?? 0, payload: message.dropFirst(NetlinkMessage.headerLength)))
      rest = rest.dropFirst((length + 3) & ~3)
    }
    return replies
  }

  /// The attributes behind a fixed part of `offset` bytes.
  func attributes(after offset: Int) -> NetlinkAttributes { NetlinkAttributes(payload.dropFirst(offset)) }
}

/// Attributes as the kernel sent them; the last of a type wins, as in the kernel's own parser.
struct NetlinkAttributes: Sendable {
  private(set) var all: [(type: UInt16, value: ArraySlice<UInt8>)] = []

  init(_ bytes: ArraySlice<UInt8>) {
    var rest = bytes
    while let length = rest.number(UInt16.self, at: 0).map(Int.init), let type = rest.number(UInt16.self, at: 2),
      length >= 4, length <= rest.count
    {
      all.append((type & 0x3fff, rest.prefix(length).dropFirst(4)))
      rest = rest.dropFirst((length + 3) & ~3)
    }
  }

  subscript(_ type: UInt16) -> ArraySlice<UInt8>? { all.last { $0.type == type }?.value }

  func nested(_ type: UInt16) -> NetlinkAttributes? { self[type].map(NetlinkAttributes.init) }

  /// A number in the host's byte order.
  func number<T: FixedWidthInteger>(_ type: UInt16, as: T.Type = T.self) -> T? { self[type]?.number(T.self, at: 0) }

  /// A number in network byte order.
  func big<T: FixedWidthInteger>(_ type: UInt16, as: T.Type = T.self) -> T? {
    number(type, as: T.self).map { T(bigEndian: $0) }
  }

  func string(_ type: UInt16) -> String? {
    self[type].map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}

extension ArraySlice<UInt8> {
  /// The number at `offset` from the slice's start, or nil where it does not fit.
  func number<T: FixedWidthInteger>(_ type: T.Type, at offset: Int) -> T? {
    let size = MemoryLayout<T>.size
    guard offset >= 0, count >= offset + size else { return nil }
    return withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: T.self) }
  }
}
