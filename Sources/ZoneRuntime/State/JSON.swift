/// Values to and from JSON (RFC 8259): what is kept on disk, sent over sockets and printed by `-o json`.
///
/// Without `Codable`, which makes some forty types at run time, once a process (0.35 ms of a start), and which Embedded
/// Swift has not, and without a library, which would make a tree: JSONParser.swift.
public enum JSON {
  /// - Parameters:
  ///   - name: the file or message the text is for, for the error.
  ///   - pretty: indented by two, with a newline at the end; for people.
  /// - Returns: UTF-8, keys sorted by their bytes, so that equal values give equal files.
  /// - Throws: for NaN and infinities, and strings with a NUL.
  public static func encode(_ value: some JSONValue, name: String = "output", pretty: Bool = false) throws(JSONError)
    -> [UInt8]
  {
    var json = JSONWriter(name: name, pretty: pretty)
    try value.write(to: &json)
    return json.text()
  }

  /// - Parameter name: the file or message the bytes came from, for the error.
  /// - Throws: for what is no JSON, a key given twice, a string with a NUL (it would be cut where it becomes a C string),
  ///   an integer that does not fit its type, a missing key or a wrong type.
  public static func decode<T: JSONValue>(_ type: T.Type, from bytes: [UInt8], name: String) throws(JSONError) -> T {
    do throws(JSONError) { return try T(json: try JSONNode.parse(bytes)) } catch {
      var named = error
      named.name = name
      throw named
    }
  }
}

/// A value with a form in JSON.
public protocol JSONValue {
  func write(to json: inout JSONWriter) throws(JSONError)
  init(json: JSONNode) throws(JSONError)
}

/// A value whose form is a text of its own syntax.
public protocol JSONText: JSONValue {
  var jsonText: String { get }
  init(jsonText: String) throws(SyntaxError)
}

/// A value whose form is an object: one list of its fields is both how it is written and how it is read.
public protocol JSONObject: JSONValue {
  /// What a reader fills in.
  static var blank: Self { get }
  /// In the order of the keys' bytes. A key that an optional field has not, and null, are nil.
  mutating func fields(_ json: inout some JSONFields) throws(JSONError)
}

/// Who goes through the fields: a writer or a reader.
public protocol JSONFields {
  mutating func field(_ key: String, _ value: inout some JSONValue) throws(JSONError)
  mutating func field<T: JSONValue>(_ key: String, _ value: inout T?) throws(JSONError)
}

extension JSONObject {
  public func write(to json: inout JSONWriter) throws(JSONError) {
    var fields = self
    json.open("{")
    try fields.fields(&json)
    json.close("}")
  }

  public init(json: JSONNode) throws(JSONError) {
    try json.expect(.object)
    var reader = JSONReader(object: json)
    self = .blank
    try fields(&reader)
  }
}

private struct JSONReader: JSONFields {
  var members: JSONMembers

  init(object: JSONNode) { members = JSONMembers(of: object) }

  mutating func field<T: JSONValue>(_ key: String, _ value: inout T) throws(JSONError) {
    guard let node = members.take(key) else { throw JSONError(why: "key '\(key)' is missing") }
    do throws(JSONError) { value = try T(json: node) } catch { throw error.below(key) }
  }

  mutating func field<T: JSONValue>(_ key: String, _ value: inout T?) throws(JSONError) {
    value = nil
    guard let node = members.take(key), node.kind != .null else { return }
    do throws(JSONError) { value = try T(json: node) } catch { throw error.below(key) }
  }
}

/// What could not be read or written as JSON, and where in it.
public struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
  public enum Position: Equatable, Sendable {
    /// Both from 1; the column counts characters.
    case syntax(line: Int, column: Int)
    /// Keys and indices, `volumes[2].target`; empty at the top.
    case path(String)
  }

  /// `read` or `write`.
  public var action: String
  /// The file, message or type.
  public var name: String
  public var position: Position
  /// What was expected and what was found.
  public var why: String

  public var description: String {
    switch position {
    case .syntax(let line, let column): "cannot \(action) \(name) as json: line \(line), column \(column): \(why)"
    case .path(""): "cannot \(action) \(name) as json: \(why)"
    case .path(let path): "cannot \(action) \(name) as json: at \(path): \(why)"
    }
  }

  init(action: String = "read", name: String = "", position: Position = .path(""), why: String) {
    self.action = action
    self.name = name
    self.position = position
    self.why = why
  }

  /// As told by who holds the value under a key, or by `[index]`.
  func below(_ key: String) -> JSONError {
    guard case .path(let path) = position else { return self }
    var error = self
    error.position = .path(path.isEmpty || path.hasPrefix("[") ? key + path : "\(key).\(path)")
    return error
  }
}
