/// The one-line spellings of spec values, the same on every command and in manifests and stored specs.

/// A value a person typed that cannot be taken: what it was for, the value, why, and what would be right.
public struct SyntaxError: Error, Equatable, Sendable, CustomStringConvertible {
  public var what: String
  public var value: String
  public var why: String

  public init(what: String, value: String, why: String) {
    self.what = what
    self.value = value
    self.why = why
  }

  public var description: String { "\(what) '\(value)': \(why)" }
}

extension Brand {
  public init(parsing text: String) throws(SyntaxError) {
    switch text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init) {
    case ["sparse"]: self = .sparse
    case ["empty"]: self = .empty
    case let parts where parts.count == 2 && parts[0] == "dir":
      guard parts[1].hasPrefix("/") else {
        throw SyntaxError(what: "image", value: text, why: "dir: wants an absolute path, dir:/srv/root say")
      }
      self = .directory(parts[1])
    case let parts where parts.count == 2 && parts[0] == "oci": self = .image(try ImageReference(parsing: parts[1]))
    case let parts where parts.count == 2 && ["tar", "debootstrap"].contains(parts[0]):
      throw SyntaxError(
        what: "image", value: text, why: "zonectl create and run make an image of it, and nobody else does")
    default:
      throw SyntaxError(
        what: "image", value: text,
        why: "not one of sparse, dir:PATH, oci:NAME[:TAG|@DIGEST], empty")
    }
  }

  public var text: String {
    switch self {
    case .sparse: "sparse"
    case .directory(let path): "dir:\(path)"
    case .image(let name): "oci:\(name.familiar)"
    case .empty: "empty"
    }
  }
}

extension NetworkChoice {
  public init(parsing text: String) throws(SyntaxError) {
    switch text {
    case "none": self = .none
    case "host": self = .host
    default:
      guard isDNSLabel(text) else {
        throw SyntaxError(what: "network", value: text, why: "not none, host or a network's name (a-z, 0-9 and -)")
      }
      self = .named(text)
    }
  }

  public var text: String {
    switch self {
    case .none: "none"
    case .host: "host"
    case .named(let name): name
    }
  }
}

extension RestartPolicy {
  public init(parsing text: String) throws(SyntaxError) {
    switch text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init) {
    case ["no"]: self = .no
    case ["always"]: self = .always
    case ["unless-stopped"]: self = .unlessStopped
    case ["on-failure"]: self = .onFailure(limit: nil)
    case let parts where parts.count == 2 && parts[0] == "on-failure":
      guard let limit = Int(parts[1]), limit > 0, limit < 1_000_000 else {
        throw SyntaxError(what: "restart", value: text, why: "the number of tries must be 1 or more")
      }
      self = .onFailure(limit: limit)
    default:
      throw SyntaxError(what: "restart", value: text, why: "not one of no, always, unless-stopped, on-failure[:TRIES]")
    }
  }

  public var text: String {
    switch self {
    case .no: "no"
    case .always: "always"
    case .unlessStopped: "unless-stopped"
    case .onFailure(nil): "on-failure"
    case .onFailure(let limit?): "on-failure:\(limit)"
    }
  }
}

/// RFC 1123 section 2.1: lower-case letters, digits and inner hyphens, at most 63.
public func isDNSLabel(_ text: String) -> Bool {
  let bytes = Array(text.utf8)
  guard (1...63).contains(bytes.count) else { return false }
  let alphanumeric = { (byte: UInt8) in (48...57).contains(byte) || (97...122).contains(byte) }
  return alphanumeric(bytes.first!) && alphanumeric(bytes.last!) && bytes.allSatisfy { alphanumeric($0) || $0 == 45 }
}
