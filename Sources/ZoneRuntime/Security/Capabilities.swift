internal import Glibc
internal import LinuxNS

/// A privilege of capabilities(7), by its number.
public struct Capability: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// 0…63; as linux/capability.h counts them.
  public let number: UInt8

  public init?(number: Int) {
    guard (0...63).contains(number) else { return nil }
    self.number = UInt8(number)
  }

  private init(_ number: UInt8) { self.number = number }

  public static let chown = Capability(0)
  public static let dacOverride = Capability(1)
  public static let dacReadSearch = Capability(2)
  public static let fowner = Capability(3)
  public static let fsetid = Capability(4)
  public static let kill = Capability(5)
  public static let setgid = Capability(6)
  public static let setuid = Capability(7)
  public static let setpcap = Capability(8)
  public static let netBindService = Capability(10)
  public static let netAdmin = Capability(12)
  public static let netRaw = Capability(13)
  public static let sysModule = Capability(16)
  public static let sysRawio = Capability(17)
  public static let sysChroot = Capability(18)
  public static let sysPtrace = Capability(19)
  public static let sysPacct = Capability(20)
  public static let sysAdmin = Capability(21)
  public static let sysBoot = Capability(22)
  public static let sysNice = Capability(23)
  public static let sysTime = Capability(25)
  public static let sysTtyConfig = Capability(26)
  public static let mknod = Capability(27)
  public static let auditWrite = Capability(29)
  public static let setfcap = Capability(31)
  public static let syslog = Capability(34)
  public static let perfmon = Capability(38)
  public static let bpf = Capability(39)
  public static let checkpointRestore = Capability(40)

  /// Every name, at its number (capabilities(7), linux/capability.h); the last came with Linux 5.9.
  public static let names = [
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
  ]

  /// `CAP_NET_ADMIN`, `NET_ADMIN` or either in small letters.
  public init(parsing text: String) throws(SyntaxError) {
    let letters = text.utf8.map { (97...122).contains($0) ? $0 - 32 : $0 }
    let name = letters.starts(with: "CAP_".utf8) ? letters.dropFirst(4) : letters[...]
    guard let number = Self.names.firstIndex(where: { $0.utf8.elementsEqual(name) }) else {
      throw SyntaxError(
        what: "capability", value: text,
        why:
          "no such capability, see capabilities(7)\(suggestion(for: String(decoding: name, as: UTF8.self), in: Self.names))"
      )
    }
    self.init(UInt8(number))
  }

  /// `CAP_NET_ADMIN`; `CAP_57` for one newer than this table.
  public var description: String {
    Int(number) < Self.names.count ? "CAP_\(Self.names[Int(number)])" : "CAP_\(number)"
  }

  public static func < (a: Capability, b: Capability) -> Bool { a.number < b.number }
}

/// A set of capabilities in the kernel's form, bit n for number n.
public struct CapabilitySet: OptionSet, Hashable, Sendable, CustomStringConvertible {
  public let rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }

  public init(_ capabilities: [Capability]) {
    self.init(rawValue: capabilities.reduce(0) { $0 | 1 << UInt64($1.number) })
  }

  /// What a zone keeps without a word (SECURITY.md): Docker's fourteen less NET_RAW, whose forged packets reach the
  /// neighbours, and MKNOD.
  public static let zoneDefault = CapabilitySet([
    .chown, .dacOverride, .fsetid, .fowner, .setgid, .setuid, .setfcap, .setpcap, .netBindService, .sysChroot, .kill,
    .auditWrite,
  ])

  /// Of a zone with an init system: reboot(2) ends its pid namespace, and no more (pid_namespaces(7)).
  public static let systemDefault = zoneDefault.union(CapabilitySet([.sysBoot]))

  /// All that this kernel has (`Capability.last()`): a bit above is EPERM in capset(2), EINVAL in prctl(2).
  public static func known(last: Capability) -> CapabilitySet {
    CapabilitySet(rawValue: last.number == 63 ? .max : (1 << (UInt64(last.number) + 1)) - 1)
  }

  public func contains(_ capability: Capability) -> Bool { rawValue & 1 << UInt64(capability.number) != 0 }

  /// In the order of their numbers.
  public var list: [Capability] { (0...63).compactMap { Capability(number: $0) }.filter(contains) }

  public var description: String { isEmpty ? "none" : list.map { $0.description }.joined(separator: " ") }

  /// `--cap-add` and `--cap-drop` on a set, as Docker and Compose mean them: `ALL` first, then the names, and where a
  /// name is in both lists it is dropped.
  /// - Parameter known: what `ALL` means; a capability outside of it is an error, never left out in silence.
  public func applying(add: [String], drop: [String], known: CapabilitySet) throws(SyntaxError) -> CapabilitySet {
    let isAll = { (text: String) in text.uppercased() == "ALL" }
    var result = drop.contains(where: isAll) ? [] : self
    if add.contains(where: isAll) { result.formUnion(known) }
    for text in add where !isAll(text) {
      let capability = try Capability(parsing: text)
      guard known.contains(capability) else {
        throw SyntaxError(
          what: "capability", value: text, why: "this kernel has none of that name; leave it out or update the kernel")
      }
      result.formUnion(CapabilitySet([capability]))
    }
    for text in drop where !isAll(text) { result.subtract(CapabilitySet([try Capability(parsing: text)])) }
    return result
  }
}

extension Capability {
  /// The last capability of the running kernel.
  public static func last() -> Capability { Capability(number: lastCapability()) ?? .checkpointRestore }
}
