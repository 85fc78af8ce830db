internal import CJansson

/// Reads one value of the tree.
struct JSONDecoding: Decoder {
  let node: JSONNode
  let path: JSONPath

  var codingPath: [any CodingKey] { path.keys }
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func decodeValue<T: Decodable>(_ type: T.Type) throws -> T {
    guard path.depth <= JSON.depthLimit else { throw corrupted("nested more than \(JSON.depthLimit) deep") }
    do {
      return try T(from: self)
    } catch let error as DecodingError {
      throw error
    } catch {
      // An error of the type's own (a SyntaxError, say) learns here where it happened.
      throw DecodingError.dataCorrupted(
        .init(codingPath: codingPath, debugDescription: "", underlyingError: error))
    }
  }

  func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    guard node.type == JSON_OBJECT else { throw mismatch([String: Any].self, "an object") }
    return KeyedDecodingContainer(JSONKeyedDecoding(decoder: self))
  }

  func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    guard node.type == JSON_ARRAY else { throw mismatch([Any].self, "an array") }
    return JSONUnkeyedDecoding(decoder: self)
  }

  func singleValueContainer() throws -> any SingleValueDecodingContainer { self }

  func corrupted(_ why: String) -> DecodingError {
    .dataCorrupted(.init(codingPath: codingPath, debugDescription: why))
  }

  private func mismatch(_ type: Any.Type, _ expected: String) -> DecodingError {
    .typeMismatch(type, .init(codingPath: codingPath, debugDescription: "expected \(expected), found \(node.kind)"))
  }
}

extension JSONDecoding: SingleValueDecodingContainer {
  func decodeNil() -> Bool { node.type == JSON_NULL }
  func decode(_ type: Int.Type) throws -> Int { try decodeInteger() }
  func decode(_ type: Int8.Type) throws -> Int8 { try decodeInteger() }
  func decode(_ type: Int16.Type) throws -> Int16 { try decodeInteger() }
  func decode(_ type: Int32.Type) throws -> Int32 { try decodeInteger() }
  func decode(_ type: Int64.Type) throws -> Int64 { try decodeInteger() }
  func decode(_ type: UInt.Type) throws -> UInt { try decodeInteger() }
  func decode(_ type: UInt8.Type) throws -> UInt8 { try decodeInteger() }
  func decode(_ type: UInt16.Type) throws -> UInt16 { try decodeInteger() }
  func decode(_ type: UInt32.Type) throws -> UInt32 { try decodeInteger() }
  func decode(_ type: UInt64.Type) throws -> UInt64 { try decodeInteger() }
  func decode<T: Decodable>(_ type: T.Type) throws -> T { try decodeValue(type) }

  func decode(_ type: Bool.Type) throws -> Bool {
    switch node.type {
    case JSON_TRUE: true
    case JSON_FALSE: false
    default: throw mismatch(type, "true or false")
    }
  }

  func decode(_ type: String.Type) throws -> String {
    guard node.type == JSON_STRING else { throw mismatch(type, "a string") }
    return node.string
  }

  func decode(_ type: Double.Type) throws -> Double {
    switch node.type {
    case JSON_REAL: node.real
    case JSON_INTEGER: Double(node.integer)
    default: throw mismatch(type, "a number")
    }
  }

  func decode(_ type: Float.Type) throws -> Float {
    let value = Float(try decode(Double.self))
    guard value.isFinite else { throw corrupted("\(node.kind) is too large") }
    return value
  }

  /// `1.0` and `1e3` are no integers, as for the Go programs that write and read the same files.
  private func decodeInteger<T: FixedWidthInteger>() throws -> T {
    guard node.type == JSON_INTEGER else { throw mismatch(T.self, "an integer") }
    guard let value = T(exactly: node.integer) else {
      throw corrupted("expected an integer from \(T.min) to \(T.max), found \(node.integer)")
    }
    return value
  }
}

struct JSONKeyedDecoding<Key: CodingKey>: KeyedDecodingContainerProtocol {
  let decoder: JSONDecoding

  var codingPath: [any CodingKey] { decoder.codingPath }
  var allKeys: [Key] { decoder.node.keys.compactMap { Key(stringValue: $0) } }

  func contains(_ key: Key) -> Bool { decoder.node[key.stringValue] != nil }

  private func place(_ key: any CodingKey) throws -> JSONDecoding {
    guard let node = decoder.node[key.stringValue] else {
      throw DecodingError.keyNotFound(key, .init(codingPath: codingPath, debugDescription: ""))
    }
    return JSONDecoding(node: node, path: decoder.path.appending(key))
  }

  func decodeNil(forKey key: Key) throws -> Bool { try place(key).decodeNil() }
  func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try place(key).decode(type) }
  func decode(_ type: String.Type, forKey key: Key) throws -> String { try place(key).decode(type) }
  func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try place(key).decode(type) }
  func decode(_ type: Float.Type, forKey key: Key) throws -> Float { try place(key).decode(type) }
  func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try place(key).decode(type) }
  func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try place(key).decode(type) }
  func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try place(key).decode(type) }
  func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try place(key).decode(type) }
  func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try place(key).decode(type) }
  func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try place(key).decode(type) }
  func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try place(key).decode(type) }
  func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try place(key).decode(type) }
  func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try place(key).decode(type) }
  func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try place(key).decode(type) }
  func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T { try place(key).decodeValue(type) }

  func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) throws
    -> KeyedDecodingContainer<Nested>
  { try place(key).container(keyedBy: type) }
  func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
    try place(key).unkeyedContainer()
  }
  func superDecoder() throws -> any Decoder { try place(JSONSuperKey()) }
  func superDecoder(forKey key: Key) throws -> any Decoder { try place(key) }
}

struct JSONUnkeyedDecoding: UnkeyedDecodingContainer {
  let decoder: JSONDecoding
  private(set) var currentIndex = 0

  init(decoder: JSONDecoding) { self.decoder = decoder }

  var codingPath: [any CodingKey] { decoder.codingPath }
  var count: Int? { decoder.node.count }
  var isAtEnd: Bool { currentIndex >= decoder.node.count }

  /// The index moves on only when the element was read: a caller may try it as another type.
  private mutating func next<T>(_ read: (JSONDecoding) throws -> T) throws -> T {
    let path = decoder.path.appending(JSONIndex(currentIndex))
    guard let node = decoder.node[currentIndex] else {
      throw DecodingError.valueNotFound(
        T.self, .init(codingPath: path.keys, debugDescription: "the array ends after \(currentIndex) elements"))
    }
    let value = try read(JSONDecoding(node: node, path: path))
    currentIndex += 1
    return value
  }

  mutating func decodeNil() throws -> Bool {
    guard let node = decoder.node[currentIndex], node.type == JSON_NULL else { return false }
    currentIndex += 1
    return true
  }

  mutating func decode<T: Decodable>(_ type: T.Type) throws -> T { try next { try $0.decodeValue(type) } }
  mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) throws -> KeyedDecodingContainer<Nested> {
    try next { try $0.container(keyedBy: type) }
  }
  mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
    try next { try $0.unkeyedContainer() }
  }
  mutating func superDecoder() throws -> any Decoder { try next { $0 } }
}
