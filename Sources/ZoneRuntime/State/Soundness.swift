internal import ResourceControl

/// What has the right shape and still cannot be ours: values that no start, keeper or person could have written. They are
/// refused where they are read, so that no arithmetic later on meets them.
extension ZoneSpec {
  /// - Returns: why not; nil where it is sound.
  func unsound(as zone: String) -> String? {
    if name != zone { return "it is the spec of a zone '\(name)'" }
    if !(stopGrace >= 0 && stopGrace < 1e6) { return "stopGrace \(stopGrace) is not from 0 to 1000000 seconds" }
    for volume in volumes {
      if case .volume(let name) = volume.source, !isDNSLabel(name) { return "'\(name)' is no volume's name" }
      if case .tmpfs(let size?) = volume.source, size < 0 { return "a tmpfs of \(size) bytes" }
    }
    if let quota, quota <= 0 { return "a quota of \(quota) bytes" }
    return limits.unsound
  }
}

extension ResourceLimits {
  var unsound: String? {
    if let cpus, !(cpus > 0 && cpus < 1e6) { return "\(cpus) CPUs" }
    if let cpuShares, !Self.cpuSharesRange.contains(cpuShares) { return "\(cpuShares) shares of CPU" }
    if let memory, memory < 0 { return "\(memory) bytes of memory" }
    if let pids, !Self.pidsRange.contains(pids) { return "\(pids) processes" }
    return nil
  }
}

extension RunRecord {
  func unsound(as zone: String) -> String? {
    if !(0...1_000_000_000).contains(restarts) { return "\(restarts) restarts" }
    // Whoever cleans up kills what is in these groups and removes them.
    for path in cgroup?.paths ?? [] where !path.hasSuffix("/\(zone)") && !path.hasSuffix("/_\(zone)") {
      return "the control group \(path) is not this zone's"
    }
    return nil
  }
}

extension KeeperRecord {
  var unsound: String? {
    if keeper <= 0 || `init` < 0 || process < 0 { return "pid \(min(keeper, `init`, process))" }
    if phase == .ended, ended == nil || code == nil { return "ended without a time or a status" }
    return KeeperRecord.unsound(code: code, signal: signal)
  }

  /// As wait(2) can tell them. A keeper writes a signal of 0 for an end by exit.
  static func unsound(code: Int?, signal: Int?) -> String? {
    if let signal, !(0...127).contains(signal) { return "ended by signal \(signal)" }
    if let code, !(0...255).contains(code) { return "ended with status \(code)" }
    return nil
  }
}

extension ZoneExit {
  var unsound: String? {
    if code == nil, signal == nil { return "ended by neither a status nor a signal" }
    return KeeperRecord.unsound(code: code, signal: signal)
  }
}
