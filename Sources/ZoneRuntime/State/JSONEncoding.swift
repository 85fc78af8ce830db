/// What one call of `JSON.encode` gathers beside the tree.
final class JSONEncodingContext {
  /// The most significant digits that any real so far needs to be read back unchanged. jansson prints all reals of a
  /// document with one precision, and its 17 would turn 0.1 into 0.10000000000000001.
  var precision = 1
}

/// One place in the tree that is being made. It is filled as soon as the first container or value is known, because
/// a container may outlive the call that asked for it (`superEncoder`).
final class JSONEncoding: Encoder {
  let context: JSONEncodingContext
  let path: JSONPath
  private(set) var node: JSONNode?
  private let attach: (JSONNode) -> Bool

  var codingPath: [any CodingKey] { path.keys }
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  init(context: JSONEncodingContext, path: JSONPath, attach: @escaping (JSONNode) -> Bool = { _ in true }) {
    self.context = context
    self.path = path
    self.attach = attach
  }

  /// The whole value, in this place.
  func encodeValue(_ value: some Encodable) throws -> JSONNode {
    guard path.depth <= JSON.depthLimit else { throw refusal(value, "nested more than \(JSON.depthLimit) deep") }
    do {
      try value.encode(to: self)
    } catch let error as EncodingError {
      throw error
    } catch {
      throw EncodingError.invalidValue(
        value, .init(codingPath: codingPath, debugDescription: "", underlyingError: error))
    }
    guard let node else { throw refusal(value, "its type encoded nothing") }
    return node
  }

  func refusal(_ value: Any, _ why: String) -> EncodingError {
    .invalidValue(value, .init(codingPath: codingPath, debugDescription: why))
  }

  func fill(_ made: JSONNode?, _ value: Any) throws {
    guard let made, attach(made) else { throw refusal(value, "out of memory") }
    node = made
  }

  /// A container's protocol gives it no way to fail, so a conflict stops the process: it is a mistake in a type of
  /// ours, which the first test of that type shows.
  private func container(_ make: () -> JSONNode?) -> JSONNode {
    if let node { return node }
    guard let made = make(), attach(made) else { fatalError("out of memory while writing json") }
    node = made
    return made
  }

  func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    KeyedEncodingContainer(JSONKeyedEncoding(encoder: self, object: container(JSONNode.object)))
  }

  func unkeyedContainer() -> any UnkeyedEncodingContainer {
    JSONUnkeyedEncoding(encoder: self, array: container(JSONNode.array))
  }

  func singleValueContainer() -> any SingleValueEncodingContainer { self }
}

extension JSONEncoding: SingleValueEncodingContainer {
  func encodeNil() throws { try fill(.null(), ()) }
  func encode(_ value: Bool) throws { try fill(.boolean(value), value) }
  func encode(_ value: Float) throws { try encode(Double(value)) }
  func encode(_ value: Int) throws { try encodeInteger(value) }
  func encode(_ value: Int8) throws { try encodeInteger(value) }
  func encode(_ value: Int16) throws { try encodeInteger(value) }
  func encode(_ value: Int32) throws { try encodeInteger(value) }
  func encode(_ value: Int64) throws { try encodeInteger(value) }
  func encode(_ value: UInt) throws { try encodeInteger(value) }
  func encode(_ value: UInt8) throws { try encodeInteger(value) }
  func encode(_ value: UInt16) throws { try encodeInteger(value) }
  func encode(_ value: UInt32) throws { try encodeInteger(value) }
  func encode(_ value: UInt64) throws { try encodeInteger(value) }
  func encode(_ value: some Encodable) throws { _ = try encodeValue(value) }

  func encode(_ value: String) throws {
    guard !value.utf8.contains(0) else { throw refusal(value, "a string with a NUL in it") }
    try fill(.string(value), value)
  }

  func encode(_ value: Double) throws {
    guard value.isFinite else { throw refusal(value, "\(value) is no number json knows") }
    context.precision = max(context.precision, significantDigits(value))
    try fill(.real(value), value)
  }

  private func encodeInteger(_ value: some FixedWidthInteger) throws {
    guard let small = Int64(exactly: value) else { throw refusal(value, "\(value) is above \(Int64.max)") }
    try fill(.integer(small), value)
  }
}

/// Swift prints a Double with the fewest digits that tell it from its neighbours.
private func significantDigits(_ value: Double) -> Int {
  var digits = 0
  var trailingZeros = 0
  for byte in value.magnitude.description.utf8 {
    if byte == UInt8(ascii: "e") { break }
    guard byte != UInt8(ascii: "."), digits > 0 || byte != UInt8(ascii: "0") else { continue }
    digits += 1
    trailingZeros = byte == UInt8(ascii: "0") ? trailingZeros + 1 : 0
  }
  return min(17, max(1, digits - trailingZeros))
}

struct JSONKeyedEncoding<Key: CodingKey>: KeyedEncodingContainerProtocol {
  let encoder: JSONEncoding
  let object: JSONNode

  var codingPath: [any CodingKey] { encoder.codingPath }

  private func place(_ key: any CodingKey) throws -> JSONEncoding {
    guard !key.stringValue.utf8.contains(0) else { throw encoder.refusal(key, "a key with a NUL in it") }
    return unchecked(key)
  }

  private func unchecked(_ key: any CodingKey) -> JSONEncoding {
    JSONEncoding(context: encoder.context, path: encoder.path.appending(key)) { [object] in
      object.set(key.stringValue, to: $0)
    }
  }

  mutating func encodeNil(forKey key: Key) throws { try place(key).encodeNil() }
  mutating func encode(_ value: Bool, forKey key: Key) throws { try place(key).encode(value) }
  mutating func encode(_ value: String, forKey key: Key) throws { try place(key).encode(value) }
  mutating func encode(_ value: Double, forKey key: Key) throws { try place(key).encode(value) }
  mutating func encode(_ value: Float, forKey key: Key) throws { try place(key).encode(value) }
  mutating func encode(_ value: Int, forKey key: Key) throws { try place(key).encode(value) }
  mutating func encode(_ value: Int8, forKey key: Key) throws { try place(key).encode(value) }
  mutating func encode(_ value: Int16, forKey key: Key) throws { try place(key).encode(value) }
  mutating func encode(_ value: Int32, forKey key: Key) throws { try place(key).encode(value) }
  mutating func encode(_ value: Int64, forKey key: Key) throws { try place(key).encode(value) }
  mutating func encode(_ value: UInt, forKey key: Key) throws { try place(key).encode(value) }
  mutating func encode(_ value: UInt8, forKey key: Key) throws { try place(key).encode(value) }
  mutating func encode(_ value: UInt16, forKey key: Key) throws { try place(key).encode(value) }
  mutating func encode(_ value: UInt32, forKey key: Key) throws { try place(key).encode(value) }
  mutating func encode(_ value: UInt64, forKey key: Key) throws { try place(key).encode(value) }
  mutating func encode(_ value: some Encodable, forKey key: Key) throws { _ = try place(key).encodeValue(value) }

  mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key)
    -> KeyedEncodingContainer<Nested>
  { unchecked(key).container(keyedBy: type) }
  mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
    unchecked(key).unkeyedContainer()
  }
  mutating func superEncoder() -> any Encoder { unchecked(JSONSuperKey()) }
  mutating func superEncoder(forKey key: Key) -> any Encoder { unchecked(key) }
}

struct JSONUnkeyedEncoding: UnkeyedEncodingContainer {
  let encoder: JSONEncoding
  let array: JSONNode

  var codingPath: [any CodingKey] { encoder.codingPath }
  var count: Int { array.count }

  /// Appended when it is filled: an element that is refused leaves nothing behind.
  private func next() -> JSONEncoding {
    JSONEncoding(context: encoder.context, path: encoder.path.appending(JSONIndex(count))) { [array] in
      array.append($0)
    }
  }

  mutating func encodeNil() throws { try next().encodeNil() }
  mutating func encode(_ value: some Encodable) throws { _ = try next().encodeValue(value) }
  mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
    next().container(keyedBy: type)
  }
  mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { next().unkeyedContainer() }

  /// Its place is kept by a null, since other elements may be appended before it is filled.
  mutating func superEncoder() -> any Encoder {
    let index = count
    guard let hole = JSONNode.null(), array.append(hole) else { fatalError("out of memory while writing json") }
    return JSONEncoding(context: encoder.context, path: encoder.path.appending(JSONIndex(index))) { [array] in
      array.replace(index, with: $0)
    }
  }
}
