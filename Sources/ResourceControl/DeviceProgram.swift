internal import CLinuxNS
internal import LinuxNS

/// Device rules as the program that a v2 group decides by: the last rule that fits an access is asked first.
public enum DeviceProgram {
  public enum Kind: UInt32, Sendable { case block = 1, character = 2 }

  public struct Rule: Sendable {
    public var allow: Bool
    /// nil: both.
    public var type: Kind?
    /// nil: any.
    public var major: UInt32?
    public var minor: UInt32?
    /// BPF_DEVCG_ACC_*: 1 to make nodes, 2 to read, 4 to write.
    public var access: UInt32

    public init(allow: Bool, type: Kind?, major: UInt32?, minor: UInt32?, access: UInt32) {
      (self.allow, self.type, self.major, self.minor, self.access) = (allow, type, major, minor, access)
    }
  }

  /// `struct bpf_insn`s. What fits no rule is allowed, as in a v1 group that nobody has written to.
  public static func instructions(_ rules: [Rule]) -> [UInt64] {
    // struct bpf_cgroup_dev_ctx: u32 access_type (the kind, and the access from bit 16 on), major, minor.
    let (kind, access, major, minor, scratch): (UInt64, UInt64, UInt64, UInt64, UInt64) = (2, 3, 4, 5, 0)
    var program = [
      instruction(0x61, kind, 1, 0, 0), instruction(0x54, kind, 0, 0, 0xffff), instruction(0x61, access, 1, 0, 0),
      instruction(0x74, access, 0, 0, 16), instruction(0x61, major, 1, 4, 0), instruction(0x61, minor, 1, 8, 0),
    ]
    let (unequal, equal): (UInt64, UInt64) = (0x55, 0x15)  // BPF_JMP | BPF_JNE | BPF_K, BPF_JEQ
    for rule in rules.reversed() {
      // Each test that fails leads behind the rule.
      var tests: [(code: UInt64, register: UInt64, value: UInt32)] = []
      if let type = rule.type { tests.append((unequal, kind, type.rawValue)) }
      if let number = rule.major { tests.append((unequal, major, number)) }
      if let number = rule.minor { tests.append((unequal, minor, number)) }
      let isPart = rule.access & 7 != 7
      let length = tests.count + (isPart ? 3 : 0) + 2
      for (at, test) in tests.enumerated() {
        program.append(instruction(test.code, test.register, 0, UInt16(length - at - 1), test.value))
      }
      if isPart {
        // What is allowed must be all that is wanted; to be denied, a part of it is enough.
        program.append(instruction(0xbf, scratch, access, 0, 0))
        program.append(instruction(0x54, scratch, 0, 0, rule.allow ? ~rule.access & 7 : rule.access))
        program.append(instruction(rule.allow ? unequal : equal, scratch, 0, 2, 0))
      }
      program.append(instruction(0xb7, 0, 0, 0, rule.allow ? 1 : 0))
      program.append(instruction(0x95, 0, 0, 0, 0))
      // One that fits every access: nothing behind it is ever asked, and the kernel takes no such instructions.
      if tests.isEmpty, !isPart { return program }
    }
    return program + [instruction(0xb7, 0, 0, 0, 1), instruction(0x95, 0, 0, 0, 0)]
  }

  private static func instruction(_ code: UInt64, _ to: UInt64, _ from: UInt64, _ offset: UInt16, _ value: UInt32)
    -> UInt64
  {
    code | to << 8 | from << 12 | UInt64(offset) << 16 | UInt64(value) << 32
  }

  static func attach(_ program: [UInt64], to group: borrowing OwnedFD) throws(SyscallError) {
    try check(zns_attach_device_program(group.raw, program, UInt32(program.count)), "bpf")
  }
}
