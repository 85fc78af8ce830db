internal import Glibc
internal import LinuxNS

/// What a zone uses. nil: this kernel's groups do not count it for this zone (on v1 only limited resources have a group).
public struct CgroupStatistics: Equatable, Sendable {
  /// CPU time of all processes since the start, nanoseconds.
  public var cpuNanoseconds: UInt64?
  /// Bytes.
  public var memory: UInt64?
  /// The most it has been, bytes (v2: Linux 5.19).
  public var memoryPeak: UInt64?
  /// Processes and threads where the pids controller counts them, else processes.
  public var pids: UInt64?
  /// How often the CPU cap stopped the zone, and for how long in all.
  public var throttledPeriods: UInt64?
  public var throttledNanoseconds: UInt64?
}

extension Cgroup {
  public func statistics() throws(CgroupError) -> CgroupStatistics {
    var result = CgroupStatistics()
    if let group = record.unified {
      guard FileSystem.exists(group) else {
        throw Self.failure("open", ENOENT, group, "read the control group")
      }
      // Counted for every v2 group, with and without a controller (cgroup-v2.rst, cpu.stat).
      let cpu = keyed("\(group)/cpu.stat")
      result.cpuNanoseconds = cpu["usage_usec"].map { $0 * 1000 }
      result.throttledPeriods = cpu["nr_throttled"]
      result.throttledNanoseconds = cpu["throttled_usec"].map { $0 * 1000 }
      result.memory = number("\(group)/memory.current")
      result.memoryPeak = number("\(group)/memory.peak")
      result.pids = number("\(group)/pids.current")
    }
    if let group = record.v1[.cpu] {
      let cpu = keyed("\(group)/cpu.stat")
      result.throttledPeriods = cpu["nr_throttled"]
      result.throttledNanoseconds = cpu["throttled_time"]
      if result.cpuNanoseconds == nil { result.cpuNanoseconds = number("\(group)/cpuacct.usage") }
    }
    if let group = record.v1[.memory] {
      result.memory = number("\(group)/memory.usage_in_bytes")
      result.memoryPeak = number("\(group)/memory.max_usage_in_bytes")
    }
    if let group = record.v1[.pids] { result.pids = number("\(group)/pids.current") }
    if result.pids == nil { result.pids = UInt64(try processes().count) }
    return result
  }

  /// How many processes the kernel ended because the zone met its memory limit; nil where memory is not counted for it.
  /// Kills of the whole machine's shortage count too where the kernel charges them to the group.
  public func oomKills() throws(CgroupError) -> UInt64? {
    if let group = record.unified, let kills = keyed("\(group)/memory.events")["oom_kill"] { return kills }
    return record.v1[.memory].flatMap { keyed("\($0)/memory.oom_control")["oom_kill"] }
  }

  /// nil where the kernel has no such file, or says "max".
  private func number(_ file: String) -> UInt64? { (try? FileSystem.readLine(file)).flatMap { UInt64($0) } }

  /// `key value` lines; empty where there is no such file.
  private func keyed(_ file: String) -> [Substring: UInt64] {
    guard let text = try? FileSystem.readLine(file) else { return [:] }
    var values: [Substring: UInt64] = [:]
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count == 2, let value = UInt64(words[1]) { values[words[0]] = value }
    }
    return values
  }
}
