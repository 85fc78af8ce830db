internal import Glibc
internal import LinuxNS

extension Cgroup {
  /// Stops every process of the zone where it is; returns when all stand still, or there are none any more: one that was
  /// ended meanwhile was thawed for it.
  /// - Parameter timeout: milliseconds; then what was frozen is let go again and the error is `timedOut`. A process in
  ///   an uninterruptible wait (a dead NFS server, say) holds the freezer up.
  public func freeze(timeout: UInt64 = 10_000) throws(CgroupError) {
    let deadline = Clock.monotonicNanoseconds() + timeout * 1_000_000
    if let group = record.unified {
      try Self.write("1", to: "\(group)/cgroup.freeze")
      let events = "\(group)/cgroup.events"
      if try CgroupTree.wait(events, for: "frozen 1", "populated 0", deadline: deadline) { return }
    } else {
      let file = try freezerFile()
      // v1 freezes what is there at the write; written again, also what was made meanwhile (freezer-subsystem.rst).
      repeat {
        try Self.write("FROZEN", to: file)
        if try Self.read(file) == "FROZEN" { return }
        CgroupTree.pause(milliseconds: 1)
      } while Clock.monotonicNanoseconds() < deadline
    }
    // Best effort: that it did not freeze is the error, and a group that stays frozen shows it by its state.
    try? thaw()
    throw .timedOut(doing: "freeze", path: record.paths.first ?? "")
  }

  /// Lets every process go on.
  public func thaw() throws(CgroupError) {
    if let group = record.unified {
      try Self.write("0", to: "\(group)/cgroup.freeze")
    } else {
      try Self.write("THAWED", to: try freezerFile())
    }
  }

  /// As the kernel shows it, not as we remember it.
  public func isFrozen() throws(CgroupError) -> Bool {
    guard let group = record.unified else { return try Self.read(try freezerFile()) == "FROZEN" }
    return try Self.read("\(group)/cgroup.events").split(separator: "\n").contains("frozen 1")
  }

  private func freezerFile() throws(CgroupError) -> String {
    guard let group = record.v1[.freezer] else {
      throw .missing(controller: .freezer, why: "the zone has neither a v2 group nor one of the v1 freezer")
    }
    return "\(group)/freezer.state"
  }

  /// Ends every process of the zone (SIGKILL), frozen or not, also those that fork meanwhile. Does not wait for the end:
  /// `waitUntilEmpty` does.
  public func kill(timeout: UInt64 = 10_000) throws(CgroupError) {
    if let group = record.unified {
      do {
        return try Self.write("1", to: "\(group)/cgroup.kill")  // Linux 5.14
      } catch {
        guard case .call(let cause, _) = error, cause.errno == ENOENT else { throw error }
        guard FileSystem.exists(group) else { return }
      }
    }
    let deadline = Clock.monotonicNanoseconds() + timeout * 1_000_000
    while true {
      // Frozen, none can fork away. Where that fails (a process in an uninterruptible wait, a group that is gone) the
      // loop catches up with them, and an error that lasts is met by the calls below.
      try? freeze(timeout: 1000)
      let processes = try processes()
      for pid in processes {
        // Gone in the meantime is gone; who is left is met again, and told by the deadline.
        if let process = try? Pidfd.open(pid), try isMember(pid) { try? process.signal(SIGKILL) }
      }
      try thaw()
      if processes.isEmpty { return }
      guard Clock.monotonicNanoseconds() < deadline else {
        throw .timedOut(doing: "kill", path: record.paths.first ?? "")
      }
      CgroupTree.pause(milliseconds: 2)
    }
  }

  /// Sends a signal to every process that is there now.
  public func signal(_ number: CInt) throws(CgroupError) {
    for pid in try processes() {
      // Gone in the meantime is gone.
      if let process = try? Pidfd.open(pid), try isMember(pid) { try? process.signal(number) }
    }
  }

  /// Asked after the pidfd is open, so that a number in use again by another process is not killed.
  private func isMember(_ pid: Int32) throws(CgroupError) -> Bool { try processes().contains(pid) }

  /// - Returns: false where the time ran out with processes still there.
  public func waitUntilEmpty(timeout: UInt64) throws(CgroupError) -> Bool {
    let deadline = Clock.monotonicNanoseconds() + timeout * 1_000_000
    for path in record.paths { try CgroupTree.waitUntilEmpty(path, deadline: deadline) }
    return try processes().isEmpty
  }

  /// The zone's processes by the host's numbers, also those in groups that the zone made.
  public func processes() throws(CgroupError) -> Set<Int32> {
    // Every process is in each of the trees, so one is asked.
    guard let path = record.unified ?? record.v1[.freezer] ?? record.paths.first else { return [] }
    return try CgroupTree.processes(below: path)
  }

  /// Removes the groups, those that the zone made in them too, and the group of all zones if this was the last.
  /// Groups that are gone are fine.
  /// - Parameter timeout: milliseconds to wait for processes that are about to end.
  public func remove(timeout: UInt64 = 10_000) throws(CgroupError) {
    let deadline = Clock.monotonicNanoseconds() + timeout * 1_000_000
    for path in record.paths {
      try CgroupTree.remove(path, deadline: deadline)
      let all = FileSystem.parent(of: path)
      if rmdir(all) != 0 { KeeperGroup.removeIfEmpty(below: all) }  // EBUSY while there are other zones
    }
  }
}
