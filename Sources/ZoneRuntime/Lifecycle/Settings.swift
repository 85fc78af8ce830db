internal import Glibc
internal import LinuxNS
internal import ResourceControl
internal import VirtualNet

/// What `set` did with one key.
public struct SetOutcome: Sendable, Codable, Equatable {
  public enum Effect: String, Codable, Sendable {
    /// In force now, and after every restart.
    case live
    /// In force from the next start on.
    case restart
    case refused
  }
  public var key: String
  public var effect: Effect
  public var why: String?

  public init(key: String, effect: Effect, why: String? = nil) {
    self.key = key
    self.effect = effect
    self.why = why
  }
}

extension Zones {
  /// Gives a zone another spec. What can change while it lives does so at once; the rest waits for the next start.
  /// - Returns: an outcome for each key that differs; where one is refused, nothing was changed.
  public func set(_ name: String, to wanted: ZoneSpec) throws(ZoneError) -> [SetOutcome] {
    let zone = try locked(name)
    guard let old = try zone.files.readSpec() else { throw .notFound(name) }
    guard wanted.name == old.name else { throw .usage("a zone's name cannot be set") }
    guard wanted.ephemeral == old.ephemeral else { throw .usage("whether a zone is ephemeral cannot be set") }
    if wanted == old { return [] }
    try checked(wanted)
    let state = try state(of: zone.files)
    let alive = state.isLive
    if wanted.brand != old.brand, state != .configured {
      return [SetOutcome(key: "image", effect: .refused, why: "the root was made already; delete the zone and create it anew")]
    }
    var outcomes: [SetOutcome] = []
    for key in Self.keys where !key.same(old, wanted) {
      outcomes.append(SetOutcome(key: key.name, effect: alive ? key.effect : .live))
    }
    let newLimits = alive && wanted.limits != old.limits
    if newLimits { try setLimits(zone.files, from: old.limits, to: wanted.limits) }
    do throws(ZoneError) {
      if alive, wanted.publish != old.publish, wanted.network == old.network { try republish(old, wanted.publish) }
      try zone.files.writeSpec(wanted)
    } catch {
      if newLimits { try? setLimits(zone.files, from: wanted.limits, to: old.limits) }  // the first error is told
      throw error
    }
    return outcomes
  }

  private func republish(_ spec: ZoneSpec, _ ports: [PublishedPort]) throws(ZoneError) {
    guard case .named(let network) = spec.network else { return }
    do { try networks().republish(zone: spec.name, network: network, ports: ports) } catch { throw .refused("\(error)") }
  }

  private func setLimits(_ files: ZoneFiles, from old: ResourceLimits, to new: ResourceLimits) throws(ZoneError) {
    guard var record = try files.readRecord() else { return }
    guard let base = try cgroupBase(neededFor: new), let paths = record.cgroup else {
      throw .refused("cannot limit zone \(files.name): it has no control group")
    }
    do throws(CgroupError) {
      var group = Cgroup(opening: paths)
      try group.update(base, from: old, to: new)
      record.cgroup = group.record
    } catch { throw .refused("\(error)") }
    try files.writeRecord(record)
  }

  /// Each key of a spec, how two specs are compared in it, and when a change of it is in force.
  private static let keys: [(name: String, same: @Sendable (ZoneSpec, ZoneSpec) -> Bool, effect: SetOutcome.Effect)] = [
    ("command", { $0.command == $1.command }, .restart), ("env", { $0.environment == $1.environment }, .restart),
    ("workdir", { $0.workdir == $1.workdir }, .restart), ("user", { $0.user == $1.user }, .restart),
    ("hostname", { $0.hostname == $1.hostname }, .restart), ("network", { $0.network == $1.network }, .restart),
    ("image", { $0.brand == $1.brand }, .restart), ("alias", { $0.aliases == $1.aliases }, .restart),
    ("publish", { $0.publish == $1.publish }, .live), ("volume", { $0.volumes == $1.volumes }, .restart),
    ("secret", { $0.secrets == $1.secrets }, .restart), ("cpus", { $0.limits.cpus == $1.limits.cpus }, .live),
    ("cpu-shares", { $0.limits.cpuShares == $1.limits.cpuShares }, .live),
    ("cpuset", { $0.limits.cpuset == $1.limits.cpuset }, .live), ("memory", { $0.limits.memory == $1.limits.memory }, .live),
    ("pids", { $0.limits.pids == $1.limits.pids }, .live), ("read-only", { $0.readOnly == $1.readOnly }, .restart),
    ("cap-add", { $0.capAdd == $1.capAdd }, .restart), ("cap-drop", { $0.capDrop == $1.capDrop }, .restart),
    ("restart", { $0.restart == $1.restart }, .live), ("autostart", { $0.autostart == $1.autostart }, .live),
    ("tty", { $0.terminal == $1.terminal }, .restart), ("init", { $0.ownInit == $1.ownInit }, .restart),
    ("nesting", { $0.nesting == $1.nesting }, .restart), ("label", { $0.labels == $1.labels }, .live),
    ("stop-signal", { $0.stopSignal == $1.stopSignal }, .live), ("stop-timeout", { $0.stopGrace == $1.stopGrace }, .live),
    ("fleet", { $0.fleet == $1.fleet }, .live),
  ]
}
