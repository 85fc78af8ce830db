public import LinuxNS

/// Why a control group could not be made, changed or removed.
public enum CgroupError: Error, Equatable, Sendable, CustomStringConvertible {
  case call(SyscallError, doing: String)
  /// A limit whose controller is not there, and what would bring it.
  case missing(controller: CgroupController, why: String)
  /// No group can be made at all.
  case unavailable(why: String)
  /// A group of that name has processes that are not of this zone's start.
  case busy(path: String)
  case timedOut(doing: String, path: String)
  /// A limit below what is used now, which would kill at once.
  case inUse(limit: String, value: Int64, used: Int64)
  case name(String)
  /// A limit of a container's that its groups cannot bear.
  case limit(String, why: String)
  /// What systemd did not do with a unit.
  case unit(String, doing: String, why: String)

  public var description: String {
    switch self {
    case .call(let error, let doing): "cannot \(doing): \(error)"
    case .missing(let controller, let why): "cannot limit \(controller.limits): \(why)"
    case .unavailable(let why): "cannot make a control group: \(why)"
    case .busy(let path):
      "cannot make the control group \(path): it exists and has processes; halt what runs in it first"
    case .timedOut(let doing, let path): "cannot \(doing) \(path): the kernel did not finish in time; try again"
    case .inUse(let limit, let value, let used):
      "cannot set \(limit) to \(ByteSize.text(value)): \(ByteSize.text(used)) are in use; end processes or choose more"
    case .limit(let controller, let why): "cannot set the limits of \(controller): \(why)"
    case .unit(let name, let doing, let why): "cannot \(doing) the unit \(name): \(why)"
    case .name(let name): "cannot make a control group '\(name)': not a zone's name"
    }
  }

  /// Runs a call below and says what it was for.
  static func wrap<T: ~Copyable>(_ doing: @autoclosure () -> String, _ body: () throws(SyscallError) -> T)
    throws(CgroupError) -> T
  {
    do { return try body() } catch { throw .call(error, doing: doing()) }
  }
}
