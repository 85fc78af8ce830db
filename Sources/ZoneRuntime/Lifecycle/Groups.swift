internal import Glibc
internal import LinuxNS
internal import ResourceControl
internal import VirtualNet

/// A zone's control groups, opened for a start or an execution.
struct ZoneGroup: ~Copyable {
  /// The v2 group's directory; -1 where there is none.
  let directory: CInt
  /// The v1 groups' `tasks` files.
  let tasks: DescriptorList
  /// Where OOM kills may be counted: `memory.events`, or v1's `memory.oom_control`.
  fileprivate let counters: [String]

  deinit { if directory >= 0 { close(directory) } }

  /// The first of them that is there, for the caller to close; -1 where nothing counts.
  func openCounter() -> CInt {
    for path in counters {
      if let file = try? OwnedFD.open(path, O_RDONLY) { return file.take() }  // no controller, no count
    }
    return -1
  }

  /// Hands the descriptors to a stage; they stay ours.
  /// - Parameter joining: false where the zone is in its groups already.
  func lend(to descriptors: inout StagePlan.Descriptors, joining: Bool = true) {
    if joining {
      descriptors.cgroup = directory
      descriptors.tasks = tasks.raw
    }
  }

  /// With the ids that the zone's first process has in them.
  func lend(to stage: borrowing StageProcess, _ run: borrowing OwnedFD, uidMap: String, gidMap: String)
    throws(SyscallError)
  {
    try stage.send(uidMap: uidMap, gidMap: gidMap, run: run.raw, group: directory, tasks: tasks.raw)
  }
}

extension Zones {
  /// Where this caller's groups may be made; nil where he has no place for them (an ordinary user without delegation),
  /// which is an error only if a limit is asked for.
  func cgroupBase(neededFor limits: ResourceLimits) throws(ZoneError) -> CgroupBase? {
    let tag = directories.tag.isEmpty ? nil : directories.tag
    do throws(CgroupError) {
      if geteuid() == 0, limits.isEmpty, let usual = CgroupBase.forRootAtUsualPlace(tag: tag) { return usual }
      let hierarchy = try CgroupHierarchy.detect()
      if geteuid() == 0 { return CgroupBase.forRoot(hierarchy, tag: tag) }
      let own = (try? FileSystem.readLine("/proc/self/cgroup")) ?? ""  // unreadable is the same as not delegated
      do throws(CgroupError) {
        return try CgroupBase.forUser(hierarchy, selfCgroup: own, uid: geteuid(), tag: tag)
      } catch {
        if limits.isEmpty { return nil }
        throw error
      }
    } catch { throw .refused("\(error)") }
  }

  /// Where the keeper of a zone that nobody stays with is born; none where the caller has no place for groups.
  func keeperGroup() throws(ZoneError) -> KeeperGroup {
    guard let base = try cgroupBase(neededFor: ResourceLimits()) else { return KeeperGroup() }
    do throws(CgroupError) { return try KeeperGroup(base) } catch { throw .refused("\(error)") }
  }

  /// What serves networks is born there too, whoever stays with a zone: zones of others use it.
  var helperGroup: HelperGroup {
    HelperGroup(
      open: { () throws(NetworkError) in
        do throws(ZoneError) { return try keeperGroup().take() } catch { throw .conflict("\(error)") }
      },
      leave: { if let base = (try? cgroupBase(neededFor: ResourceLimits())) ?? nil { KeeperGroup.removeIfEmpty(base) } }
    )
  }

  /// After a zone's end and out of its lock, for which its keeper may be waiting. Best effort: the zone has ended, and an
  /// empty group goes with the next one.
  func removeKeeperGroup() {
    if let base = (try? cgroupBase(neededFor: ResourceLimits())) ?? nil { try? KeeperGroup.removeAfterLast(base) }
  }

  /// The same for what was the zone's keeper itself.
  func leaveKeeperGroup() {
    if let base = (try? cgroupBase(neededFor: ResourceLimits())) ?? nil { KeeperGroup.leave(base) }
  }

  /// - Parameter owner: who may make groups below the zone's own; nil: nobody.
  func cgroupPlan(_ name: String, _ limits: ResourceLimits, _ owner: CgroupOwner?) throws(ZoneError) -> CgroupPlan? {
    guard let base = try cgroupBase(neededFor: limits) else { return nil }
    do throws(CgroupError) {
      let plan = try CgroupPlan(base: base, name: name, limits: limits, delegatedTo: owner)
      return plan.record.paths.isEmpty ? nil : plan
    } catch { throw .refused("\(error)") }
  }

  /// nil makes none.
  func makeCgroup(_ plan: CgroupPlan?) throws(ZoneError) -> ZoneGroup {
    do throws(CgroupError) {
      return try Self.open(plan.map { (plan) throws(CgroupError) in try Cgroup.create(plan) })
    } catch { throw .refused("\(error)") }
  }

  /// For who executes in a zone that lives.
  func openCgroup(_ record: RunRecord) throws(ZoneError) -> ZoneGroup {
    do throws(CgroupError) { return try Self.open(record.cgroup.map(Cgroup.init(opening:)), executing: true) } catch {
      throw .refused("\(error)")
    }
  }

  private static func open(_ group: Cgroup?, executing: Bool = false) throws(CgroupError) -> ZoneGroup {
    guard let group else { return ZoneGroup(directory: -1, tasks: DescriptorList(), counters: []) }
    let tasks = try group.openJoinFiles()
    let counters = [
      group.record.v1[.memory].map { "\($0)/memory.oom_control" }, group.record.unified.map { "\($0)/memory.events" },
    ]
    let directory = try group.openDirectory(executing: executing)?.take() ?? -1
    return ZoneGroup(directory: directory, tasks: tasks, counters: counters.compactMap { $0 })
  }

  /// Ends what is left in the groups and removes them.
  func removeCgroup(_ record: CgroupRecord) throws(ZoneError) {
    do throws(CgroupError) { try Cgroup(opening: record).remove() } catch { throw .refused("\(error)") }
  }

  /// What a killed keeper or start may have left running.
  func killLeftovers(_ files: ZoneFiles) throws(ZoneError) {
    guard let record = try recordOrPresumed(files), let group = record.cgroup,
      group.paths.contains(where: FileSystem.exists)
    else { return }
    do throws(CgroupError) { try Cgroup(opening: group).kill() } catch { throw .refused("\(error)") }
  }

  /// nil where no group counts them, or it has gone.
  func oomKills(_ record: RunRecord?) -> UInt64? {
    guard let group = record?.cgroup else { return nil }
    return (try? Cgroup(opening: group).oomKills()) ?? nil
  }

  func isFrozen(_ record: RunRecord) throws(ZoneError) -> Bool {
    guard let group = record.cgroup else { return false }
    // A zone that ended between the looks is not frozen.
    return (try? Cgroup(opening: group).isFrozen()) ?? false
  }

  /// Where that cannot be seen there are none: the group has gone.
  func hasProcesses(_ record: RunRecord) -> Bool {
    guard let group = record.cgroup else { return false }
    return (try? Cgroup(opening: group).processes().isEmpty) == false
  }

  func freeze(_ record: RunRecord, _ name: String, _ frozen: Bool) throws(ZoneError) {
    guard let group = record.cgroup else {
      throw .refused(
        "cannot freeze zone \(name): it has no control group, since none is delegated to uid \(geteuid()) (log in through systemd, or start with systemd-run --user --scope -p Delegate=yes)"
      )
    }
    do throws(CgroupError) {
      if frozen { try Cgroup(opening: group).freeze() } else { try Cgroup(opening: group).thaw() }
    } catch { throw .refused("\(error)") }
  }

  /// A frozen zone hears no signal but the kill.
  func thaw(_ files: ZoneFiles) throws(SyscallError) {
    guard let record = try? files.readRecord(), let group = record.cgroup,
      (try? Cgroup(opening: group).isFrozen()) == true
    else { return }
    do throws(CgroupError) { try Cgroup(opening: group).thaw() } catch {
      throw SyscallError(call: "thaw", errno: EIO, path: files.name)
    }
  }
}

extension CgroupOwner {
  /// A zone's root, by the ids that it has outside.
  init(_ ids: ZoneIds) { self.init(ids.uids, ids.gids) }

  init(_ uids: [IdMap], _ gids: [IdMap]) {
    self.init(uid: uids.outside(of: 0) ?? geteuid(), gid: gids.outside(of: 0) ?? getegid())
  }
}
