/// One field of the manifest. What it is called, takes and means, and how it is read, stand side by side:
/// parsing, the errors and the reference (`orchestrator fields`) all come from the same rows.
struct Field<Target>: Sendable {
  typealias Read = @Sendable (ManifestNode, inout Target, inout ManifestReading) throws(ManifestProblem) -> Void
  let name: String
  /// The shape in a reader's words: `text`, `list or map`.
  let takes: String
  let means: String
  let read: Read

  init(_ name: String, _ takes: String, _ means: String, read: @escaping Read) {
    self.name = name
    self.takes = takes
    self.means = means
    self.read = read
  }
}

/// The fields that one kind of map may have.
struct FieldTable<Target>: Sendable {
  /// As in `a service has no field 'x'`.
  let owner: String
  let fields: [Field<Target>]

  init(_ owner: String, _ fields: [Field<Target>]) {
    self.owner = owner
    self.fields = fields
  }

  /// Fills the target from a map. Each wrong field is noted and the rest is read on, so that one run names them all.
  func read(_ map: ManifestNode, into target: inout Target, _ reading: inout ManifestReading) {
    reading.attempt { (reading) throws(ManifestProblem) in
      for (key, value) in try map.entries() {
        guard let field = fields.first(where: { $0.name == key.key }) else {
          let near = hint(for: key.key, in: fields.map(\.name))
          reading.note(key.problem("\(owner) has no field '\(key.key)'\(near)"))
          continue
        }
        reading.attempt { (reading) throws(ManifestProblem) in try field.read(value, &target, &reading) }
      }
    }
  }

  var reference: [(field: String, takes: String, means: String)] { fields.map { ($0.name, $0.takes, $0.means) } }
}

/// What reading a manifest needs from outside, and what it gathers beside the result.
struct ManifestReading {
  /// Relative paths start here: the manifest's own directory.
  let directory: String
  /// For `environment: [NAME]`.
  let environment: [String: String]
  /// For `env_file` and `secrets: file`.
  let readFile: (String) throws -> [UInt8]

  private(set) var problems: [ManifestProblem] = []
  /// Places that later checks point at: `services.web`, `services.web.ports[0]`.
  var places: [String: ManifestNode] = [:]
  var secretValues: [String: [UInt8]] = [:]

  init(directory: String, environment: [String: String], readFile: @escaping (String) throws -> [UInt8]) {
    self.directory = directory
    self.environment = environment
    self.readFile = readFile
  }

  mutating func note(_ problem: ManifestProblem) { problems.append(problem) }

  mutating func attempt(_ body: (inout ManifestReading) throws(ManifestProblem) -> Void) {
    do { try body(&self) } catch { note(error) }
  }

  func absolute(_ path: String) -> String {
    if path.hasPrefix("/") { return Self.normalized(path) }
    if path == "~" || path.hasPrefix("~/"), let home = environment["HOME"] {
      return Self.normalized(home + path.dropFirst())
    }
    return Self.normalized(directory + "/" + path)
  }

  private static func normalized(_ path: String) -> String {
    var parts: [Substring] = []
    for part in path.split(separator: "/") where part != "." {
      if part == ".." { _ = parts.popLast() } else { parts.append(part) }
    }
    return "/" + parts.joined(separator: "/")
  }
}
