internal import Glibc
public import LinuxNS

/// What a machine has that limits are checked against.
public struct MachineResources: Equatable, Sendable {
  /// The CPUs that are online, by number.
  public var cpus: [Int]

  public init(cpus: [Int]) { self.cpus = cpus }

  /// - Parameter file: `/sys/devices/system/cpu/online`.
  public static func read(_ file: String = "/sys/devices/system/cpu/online") throws(SyscallError) -> MachineResources {
    let text = try FileSystem.readLine(file)
    do {
      return MachineResources(cpus: try CPUList.parse(text))
    } catch {
      throw SyscallError(call: "read", errno: EINVAL, path: file, step: "learn the CPUs from '\(text)'")
    }
  }
}

extension ResourceLimits {
  /// 2…262144, as cpu.shares has them.
  public static let cpuSharesRange = 2...262_144
  /// What a zone without a word has.
  public static let defaultCPUShares = 1024
  /// Less than this holds no process's own tables; the kernel would kill the first at its start.
  public static let memoryMinimum: Int64 = 1 << 20
  /// PID_MAX_LIMIT of 64-bit kernels.
  public static let pidsRange: ClosedRange<Int64> = 1...4_194_304

  /// Whether every limit is one that the kernel takes and this machine can mean.
  public func validate(on machine: MachineResources) throws(LimitError) {
    if let cpus {
      guard cpus >= 0.01 else { throw LimitError(limit: "cpus", value: "\(cpus)", why: "the least is 0.01") }
      guard cpus <= Double(machine.cpus.count) else {
        throw LimitError(
          limit: "cpus", value: "\(cpus)",
          why: "this machine has \(machine.cpus.count); leave the limit out for all of them")
      }
    }
    if let cpuShares, !Self.cpuSharesRange.contains(cpuShares) {
      throw LimitError(limit: "cpu-shares", value: "\(cpuShares)", why: "wants 2 to 262144; 1024 is what others have")
    }
    if let cpuset {
      let wanted = try CPUList.parse(cpuset)
      if let missing = wanted.first(where: { !machine.cpus.contains($0) }) {
        throw LimitError(
          limit: "cpuset", value: cpuset,
          why: "there is no CPU \(missing), this machine has \(CPUList.text(machine.cpus))")
      }
    }
    if let memory, memory < Self.memoryMinimum {
      throw LimitError(limit: "memory", value: ByteSize.text(memory), why: "the least is 1M")
    }
    if let pids, !Self.pidsRange.contains(pids) {
      throw LimitError(limit: "pids", value: "\(pids)", why: "wants 1 to 4194304")
    }
  }
}
