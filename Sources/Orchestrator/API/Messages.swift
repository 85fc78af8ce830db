public import Foundation

/// The API's version: the path's first part, and what both sides compare.
public enum APIVersion {
  public static let path = "/v1"
  public static let current = 1
}

public struct VersionReply: Codable, Sendable {
  public var version: Int
  public var pid: Int32
}

/// A manifest that was read on the client's side, where its relative paths and variables mean something.
public struct ApplyRequest: Codable, Sendable {
  public var fleet: FleetSpec
  /// By name; base64 in JSON. The socket is the owner's alone, and the daemon seals them before it writes anything.
  public var secrets: [String: Data]
  public var options: ApplyOptions

  public init(_ manifest: Manifest, _ options: ApplyOptions = ApplyOptions()) {
    fleet = manifest.fleet
    secrets = manifest.secrets.mapValues { Data($0) }
    self.options = options
  }

  var manifest: Manifest { Manifest(fleet: fleet, secrets: secrets.mapValues { Array($0) }) }
}

public struct DownRequest: Codable, Sendable {
  public var volumes: Bool
  public init(volumes: Bool) { self.volumes = volumes }
}

/// One line of a streamed answer; exactly one member is there. `done` or `error` is the last.
public struct StreamLine: Codable, Equatable, Sendable {
  public var plan: PlanReply?
  public var progress: Progress?
  public var event: FleetEvent?
  public var log: LogLine?
  public var done: Done?
  public var error: String?

  public struct Done: Codable, Equatable, Sendable {
    /// The daemon ends now: no fleet is left.
    public var daemonEnds: Bool
  }

  static func plan(_ plan: PlanReply) -> StreamLine { StreamLine(plan: plan) }
  static func progress(_ progress: Progress) -> StreamLine { StreamLine(progress: progress) }
  static func event(_ event: FleetEvent) -> StreamLine { StreamLine(event: event) }
  static func log(_ line: LogLine) -> StreamLine { StreamLine(log: line) }
  static func done(daemonEnds: Bool = false) -> StreamLine { StreamLine(done: Done(daemonEnds: daemonEnds)) }
  static func error(_ text: String) -> StreamLine { StreamLine(error: text) }
}

public struct FleetNames: Codable, Sendable {
  public var names: [String]
}

/// The body of every answer that is not 200.
public struct ErrorReply: Codable, Sendable {
  public var error: String
}
