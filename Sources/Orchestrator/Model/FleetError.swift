/// What the fleet half can fail with; `description` is the one line for the person.
public enum FleetError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The manifest cannot be taken; every place that is wrong, in the file's order.
  case manifest([ManifestProblem])
  /// No such fleet, service or zone.
  case notFound(String)
  /// Somebody else owns what was asked for, or changed it meanwhile.
  case conflict(String)
  /// The caller may not do this.
  case refused(String)
  case timedOut(String)
  case failed(String)

  public var description: String {
    switch self {
    case .manifest(let problems): problems.map(\.description).joined(separator: "\n")
    case .notFound(let text), .conflict(let text), .refused(let text), .timedOut(let text), .failed(let text): text
    }
  }
}

/// One wrong place of a manifest: `FILE:LINE:COLUMN: WHY; did you mean 'NAME'?`
public struct ManifestProblem: Error, Equatable, Sendable, CustomStringConvertible {
  public var file: String
  /// Counted from 1.
  public var line: Int
  /// Counted from 1, in Unicode scalars.
  public var column: Int
  public var why: String

  public init(file: String, line: Int, column: Int, why: String) {
    self.file = file
    self.line = line
    self.column = column
    self.why = why
  }

  public var description: String { "\(file):\(line):\(column): \(why)" }
}
