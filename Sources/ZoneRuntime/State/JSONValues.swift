// The forms of what everybody has: texts, numbers, lists and tables.

extension JSONText {
  public func write(to json: inout JSONWriter) throws(JSONError) { try json.put(jsonText) }

  public init(json: JSONNode) throws(JSONError) {
    let text = try json.string()
    do throws(SyntaxError) { try self.init(jsonText: text) } catch { throw JSONError(why: "\(error)") }
  }
}

extension JSONText where Self: RawRepresentable<String> {
  public var jsonText: String { rawValue }

  public init(jsonText: String) throws(SyntaxError) {
    guard let value = Self(rawValue: jsonText) else {
      throw SyntaxError(what: "word", value: jsonText, why: "none that is known here")
    }
    self = value
  }
}

extension String: JSONValue {
  public func write(to json: inout JSONWriter) throws(JSONError) { try json.put(self) }
  public init(json: JSONNode) throws(JSONError) { self = try json.string() }
}

extension Bool: JSONValue {
  public func write(to json: inout JSONWriter) { json.plain(self ? "true" : "false") }
  public init(json: JSONNode) throws(JSONError) { self = try json.boolean() }
}

extension Double: JSONValue {
  public func write(to json: inout JSONWriter) throws(JSONError) {
    guard isFinite else { throw json.refusal("\(self) is no number of JSON's") }
    json.plain(description)
  }
  public init(json: JSONNode) throws(JSONError) { self = try json.number() }
}

extension JSONValue where Self: FixedWidthInteger {
  public func write(to json: inout JSONWriter) {
    // None of them has more than 64 bits.
    json.plain(Int64(exactly: self)?.description ?? UInt64(truncatingIfNeeded: self).description)
  }

  public init(json: JSONNode) throws(JSONError) {
    self = try json.integer()
  }
}

extension Int: JSONValue {}
extension Int32: JSONValue {}
extension Int64: JSONValue {}
extension UInt16: JSONValue {}
extension UInt32: JSONValue {}
extension UInt64: JSONValue {}

extension Array: JSONValue where Element: JSONValue {
  public func write(to json: inout JSONWriter) throws(JSONError) {
    json.open("[")
    for index in indices {
      json.next()
      do throws(JSONError) { try self[index].write(to: &json) } catch { throw error.below("[\(index)]") }
    }
    json.close("]")
  }

  public init(json: JSONNode) throws(JSONError) {
    try json.expect(.array)
    self.init()
    reserveCapacity(json.count)
    for node in json.elements {
      do throws(JSONError) { append(try Element(json: node)) } catch { throw error.below("[\(count)]") }
    }
  }
}

extension [String: String]: JSONValue {
  public func write(to json: inout JSONWriter) throws(JSONError) {
    json.open("{")
    for (key, value) in sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
      try json.member(key, value)
    }
    json.close("}")
  }

  public init(json: JSONNode) throws(JSONError) {
    try json.expect(.object)
    self.init()
    for (key, node) in json.members {
      do throws(JSONError) { self[key] = try node.string() } catch { throw error.below(key) }
    }
  }
}
