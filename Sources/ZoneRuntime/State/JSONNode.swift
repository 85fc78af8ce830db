/// A value of a document that was read, which is there as long as anybody has a value of it.
public struct JSONNode {
  /// The text, and where in it is what (`JSONParser`).
  private final class Document {
    let text: [UInt8]
    let unescaped: [UInt8]
    let entries: [JSONParser.Entry]

    init(_ text: [UInt8], _ parser: borrowing JSONParser) {
      self.text = text
      unescaped = parser.unescaped
      entries = parser.entries
    }

    /// A key's or string's content.
    func bytes<Result>(of index: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
      text.withUnsafeBytes { text in
        unescaped.withUnsafeBytes { body(JSONParser.bytes(of: entries[index], text, $0)) }
      }
    }
  }

  private let document: Document
  private let index: Int

  private var entry: JSONParser.Entry { document.entries[index] }

  /// - Throws: with the place, for what `JSONParser` does not take.
  static func parse(_ bytes: [UInt8]) throws(JSONError) -> JSONNode {
    let document = try bytes.withUnsafeBufferPointer { (text) throws(JSONError) in
      var parser = JSONParser(text)
      try parser.read()
      return Document(bytes, parser)
    }
    return JSONNode(document: document, index: 0)
  }

  private init(document: Document, index: Int) {
    self.document = document
    self.index = index
  }

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

  var kind: Kind { entry.kind }

  /// The content of strings stays out: it may be somebody's secret.
  private var found: String {
    let entry = entry
    return switch entry.kind {
    case .integer: "the integer \(whole)"
    case .number: "the number \(Double(bitPattern: entry.extra))"
    case .boolean: entry.extra == 1 ? "true" : "false"
    case .object, .array, .string, .null: entry.kind.rawValue
    }
  }

  func expect(_ wanted: Kind) throws(JSONError) {
    guard kind == wanted else { throw JSONError(why: "expected \(wanted.rawValue), found \(found)") }
  }

  // MARK: reading

  private var whole: String { entry.isLarge ? "\(entry.extra)" : "\(Int64(bitPattern: entry.extra))" }

  /// - Throws: for what is no whole number, or one that the type does not hold.
  func integer<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) throws(JSONError) -> Value {
    try expect(.integer)
    let value = entry.isLarge ? Value(exactly: entry.extra) : Value(exactly: Int64(bitPattern: entry.extra))
    guard let value else {
      throw JSONError(why: "expected an integer from \(Value.min) to \(Value.max), found \(whole)")
    }
    return value
  }

  func number() throws(JSONError) -> Double {
    if kind == .integer { return entry.isLarge ? Double(entry.extra) : Double(Int64(bitPattern: entry.extra)) }
    try expect(.number)
    return Double(bitPattern: entry.extra)
  }

  func boolean() throws(JSONError) -> Bool {
    try expect(.boolean)
    return entry.extra == 1
  }

  func string() throws(JSONError) -> String {
    try expect(.string)
    return document.bytes(of: index) { String(decoding: $0, as: UTF8.self) }
  }

  /// How many elements or members it has; 0 of what is neither list nor object.
  var count: Int { kind == .array || kind == .object ? Int(entry.extra) : 0 }

  /// A list's, one after the other.
  var elements: JSONElements { JSONElements(self) }

  /// An object's member; nil of what is none.
  subscript(key: String) -> JSONNode? {
    var member = firstMember
    while let place = member {
      if compare(key, place) == 0 { return value(of: place) }
      member = self.member(after: place)
    }
    return nil
  }

  /// An object's members in the document's order.
  var members: [(key: String, value: JSONNode)] {
    var members: [(key: String, value: JSONNode)] = []
    members.reserveCapacity(count)
    var member = firstMember
    while let place = member {
      members.append((document.bytes(of: place) { String(decoding: $0, as: UTF8.self) }, value(of: place)))
      member = self.member(after: place)
    }
    return members
  }
}

/// The values of a list.
struct JSONElements: Sequence, IteratorProtocol {
  private let list: JSONNode
  private var place: Int?

  fileprivate init(_ list: JSONNode) {
    self.list = list
    place = list.firstElement
  }

  mutating func next() -> JSONNode? {
    guard let place else { return nil }
    self.place = list.element(after: place)
    return list.value(at: place)
  }
}

/// The members of an object, each taken by its key.
///
/// Our own files have their keys in the order of their bytes, and are read in that order: the next one is where the last
/// one was, or is not there at all, and no table is searched.
struct JSONMembers {
  private let object: JSONNode
  private var taken: Int?
  private var next: Int?
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
  fileprivate func value(at place: Int) -> JSONNode { JSONNode(document: document, index: place) }

  fileprivate var firstElement: Int? { kind == .array && entry.extra > 0 ? index + 1 : nil }

  fileprivate func element(after place: Int) -> Int? {
    let next = Int(document.entries[place].next)
    return next < entry.next ? next : nil
  }

  fileprivate var firstMember: Int? { kind == .object && entry.extra > 0 ? index + 1 : nil }

  fileprivate func member(after member: Int) -> Int? { element(after: member + 1) }

  fileprivate func value(of member: Int) -> JSONNode { value(at: member + 1) }

  /// Below, at or above 0: `key` is before, is, or is after the member's, by bytes.
  fileprivate func compare(_ key: String, _ member: Int) -> CInt {
    var key = key
    return key.withUTF8 { key in
      document.bytes(of: member) { JSONParser.compare(UnsafeRawBufferPointer(key), $0) }
    }
  }

  fileprivate var hasSortedKeys: Bool { entry.isSorted }
}
