internal import Glibc
internal import LinuxNS

extension Cgroup {
  /// Changes limits of a zone that runs. Where one is refused, those before it are put back.
  ///
  /// A controller of v1 that the zone has no group for gets one, and the zone's processes are moved in while they are
  /// frozen. Memory that they use already stays charged where it was; from then on all new memory counts.
  public mutating func update(_ base: CgroupBase, from old: ResourceLimits, to new: ResourceLimits) throws(CgroupError)
  {
    let placement = try CgroupPlan.place(new, base)
    var undo = CgroupUndo()
    var record = record
    do {
      try refuseMemoryInUse(old, new)
      if let group = record.unified {
        let controllers = CgroupController.limiting.filter(base.unifiedControllers.contains)
        let before = old.v2Values(controllers, full: true)
        for value in new.v2Values(controllers, full: true) where !before.contains(value) {
          try undo.write(value, in: group)
        }
      }
      for controller in CgroupController.limiting {
        if let group = record.v1[controller] {
          try change(controller, group, base, old, new, &undo)
        } else if placement.v1.contains(controller), let parent = base.v1[controller] {
          let group = try make(controller, in: parent, new, &undo)
          record.v1[controller] = group
        }
      }
      // Last, when all values are in place, because it is the step that cannot be undone without a trace.
      let joined = record.v1.filter { self.record.v1[$0.key] == nil }
      if !joined.isEmpty { try move(into: Set(joined.values), &undo) }
    } catch {
      undo.run()
      throw error
    }
    self.record = record
  }

  private func change(
    _ controller: CgroupController, _ group: String, _ base: CgroupBase, _ old: ResourceLimits, _ new: ResourceLimits,
    _ undo: inout CgroupUndo
  ) throws(CgroupError) {
    if controller == .cpuset, new.cpuset == nil, old.cpuset != nil {
      let all = try Self.read("\(FileSystem.parent(of: group))/cpuset.cpus")
      return try undo.write(CgroupValue(file: "cpuset.cpus", text: all), in: group)
    }
    let raising = new.memory ?? .max > old.memory ?? .max
    let before = old.v1Values(controller)
    for value in new.v1Values(controller, raisingMemory: raising) where !before.contains(value) {
      do {
        try undo.write(value, in: group)
      } catch {
        // v1's word for "more than that is in use, and it cannot be given back".
        guard controller == .memory, case .call(let cause, _) = error, cause.errno == EBUSY, let memory = new.memory
        else {
          throw error
        }
        // Only for the words of the refusal.
        let used = Int64((try? Self.read("\(group)/memory.usage_in_bytes")) ?? "") ?? memory
        throw .inUse(limit: "memory", value: memory, used: used)
      }
    }
  }

  private func make(
    _ controller: CgroupController, in parent: String, _ limits: ResourceLimits, _ undo: inout CgroupUndo
  ) throws(CgroupError) -> String {
    guard let name = record.paths.first?.split(separator: "/").last else {
      throw .unavailable(why: "the zone was started without groups; start it again")
    }
    let group = "\(parent)/\(name)"
    var steps: [CgroupPlan.Step] = [.shared(parent)]
    if controller == .cpuset { steps.append(.inheritCpuset(parent)) }
    // Co-mounted controllers share a group, which another limit may have made a moment ago.
    if !undo.made.contains(group), !record.v1.values.contains(group) { steps.append(.own(group)) }
    if controller == .cpuset { steps.append(.inheritCpuset(group)) }
    for step in steps {
      try Self.execute(step)
      if case .own = step { undo.made.append(group) }
    }
    for value in limits.v1Values(controller) { try undo.write(value, in: group) }
    return group
  }

  /// Moves all processes into other groups while none can fork.
  private func move(into groups: Set<String>, _ undo: inout CgroupUndo) throws(CgroupError) {
    let wasFrozen = try isFrozen()
    if !wasFrozen { try freeze() }
    defer {
      // A zone must not stay frozen because of us; that it does would be told by its state.
      if !wasFrozen { try? thaw() }
    }
    for group in groups {
      // A process of ours may be entering the zone (exec) meanwhile: look again until none is outside.
      for round in 0... {
        let outside = try processes().subtracting(CgroupTree.processes(below: group))
        if outside.isEmpty { break }
        guard round < 100 else { throw .timedOut(doing: "move all processes into", path: group) }
        for pid in outside {
          let origin = Self.group(of: pid, inTreeOf: group)
          do {
            try Self.write("\(pid)", to: "\(group)/cgroup.procs")
          } catch {
            guard case .call(let cause, _) = error, cause.errno == ESRCH else { throw error }
            continue  // It has ended.
          }
          if let origin { undo.moves.append((pid, origin)) }
        }
      }
    }
  }

  /// The directory of the group that a process is in now, in the tree of a group of ours at `TREE/zones/NAME`.
  private static func group(of pid: Int32, inTreeOf path: String) -> String? {
    let tree = FileSystem.parent(of: FileSystem.parent(of: path))
    // Only to undo: a process whose group cannot be learned (it has ended, mostly) is left where it is.
    guard let mounts = try? CgroupHierarchy.detect(), let text = try? FileSystem.read("/proc/\(pid)/cgroup"),
      let controller = mounts.v1.first(where: { $0.value.path == tree })?.key
    else { return nil }
    for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      if parts.count == 3, parts[1].split(separator: ",").contains(where: { $0 == controller.rawValue }) {
        return tree + parts[2]
      }
    }
    return nil
  }

  /// On v2 a limit below what is used makes the kernel kill at once; v1 refuses it with EBUSY. First the kernel is asked
  /// to give back what it can.
  private func refuseMemoryInUse(_ old: ResourceLimits, _ new: ResourceLimits) throws(CgroupError) {
    // Without the controller there is no such file, and nothing to refuse: the write of the limit tells.
    guard let memory = new.memory, memory < old.memory ?? .max, let group = record.unified,
      let used = Int64((try? Self.read("\(group)/memory.current")) ?? ""), used > memory
    else { return }
    // Best effort: a kernel before 5.19 has no such file, and EAGAIN is less given back than asked for. What counts is the
    // next reading.
    try? Self.write("\(used - memory)", to: "\(group)/memory.reclaim")
    let left = Int64(try Self.read("\(group)/memory.current")) ?? used
    guard left <= memory else { throw .inUse(limit: "memory", value: memory, used: left) }
  }
}

/// What an update did so far, and how to take it back.
struct CgroupUndo {
  private var values: [(file: String, text: String)] = []
  var made: [String] = []
  var moves: [(pid: Int32, origin: String)] = []

  mutating func write(_ value: CgroupValue, in group: String) throws(CgroupError) {
    let file = "\(group)/\(value.file)"
    if value.isOptional, !FileSystem.exists(file) { return }
    let before = try Cgroup.read(file)
    try Self.set(value.text, file)
    values.append((file, before.isEmpty ? "\n" : before))
  }

  /// An empty list of CPUs is "those of the group above", but some kernels (seen with 6.1) refuse it where processes are
  /// (ENOSPC): then the list itself.
  private static func set(_ text: String, _ file: String) throws(CgroupError) {
    do {
      try Cgroup.write(text, to: file)
    } catch {
      guard text == "\n", file.hasSuffix("/cpuset.cpus"), case .call(let cause, _) = error, cause.errno == ENOSPC else {
        throw error
      }
      let parent = FileSystem.parent(of: FileSystem.parent(of: file))
      try Cgroup.write(Cgroup.read("\(parent)/cpuset.cpus.effective"), to: file)
    }
  }

  /// Best effort, in reverse; the error that led here is the one to report.
  func run() {
    for move in moves.reversed() { try? Cgroup.write("\(move.pid)", to: "\(move.origin)/cgroup.procs") }
    for value in values.reversed() { try? Self.set(value.text, value.file) }
    for group in made.reversed() {
      rmdir(group)
      rmdir(FileSystem.parent(of: group))
    }
  }
}
