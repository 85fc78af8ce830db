/// Something that happened to a zone, as `zonectl events` tells it.
public struct ZoneEvent: Equatable, Sendable {
  public enum Kind: String, Sendable {
    case created, ready, started, paused, resumed, ended, deleted
    /// A sandbox's command asked for what it was not given.
    case denied
    /// Its lease ends (`Lease`).
    case expiring
  }

  public static let currentVersion = 1
  public var version = ZoneEvent.currentVersion
  /// Nanoseconds since 1970.
  public var at: UInt64
  public var kind: Kind
  public var zone: String
  /// Of `ended`: nil where its keeper was killed, and nobody knows.
  public var exit: ZoneExit?
  /// Of `denied`.
  public var denial: Denial?
  /// Of `started`: how often the keeper started it again since somebody did.
  public var restarts: Int?

  public init(_ kind: Kind, _ zone: String, at: UInt64) {
    self.kind = kind
    self.zone = zone
    self.at = at
  }
}

extension ZoneEvent.Kind: JSONText {}

extension ZoneEvent: JSONObject {
  public static var blank: ZoneEvent { ZoneEvent(.created, "", at: 0) }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("at", &at)
    try json.field("denial", &denial)
    try json.field("exit", &exit)
    try json.field("kind", &kind)
    try json.field("restarts", &restarts)
    try json.field("version", &version)
    try json.field("zone", &zone)
  }
}
