internal import CLinuxNS
internal import CSeccomp
internal import Glibc
internal import LinuxNS

/// Turns a profile into a program for seccomp(2), by libseccomp.
///
/// libseccomp has no order of rules: a call either has one rule or rules with tests, and what fits no test falls to
/// the default of all calls. So a filter is two programs of libseccomp's, one after the other: the first tests
/// arguments, and its default action, a mark, is replaced by a jump to the second, which knows calls only. The kernel
/// finds out at load that most calls never depend on an argument, and does not run the program for them (since 5.11).
enum SeccompCompiler {
  /// `sock_filter` of linux/filter.h: code u16, jt u8, jf u8, k u32.
  static let instructionSize = 8
  /// BPF_MAXINSNS
  static let instructionLimit = 4096

  /// Never returned to the kernel: every return of it is replaced. SECCOMP_RET_TRACE with a number of ours.
  private static let mark: UInt32 = 0x7ff0_5a4e

  /// This machine's own architecture, and the one of 32 bits that its kernel runs as well.
  static var architectures: [UInt32] {
    let native = seccomp_arch_native()
    switch native {
    case tokenX86_64: return [native, tokenX86]
    case tokenAArch64: return [native, tokenARM]
    default: return [native]
    }
  }

  // SCMP_ARCH_*: AUDIT_ARCH_* of linux/audit.h, macros that Swift cannot import.
  static let tokenX86_64: UInt32 = 0xc000_003e
  static let tokenX86: UInt32 = 0x4000_0003
  static let tokenAArch64: UInt32 = 0xc000_00b7
  static let tokenARM: UInt32 = 0x4000_0028

  static func compile(_ profile: SeccompProfile) throws(SeccompError) -> [UInt8] {
    let first = try program(default: mark, level: 1) { profile.argumentRules(sockets: $0 != tokenX86) }
    let plain = profile.plainRules()
    let second = try program(default: value(of: .refuse(.noSuchCall)), level: 2) { _ in plain }
    let joined = try join(first, second)
    guard joined.count <= instructionLimit * instructionSize else {
      throw SeccompError(step: "compile", why: "\(joined.count / instructionSize) instructions, the kernel takes \(instructionLimit)")
    }
    return joined
  }

  /// Replaces every `return mark` of the first program by a jump to the second's begin.
  private static func join(_ first: [UInt8], _ second: [UInt8]) throws(SeccompError) -> [UInt8] {
    let (jump, returns): (UInt16, UInt16) = (0x05, 0x06)  // BPF_JMP|BPF_JA|BPF_K, BPF_RET|BPF_K
    let count = first.count / instructionSize
    var joined = first
    var replaced = 0
    joined.withUnsafeMutableBytes { bytes in
      for index in 0..<count {
        let offset = index * instructionSize
        guard bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self) == returns,
          bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self) == mark
        else { continue }
        bytes.storeBytes(of: jump, toByteOffset: offset, as: UInt16.self)
        bytes.storeBytes(of: UInt32(count - index - 1), toByteOffset: offset + 4, as: UInt32.self)
        replaced += 1
      }
    }
    guard replaced > 0 else { throw SeccompError(step: "compile", why: "libseccomp's program has no default") }
    return joined + second
  }

  // MARK: libseccomp

  private static func value(of action: SeccompAction) -> UInt32 {
    switch action {
    case .allow: 0x7fff_0000  // SECCOMP_RET_ALLOW
    case .refuse(let error): 0x0005_0000 | UInt32(error.rawValue)  // SECCOMP_RET_ERRNO
    }
  }

  /// - Parameter level: SCMP_FLTATR_CTL_OPTIMIZE; 2 looks calls up in a balanced tree instead of one after the other.
  private static func program(default action: UInt32, level: UInt32, rules: (UInt32) -> [SeccompRule])
    throws(SeccompError) -> [UInt8]
  {
    let context = try filter(default: action, level: level, architecture: architectures[0], rules: rules)
    defer { seccomp_release(context) }
    // A context each, since rules differ from one to the other; merged, which gives the second away.
    for architecture in architectures.dropFirst() {
      let other = try filter(default: action, level: level, architecture: architecture, rules: rules)
      let result = seccomp_merge(context, other)
      if result != 0 {
        seccomp_release(other)
        throw SeccompError(step: "seccomp_merge", errno: -result)
      }
    }
    return try export(context)
  }

  private static func filter(
    default action: UInt32, level: UInt32, architecture: UInt32, rules: (UInt32) -> [SeccompRule]
  ) throws(SeccompError) -> scmp_filter_ctx {
    guard let context = seccomp_init(action) else { throw SeccompError(step: "seccomp_init", errno: ENOMEM) }
    do throws(SeccompError) {
      if architecture != seccomp_arch_native() {
        try check(seccomp_arch_remove(context, 0 /* SCMP_ARCH_NATIVE */), "seccomp_arch_remove")
        try check(seccomp_arch_add(context, architecture), "seccomp_arch_add")
      }
      // x32 calls and any other architecture do not exist, rather than kill who asks.
      let badArchitecture = value(of: .refuse(.noSuchCall))
      try check(seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, badArchitecture), "seccomp_attr_set")
      try check(seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, level), "seccomp_attr_set")
      for rule in rules(architecture) { try add(rule, to: context, architecture) }
    } catch {
      seccomp_release(context)
      throw error
    }
    return context
  }

  private static func add(_ rule: SeccompRule, to context: scmp_filter_ctx, _ architecture: UInt32) throws(SeccompError) {
    // The library takes the native number (a made-up negative one where the native machine lacks the call) and
    // translates it. Calls younger than it, which it cannot translate, are left to the native machine.
    guard let number = number(of: rule.call, seccomp_arch_native()) else {
      throw SeccompError(step: "compile", why: "libseccomp does not know the call \(rule.call)")
    }
    let action = value(of: rule.action)
    // The library refuses a rule that says what the default says.
    if action == seccompDefault(context) { return }
    var result: CInt
    if let test = rule.test {
      var comparison = scmp_arg_cmp(
        arg: test.argument, op: SCMP_CMP_MASKED_EQ, datum_a: UInt64(test.mask), datum_b: UInt64(test.value))
      result = seccomp_rule_add_array(context, action, number, 1, &comparison)
    } else {
      result = seccomp_rule_add_array(context, action, number, 0, nil)
    }
    // A call that this architecture does not have.
    if result == -EDOM && number < 0 { result = 0 }
    if result == -EFAULT && architecture != seccomp_arch_native() && SeccompTables.numbers[rule.call] != nil { result = 0 }
    try check(result, "seccomp_rule_add \(rule.call)")
  }

  private static func seccompDefault(_ context: scmp_filter_ctx) -> UInt32 {
    var value: UInt32 = 0
    seccomp_attr_get(context, SCMP_FLTATR_ACT_DEFAULT, &value)
    return value
  }

  /// Negative where the architecture lacks the call; nil where nobody knows it.
  static func number(of call: String, _ architecture: UInt32) -> CInt? {
    let number = seccomp_syscall_resolve_name_arch(architecture, call)
    if number != -1 { return number }  // __NR_SCMP_ERROR
    return SeccompTables.numbers[call]
  }

  private static func export(_ context: scmp_filter_ctx) throws(SeccompError) -> [UInt8] {
    do {
      let file = OwnedFD(raw: CInt(try LinuxNS.check(zns_memfd_create("zones-seccomp", 1 /* MFD_CLOEXEC */), "memfd_create")))
      let result = seccomp_export_bpf(context, file.raw)
      guard result == 0 else { throw SeccompError(step: "seccomp_export_bpf", errno: -result) }
      guard lseek(file.raw, 0, SEEK_SET) == 0 else { throw SeccompError(step: "lseek", errno: errno) }
      let bytes = try FileSystem.read(file, name: "filter")
      guard !bytes.isEmpty, bytes.count % instructionSize == 0 else {
        throw SeccompError(step: "seccomp_export_bpf", why: "\(bytes.count) bytes are no program")
      }
      return bytes
    } catch let error as SeccompError {
      throw error
    } catch {
      throw SeccompError(step: "compile", why: String(describing: error))
    }
  }

  private static func check(_ result: CInt, _ step: String) throws(SeccompError) {
    guard result == 0 else { throw SeccompError(step: step, errno: -result) }
  }
}

/// Why there is no filter: without one no zone starts.
public struct SeccompError: Error, Equatable, Sendable, CustomStringConvertible {
  public var step: String
  public var why: String

  init(step: String, why: String) {
    self.step = step
    self.why = why
  }

  init(step: String, errno: CInt) { self.init(step: step, why: SyscallError.describe(errno)) }

  public var description: String { "cannot make the system call filter: \(step): \(why)" }
}
