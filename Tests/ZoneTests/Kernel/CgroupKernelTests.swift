import Dispatch
import Glibc
import LinuxNS
import Synchronization
import Testing

@testable import ResourceControl

/// Groups of this test alone, and the processes in them; gone when it ends, or the test fails.
private final class Bench {
  let base: CgroupBase
  let name: String
  var cgroup: Cgroup
  private var children: [pid_t] = []
  private nonisolated(unsafe) static var counter = 0  // The suite is serialized.

  /// - Parameter onlyV1: as on a machine without a v2 tree.
  init(_ limits: ResourceLimits = .init(), onlyV1: Bool = false) throws {
    Bench.counter += 1
    name = "bench\(Bench.counter)"
    var hierarchy = try CgroupHierarchy.detect()
    if onlyV1 { hierarchy.unified = nil }
    base = .forRoot(hierarchy, tag: "test-\(getpid())")
    cgroup = try Cgroup.create(CgroupPlan(base: base, name: name, limits: limits))
  }

  /// Runs a shell script in the groups, joined as the stage does it: by a process of one thread.
  @discardableResult
  func run(_ script: String) throws -> Int32 {
    let directory = cgroup.record.unified.map { "echo 0 > \($0)/cgroup.procs; " } ?? ""
    let joins = Set(cgroup.record.v1.values).sorted { a, _ in !a.contains("/freezer/") }
      .map { "echo 0 > \($0)/tasks; " }.joined()
    let words: [String] = ["sh", "-c", "set -e; \(joins)\(directory)set +e; \(script)"]
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var pid: pid_t = 0
    let error = posix_spawnp(&pid, "sh", nil, nil, &arguments, environ)
    guard error == 0 else { throw SyscallError(call: "posix_spawnp", errno: error) }
    children.append(pid)
    // The v2 tree, or v1's freezer, comes last, and is the one that is asked.
    #expect(try until { try self.cgroup.processes().contains(Int32(pid)) }, "the child joined")
    return Int32(pid)
  }

  /// - Returns: the status of wait(2), nil where it did not end in time.
  func reap(_ pid: Int32) throws -> Int32? {
    var status: Int32 = 0
    let ended = try until { waitpid(pid, &status, WNOHANG) == pid }
    children.removeAll { $0 == pid }
    return ended ? status : nil
  }

  func value(_ controller: CgroupController, v1: String, v2: String) throws -> String {
    if let group = cgroup.record.v1[controller] { return try FileSystem.readLine("\(group)/\(v1)") }
    return try FileSystem.readLine("\(cgroup.record.unified!)/\(v2)")
  }

  func end() throws {
    try cgroup.kill()
    for child in children {
      kill(child, SIGKILL)
      waitpid(child, nil, 0)
    }
    #expect(try cgroup.waitUntilEmpty(timeout: 10_000))
    try cgroup.remove()
    for path in cgroup.record.paths {
      #expect(!FileSystem.exists(path))
      #expect(!FileSystem.exists(FileSystem.parent(of: path)), "the shared group goes with the last")
    }
  }
}

/// Looks again until it is so, half a minute at most: under emulation that is little.
private func until(_ condition: () throws -> Bool) throws -> Bool {
  let deadline = Clock.monotonicNanoseconds() + 30_000_000_000
  while true {
    if try condition() { return true }
    if Clock.monotonicNanoseconds() > deadline { return false }
    poll(nil, 0, 2)
  }
}

private func with(_ limits: ResourceLimits = .init(), onlyV1: Bool = false, _ body: (Bench) throws -> Void) throws {
  let bench = try Bench(limits, onlyV1: onlyV1)
  do {
    try body(bench)
  } catch {
    try? bench.end()
    throw error
  }
  try bench.end()
}

private let isRoot = geteuid() == 0
private let hasV2Controllers = (try? CgroupHierarchy.detect())?.unifiedControllers.contains(.pids) == true
private let hasV1Freezer = (try? CgroupHierarchy.detect())?.v1[.freezer] != nil

@Suite(.serialized, .enabled(if: isRoot, "root is needed")) struct CgroupKernelTests {
  @Test func frozenProcessesStandStill() throws {
    try with { bench in
      try bench.run("while :; do :; done")
      let used = { try bench.cgroup.statistics().cpuNanoseconds ?? 0 }
      let start = try used()
      #expect(try until { try used() > start + 5_000_000 })
      try bench.cgroup.freeze()
      #expect(try bench.cgroup.isFrozen())
      // The last of what it ran may be counted after it stands still: then 50 ms in which it would have run.
      var frozen = try used()
      #expect(
        try until {
          poll(nil, 0, 50)
          defer { frozen = (try? used()) ?? 0 }
          return try used() == frozen
        })
      #expect(try bench.cgroup.isFrozen())
      try bench.cgroup.thaw()
      #expect(try until { try used() > frozen + 5_000_000 })
      #expect(try !bench.cgroup.isFrozen())
    }
  }

  @Test(.enabled(if: hasV1Freezer, "a v1 freezer is needed")) func withoutAV2TreeTheV1FreezerServes() throws {
    try with(.init(pids: 50), onlyV1: true) { bench in
      #expect(bench.cgroup.record.unified == nil)
      try bench.run("while :; do sleep 0.01; done & while :; do sleep 0.01; done")
      #expect(try until { try bench.cgroup.processes().count >= 3 })
      try bench.cgroup.freeze()
      #expect(try bench.cgroup.isFrozen())
      for pid in try bench.cgroup.processes() {
        let state = try FileSystem.readLine("/proc/\(pid)/stat").split(separator: ")").last?.dropFirst().first
        #expect(state == "D", "\(pid) is frozen")
      }
      try bench.cgroup.update(bench.base, from: .init(pids: 50), to: .init(memory: 64 << 20, pids: 60))
      #expect(try bench.cgroup.isFrozen())
      #expect(try bench.value(.memory, v1: "memory.limit_in_bytes", v2: "") == "\(64 << 20)")
      // Ends what is frozen, and what would fork away.
      try bench.cgroup.kill()
      #expect(try until { try bench.cgroup.processes().isEmpty })
    }
  }

  @Test func killEndsAllAlsoFrozenAndNested() throws {
    try with { bench in
      try bench.run("for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; wait")
      #expect(try until { try bench.cgroup.processes().count == 10 })
      if let group = bench.cgroup.record.unified {
        try FileSystem.makeDirectories("\(group)/inner/most")
        let one = try #require(try bench.cgroup.processes().max())
        try FileSystem.writeKernelFile("\(group)/inner/most/cgroup.procs", "\(one)")
        #expect(try bench.cgroup.processes().count == 10)
      }
      try bench.cgroup.freeze()
      try bench.cgroup.kill()
      // The shell is ours to reap; the kernel is done with the others.
      #expect(try until { try bench.cgroup.processes().isEmpty })
    }
  }

  @Test func killLeavesOthersAlone() throws {
    try with { one in
      try with { two in
        let other = try two.run("sleep 1000; :")
        try one.run("sleep 1000; :")
        try one.cgroup.kill()
        #expect(try one.cgroup.waitUntilEmpty(timeout: 10_000))
        #expect(try two.cgroup.processes().contains(other))
        try one.cgroup.remove()
        #expect(try two.cgroup.processes().contains(other))
      }
      // Its shared group is gone with the other's end; removing again is fine.
      try one.cgroup.remove()
    }
  }

  @Test func aForkBombStopsAtItsLimit() throws {
    try with(.init(pids: 10)) { bench in
      // The inner shell ends at the first fork that fails; the outer one takes its place with a last sleep.
      try bench.run("(for i in $(seq 100); do sleep 1000 & done) 2>/dev/null; sleep 1000; :")
      #expect(try until { try bench.cgroup.statistics().pids == 10 || bench.cgroup.processes().count == 10 })
      poll(nil, 0, 50)  // Time in which more would have come.
      #expect(try bench.cgroup.processes().count <= 10)
      #expect(try bench.value(.pids, v1: "pids.max", v2: "pids.max") == "10")
    }
  }

  @Test func tooMuchMemoryIsAnOutOfMemoryKill() throws {
    try with(.init(memory: 32 << 20)) { bench in
      #expect(try bench.cgroup.oomKills() == 0)
      // tail keeps the last line, which never ends.
      let pid = try bench.run("head -c 100663296 /dev/zero | tail > /dev/null; kill -9 $$")
      #expect(try bench.reap(pid) != nil)
      #expect(try until { try bench.cgroup.oomKills() ?? 0 >= 1 })
      #expect(try bench.cgroup.statistics().memoryPeak ?? .max <= 32 << 20)
    }
  }

  @Test func valuesAreWhatWasAskedFor() throws {
    try with(.init(cpus: 0.5, cpuShares: 3072, cpuset: "0", memory: 64 << 20, pids: 50)) { bench in
      if bench.cgroup.record.v1[.cpu] != nil {
        #expect(try bench.value(.cpu, v1: "cpu.shares", v2: "") == "3072")
        #expect(try bench.value(.cpu, v1: "cpu.cfs_quota_us", v2: "") == "50000")
      } else {
        #expect(try bench.value(.cpu, v1: "", v2: "cpu.weight") == "118")
        #expect(try bench.value(.cpu, v1: "", v2: "cpu.max") == "50000 100000")
      }
      #expect(try bench.value(.cpuset, v1: "cpuset.cpus", v2: "cpuset.cpus") == "0")
      #expect(try bench.value(.memory, v1: "memory.limit_in_bytes", v2: "memory.max") == "\(64 << 20)")
      let pid = try bench.run("sleep 1000; :")
      // It is in the group's list a moment before it is held to the group's processors.
      #expect(
        try until {
          String(decoding: try FileSystem.read("/proc/\(pid)/status"), as: UTF8.self).contains(
            "Cpus_allowed_list:\t0\n")
        })
      // Another process finds the groups by the record.
      #expect(try Cgroup(opening: bench.cgroup.record).processes() == bench.cgroup.processes())
      let files = try bench.cgroup.openJoinFiles()
      #expect(files.raw.count == Set(bench.cgroup.record.v1.values).count)
      let directory = try bench.cgroup.openDirectory()
      #expect((directory == nil) == (bench.cgroup.record.unified == nil))
    }
  }

  @Test func limitsChangeWhileItRuns() throws {
    try with { bench in
      try bench.run("sleep 1000 & sleep 1000 & wait")
      #expect(try until { try bench.cgroup.processes().count == 3 })
      let limits = ResourceLimits(cpus: 0.5, cpuset: "0", memory: 64 << 20, pids: 5)
      try bench.cgroup.update(bench.base, from: .init(), to: limits)
      #expect(try bench.value(.pids, v1: "pids.max", v2: "pids.max") == "5")
      for path in bench.cgroup.record.paths { #expect(try CgroupTree.processes(below: path).count == 3, "\(path)") }
      #expect(try !bench.cgroup.isFrozen())
      // Up and down again, then none.
      var more = limits
      more.memory = 128 << 20
      more.pids = nil
      more.cpuset = nil
      try bench.cgroup.update(bench.base, from: limits, to: more)
      #expect(try bench.value(.memory, v1: "memory.limit_in_bytes", v2: "memory.max") == "\(128 << 20)")
      #expect(try bench.value(.pids, v1: "pids.max", v2: "pids.max") == "max")
      try bench.cgroup.update(bench.base, from: more, to: .init())
      #expect(try bench.value(.memory, v1: "memory.limit_in_bytes", v2: "memory.max") != "\(128 << 20)")
      try bench.cgroup.update(bench.base, from: .init(), to: limits)
      #expect(try bench.value(.memory, v1: "memory.limit_in_bytes", v2: "memory.max") == "\(64 << 20)")
    }
  }

  @Test func aPausedZoneStaysPausedWhileItsLimitsChange() throws {
    try with { bench in
      try bench.run("sleep 1000; :")
      try bench.cgroup.freeze()
      try bench.cgroup.update(bench.base, from: .init(), to: .init(pids: 5))
      #expect(try bench.cgroup.isFrozen())
    }
  }

  @Test func aRefusedChangeIsTakenBack() throws {
    let old = ResourceLimits(memory: 64 << 20)
    try with(old) { bench in
      try bench.run("sleep 1000; :")
      let record = bench.cgroup.record
      // The kernel has no such CPU; the limits before it had been written.
      #expect(throws: CgroupError.self) {
        try bench.cgroup.update(bench.base, from: old, to: .init(cpuset: "4000", memory: 128 << 20, pids: 5))
      }
      #expect(bench.cgroup.record == record)
      #expect(try bench.value(.memory, v1: "memory.limit_in_bytes", v2: "memory.max") == "\(64 << 20)")
      #expect(throws: CgroupError.self) {
        try bench.cgroup.update(bench.base, from: old, to: .init(memory: 128 << 20, pids: -5))
      }
      #expect(try bench.value(.memory, v1: "memory.limit_in_bytes", v2: "memory.max") == "\(64 << 20)")
      for controller in [CgroupController.cpuset, .pids] {
        if let parent = bench.base.v1[controller] { #expect(!FileSystem.exists(parent), "\(parent)") }
      }
    }
  }

  @Test func aMemoryLimitBelowWhatIsUsedKillsNobody() throws {
    let old = ResourceLimits(memory: 256 << 20)
    try with(old) { bench in
      let pid = try bench.run("(head -c 40000000 /dev/zero; sleep 1000) | tail; :")
      #expect(try until { try bench.cgroup.statistics().memory ?? 0 > 40_000_000 })
      do throws(CgroupError) {
        try bench.cgroup.update(bench.base, from: old, to: .init(memory: 8 << 20))
        Issue.record("set")
      } catch {
        if case .inUse = error {} else { Issue.record("\(error)") }
      }
      #expect(try bench.value(.memory, v1: "memory.limit_in_bytes", v2: "memory.max") == "\(256 << 20)")
      #expect(try bench.cgroup.oomKills() == 0)
      #expect(try bench.cgroup.processes().contains(pid))
    }
  }

  @Test(.enabled(if: hasV2Controllers, "v2 controllers are needed"))
  func aDelegatedGroupBearsLimitsUnlessProcessesAreInIt() throws {
    let tree = try #require(try CgroupHierarchy.detect().unified)
    let top = "\(tree.path)/zones-test-\(getpid())-user"
    try Cgroup.execute(.enable([.pids], required: [.pids], at: tree.path))
    try FileSystem.makeDirectories("\(top)/own")
    defer { try? CgroupTree.remove(top, deadline: Clock.monotonicNanoseconds() + 10_000_000_000) }
    // As systemd delegates: the user's are the directories and the files by which groups are made and joined.
    var parent = try CgroupBase.forRoot(CgroupHierarchy.detect())
    parent.unified = "\(top)/zones"
    parent.unifiedParents = [top]
    let cgroup = try Cgroup.create(CgroupPlan(base: parent, name: "a", limits: .init(pids: 9)))
    #expect(try FileSystem.readLine("\(top)/zones/a/pids.max") == "9")
    #expect(try CgroupHierarchy.controllers(FileSystem.readLine("\(top)/zones/cgroup.subtree_control")).contains(.pids))
    try cgroup.remove()
    #expect(!FileSystem.exists("\(top)/zones"))
    // The kernel lets no controllers down from a group with processes; the error names the group.
    try FileSystem.writeKernelFile("\(top)/cgroup.subtree_control", "-pids")
    for controller in CgroupHierarchy.controllers(try FileSystem.readLine("\(top)/cgroup.subtree_control")) {
      try FileSystem.writeKernelFile("\(top)/cgroup.subtree_control", "-\(controller.rawValue)")
    }
    let bench = try Bench()
    let pid = try bench.run("sleep 1000; :")
    try FileSystem.writeKernelFile("\(top)/cgroup.procs", "\(pid)")
    do throws(CgroupError) {
      _ = try Cgroup.create(CgroupPlan(base: parent, name: "a", limits: .init(pids: 9)))
      Issue.record("made")
    } catch {
      #expect(error.description.hasPrefix("cannot limit the number of processes: \(top) has processes of its own"))
    }
    #expect(!FileSystem.exists("\(top)/zones"))
    // Without limits nothing is refused: it can be frozen and killed.
    try Cgroup.create(CgroupPlan(base: parent, name: "b", limits: .init())).remove()
    kill(pid, SIGKILL)
    #expect(try bench.reap(pid) != nil)
    try bench.end()
  }

  /// Each takes the group above away when the other has none in it just then.
  @Test func twoWhoMakeAndRemoveDoNotDisturbEachOther() throws {
    let base = CgroupBase.forRoot(try CgroupHierarchy.detect(), tag: "test-\(getpid())")
    let failures = Mutex<[String]>([])
    DispatchQueue.concurrentPerform(iterations: 2) { worker in
      for _ in 0..<300 {
        do {
          try Cgroup.create(CgroupPlan(base: base, name: "maker\(worker)", limits: .init(pids: 8))).remove()
        } catch { failures.withLock { $0.append("\(error)") } }
      }
    }
    let told = failures.withLock { $0 }
    #expect(told.isEmpty, "\(told.count): \(told.first ?? "")")
  }

  @Test func whatACutStartLeftIsReplacedAndWhatRunsIsNot() throws {
    try with(.init(pids: 7)) { bench in
      let plan = try CgroupPlan(base: bench.base, name: bench.name, limits: .init(pids: 8))
      _ = try Cgroup.create(plan)
      #expect(try bench.value(.pids, v1: "pids.max", v2: "pids.max") == "8")
      try bench.run("sleep 1000; :")
      #expect(throws: CgroupError.busy(path: bench.cgroup.record.paths[0])) { try Cgroup.create(plan) }
      #expect(try bench.cgroup.processes().count >= 1)
    }
  }

  @Test func aGroupInUseIsNotRemovedAndTheErrorComesInTime() throws {
    try with { bench in
      try bench.run("sleep 1000; :")
      let start = Clock.monotonicNanoseconds()
      #expect(throws: CgroupError.self) { try bench.cgroup.remove(timeout: 100) }
      #expect(Clock.monotonicNanoseconds() - start < 5_000_000_000)
      #expect(try bench.cgroup.processes().count >= 1)
    }
  }
}
