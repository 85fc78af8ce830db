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
      return BundleNode(json: try root(bytes), path: "")
    } catch {
      var error = error
      error.name = name
      throw .json(error)
    }
  }

  private static func root(_ bytes: [UInt8]) throws(JSONError) -> JSONNode {
    let json: JSONNode
    do throws(JSONError) { json = try JSONNode.parse(bytes) } catch {
      // jansson's integers are signed; RLIM_INFINITY, which engines write as 18446744073709551615, is not.
      guard let quoted = quotingLargeNumbers(bytes) else { throw error }
      json = try JSONNode.parse(quoted)
    }
    try json.expect(.object)
    return json
  }

  /// Puts whole numbers above `Int64.max` into quotes, where `number` reads them. nil where there are none.
  private static func quotingLargeNumbers(_ bytes: [UInt8]) -> [UInt8]? {
    var result: [UInt8] = []
    var (inText, escaped, changed) = (false, false, false)
    var at = 0
    while at < bytes.count {
      let byte = bytes[at]
      if !inText, (48...57).contains(byte) {
        let start = at
        while at < bytes.count, (48...57).contains(bytes[at]) { at += 1 }
        let digits = bytes[start..<at]
        let isPart = at < bytes.count && [UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains(bytes[at])
        let text = String(decoding: digits, as: UTF8.self)
        if !isPart, Int64(text) == nil, UInt64(text) != nil {
          result.append(UInt8(ascii: "\""))
          result += digits
          result.append(UInt8(ascii: "\""))
          changed = true
        } else {
          result += digits
        }
        continue
      }
      if escaped {
        escaped = false
      } else if inText, byte == UInt8(ascii: "\\") {
        escaped = true
      } else if byte == UInt8(ascii: "\"") {
        inText.toggle()
      }
      result.append(byte)
      at += 1
    }
    return changed ? result : nil
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
    guard let node = json[key], node.kind != .null else { return nil }
    do throws(JSONError) {
      if node.kind == .string, let value = Value(try node.string()) { return value }
      let value = try node.integer()
      if let value = Value(exactly: value) { return value }
      throw JSONError(why: "\(value) is not between \(Value.min) and \(Value.max)")
    } catch { throw refused(key, error.why) }
  }

  func strings(_ key: String) throws(ZoneError) -> [String] {
    try read(key) { (node) throws(JSONError) in
      try node.expect(.array)
      var texts: [String] = []
      for index in 0..<node.count { texts.append(try node[index].string()) }
      return texts
    } ?? []
  }

  func numbers(_ key: String) throws(ZoneError) -> [UInt32] {
    try read(key) { (node) throws(JSONError) in
      try node.expect(.array)
      var numbers: [UInt32] = []
      for index in 0..<node.count {
        let value = try node[index].integer()
        guard let number = UInt32(exactly: value) else { throw JSONError(why: "\(value) is no id") }
        numbers.append(number)
      }
      return numbers
    } ?? []
  }

  /// An object of texts, in the document's order.
  func texts(_ key: String) throws(ZoneError) -> [(key: String, value: String)] {
    try read(key) { (node) throws(JSONError) in
      try node.expect(.object)
      var pairs: [(key: String, value: String)] = []
      for name in node.keys { if let value = node[name] { pairs.append((name, try value.string())) } }
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
    for index in 0..<node.count {
      let element = node[index]
      let place = "\(key)[\(index)]"
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
