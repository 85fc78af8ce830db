internal import CLinuxNS
internal import CSeccomp
internal import Glibc
internal import LinuxNS

/// Turns a profile into a program for seccomp(2).
///
/// A filter is two programs, one after the other. The first tests arguments and is libseccomp's; libseccomp has no order of
/// rules (a call has either one rule or rules with tests, and what fits no test falls to the default of all calls), so
/// its default action is a mark, which is replaced by a jump to the second. The second knows calls only, and is ours
/// (SeccompCallTable): libseccomp's has two instructions a call, which cost each start 0.3 ms at the load, and linear
/// ones 0.7 ms, for checking, translating and trying every call once. The kernel then finds that most calls
/// never depend on an argument, and does not run the program for them (since 5.11).
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
    case tokenX8664: return [native, tokenX86]
    case tokenAArch64: return [native, tokenARM]
    default: return [native]
    }
  }

  // SCMP_ARCH_*: AUDIT_ARCH_* of linux/audit.h, macros that Swift cannot import.
  static let tokenX8664: UInt32 = 0xc000_003e
  static let tokenX86: UInt32 = 0x4000_0003
  static let tokenAArch64: UInt32 = 0xc000_00b7
  static let tokenARM: UInt32 = 0x4000_0028

  /// - Parameter architectures: the native one first; other machines' only to look at.
  static func compile(_ profile: SeccompProfile, architectures: [UInt32] = architectures) throws(SeccompError)
    -> [UInt8]
  {
    let first = try argumentProgram(architectures) { profile.argumentRules(sockets: $0 != tokenX86) }
    let second = try SeccompCallTable.program(profile.plainRules(), architectures)
    let joined = try join(first, second)
    guard joined.count <= instructionLimit * instructionSize else {
      throw SeccompError(
        step: "compile", why: "\(joined.count / instructionSize) instructions, the kernel takes \(instructionLimit)")
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

  static func value(of action: SeccompAction) -> UInt32 {
    switch action {
    case .allow: 0x7fff_0000  // SECCOMP_RET_ALLOW
    case .refuse(let error): 0x0005_0000 | UInt32(error.rawValue)  // SECCOMP_RET_ERRNO
    }
  }

  private static func argumentProgram(_ architectures: [UInt32], rules: (UInt32) -> [SeccompRule])
    throws(SeccompError) -> [UInt8]
  {
    let context = try filter(architectures[0], rules)
    defer { seccomp_release(context) }
    // A context each, since rules differ from one to the other; merged, which gives the second away.
    for architecture in architectures.dropFirst() {
      let other = try filter(architecture, rules)
      let result = seccomp_merge(context, other)
      if result != 0 {
        seccomp_release(other)
        throw SeccompError(step: "seccomp_merge", errno: -result)
      }
    }
    return try export(context)
  }

  private static func filter(_ architecture: UInt32, _ rules: (UInt32) -> [SeccompRule]) throws(SeccompError)
    -> scmp_filter_ctx
  {
    guard let context = seccomp_init(mark) else { throw SeccompError(step: "seccomp_init", errno: ENOMEM) }
    do throws(SeccompError) {
      if architecture != seccomp_arch_native() {
        try check(seccomp_arch_remove(context, UInt32(SCMP_ARCH_NATIVE)), "seccomp_arch_remove")
        try check(seccomp_arch_add(context, architecture), "seccomp_arch_add")
      }
      // x32 calls and any other architecture do not exist, rather than kill who asks.
      let badArchitecture = value(of: .refuse(.noSuchCall))
      try check(seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, badArchitecture), "seccomp_attr_set")
      for rule in rules(architecture) { try add(rule, to: context) }
    } catch {
      seccomp_release(context)
      throw error
    }
    return context
  }

  private static func add(_ rule: SeccompRule, to context: scmp_filter_ctx) throws(SeccompError) {
    // The library takes the native number (a made-up negative one where the native machine lacks the call) and
    // translates it.
    let number = seccomp_syscall_resolve_name(rule.call)
    let unknown: CInt = -1  // __NR_SCMP_ERROR
    guard number != unknown, let test = rule.test else {
      throw SeccompError(step: "compile", why: "libseccomp cannot test arguments of \(rule.call)")
    }
    var comparison = scmp_arg_cmp(
      arg: test.argument, op: SCMP_CMP_MASKED_EQ, datum_a: UInt64(test.mask), datum_b: UInt64(test.value))
    try check(
      seccomp_rule_add_array(context, value(of: rule.action), number, 1, &comparison), "seccomp_rule_add \(rule.call)")
  }

  static func export(_ context: scmp_filter_ctx) throws(SeccompError) -> [UInt8] {
    let closeOnExec: UInt32 = 1  // MFD_CLOEXEC
    let made = zns_memfd_create("zones-seccomp", closeOnExec)
    guard made >= 0 else { throw SeccompError(step: "memfd_create", errno: CInt(-made)) }
    let file = OwnedFD(raw: CInt(made))
    try check(seccomp_export_bpf(context, file.raw), "seccomp_export_bpf")
    let position = lseek(file.raw, 0, SEEK_SET)
    let error = errno
    guard position == 0 else { throw SeccompError(step: "lseek", errno: error) }
    let bytes: [UInt8]
    do { bytes = try FileSystem.read(file, name: "filter") } catch {
      throw SeccompError(step: "read", errno: error.errno)
    }
    guard !bytes.isEmpty, bytes.count % instructionSize == 0 else {
      throw SeccompError(step: "seccomp_export_bpf", why: "\(bytes.count) bytes are no program")
    }
    return bytes
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
