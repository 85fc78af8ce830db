internal import LinuxNS
internal import ZoneRuntime

/// Zones stand still, so that what a volume has is of one moment.
extension VolumeKeeper {
  /// Zones that are held back from a volume.
  struct Hold {
    fileprivate var holds: [ZoneHold] = []
    fileprivate var locks: [VolumeLock] = []
    /// Those that were not frozen before.
    fileprivate var running = 0
    private let begun = Clock.monotonicNanoseconds()

    /// Nobody has to stand still for it.
    var isEmpty: Bool { holds.isEmpty }

    /// Lets go of them all.
    /// - Returns: how many were frozen for this, and for how many tenths of a second; nil: none.
    /// - Throws: where one did not stand still until now.
    mutating func end() throws(ZoneError) -> String? {
      var failure: ZoneError?
      for hold in holds { do throws(ZoneError) { try hold.end() } catch { failure = failure ?? error } }
      (holds, locks) = ([], [])
      if let failure { throw failure }
      guard running > 0 else { return nil }
      defer { running = 0 }
      let tenths = (Clock.monotonicNanoseconds() - begun) / 100_000_000
      let who = running == 1 ? "1 zone was" : "\(running) zones were"
      return "\(who) frozen for \(tenths / 10).\(tenths % 10) s"
    }
  }

  /// Freezes the zones that may write in volumes now, and keeps everybody from resuming them. The volumes' locks are held:
  /// none is started. Who ends one is told of by the hold's end.
  /// - Parameter own: a zone whose lock the caller has, and who is frozen by him.
  func hold(writersOf names: [String], but own: String? = nil) throws(ZoneError) -> Hold {
    var hold = Hold()
    var writers: Set<String> = []
    for name in names {
      for user in try zones.users(ofVolume: name) where user.state.isLive && user.writes { writers.insert(user.zone) }
    }
    do throws(ZoneError) {
      for zone in writers.sorted() where zone != own {
        hold.locks.append(try zones.hold(zone: zone))
        // One that waits at its gate writes nothing, and does not get through it without its lock.
        let state = try zones.status(zone).state
        guard state.isLive, state != .ready else { continue }
        hold.holds.append(try ZoneHold(zone, root: directories.root, program: program))
        if state != .frozen { hold.running += 1 }
      }
    } catch {
      _ = try? hold.end()  // the first error is the one to report
      throw error
    }
    return hold
  }
}
