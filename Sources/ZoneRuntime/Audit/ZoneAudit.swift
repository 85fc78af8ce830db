/// What the kernel says of a living zone, beside what was asked for it: `zonectl audit`.
public struct ZoneAudit: Equatable, Sendable {
  public var zone: String
  /// One for each kind of wall, in the order in which they are told.
  public var findings: [AuditFinding]
  /// Walls that are weaker than usual because that was asked for, or cannot be otherwise for this caller.
  public var weaker: [String]
  /// Of a process by its number.
  public var pid: Int32?

  public var isAsAsked: Bool { findings.allSatisfy { $0.isAsAsked } }
}

/// One kind of wall.
public struct AuditFinding: Equatable, Sendable {
  /// A word that does not change: `namespaces`, `mounts` …
  public var name: String
  /// What was looked at and is as it was asked for.
  public var seen: String
  public var differences: [AuditDifference]
  /// Of a process that nobody planned: `stands`, `open`, `unknown`; `told` where there is no wall to stand.
  public var state: String?

  public var isAsAsked: Bool { differences.isEmpty }
}

public struct AuditDifference: Equatable, Sendable {
  /// Of what: `/usr`, `init`, `memory.max` …
  public var what: String
  public var wanted: String
  public var found: String

  public init(_ what: String, wanted: String, found: String) {
    self.what = what
    self.wanted = wanted
    self.found = found
  }
}
