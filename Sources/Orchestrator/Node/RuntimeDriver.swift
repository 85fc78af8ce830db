internal import CLinuxNS
internal import Glibc
internal import LinuxNS
public import ZoneRuntime

/// The driver over the runtime of this machine.
public struct RuntimeDriver: ZoneDriver {
  private let zones: Zones
  public let zonesAreReachable: Bool

  /// - Parameters:
  ///   - zonectl: the program that keepers execute; the orchestrator's sibling.
  ///   - notice: one-line announcements, a sysctl that was changed say.
  public init(_ directories: Directories, zonectl: String, notice: @escaping @Sendable (String) -> Void) {
    zones = Zones(directories, zonectl: zonectl, notice: notice)
    zonesAreReachable = geteuid() == 0
  }

  public func list() throws(DriverError) -> [ObservedZone] {
    try Self.worded { () throws(ZoneError) in try zones.list().map(Self.observed) }
  }

  public func status(_ name: String) throws(DriverError) -> ObservedZone? {
    do { return Self.observed(try zones.status(name)) } catch {
      if case .notFound = error { return nil }
      throw Self.error(error)
    }
  }

  public func create(_ spec: ZoneSpec) throws(DriverError) {
    try Self.worded { () throws(ZoneError) in try zones.create(spec) }
  }
  public func start(_ name: String) throws(DriverError) {
    try Self.worded { () throws(ZoneError) in try zones.start(name) }
  }
  public func stop(_ name: String) throws(DriverError) {
    try Self.worded { () throws(ZoneError) in try zones.stop(name) }
  }
  public func halt(_ name: String) throws(DriverError) {
    try Self.worded { () throws(ZoneError) in try zones.halt(name) }
  }
  public func delete(_ name: String) throws(DriverError) {
    try Self.worded { () throws(ZoneError) in try zones.delete(name, force: true) }
  }

  public func set(_ name: String, to spec: ZoneSpec) throws(DriverError) -> [String] {
    let outcomes = try Self.worded { () throws(ZoneError) in try zones.set(name, to: spec) }
    if let refused = outcomes.first(where: { $0.effect == .refused }) {
      throw DriverError(.failed, "cannot set \(refused.key) of zone \(name): \(refused.why ?? "refused")")
    }
    return outcomes.filter { $0.effect == .restart }.map(\.key)
  }

  public func removeCaches() throws(DriverError) {
    try Self.worded { () throws(ZoneError) in try zones.removeCaches() }
  }

  public func execute(_ name: String, _ command: [String], timeout: Double) throws(DriverError) -> CommandOutcome {
    let output = try Self.attempt(name) { () throws(SyscallError) in
      OwnedFD(raw: CInt(try check(zns_memfd_create("check", 1), "memfd_create")))  // MFD_CLOEXEC
    }
    var request = ExecRequest(command: command)
    (request.standardInput, request.standardOutput, request.standardError) = (-1, output.raw, output.raw)
    request.timeout = timeout
    let status: ExitStatus
    do { status = try zones.exec(name, request) } catch {
      if case .notExecuted = error {
        return CommandOutcome(shellCode: Int(error.exitStatus), output: error.description)
      }
      throw Self.error(error)
    }
    // The end of it is enough: what a check writes is for a person.
    let bytes = try Self.attempt(name) { () throws(SyscallError) in
      let size = lseek(output.raw, 0, SEEK_END)
      lseek(output.raw, max(0, size - 4096), SEEK_SET)
      return try FileSystem.read(output, limit: 1 << 20)
    }
    return CommandOutcome(shellCode: Int(status.shellCode), output: String(decoding: bytes, as: UTF8.self))
  }

  private static func attempt<Value: ~Copyable>(_ zone: String, _ body: () throws(SyscallError) -> Value)
    throws(DriverError) -> Value
  {
    do { return try body() } catch { throw DriverError(.failed, "cannot execute in zone \(zone): \(error)") }
  }

  public func logPath(_ name: String) -> String { zones.logPath(name) }
  public func volumes() throws(DriverError) -> [String] {
    try Self.worded { () throws(ZoneError) in try zones.volumes() }
  }
  public func removeVolume(_ name: String) throws(DriverError) {
    try Self.worded { () throws(ZoneError) in try zones.removeVolume(name) }
  }

  // MARK: the runtime's words in ours

  private static func observed(_ status: ZoneStatus) -> ObservedZone {
    var zone = ObservedZone(status.spec, state: state(status.state))
    zone.name = status.name
    zone.why = status.why
    zone.pid = status.pid
    zone.keeper = status.keeper
    zone.started = status.started
    zone.restarts = status.restarts
    zone.addresses = status.addresses
    zone.startId = status.startId
    zone.exit = status.exit.map { exit in
      let why = exit.signal.map { "signal \(Signals.name(Int32($0)))" } ?? "exit code \(exit.code ?? 0)"
      return ObservedZone.Exit(
        shellCode: exit.shellCode, why: exit.oomKilled ? "out of memory, \(why)" : why, at: exit.at)
    }
    return zone
  }

  private static func state(_ state: ZoneState) -> ObservedZone.State {
    switch state {
    case .configured: .configured
    case .incomplete: .incomplete
    case .installed: .installed
    case .ready: .ready
    case .running: .running
    case .frozen: .frozen
    case .shuttingDown: .shuttingDown
    case .down: .down
    case .unavailable: .unavailable
    }
  }

  private static func worded<Value>(_ body: () throws(ZoneError) -> Value) throws(DriverError) -> Value {
    do { return try body() } catch { throw Self.error(error) }
  }

  private static func error(_ error: ZoneError) -> DriverError {
    switch error {
    case .notFound: DriverError(.notFound, error.description)
    case .timedOut: DriverError(.timedOut, error.description)
    default: DriverError(.failed, error.description)
    }
  }
}
