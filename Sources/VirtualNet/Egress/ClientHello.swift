/// The beginning of TLS as a client sends it: the name it shows (RFC 8446, 4.1.2; RFC 6066, 3).
///
/// Strict where servers may be lenient: a hello that two readers could understand in two ways is none.
enum ClientHello {
  enum Shown: Equatable {
    /// The bytes do not begin like TLS at all.
    case noTLS
    /// A hello without the extension.
    case nothing
    /// As it stands there, in any bytes.
    case name([UInt8])
  }

  /// Bytes of records; those in use are of 0.2 to 4 KB.
  static let most = 32768
  private static let handshake: UInt8 = 22, clientHello: UInt8 = 1
  /// change_cipher_spec, alert, handshake, application_data, heartbeat.
  private static let kinds: ClosedRange<UInt8> = 20...24

  /// Reads from the first byte that the client sends.
  static func read(_ bytes: some RandomAccessCollection<UInt8>) -> Reading<Shown> {
    guard let first = bytes.first else { return .incomplete }
    // The major number has been 3 in each version with records like these. There are servers that take any below 16.
    let major = bytes.dropFirst().first ?? 3
    guard kinds.contains(first), major < 16 else { return .complete(.noTLS, length: 0) }
    guard major == 3 else { return .wrong("a record of another version") }
    // There are servers that pass over an alert before the hello.
    guard first == handshake || bytes.count < 2 else { return .wrong("a record before the hello") }
    return records(bytes)
  }

  /// The handshake message, over as many records as the client likes.
  private static func records(_ bytes: some RandomAccessCollection<UInt8>) -> Reading<Shown> {
    var message: [UInt8] = []
    var cursor = ByteCursor(bytes)
    while true {
      guard let header = cursor.take(5) else { return unfinished(bytes.count) }
      let length = Int(header[3]) << 8 | Int(header[4])
      guard header[0] == handshake, header[1] == 3 else { return .wrong("another record within the hello") }
      guard (1...16384).contains(length) else { return .wrong("a record of \(length) bytes") }
      // Of a record that is not there yet the beginning will do to see that it is wrong.
      let part = cursor.take(length) ?? cursor.rest()
      message += part
      if let type = message.first, type != clientHello { return .wrong("a handshake that begins with no hello") }
      if message.count >= 4 {
        let whole = 4 + (Int(message[1]) << 16 | Int(message[2]) << 8 | Int(message[3]))
        guard whole <= most else { return .wrong("a hello of \(whole) bytes") }
        guard message.count <= whole else { return .wrong("something behind the hello in its record") }
        if message.count == whole {
          guard let shown = body(message[4...]) else { return .wrong("fields that do not fit") }
          return .complete(shown, length: cursor.taken)
        }
      }
      if part.count < length { return unfinished(bytes.count) }
    }
  }

  private static func unfinished(_ count: Int) -> Reading<Shown> {
    count < most ? .incomplete : .wrong("no end within \(most) bytes")
  }

  private static func body(_ bytes: ArraySlice<UInt8>) -> Shown? {
    var cursor = ByteCursor(bytes)
    guard cursor.take(2 + 32) != nil, let session = cursor.vector(lengthOf: 1), session.count <= 32,
      let suites = cursor.vector(lengthOf: 2), !suites.isEmpty, suites.count % 2 == 0,
      let compression = cursor.vector(lengthOf: 1), !compression.isEmpty
    else { return nil }
    if cursor.isAtEnd { return .nothing }
    guard let extensions = cursor.vector(lengthOf: 2), cursor.isAtEnd else { return nil }
    var shown: Shown?
    var each = ByteCursor(extensions)
    while !each.isAtEnd {
      guard let type = each.take(2), let data = each.vector(lengthOf: 2) else { return nil }
      guard type.elementsEqual([0, 0]) else { continue }
      guard shown == nil, let name = serverName(data) else { return nil }
      shown = .name(name)
    }
    return shown ?? .nothing
  }

  /// The one name of type host_name that the extension has in all its uses.
  private static func serverName(_ data: [UInt8]) -> [UInt8]? {
    var cursor = ByteCursor(data)
    guard let list = cursor.vector(lengthOf: 2), cursor.isAtEnd else { return nil }
    var entry = ByteCursor(list)
    guard let type = entry.take(1), type[0] == 0, let name = entry.vector(lengthOf: 2), !name.isEmpty, entry.isAtEnd
    else { return nil }
    return name
  }
}

/// Goes through bytes, never beyond their end.
struct ByteCursor {
  private let bytes: [UInt8]
  private(set) var taken = 0

  init(_ bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }

  var isAtEnd: Bool { taken == bytes.count }

  /// - Returns: nil, and nothing taken, where there are not as many.
  mutating func take(_ count: Int) -> [UInt8]? {
    guard bytes.count - taken >= count else { return nil }
    defer { taken += count }
    return Array(bytes[taken..<taken + count])
  }

  mutating func rest() -> [UInt8] {
    defer { taken = bytes.count }
    return Array(bytes[taken...])
  }

  /// A vector behind its length in so many bytes.
  mutating func vector(lengthOf width: Int) -> [UInt8]? {
    guard let length = take(width) else { return nil }
    return take(length.reduce(0) { $0 << 8 | Int($1) })
  }
}
