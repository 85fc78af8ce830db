/// `linux.seccomp` of config.json: a filter in libseccomp's words.
struct BundleSeccomp: Sendable, Equatable {
  /// SECCOMP_RET_* with its data (seccomp(2)).
  var defaultAction: UInt32
  /// SECCOMP_FILTER_FLAG_*.
  var flags: UInt64
  /// Who answers calls whose action is to notify: a socket of the host's, and what it is told about the container.
  var listenerPath: String?
  var listenerMetadata: String
  /// SCMP_ARCH_*; beside the machine's own.
  var architectures: [UInt32]
  var rules: [Rule]

  struct Rule: Sendable, Equatable {
    var names: [String]
    var action: UInt32
    var arguments: [Argument]
  }

  struct Argument: Sendable, Equatable {
    var index: UInt32
    /// enum scmp_compare
    var comparison: UInt32
    var value: UInt64
    var valueTwo: UInt64
  }

  /// EPERM, where an action that answers an error names none.
  private static let defaultErrno: UInt32 = 1
  static let notify: UInt32 = 0x7fc0_0000

  static let actions: [(name: String, value: UInt32)] = [
    ("SCMP_ACT_KILL", 0), ("SCMP_ACT_KILL_THREAD", 0), ("SCMP_ACT_KILL_PROCESS", 0x8000_0000),
    ("SCMP_ACT_TRAP", 0x0003_0000), ("SCMP_ACT_ERRNO", 0x0005_0000), ("SCMP_ACT_TRACE", 0x7ff0_0000),
    ("SCMP_ACT_LOG", 0x7ffc_0000), ("SCMP_ACT_ALLOW", 0x7fff_0000), ("SCMP_ACT_NOTIFY", notify),
  ]

  /// enum scmp_compare
  static let comparisons: [(name: String, value: UInt32)] = [
    ("SCMP_CMP_NE", 1), ("SCMP_CMP_LT", 2), ("SCMP_CMP_LE", 3), ("SCMP_CMP_EQ", 4), ("SCMP_CMP_GE", 5),
    ("SCMP_CMP_GT", 6), ("SCMP_CMP_MASKED_EQ", 7),
  ]

  static let flagTable: [(name: String, value: UInt64)] = [
    ("SECCOMP_FILTER_FLAG_TSYNC", 1), ("SECCOMP_FILTER_FLAG_LOG", 2), ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", 4),
    ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 32),
  ]

  /// AUDIT_ARCH_* of linux/audit.h, by libseccomp's names.
  static let architectureTable: [(name: String, value: UInt32)] = [
    ("SCMP_ARCH_X86", 0x4000_0003), ("SCMP_ARCH_X86_64", 0xc000_003e), ("SCMP_ARCH_X32", 0x4000_003e),
    ("SCMP_ARCH_ARM", 0x4000_0028), ("SCMP_ARCH_AARCH64", 0xc000_00b7), ("SCMP_ARCH_LOONGARCH64", 0xc000_0102),
    ("SCMP_ARCH_M68K", 4), ("SCMP_ARCH_MIPS", 8), ("SCMP_ARCH_MIPS64", 0x8000_0008),
    ("SCMP_ARCH_MIPS64N32", 0xa000_0008), ("SCMP_ARCH_MIPSEL", 0x4000_0008), ("SCMP_ARCH_MIPSEL64", 0xc000_0008),
    ("SCMP_ARCH_MIPSEL64N32", 0xe000_0008), ("SCMP_ARCH_PPC", 20), ("SCMP_ARCH_PPC64", 0x8000_0015),
    ("SCMP_ARCH_PPC64LE", 0xc000_0015), ("SCMP_ARCH_S390", 22), ("SCMP_ARCH_S390X", 0x8000_0016),
    ("SCMP_ARCH_SH", 42), ("SCMP_ARCH_SHEB", 42), ("SCMP_ARCH_PARISC", 15), ("SCMP_ARCH_PARISC64", 0x8000_000f),
    ("SCMP_ARCH_RISCV64", 0xc000_00f3),
  ]

  init(_ node: BundleNode) throws(ZoneError) {
    let fallback: UInt32? = try node.number("defaultErrnoRet")
    guard let action = try Self.action(node, "defaultAction", fallback) else {
      throw node.refused("defaultAction", "is missing")
    }
    if action == Self.notify { throw node.refused("defaultAction", "SCMP_ACT_NOTIFY can only be a rule's") }
    defaultAction = action
    flags = try node.choices("flags", Self.flagTable).reduce(0, |)
    listenerPath = try node.string("listenerPath").flatMap { $0.isEmpty ? nil : $0 }
    listenerMetadata = try node.string("listenerMetadata") ?? ""
    architectures = try node.choices("architectures", Self.architectureTable)
    rules = []
    for rule in try node.objects("syscalls") {
      let names = try rule.strings("names")
      if names.isEmpty { throw rule.refused("names", "is empty") }
      guard let action = try Self.action(rule, "action", try rule.number("errnoRet")) else {
        throw rule.refused("action", "is missing")
      }
      var arguments: [Argument] = []
      for test in try rule.objects("args") {
        guard let index: UInt32 = try test.number("index"), index < 6 else {
          throw test.refused("index", "is not between 0 and 5")
        }
        guard let comparison = try test.choice("op", Self.comparisons) else { throw test.refused("op", "is missing") }
        arguments.append(
          Argument(
            index: index, comparison: comparison, value: try test.number("value") ?? 0,
            valueTwo: try test.number("valueTwo") ?? 0))
      }
      rules.append(Rule(names: names, action: action, arguments: arguments))
    }
    if usesNotify {
      guard listenerPath != nil else {
        throw node.refused("listenerPath", "SCMP_ACT_NOTIFY needs somebody who answers")
      }
      // The process has to hand the listener over before anybody can answer for it.
      for rule in rules where rule.action == Self.notify && rule.names.contains("sendmsg") {
        throw node.refused("syscalls", "sendmsg cannot be notified of: the listener itself is sent by it")
      }
    } else if listenerPath != nil {
      throw node.refused("listenerPath", "no rule has SCMP_ACT_NOTIFY, so nobody would be told anything")
    }
  }

  var usesNotify: Bool { rules.contains { $0.action == Self.notify } }

  private static func action(_ node: BundleNode, _ key: String, _ errno: UInt32?) throws(ZoneError) -> UInt32? {
    guard let action = try node.choice(key, actions) else { return nil }
    guard action == 0x0005_0000 || action == 0x7ff0_0000 else { return action }
    let data = errno ?? defaultErrno
    guard data < 0x1_0000 else { throw node.refused("errnoRet", "\(data) is no errno") }
    return action | data
  }

  /// All that a compiled filter depends on, as bytes: what a stored one is known by.
  var identity: [UInt8] {
    var bytes: [UInt8] = []
    func add(_ value: UInt64) { withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) } }
    func add(_ text: String) {
      bytes.append(contentsOf: text.utf8)
      bytes.append(0)
    }
    add(UInt64(defaultAction))
    add(flags & 2)
    add(UInt64(architectures.count))
    for architecture in architectures { add(UInt64(architecture)) }
    for rule in rules {
      add(UInt64(rule.action))
      for name in rule.names { add(name) }
      add(UInt64(rule.arguments.count))
      for argument in rule.arguments {
        add(UInt64(argument.index) << 32 | UInt64(argument.comparison))
        add(argument.value)
        add(argument.valueTwo)
      }
    }
    return bytes
  }
}
