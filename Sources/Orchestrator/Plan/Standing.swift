internal import ZoneRuntime

/// What holds of zones as they were seen: what changes wait for, and what an apply comes to in the end.
extension Observation {
  /// How a zone ended since our last start of it; nil where it has not.
  func end(of zone: String) -> ObservedZone.Exit? {
    guard let exit = zones[zone]?.exit, records[zone]?.endBefore != exit.at else { return nil }
    return exit
  }

  /// We are to start it. Not where its work was done meanwhile: then we were ended before we could note the start.
  func owesStart(_ zone: String) -> Bool {
    guard let record = records[zone], record.owesStart == true else { return false }
    return record.endBefore == nil || end(of: zone)?.shellCode != 0
  }

  /// It runs and, where it has a check, is healthy.
  func isUp(_ zone: String) -> Bool {
    guard zones[zone]?.state == .running, let state = health[zone]?.state else { return false }
    return state == .healthy || state == .unchecked
  }

  /// How a zone ended that nobody starts again by its policy; nil where it goes on, or will.
  func lastEnd(of zone: String) -> ObservedZone.Exit? {
    guard let there = zones[zone], !there.isLive, there.keeper == nil, !owesStart(zone), let exit = end(of: zone),
      there.spec.restart == .no || exit.shellCode == 0
    else { return nil }
    return exit
  }

  /// - Throws: what can no longer come to be.
  func isMet(_ wait: Wait, in fleet: FleetSpec) throws(FleetError) -> Bool {
    switch wait {
    case .zone(let name): return isUp(name) || lastEnd(of: name)?.shellCode == 0
    case .service(let service, let condition):
      let names = (0..<(fleet.services[service]?.replicas ?? 0)).map { fleet.zoneName(service, $0 + 1) }
      switch condition {
      case .started: return names.allSatisfy { zones[$0]?.state == .running || !owesStart($0) && end(of: $0) != nil }
      case .healthy: return names.allSatisfy { isUp($0) }
      case .completed:
        for name in names {
          guard let zone = zones[name], !zone.isLive, !owesStart(name), let exit = end(of: name) else { return false }
          guard exit.shellCode != 0 else { continue }
          guard zone.spec.restart == .no else { return false }
          throw .failed("\(name), which others depend on, ended with \(exit.shellCode)")
        }
        return true
      }
    }
  }
}
