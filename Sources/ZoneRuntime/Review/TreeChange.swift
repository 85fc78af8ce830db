public import LinuxNS

/// One line of `changes list`: what the command has made of a path.
public struct TreeChange: Sendable, Equatable {
  public enum Kind: String, Sendable, JSONText {
    case added, modified, deleted
    /// Another kind of thing by the same name.
    case type
    /// Permissions or extended attributes alone.
    case mode
    /// Written anew, or touched, and left as it was but for its time.
    case times

    public var letter: String {
      switch self {
      case .added: "A"
      case .modified: "M"
      case .deleted: "D"
      case .type: "T"
      case .mode: "m"
      case .times: "t"
      }
    }
  }

  public var kind: Kind
  public var path: BytePath
  /// As it is in the layer, and in the real tree.
  public var new: FileFacts?
  public var old: FileFacts?

  /// What is there now; of a deleted path, what was.
  public var facts: FileFacts? { new ?? old }
}

extension TreeChange: JSONValue {
  public func write(to json: inout JSONWriter) throws(JSONError) {
    json.open("{")
    try json.member("change", kind)
    if let new { try json.member("mode", String(new.mode, radix: 8)) }
    if let old { try json.member("oldMode", String(old.mode, radix: 8)) }
    if let old, old.kind == .file { try json.member("oldSize", old.size) }
    // A name that is no text is told as `changes list` quotes it, and by its bytes.
    if let text = String(validating: path.bytes, as: UTF8.self) {
      try json.member("path", text.isEmpty ? "." : text)
    } else {
      try json.member("path", path.words)
      try json.member("pathBytes", path.bytes.map { Int($0) })
    }
    if let new, new.kind == .file { try json.member("size", new.size) }
    if let facts { try json.member("type", facts.kind.rawValue) }
    json.close("}")
  }

  /// For programs to read; ours has no use for it.
  public init(json: JSONNode) throws(JSONError) { throw JSONError(why: "a change is only written") }
}

/// What `changes list -o json` prints.
public struct ReviewChanges: JSONValue {
  public var review: Review
  public var changes: [TreeChange]
  public var problems: [Refusal]

  public func write(to json: inout JSONWriter) throws(JSONError) {
    json.open("{")
    try json.member("changes", changes)
    try json.member("command", review.command)
    try json.member("id", review.id)
    try json.member("problems", problems)
    try json.member("started", review.started)
    try json.member("tree", review.tree)
    json.close("}")
  }

  public init(json: JSONNode) throws(JSONError) { throw JSONError(why: "changes are only written") }

  init(review: Review, changes: [TreeChange], problems: [Refusal]) {
    self.review = review
    self.changes = changes
    self.problems = problems
  }
}

extension Refusal: JSONValue {
  public func write(to json: inout JSONWriter) throws(JSONError) {
    json.open("{")
    try json.member("path", path.words)
    try json.member("why", why)
    json.close("}")
  }

  public init(json: JSONNode) throws(JSONError) { throw JSONError(why: "a refusal is only written") }
}
