internal import Glibc

/// An object of a bundle's config.json: its fields by name and type. A field that is missing, or null, is nil or empty;
/// one that nobody asks for is ignored, as the specification wants it ("Extensibility").
struct BundleNode {
  let json: JSONNode
  /// Keys and indices from the top, `linux.namespaces[2]`; empty there.
  let path: String

  /// - Parameter name: the file, for errors.
  static func parse(_ bytes: [UInt8], name: String) throws(ZoneError) -> BundleNode {
    do throws(JSONError) {
      let json = try JSONNode.parse(bytes)
      try json.expect(.object)
      return BundleNode(json: json, path: "")
    } catch {
      var error = error
      error.name = name
      throw .json(error)
    }
  }

  // MARK: fields

  func path(of key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

  func refused(_ key: String, _ why: String) -> ZoneError { .refused("config.json: \(path(of: key)): \(why)") }

  private func read<Value>(_ key: String, _ body: (JSONNode) throws(JSONError) -> Value) throws(ZoneError) -> Value? {
    guard let node = json[key], node.kind != .null else { return nil }
    do throws(JSONError) { return try body(node) } catch { throw refused(key, error.why) }
  }

  func string(_ key: String) throws(ZoneError) -> String? {
    try read(key) { (node) throws(JSONError) in try node.string() }
  }

  func needed(_ key: String) throws(ZoneError) -> String {
    guard let text = try string(key), !text.isEmpty else { throw refused(key, "is missing") }
    return text
  }

  func bool(_ key: String) throws(ZoneError) -> Bool {
    try read(key) { (node) throws(JSONError) in try node.boolean() } ?? false
  }

  func number<Value: FixedWidthInteger>(_ key: String, as: Value.Type = Value.self) throws(ZoneError) -> Value? {
    try read(key) { (node) throws(JSONError) in try node.integer() }
  }

  func strings(_ key: String) throws(ZoneError) -> [String] {
    try read(key) { (node) throws(JSONError) in
      try node.expect(.array)
      var texts: [String] = []
      for element in node.elements { texts.append(try element.string()) }
      return texts
    } ?? []
  }

  func numbers(_ key: String) throws(ZoneError) -> [UInt32] {
    try read(key) { (node) throws(JSONError) in
      try node.expect(.array)
      var numbers: [UInt32] = []
      for element in node.elements { numbers.append(try element.integer()) }
      return numbers
    } ?? []
  }

  /// An object of texts, in the document's order.
  func texts(_ key: String) throws(ZoneError) -> [(key: String, value: String)] {
    try read(key) { (node) throws(JSONError) in
      try node.expect(.object)
      var pairs: [(key: String, value: String)] = []
      for (name, value) in node.members { pairs.append((name, try value.string())) }
      return pairs
    } ?? []
  }

  func has(_ key: String) -> Bool { json[key].map { $0.kind != .null } ?? false }

  func object(_ key: String) throws(ZoneError) -> BundleNode? {
    guard let node = json[key], node.kind != .null else { return nil }
    do throws(JSONError) { try node.expect(.object) } catch { throw refused(key, error.why) }
    return BundleNode(json: node, path: path(of: key))
  }

  func objects(_ key: String) throws(ZoneError) -> [BundleNode] {
    guard let node = json[key], node.kind != .null else { return [] }
    do throws(JSONError) { try node.expect(.array) } catch { throw refused(key, error.why) }
    var found: [BundleNode] = []
    for element in node.elements {
      let place = "\(key)[\(found.count)]"
      do throws(JSONError) { try element.expect(.object) } catch { throw refused(place, error.why) }
      found.append(BundleNode(json: element, path: path(of: place)))
    }
    return found
  }

  /// A text that is one of a table's.
  func choice<Value>(_ key: String, _ table: [(name: String, value: Value)]) throws(ZoneError) -> Value? {
    guard let text = try string(key), !text.isEmpty else { return nil }
    return try Self.choose(text, table) { (why) in refused(key, why) }
  }

  func choices<Value>(_ key: String, _ table: [(name: String, value: Value)]) throws(ZoneError) -> [Value] {
    var found: [Value] = []
    for text in try strings(key) { found.append(try Self.choose(text, table) { (why) in refused(key, why) }) }
    return found
  }

  private static func choose<Value>(
    _ text: String, _ table: [(name: String, value: Value)], _ refuse: (String) -> ZoneError
  ) throws(ZoneError) -> Value {
    for entry in table where entry.name == text { return entry.value }
    throw refuse("'\(text)' is none of \(table.map { $0.name }.joined(separator: ", "))")
  }
}
