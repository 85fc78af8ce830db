/// JSON as it is written, member by member.
public struct JSONWriter: JSONFields {
  private var bytes: [UInt8] = []
  private let name: String
  private let isPretty: Bool
  private var depth = 0
  /// Nothing was written yet into what was opened last.
  private var isFirst = true

  init(name: String, pretty: Bool) {
    self.name = name
    isPretty = pretty
    bytes.reserveCapacity(2048)
  }

  consuming func text() -> [UInt8] {
    if isPretty { bytes.append(10) }
    return bytes
  }

  func refusal(_ why: String) -> JSONError { JSONError(action: "write", name: name, why: why) }

  // MARK: containers

  mutating func open(_ mark: Unicode.Scalar) {
    bytes.append(UInt8(ascii: mark))
    depth += 1
    isFirst = true
  }

  mutating func close(_ mark: Unicode.Scalar) {
    depth -= 1
    if !isFirst { line() }
    bytes.append(UInt8(ascii: mark))
    isFirst = false
  }

  /// Before each member or element.
  mutating func next() {
    if !isFirst { bytes.append(UInt8(ascii: ",")) }
    isFirst = false
    line()
  }

  private mutating func line() {
    guard isPretty else { return }
    bytes.append(10)
    for _ in 0..<(2 * depth) { bytes.append(32) }
  }

  private mutating func key(_ key: String) throws(JSONError) {
    next()
    try put(key)
    bytes.append(UInt8(ascii: ":"))
    if isPretty { bytes.append(32) }
  }

  public mutating func field(_ key: String, _ value: inout some JSONValue) throws(JSONError) {
    try member(key, value)
  }

  public mutating func field<T: JSONValue>(_ key: String, _ value: inout T?) throws(JSONError) {
    if let value { try member(key, value) }
  }

  mutating func member(_ key: String, _ value: some JSONValue) throws(JSONError) {
    try self.key(key)
    do throws(JSONError) { try value.write(to: &self) } catch { throw error.below(key) }
  }

  // MARK: values

  mutating func plain(_ text: String) { bytes.append(contentsOf: text.utf8) }

  mutating func put(_ text: String) throws(JSONError) {
    bytes.append(UInt8(ascii: "\""))
    let isPlain = text.utf8.allSatisfy { $0 >= 32 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
    if isPlain { bytes.append(contentsOf: text.utf8) } else { try escape(text) }
    bytes.append(UInt8(ascii: "\""))
  }

  private mutating func escape(_ text: String) throws(JSONError) {
    for byte in text.utf8 {
      switch byte {
      case 0: throw refusal("a string with a NUL")
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(byte)
      case 1..<32:
        plain("\\u00")
        bytes.append(48 + byte >> 4)
        bytes.append(byte & 15 < 10 ? 48 + byte & 15 : 87 + byte & 15)
      default: bytes.append(byte)
      }
    }
  }
}
