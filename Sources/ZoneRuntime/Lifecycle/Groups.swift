internal import Glibc
internal import LinuxNS
internal import ResourceControl

/// A zone's control groups, opened for a start or an execution.
struct ZoneGroup: ~Copyable {
  let directory: OwnedFD?
  let tasks: DescriptorList
  /// Where OOM kills are counted: `memory.events`, or v1's `memory.oom_control`.
  let oom: OwnedFD?

  var descriptors: (directory: CInt, tasks: [CInt], oom: CInt) {
    let first = if directory != nil { directory!.raw } else { CInt(-1) }
    let last = if oom != nil { oom!.raw } else { CInt(-1) }
    return (first, tasks.raw, last)
  }
}

extension Zones {
  /// Where this caller's groups may be made; nil where he has no place for them (an ordinary user without delegation),
  /// which is an error only if a limit is asked for.
  func cgroupBase(neededFor limits: ResourceLimits) throws(ZoneError) -> CgroupBase? {
    let tag = directories.tag.isEmpty ? nil : directories.tag
    do throws(CgroupError) {
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

  func cgroupPlan(_ name: String, _ limits: ResourceLimits) throws(ZoneError) -> CgroupPlan? {
    guard let base = try cgroupBase(neededFor: limits) else { return nil }
    do throws(CgroupError) {
      let plan = try CgroupPlan(base: base, name: name, limits: limits)
      return plan.record.paths.isEmpty ? nil : plan
    } catch { throw .refused("\(error)") }
  }

  func makeCgroup(_ plan: CgroupPlan) throws(ZoneError) -> ZoneGroup {
    do throws(CgroupError) { return try Self.open(Cgroup.create(plan)) } catch { throw .refused("\(error)") }
  }

  func openCgroup(_ record: RunRecord) throws(ZoneError) -> ZoneGroup? {
    guard let paths = record.cgroup else { return nil }
    do throws(CgroupError) { return try Self.open(Cgroup(opening: paths)) } catch { throw .refused("\(error)") }
  }

  private static func open(_ group: Cgroup) throws(CgroupError) -> ZoneGroup {
    let directory = try group.openDirectory()
    let tasks = try group.openJoinFiles()
    var candidates: [String] = []
    if let path = group.record.v1[.memory] { candidates.append("\(path)/memory.oom_control") }
    if let path = group.record.unified { candidates.append("\(path)/memory.events") }
    var oom: OwnedFD?
    for path in candidates where oom == nil { oom = try? OwnedFD.open(path, O_RDONLY) }  // no controller, no count
    return ZoneGroup(directory: directory, tasks: tasks, oom: oom)
  }

  /// Ends what is left in the groups and removes them.
  func removeCgroup(_ record: CgroupRecord) throws(ZoneError) {
    do throws(CgroupError) { try Cgroup(opening: record).remove() } catch { throw .refused("\(error)") }
  }

  /// What a killed keeper or start may have left running.
  func killLeftovers(_ files: ZoneFiles) throws(ZoneError) {
    guard let record = try files.readRecord(), let group = record.cgroup,
      group.paths.contains(where: FileSystem.exists)
    else { return }
    do throws(CgroupError) { try Cgroup(opening: group).kill() } catch { throw .refused("\(error)") }
  }

  func isFrozen(_ record: RunRecord) throws(ZoneError) -> Bool {
    guard let group = record.cgroup else { return false }
    // A zone that ended between the looks is not frozen.
    return (try? Cgroup(opening: group).isFrozen()) ?? false
  }

  func freeze(_ record: RunRecord, _ name: String, _ frozen: Bool) throws(ZoneError) {
    guard let group = record.cgroup else {
      throw .refused("cannot freeze zone \(name): it has no control group, since none is delegated to uid \(geteuid()) (log in through systemd, or start with systemd-run --user --scope -p Delegate=yes)")
    }
    do throws(CgroupError) {
      if frozen { try Cgroup(opening: group).freeze() } else { try Cgroup(opening: group).thaw() }
    } catch { throw .refused("\(error)") }
  }

  /// A frozen zone hears no signal but the kill.
  func thaw(_ files: ZoneFiles) throws(SyscallError) {
    guard let record = try? files.readRecord(), let group = record.cgroup, (try? Cgroup(opening: group).isFrozen()) == true
    else { return }
    do throws(CgroupError) { try Cgroup(opening: group).thaw() } catch {
      throw SyscallError(call: "thaw", errno: EIO, path: files.name)
    }
  }
}
