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

  /// So many rules make a program whose jumps reach: 16 bits.
  public static let mostRules = 4096

  /// `struct bpf_insn`s. What fits no rule is allowed, as in a v1 group that nobody has written to.
  ///
  /// The kernel follows each branch when it checks a program, 0.3 ms of a container's start where every rule has its own
  /// exits and asks for kind, major and minor number one by one. So a device is one number here, and who is not a block
  /// device never comes by the rules for those.
  /// - Parameter rules: at most `mostRules`.
  public static func instructions(_ rules: [Rule]) -> [UInt64] {
    precondition(rules.count <= mostRules)
    // struct bpf_cgroup_dev_ctx: u32 access_type (the kind, and the access from bit 16 on), major, minor.
    let prologue: [UInt64] = [
      .load(.kind, at: 0), .copy(.kind, to: .access), .and(.kind, 0xffff), .shiftRight(.access, 16),
      .load(.major, at: 4), .copy(.major, to: .device), .shiftLeft(.device, 20), .load(.scratch, at: 8),
      .or(.device, .scratch),
    ]
    let characters = decision(rules.filter { $0.type != .block })
    let blocks = decision(rules.filter { $0.type != .character })
    return prologue + [.jump(.kind, .equal, Kind.block.rawValue, characters.count)] + characters + blocks
  }

  /// The last rule that fits decides, and is asked first.
  private static func decision(_ rules: [Rule]) -> [UInt64] {
    var code: [UInt64] = []
    var jumps: [(at: Int, allow: Bool)] = []
    var otherwise = true
    for rule in rules.reversed() {
      guard let tests = tests(rule) else { continue }
      guard let last = tests.last else {
        // One that fits every access: nothing behind it is ever asked, and the kernel takes no such instructions.
        otherwise = rule.allow
        break
      }
      // Each test that fails leads behind the rule, the last that holds to its verdict.
      let end = code.count + tests.reduce(0) { $0 + $1.before.count + 1 }
      for test in tests.dropLast() {
        code += test.before
        code.append(.jump(test.register, test.relation.opposite, test.value, end - code.count - 1))
      }
      code += last.before
      jumps.append((code.count, rule.allow))
      code.append(.jump(last.register, last.relation, last.value, 0))
    }
    for allow in [otherwise, !otherwise] {
      let ways = jumps.filter { $0.allow == allow }
      if allow != otherwise, ways.isEmpty { continue }
      for way in ways { code[way.at] |= UInt64(UInt16(code.count - way.at - 1)) << 16 }
      code += [.put(allow ? 1 : 0, .scratch), .exit]
    }
    return code
  }

  private struct Test {
    var before: [UInt64] = []
    var register: Register
    var relation: Relation
    var value: UInt32
  }

  /// - Returns: nil for a rule that no device fits.
  private static func tests(_ rule: Rule) -> [Test]? {
    var tests: [Test] = []
    // 12 and 20 bits, as the kernel has them (MKDEV).
    if let major = rule.major, major >= 1 << 12 { return nil }
    if let minor = rule.minor, minor >= 1 << 20 { return nil }
    switch (rule.major, rule.minor) {
    case (let major?, let minor?):
      tests.append(Test(register: .device, relation: .equal, value: major << 20 | minor))
    case (let major?, nil): tests.append(Test(register: .major, relation: .equal, value: major))
    case (nil, let minor?):
      tests.append(
        Test(
          before: [.copy(.device, to: .scratch), .and(.scratch, 1 << 20 - 1)], register: .scratch, relation: .equal,
          value: minor))
    case (nil, nil): break
    }
    if rule.access & 7 != 7 {
      // What is allowed must be all that is wanted; to be denied, a part of it is enough.
      tests.append(
        Test(
          before: [.copy(.access, to: .scratch), .and(.scratch, rule.allow ? ~rule.access & 7 : rule.access & 7)],
          register: .scratch, relation: rule.allow ? .equal : .unequal, value: 0))
    }
    return tests
  }

  static func attach(_ program: [UInt64], to group: borrowing OwnedFD) throws(SyscallError) {
    try check(zns_attach_device_program(group.raw, program, UInt32(program.count)), "bpf")
  }
}

private enum Register: UInt64 {
  /// The verdict at the end.
  case scratch = 0
  case context = 1
  case kind, access, major
  /// Major and minor number in one.
  case device
}

private enum Relation: UInt64 {
  case equal = 0x10
  case unequal = 0x50
  var opposite: Relation { self == .equal ? .unequal : .equal }
}

/// struct bpf_insn (linux/bpf.h), of 32 bits' width.
extension UInt64 {
  private init(_ code: UInt64, to: Register, from: Register = .scratch, offset: Int = 0, _ value: UInt32 = 0) {
    self =
      code | to.rawValue << 8 | from.rawValue << 12 | UInt64(UInt16(offset)) << 16 | UInt64(value) << 32
  }

  fileprivate static func load(_ to: Register, at offset: Int) -> UInt64 {
    .init(0x61, to: to, from: .context, offset: offset)
  }
  fileprivate static func copy(_ from: Register, to: Register) -> UInt64 { .init(0xbc, to: to, from: from) }
  fileprivate static func put(_ value: UInt32, _ to: Register) -> UInt64 { .init(0xb4, to: to, value) }
  fileprivate static func and(_ to: Register, _ value: UInt32) -> UInt64 { .init(0x54, to: to, value) }
  fileprivate static func or(_ to: Register, _ from: Register) -> UInt64 { .init(0x4c, to: to, from: from) }
  fileprivate static func shiftLeft(_ to: Register, _ bits: UInt32) -> UInt64 { .init(0x64, to: to, bits) }
  fileprivate static func shiftRight(_ to: Register, _ bits: UInt32) -> UInt64 { .init(0x74, to: to, bits) }
  /// BPF_JMP32 (Linux 5.1): so many instructions ahead, where the relation holds.
  fileprivate static func jump(_ register: Register, _ relation: Relation, _ value: UInt32, _ ahead: Int) -> UInt64 {
    .init(relation.rawValue | 0x06, to: register, offset: ahead, value)
  }
  fileprivate static let exit: UInt64 = 0x95
}
