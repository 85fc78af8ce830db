/// A file of a group and what is written to it.
public struct CgroupValue: Equatable, Sendable {
  public var file: String
  public var text: String
  /// The file may be missing: no swap in this kernel, say.
  public var isOptional = false

  public init(file: String, text: String, isOptional: Bool = false) {
    self.file = file
    self.text = text
    self.isOptional = isOptional
  }
}

/// Limits as the files of v2 (Documentation/admin-guide/cgroup-v2.rst) and v1 (admin-guide/cgroup-v1) have them.
extension ResourceLimits {
  /// Microseconds over which a cap is counted: the kernel's own and the OCI default.
  static let cpuPeriod = 100_000

  /// What needs to be there for these limits.
  var controllers: [CgroupController] {
    var list: [CgroupController] = []
    if cpus != nil || cpuShares != nil { list.append(.cpu) }
    if cpuset != nil { list.append(.cpuset) }
    if memory != nil { list.append(.memory) }
    if pids != nil { list.append(.pids) }
    return list
  }

  /// The OCI formula (runtime-spec config-linux.md, crun(1) "CGROUP v2"): 2…262144 to 1…10000, in a straight line, so
  /// that ratios of shares stay ratios of weights. 1024 becomes 39 where a group without a word has 100, hence every
  /// zone's weight is written.
  public static func weight(ofShares shares: Int) -> Int { 1 + (shares - 2) * 9999 / 262_142 }

  /// The kernel takes no quota below a millisecond.
  private var quota: Int? { cpus.map { max(1000, Int(($0 * Double(Self.cpuPeriod)).rounded())) } }

  /// - Parameter full: also the values of what is not limited, to take an earlier limit back.
  func v2Values(_ controllers: [CgroupController], full: Bool) -> [CgroupValue] {
    var values: [CgroupValue] = []
    for controller in controllers {
      switch controller {
      case .cpu:
        // Optional without an explicit limit: an ordinary user's parent may have refused the controller.
        values.append(
          CgroupValue(
            file: "cpu.weight", text: "\(Self.weight(ofShares: cpuShares ?? Self.defaultCPUShares))",
            isOptional: cpuShares == nil))
        if let quota {
          values.append(CgroupValue(file: "cpu.max", text: "\(quota) \(Self.cpuPeriod)"))
        } else if full {
          values.append(CgroupValue(file: "cpu.max", text: "max \(Self.cpuPeriod)", isOptional: true))
        }
      case .cpuset:
        // An empty line: whatever the group above has.
        if cpuset != nil || full {
          values.append(CgroupValue(file: "cpuset.cpus", text: cpuset ?? "\n", isOptional: cpuset == nil))
        }
      case .memory:
        // A limit of memory is one of memory and swap together: with swap free to fill, a zone would slow the whole
        // machine instead of meeting its limit. The file is missing on kernels without swap.
        if let memory {
          values.append(CgroupValue(file: "memory.max", text: "\(memory)"))
          values.append(CgroupValue(file: "memory.swap.max", text: "0", isOptional: true))
        } else if full {
          values.append(CgroupValue(file: "memory.max", text: "max", isOptional: true))
          values.append(CgroupValue(file: "memory.swap.max", text: "max", isOptional: true))
        }
      case .pids:
        if let pids {
          values.append(CgroupValue(file: "pids.max", text: "\(pids)"))
        } else if full {
          values.append(CgroupValue(file: "pids.max", text: "max", isOptional: true))
        }
      case .freezer: break
      }
    }
    return values
  }

  /// The values of a v1 group, all of its controller.
  /// - Parameter raisingMemory: the new limit is above the old; v1 refuses a moment in which memory is allowed more
  ///   than memory and swap together.
  func v1Values(_ controller: CgroupController, raisingMemory: Bool = false) -> [CgroupValue] {
    switch controller {
    case .cpu:
      [
        CgroupValue(file: "cpu.shares", text: "\(cpuShares ?? Self.defaultCPUShares)"),
        CgroupValue(file: "cpu.cfs_period_us", text: "\(Self.cpuPeriod)"),
        CgroupValue(file: "cpu.cfs_quota_us", text: "\(quota ?? -1)"),
      ]
    // Without one, the caller gives the group above's: here an empty list would keep everybody out.
    case .cpuset: cpuset.map { [CgroupValue(file: "cpuset.cpus", text: $0)] } ?? []
    case .memory:
      {
        let text = memory.map(String.init) ?? "-1"
        let limits = [
          CgroupValue(file: "memory.limit_in_bytes", text: text),
          // Missing where swap is not accounted (swapaccount=0).
          CgroupValue(file: "memory.memsw.limit_in_bytes", text: text, isOptional: true),
        ]
        return raisingMemory ? limits.reversed() : limits
      }()
    case .pids: [CgroupValue(file: "pids.max", text: pids.map(String.init) ?? "max")]
    case .freezer: []
    }
  }
}
