internal import CJansson
internal import Glibc

/// A value in jansson's tree, which lives as long as anybody has a value of it.
public struct JSONNode {
  /// The whole of what was parsed, counted once: a record has fifty values, and `list` reads a thousand records.
  private final class Tree {
    let root: UnsafeMutablePointer<json_t>
    init(_ root: UnsafeMutablePointer<json_t>) { self.root = root }
    deinit { json_decref(root) }
  }

  private let tree: Tree
  private let json: UnsafeMutablePointer<json_t>

  /// Takes over the one reference of a tree's root.
  private init(root json: UnsafeMutablePointer<json_t>) {
    tree = Tree(json)
    self.json = json
  }

  /// A value below; nil where there is none.
  private func node(_ json: UnsafeMutablePointer<json_t>?) -> JSONNode? {
    json.map { JSONNode(tree: tree, json: $0) }
  }

  private init(tree: Tree, json: UnsafeMutablePointer<json_t>) {
    self.tree = tree
    self.json = json
  }

  static func parse(_ bytes: [UInt8]) throws(JSONError) -> JSONNode {
    var error = json_error_t()
    let flags = Int(JSON_REJECT_DUPLICATES | JSON_DECODE_ANY)
    let json = bytes.withUnsafeBytes {
      // An empty array has no address, and jansson takes none.
      json_loadb($0.baseAddress?.assumingMemoryBound(to: CChar.self) ?? emptyText, $0.count, flags, &error)
    }
    if let json { return JSONNode(root: json) }
    // It quotes the input, which may hold control characters; an error of ours is one line.
    let text = withUnsafeBytes(of: error.text) {
      String(decoding: $0.prefix { $0 != 0 }.map { $0 < 32 ? 32 : $0 }, as: UTF8.self)
    }
    throw JSONError(position: .syntax(line: max(1, Int(error.line)), column: max(1, Int(error.column))), why: text)
  }

  private nonisolated(unsafe) static let emptyText: UnsafePointer<CChar> = {
    // Never written and never freed: one byte for the life of the process.
    let text = UnsafeMutablePointer<CChar>.allocate(capacity: 1)
    text.pointee = 0
    return UnsafePointer(text)
  }()

  // MARK: what it is

  enum Kind: String {
    case object = "an object"
    case array = "an array"
    case string = "a string"
    case integer = "an integer"
    case number = "a number"
    case boolean = "true or false"
    case null
  }

  var kind: Kind {
    switch json.pointee.type {
    case JSON_OBJECT: .object
    case JSON_ARRAY: .array
    case JSON_STRING: .string
    case JSON_INTEGER: .integer
    case JSON_REAL: .number
    case JSON_TRUE, JSON_FALSE: .boolean
    default: .null
    }
  }

  /// The content of strings stays out: it may be somebody's secret.
  private var found: String {
    switch kind {
    case .integer: "the integer \(json_integer_value(json))"
    case .number: "the number \(json_real_value(json))"
    case .boolean: json.pointee.type == JSON_TRUE ? "true" : "false"
    case .object, .array, .string, .null: kind.rawValue
    }
  }

  func expect(_ wanted: Kind) throws(JSONError) {
    guard kind == wanted else { throw JSONError(why: "expected \(wanted.rawValue), found \(found)") }
  }

  // MARK: reading

  func integer() throws(JSONError) -> Int64 {
    try expect(.integer)
    return json_integer_value(json)
  }

  func number() throws(JSONError) -> Double {
    if kind == .integer { return Double(json_integer_value(json)) }
    try expect(.number)
    return json_real_value(json)
  }

  func boolean() throws(JSONError) -> Bool {
    try expect(.boolean)
    return json.pointee.type == JSON_TRUE
  }

  func string() throws(JSONError) -> String {
    try expect(.string)
    guard let text = json_string_value(json) else { return "" }
    let bytes = UnsafeRawBufferPointer(start: text, count: json_string_length(json))
    return String(decoding: bytes, as: UTF8.self)
  }

  var count: Int { json_array_size(json) }

  /// An element; `index` is below `count`.
  subscript(index: Int) -> JSONNode { node(json_array_get(json, index))! }

  subscript(key: String) -> JSONNode? {
    var key = key
    return key.withUTF8 {
      guard let address = $0.baseAddress else { return node(json_object_get(json, "")) }
      return address.withMemoryRebound(to: CChar.self, capacity: $0.count) { [count = $0.count] in
        node(json_object_getn(json, $0, count))
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
}

/// The members of an object, each taken by its key.
///
/// Our own files have their keys in the order of their bytes, and are read in that order: the next one is where the last
/// one was, or is not there at all, and no table is searched.
struct JSONMembers {
  private let object: JSONNode
  private var taken: UnsafeMutableRawPointer?
  private var next: UnsafeMutableRawPointer?
  private let isSorted: Bool

  init(of object: JSONNode) {
    self.object = object
    next = object.firstMember
    isSorted = object.hasSortedKeys
  }

  mutating func take(_ key: String) -> JSONNode? {
    guard isSorted else { return object[key] }
    while let member = next {
      let order = object.compare(key, member)
      if order < 0 { break }
      taken = member
      next = object.member(after: member)
      if order == 0 { return object.value(of: member) }
    }
    // Behind what was taken last, or who asks does not go by the order.
    guard let taken, object.compare(key, taken) <= 0 else { return nil }
    return object[key]
  }
}

extension JSONNode {
  fileprivate var firstMember: UnsafeMutableRawPointer? { json_object_iter(json) }

  fileprivate func member(after member: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
    json_object_iter_next(json, member)
  }

  fileprivate func value(of member: UnsafeMutableRawPointer) -> JSONNode? {
    node(json_object_iter_value(member))
  }

  /// Below, at or above 0: `key` is before, is, or is after the member's, by bytes.
  fileprivate func compare(_ key: String, _ member: UnsafeMutableRawPointer) -> CInt {
    var key = key
    return key.withUTF8 { Self.compare(UnsafeRawBufferPointer($0), Self.key(of: member)) }
  }

  fileprivate var hasSortedKeys: Bool {
    guard var last = firstMember else { return true }
    while let member = member(after: last) {
      if Self.compare(Self.key(of: last), Self.key(of: member)) > 0 { return false }
      last = member
    }
    return true
  }

  private static func key(of member: UnsafeMutableRawPointer) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: json_object_iter_key(member), count: json_object_iter_key_len(member))
  }

  private static func compare(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> CInt {
    let both = min(a.count, b.count)
    if both > 0, let one = a.baseAddress, let other = b.baseAddress {
      let order = memcmp(one, other, both)
      if order != 0 { return order }
    }
    return a.count < b.count ? -1 : a.count == b.count ? 0 : 1
  }
}
