internal import CJansson
internal import Glibc

/// A value in jansson's tree, counted once for as long as this object lives.
final class JSONNode {
  private let json: UnsafeMutablePointer<json_t>

  /// Takes over one reference.
  init?(adopting json: UnsafeMutablePointer<json_t>?) {
    guard let json else { return nil }
    self.json = json
  }

  /// Adds a reference to a value that its container owns.
  convenience init?(borrowing json: UnsafeMutablePointer<json_t>?) {
    self.init(adopting: json_incref(json))
  }

  deinit { json_decref(json) }

  // MARK: text

  static func parse(_ bytes: [UInt8], name: String) throws(JSONError) -> JSONNode {
    var error = json_error_t()
    let flags = Int(JSON_REJECT_DUPLICATES | JSON_DECODE_ANY)
    let json = bytes.withUnsafeBytes {
      // An empty array has no address, and jansson takes none.
      json_loadb($0.baseAddress?.assumingMemoryBound(to: CChar.self) ?? emptyText, $0.count, flags, &error)
    }
    guard let node = JSONNode(adopting: json) else {
      // It quotes the input, which may hold control characters; an error of ours is one line.
      let text = withUnsafeBytes(of: error.text) {
        String(decoding: $0.prefix { $0 != 0 }.map { $0 < 32 ? 32 : $0 }, as: UTF8.self)
      }
      let position = JSONError.Position.syntax(line: max(1, Int(error.line)), column: max(1, Int(error.column)))
      throw JSONError(action: "read", name: name, position: position, why: text)
    }
    return node
  }

  private nonisolated(unsafe) static let emptyText: UnsafePointer<CChar> = {
    // Never written and never freed: one byte for the life of the process.
    let text = UnsafeMutablePointer<CChar>.allocate(capacity: 1)
    text.pointee = 0
    return UnsafePointer(text)
  }()

  /// - Parameter precision: significant digits for every real; see `JSONEncodingContext.precision`.
  func dump(pretty: Bool, precision: Int) throws -> [UInt8] {
    var flags = Int(JSON_ENCODE_ANY | JSON_SORT_KEYS)
    flags |= pretty ? 2 : Int(JSON_COMPACT)  // JSON_INDENT(2)
    flags |= precision << 11  // JSON_REAL_PRECISION
    var bytes: [UInt8] = []
    let result = withUnsafeMutablePointer(to: &bytes) {
      json_dump_callback(
        json,
        { text, count, bytes in
          guard let text, let bytes else { return -1 }
          text.withMemoryRebound(to: UInt8.self, capacity: count) {
            bytes.assumingMemoryBound(to: [UInt8].self).pointee
              .append(contentsOf: UnsafeBufferPointer(start: $0, count: count))
          }
          return 0
        }, $0, flags)
    }
    guard result == 0 else {
      throw EncodingError.invalidValue(
        self, .init(codingPath: [], debugDescription: "jansson could not print it (out of memory?)"))
    }
    if pretty { bytes.append(10) }
    return bytes
  }

  // MARK: reading

  var type: json_type { json.pointee.type }

  /// What an error calls it. The content of strings stays out: it may be somebody's secret.
  var kind: String {
    switch type {
    case JSON_OBJECT: "an object"
    case JSON_ARRAY: "an array"
    case JSON_STRING: "a string"
    case JSON_INTEGER: "the integer \(json_integer_value(json))"
    case JSON_REAL: "the number \(json_real_value(json))"
    case JSON_TRUE: "true"
    case JSON_FALSE: "false"
    default: "null"
    }
  }

  var integer: Int64 { json_integer_value(json) }
  var real: Double { json_real_value(json) }

  var string: String {
    guard let text = json_string_value(json) else { return "" }
    let bytes = UnsafeRawBufferPointer(start: text, count: json_string_length(json))
    return String(decoding: bytes, as: UTF8.self)
  }

  var count: Int { json_array_size(json) }

  subscript(index: Int) -> JSONNode? { JSONNode(borrowing: json_array_get(json, index)) }

  subscript(key: String) -> JSONNode? {
    var key = key
    return key.withUTF8 {
      guard let address = $0.baseAddress else { return JSONNode(borrowing: json_object_get(json, "")) }
      return address.withMemoryRebound(to: CChar.self, capacity: $0.count) { [count = $0.count] in
        JSONNode(borrowing: json_object_getn(json, $0, count))
      }
    }
  }

  /// An object's keys in the document's order.
  var keys: [String] {
    var keys: [String] = []
    var iterator = json_object_iter(json)
    while let entry = iterator {
      let bytes = UnsafeRawBufferPointer(start: json_object_iter_key(entry), count: json_object_iter_key_len(entry))
      keys.append(String(decoding: bytes, as: UTF8.self))
      iterator = json_object_iter_next(json, entry)
    }
    return keys
  }

  // MARK: making; each is nil only where memory ran out, or as told

  static func object() -> JSONNode? { JSONNode(adopting: json_object()) }
  static func array() -> JSONNode? { JSONNode(adopting: json_array()) }
  static func null() -> JSONNode? { JSONNode(adopting: json_null()) }
  static func boolean(_ value: Bool) -> JSONNode? { JSONNode(adopting: value ? json_true() : json_false()) }
  static func integer(_ value: Int64) -> JSONNode? { JSONNode(adopting: json_integer(value)) }
  /// nil for NaN and the infinities, which JSON has not.
  static func real(_ value: Double) -> JSONNode? { JSONNode(adopting: json_real(value)) }

  static func string(_ value: String) -> JSONNode? {
    var value = value
    return value.withUTF8 {
      guard let address = $0.baseAddress else { return JSONNode(adopting: json_string("")) }
      return address.withMemoryRebound(to: CChar.self, capacity: $0.count) { [count = $0.count] in
        // Swift's strings are valid UTF-8, so jansson need not look again.
        JSONNode(adopting: json_stringn_nocheck($0, count))
      }
    }
  }

  /// - Returns: false where memory ran out.
  func set(_ key: String, to value: JSONNode) -> Bool {
    var key = key
    return key.withUTF8 {
      guard let address = $0.baseAddress else { return json_object_set_new(json, "", json_incref(value.json)) == 0 }
      return address.withMemoryRebound(to: CChar.self, capacity: $0.count) { [count = $0.count] in
        json_object_setn_new_nocheck(json, $0, count, json_incref(value.json)) == 0
      }
    }
  }

  func append(_ value: JSONNode) -> Bool { json_array_append_new(json, json_incref(value.json)) == 0 }

  func replace(_ index: Int, with value: JSONNode) -> Bool {
    json_array_set_new(json, index, json_incref(value.json)) == 0
  }
}
