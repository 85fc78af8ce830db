/// What a zone may take of the machine; nil leaves a resource unlimited. The model is cgroup v2's
/// (Documentation/admin-guide/cgroup-v2.rst); v1 is mapped to it.
public struct ResourceLimits: Equatable, Sendable {
  /// The cap, in CPUs: 1.5 is one and a half. At least 0.01. `cpu.max`, or v1's `cpu.cfs_quota_us`.
  public var cpus: Double?
  /// The share against siblings, 2…262144, 1024 by default: v1's `cpu.shares`, turned into `cpu.weight` by the OCI formula.
  public var cpuShares: Int?
  /// CPUs the zone may run on, as in cpuset(7): `0-1,3`.
  public var cpuset: String?
  /// Bytes: `memory.max`, or v1's `memory.limit_in_bytes`.
  public var memory: Int64?
  /// Processes and threads: `pids.max`.
  public var pids: Int64?

  public init(
    cpus: Double? = nil, cpuShares: Int? = nil, cpuset: String? = nil, memory: Int64? = nil, pids: Int64? = nil
  ) {
    self.cpus = cpus
    self.cpuShares = cpuShares
    self.cpuset = cpuset
    self.memory = memory
    self.pids = pids
  }

  public var isEmpty: Bool { self == ResourceLimits() }
}

#if !hasFeature(Embedded)
  /// As part of what a fleet keeps.
  extension ResourceLimits: Codable {}
#endif
