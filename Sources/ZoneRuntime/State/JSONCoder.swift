/// `Codable` values to and from JSON, through jansson's tree: what is kept on disk, sent over sockets and read from
/// OCI bundles. Foundation's coder costs a start 1 ms that this one does not.
public enum JSON {
  /// Depth at which a value or document is refused. jansson itself stops a document at 2,048, but a recursive
  /// Swift type takes some hundred bytes of stack for each level, on threads of half a megabyte.
  public static let depthLimit = 256

  /// - Parameter pretty: indented by two, with a newline at the end; for files that people read.
  /// - Returns: UTF-8, keys sorted by their bytes, so that equal values give equal files.
  /// - Throws: for NaN and infinities, integers above `Int64.max`, strings with a NUL, more than `depthLimit` levels.
  public static func encode(_ value: some Encodable, pretty: Bool = false) throws(JSONError) -> [UInt8] {
    let context = JSONEncodingContext()
    do {
      let root = JSONEncoding(context: context, path: .root)
      let node = try root.encodeValue(value)
      return try node.dump(pretty: pretty, precision: context.precision)
    } catch {
      throw JSONError(encoding: String(describing: type(of: value)), error)
    }
  }

  /// - Parameter name: the file or message the bytes came from, for the error.
  /// - Throws: for what is no JSON (RFC 8259), a key given twice, a string with a NUL (it would be cut where it
  ///   becomes a C string), an integer that does not fit its type, a missing key or a wrong type.
  public static func decode<T: Decodable>(_ type: T.Type, from bytes: [UInt8], name: String) throws(JSONError) -> T {
    let root = try JSONNode.parse(bytes, name: name)
    do {
      return try JSONDecoding(node: root, path: .root).decodeValue(type)
    } catch {
      throw JSONError(decoding: name, error)
    }
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

  init(action: String, name: String, position: Position, why: String) {
    self.action = action
    self.name = name
    self.position = position
    self.why = why
  }

  init(encoding name: String, _ error: any Error) {
    guard case EncodingError.invalidValue(_, let context)? = error as? EncodingError else {
      self.init(action: "write", name: name, position: .path(""), why: String(describing: error))
      return
    }
    let why = context.underlyingError.map { String(describing: $0) } ?? context.debugDescription
    self.init(action: "write", name: name, position: .path(Self.text(context.codingPath)), why: why)
  }

  init(decoding name: String, _ error: any Error) {
    let context: DecodingError.Context
    var path: [any CodingKey]
    var why: String
    switch error as? DecodingError {
    case .keyNotFound(let key, let found)?:
      (context, path, why) = (found, found.codingPath, "key '\(key.stringValue)' is missing")
    case .typeMismatch(_, let found)?, .dataCorrupted(let found)?:
      (context, path, why) = (found, found.codingPath, found.debugDescription)
    case .valueNotFound(_, let found)?:
      (context, path, why) = (found, found.codingPath, found.debugDescription)
    default:
      self.init(action: "read", name: name, position: .path(""), why: String(describing: error))
      return
    }
    if let underlying = context.underlyingError { why = String(describing: underlying) }
    // The standard library's own sentences are capitalised and end in a full stop.
    if why.hasSuffix(".") { why.removeLast() }
    if let first = why.first, why.dropFirst().first?.isLowercase == true { why = first.lowercased() + why.dropFirst() }
    self.init(action: "read", name: name, position: .path(Self.text(path)), why: why)
  }

  private static func text(_ path: [any CodingKey]) -> String {
    var text = ""
    for key in path {
      if let index = key.intValue, key is JSONIndex {
        text += "[\(index)]"
      } else {
        text += text.isEmpty ? key.stringValue : ".\(key.stringValue)"
      }
    }
    return text
  }
}

/// The way from the top to a value: a list shared by its branches, since an array of keys for each value would be
/// built at every step and read only in an error.
indirect enum JSONPath {
  case root
  case child(JSONPath, any CodingKey, depth: Int)

  var depth: Int {
    switch self {
    case .root: 0
    case .child(_, _, let depth): depth
    }
  }

  var keys: [any CodingKey] {
    var keys: [any CodingKey] = []
    var rest = self
    while case .child(let parent, let key, _) = rest {
      keys.append(key)
      rest = parent
    }
    return keys.reversed()
  }

  func appending(_ key: any CodingKey) -> JSONPath { .child(self, key, depth: depth + 1) }
}

/// An element's place in an array.
struct JSONIndex: CodingKey {
  let index: Int
  var intValue: Int? { index }
  var stringValue: String { String(index) }

  init(_ index: Int) { self.index = index }
  init?(intValue: Int) { self.init(intValue) }
  init?(stringValue: String) { return nil }
}

/// The key under which a class keeps what its superclass coded.
struct JSONSuperKey: CodingKey {
  var intValue: Int? { nil }
  var stringValue: String { "super" }

  init() {}
  init?(intValue: Int) { return nil }
  init?(stringValue: String) { self.init() }
}
