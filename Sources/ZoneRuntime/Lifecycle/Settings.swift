internal import Glibc
internal import LinuxNS
internal import ResourceControl
internal import VirtualNet

/// What `set` did with one key.
public struct SetOutcome: Sendable, Equatable {
  public enum Effect: String, Sendable {
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
      return [
        SetOutcome(key: "image", effect: .refused, why: "the root was made already; delete the zone and create it anew")
      ]
    }
    var outcomes: [SetOutcome] = []
    for key in SpecKeys.changed(from: old, to: wanted) {
      // What is refused for a made zone was told above.
      outcomes.append(SetOutcome(key: key.name, effect: alive && key.effect == .restart ? .restart : .live))
    }
    // Not a setting that a person writes.
    if wanted.fleet != old.fleet { outcomes.append(SetOutcome(key: "fleet", effect: .live)) }
    let newLimits = alive && wanted.limits != old.limits
    if newLimits { try setLimits(zone.files, from: old.limits, to: wanted.limits) }
    let newQuota = state != .configured && wanted.quota != old.quota
    do throws(ZoneError) {
      if alive, wanted.publish != old.publish, wanted.network == old.network { try republish(old, wanted.publish) }
      // A bound follows the settings, and goes before them: a start makes it so where this was cut.
      if newQuota, wanted.quota == nil { try setQuota(zone.files, wanted, isLive: alive) }
      try zone.files.writeSpec(wanted)
      if newQuota, wanted.quota != nil {
        do throws(ZoneError) { try setQuota(zone.files, wanted, isLive: alive) } catch {
          try? zone.files.writeSpec(old)  // the first error is told
          throw error
        }
      }
    } catch {
      // The first error is told.
      if newQuota { try? setQuota(zone.files, old, isLive: alive) }
      if newLimits { try? setLimits(zone.files, from: wanted.limits, to: old.limits) }
      throw error
    }
    return outcomes
  }

  private func republish(_ spec: ZoneSpec, _ ports: [PublishedPort]) throws(ZoneError) {
    guard case .named(let network) = spec.network else { return }
    do { try networks().republish(zone: spec.name, network: network, ports: ports) } catch {
      throw .refused("\(error)")
    }
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
}
