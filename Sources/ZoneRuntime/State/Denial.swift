public import VirtualNet

/// Something that a zone was refused, as it is told while the zone runs and kept for its report.
public struct Denial: Equatable, Sendable {
  public enum Kind: String, Sendable {
    case network
    /// A file, told by a watcher (`Watch/`).
    case file
    /// A system call that the filter refuses.
    case call
  }

  public var kind: Kind
  /// What was asked for: of the network `HOST:PORT`, a file's path, a call with the argument that decided. Printable ASCII.
  public var name: String
  /// What it was asked by: the system call's name; of the proxy `connect`, `sni` or `resolve`.
  public var call: String
  /// Why, in words. Printable ASCII.
  public var rule: String

  public init(kind: Kind, name: String, call: String, rule: String) {
    self.kind = kind
    self.name = name
    self.call = call
    self.rule = rule
  }

  public init(_ denial: EgressDenial) {
    self.init(kind: .network, name: denial.name, call: denial.call.rawValue, rule: denial.rule)
  }

  /// One JSON object and a newline.
  public var line: [UInt8] {
    // Printable texts are all that it holds, and those can be written.
    ((try? JSON.encode(self)) ?? []) + [10]
  }

  /// For a person, in one line: `evil.example:443: not allowed by --network allow=pypi.org`.
  public var words: String { "\(name): \(rule)" }
}

extension Denial.Kind: JSONText {}

extension Denial: JSONObject {
  public static var blank: Denial { Denial(kind: .network, name: "", call: "", rule: "") }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("call", &call)
    try json.field("kind", &kind)
    try json.field("name", &name)
    try json.field("rule", &rule)
  }
}
