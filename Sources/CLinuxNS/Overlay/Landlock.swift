internal import CLinuxNS
internal import Glibc

/// What landlock(7) of the running kernel can rule. Bits are those of linux/landlock.h, which may be newer or older here.
public struct Landlock: Sendable, Equatable {
  /// The ABI that the kernel speaks: 1 with Linux 5.13 … 6 with 6.12. 0 where there is no Landlock.
  public var abi: Int

  public init(abi: Int) { self.abi = max(0, abi) }

  /// One system call.
  public static func ofKernel() -> Landlock { Landlock(abi: zns_landlock_abi()) }

  /// Why there is none; nil where there is one.
  public static var refusal: String? {
    switch zns_landlock_abi() {
    case -Int(ENOSYS): "the kernel has none (CONFIG_SECURITY_LANDLOCK)"
    case -Int(EOPNOTSUPP): "it was turned off at boot (put landlock into lsm= of the kernel's command line)"
    case let result where result < 0: SyscallError.describe(CInt(-result))
    default: nil
    }
  }

  /// LANDLOCK_ACCESS_FS_*.
  public struct Files: OptionSet, Sendable, Hashable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public static let execute = Files(rawValue: 1 << 0)
    public static let writeFile = Files(rawValue: 1 << 1)
    public static let readFile = Files(rawValue: 1 << 2)
    public static let readDirectory = Files(rawValue: 1 << 3)
    public static let makeCharacterDevice = Files(rawValue: 1 << 6)
    public static let makeBlockDevice = Files(rawValue: 1 << 11)
    public static let refer = Files(rawValue: 1 << 13)
    public static let truncate = Files(rawValue: 1 << 14)
    public static let ioctlDevice = Files(rawValue: 1 << 15)

    public static let read: Files = [.execute, .readFile, .readDirectory]
    /// All that a rule about something else than a directory may name.
    public static let ofFile: Files = [.execute, .writeFile, .readFile, .truncate, .ioctlDevice]
  }

  /// All accesses to files that it rules.
  public var files: Files {
    let bits =
      switch abi {
      case 0: 0
      case 1: 13
      case 2: 14
      case 3, 4: 15
      default: 16
      }
    return Files(rawValue: (1 << UInt64(bits)) - 1)
  }

  /// To read, execute, write, make and move all but devices.
  public var write: Files { files.subtracting([.makeCharacterDevice, .makeBlockDevice, .ioctlDevice]) }
  /// A device that is there.
  public var device: Files { files.intersection([.readFile, .writeFile, .truncate, .ioctlDevice]) }

  /// LANDLOCK_ACCESS_NET_*: to bind and to connect TCP (Linux 6.7).
  public var network: UInt32 { abi >= 4 ? 3 : 0 }
  /// LANDLOCK_SCOPE_*: abstract sockets and signals (Linux 6.12).
  public var scopesAbstractSockets: Bool { abi >= 6 }
  public var scopesSignals: Bool { abi >= 6 }
  public static let scopeAbstractSockets: UInt32 = 1
  public static let scopeSignals: UInt32 = 2
}
