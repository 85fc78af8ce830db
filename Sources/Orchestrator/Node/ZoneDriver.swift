public import ZoneRuntime

/// A zone as the machine shows it now.
public struct ObservedZone: Equatable, Sendable {
  /// VOCABULARY's states.
  public enum State: String, Codable, Sendable, CaseIterable {
    case configured, incomplete, installed, ready, running, frozen
    case shuttingDown = "shutting_down"
    case down, unavailable
  }
  /// How the first process last ended.
  public struct Exit: Codable, Equatable, Sendable {
    /// The code, or 128 + the signal's number.
    public var shellCode: Int
    /// `exit code 3`, `signal 9`, `out of memory`.
    public var why: String
    /// Nanoseconds since 1970.
    public var at: UInt64

    public init(shellCode: Int, why: String, at: UInt64) {
      self.shellCode = shellCode
      self.why = why
      self.at = at
    }
  }

  public var name: String
  public var state: State
  /// For `unavailable`: what does not fit.
  public var why: String?
  /// The host's pid of the first process, in the live states.
  public var pid: Int32?
  /// The keeper's pid, while one lives.
  public var keeper: Int32?
  /// Nanoseconds since 1970.
  public var started: UInt64?
  public var restarts = 0
  public var exit: Exit?
  public var addresses: [String] = []
  /// Another after every start.
  public var startId: String?
  public var spec: ZoneSpec

  public init(_ spec: ZoneSpec, state: State) {
    self.name = spec.name
    self.state = state
    self.spec = spec
  }

  public var isLive: Bool {
    switch state {
    case .ready, .running, .frozen, .shuttingDown: true
    case .configured, .incomplete, .installed, .down, .unavailable: false
    }
  }
}

/// What came of a command inside a zone.
public struct CommandOutcome: Sendable, Equatable {
  public var shellCode: Int
  /// The end of what it wrote, for the person.
  public var output: String

  public init(shellCode: Int, output: String) {
    self.shellCode = shellCode
    self.output = output
  }
}

/// Why a driver could not do it: the runtime's own line.
public struct DriverError: Error, Equatable, Sendable, CustomStringConvertible {
  public enum Kind: Sendable { case notFound, timedOut, failed }
  public var kind: Kind
  public var description: String

  public init(_ kind: Kind, _ description: String) {
    self.kind = kind
    self.description = description
  }
}

/// The runtime below a fleet, as much of it as a node uses. Every call blocks; `ZoneNode` keeps them off the
/// cooperative threads. All are safe to call from several threads for different zones.
public protocol ZoneDriver: Sendable {
  /// Whether zones get addresses that this machine reaches (root), or only published ports (an ordinary user).
  var zonesAreReachable: Bool { get }
  /// Nothing is left to conduct: removes what zones only kept to start faster, where none is left.
  func removeCaches() throws(DriverError)
  func list() throws(DriverError) -> [ObservedZone]
  /// nil where there is no such zone.
  func status(_ name: String) throws(DriverError) -> ObservedZone?
  /// Spec and root; fails where the name is taken.
  func create(_ spec: ZoneSpec) throws(DriverError)
  /// Returns when the command was executed.
  func start(_ name: String) throws(DriverError)
  /// Stop signal, grace, kill.
  func stop(_ name: String) throws(DriverError)
  func halt(_ name: String) throws(DriverError)
  /// Changes the stored spec, and the living zone where that can be done.
  /// - Returns: the keys that only a restart brings in force.
  func set(_ name: String, to spec: ZoneSpec) throws(DriverError) -> [String]
  /// Halts a living zone first. Volumes stay.
  func delete(_ name: String) throws(DriverError)
  /// - Parameter timeout: seconds; then the command is killed and `timedOut` thrown.
  func execute(_ name: String, _ command: [String], timeout: Double) throws(DriverError) -> CommandOutcome
  func logPath(_ name: String) -> String
  func volumes() throws(DriverError) -> [String]
  func removeVolume(_ name: String) throws(DriverError)
}
