/// Any JSON, as a value: what others have put into a document of theirs and we only pass on.
///
/// An image's configuration is full of fields that no specification has; a new image made of an old one keeps them. What
/// is only stored keeps its bytes: a digest is of those, never of what we would write.
public enum JSONTree: Equatable, Sendable {
  case null
  case boolean(Bool)
  case integer(Int64)
  case number(Double)
  case text(String)
  case list([JSONTree])
  /// In the document's order.
  case object([Member])

  public struct Member: Equatable, Sendable {
    public var key: String
    public var value: JSONTree
  }

  /// Deeper than any document that means something.
  static let mostLevels = 64
}

extension JSONTree: JSONValue {
  public init(json: JSONNode) throws(JSONError) { self = try Self.read(json, Self.mostLevels) }

  private static func read(_ json: JSONNode, _ levels: Int) throws(JSONError) -> JSONTree {
    guard levels > 0 else { throw JSONError(why: "more than \(mostLevels) levels") }
    switch json.kind {
    case .null: return .null
    case .boolean: return .boolean(try json.boolean())
    case .integer: return .integer(try json.integer())
    case .number: return .number(try json.number())
    case .string: return .text(try json.string())
    case .array:
      var elements: [JSONTree] = []
      for node in json.elements {
        do throws(JSONError) { elements.append(try read(node, levels - 1)) } catch {
          throw error.below("[\(elements.count)]")
        }
      }
      return .list(elements)
    case .object:
      var members: [Member] = []
      for (key, node) in json.members {
        do throws(JSONError) { members.append(Member(key: key, value: try read(node, levels - 1))) } catch {
          throw error.below(key)
        }
      }
      return .object(members)
    }
  }

  public func write(to json: inout JSONWriter) throws(JSONError) {
    switch self {
    case .null: json.plain("null")
    case .boolean(let value): value.write(to: &json)
    case .integer(let value): value.write(to: &json)
    case .number(let value): try value.write(to: &json)
    case .text(let value): try json.put(value)
    case .list(let elements): try elements.write(to: &json)
    case .object(let members):
      json.open("{")
      for member in members { try json.member(member.key, member.value) }
      json.close("}")
    }
  }
}

/// An object that keeps what it does not know.
public protocol JSONOpenObject: JSONObject {
  /// The other members, in the document's order.
  var others: [JSONTree.Member] { get set }
}

extension JSONOpenObject {
  public func write(to json: inout JSONWriter) throws(JSONError) {
    var fields = self
    json.open("{")
    try fields.fields(&json)
    for member in others { try json.member(member.key, member.value) }
    json.close("}")
  }

  public init(json: JSONNode) throws(JSONError) {
    try json.expect(.object)
    var reader = JSONOpenReader(object: json)
    self = .blank
    try fields(&reader)
    var rest: [JSONTree.Member] = []
    for (key, node) in json.members where !reader.asked.contains(key) {
      do throws(JSONError) { rest.append(JSONTree.Member(key: key, value: try JSONTree(json: node))) } catch {
        throw error.below(key)
      }
    }
    others = rest
  }
}

private struct JSONOpenReader: JSONFields {
  let object: JSONNode
  var asked: [String] = []

  init(object: JSONNode) { self.object = object }

  mutating func field(_ key: String, _ value: inout some JSONValue) throws(JSONError) {
    asked.append(key)
    guard let node = object[key] else { throw JSONError(why: "key '\(key)' is missing") }
    try read(node, key, &value)
  }

  mutating func field<T: JSONValue>(_ key: String, _ value: inout T?) throws(JSONError) {
    asked.append(key)
    value = nil
    guard let node = object[key], node.kind != .null else { return }
    do throws(JSONError) { value = try T(json: node) } catch { throw error.below(key) }
  }

  private func read<T: JSONValue>(_ node: JSONNode, _ key: String, _ value: inout T) throws(JSONError) {
    do throws(JSONError) { value = try T(json: node) } catch { throw error.below(key) }
  }
}

/// Go's `map[string]struct{}`: an object whose keys are all that it says.
public struct JSONKeySet: JSONValue, Equatable, Sendable {
  /// In the document's order.
  public var keys: [String]

  public init(_ keys: [String]) { self.keys = keys }

  public init(json: JSONNode) throws(JSONError) {
    try json.expect(.object)
    keys = json.members.map { $0.key }
  }

  public func write(to json: inout JSONWriter) throws(JSONError) {
    json.open("{")
    for key in keys { try json.member(key, JSONTree.object([])) }
    json.close("}")
  }
}
