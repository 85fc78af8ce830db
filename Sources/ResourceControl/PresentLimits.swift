internal import LinuxNS

/// What a container's groups have now, of limits that are written or judged together with another one: who changes one of the
/// two keeps the other.
public struct PresentLimits: Equatable, Sendable {
  /// cpu.max of the v2 group: microseconds, or `max`, in a period of microseconds.
  public var cpuQuota = "max"
  public var cpuPeriod: UInt64 = 100_000
  /// Bytes; nil: there is no limit.
  public var memory: Int64?

  public init() {}
}

extension ContainerCgroup {
  /// A file that is not there, for want of the controller, limits nothing.
  public func presentLimits() throws(CgroupError) -> PresentLimits {
    var present = PresentLimits()
    if let unified {
      let words = try Self.present("\(unified)/cpu.max").split(separator: " ")
      if words.count == 2, let period = UInt64(words[1]) {
        (present.cpuQuota, present.cpuPeriod) = (String(words[0]), period)
      }
      present.memory = Int64(try Self.present("\(unified)/memory.max"))
    }
    if let group = v1[CgroupController.memory.rawValue] {
      // Without a limit it is the largest number of whole pages.
      present.memory = Int64(try Self.present("\(group)/memory.limit_in_bytes")).flatMap { $0 < 1 << 62 ? $0 : nil }
    }
    return present
  }

  private static func present(_ file: String) throws(CgroupError) -> String {
    guard FileSystem.exists(file) else { return "" }
    return try Cgroup.read(file)
  }
}
