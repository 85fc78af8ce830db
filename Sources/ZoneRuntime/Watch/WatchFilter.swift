internal import CSeccomp

/// The filter of a watched command: its own, with two differences. What its own lets through is handed to the watcher where
/// it names a file or an address, and what its own refuses as known is handed over too, so that it can be told.
///
/// Both are one filter, for of two the kernel takes the stricter answer, and a refusal is stricter than a question. The wall
/// stays with the kernel: a handed-over call that nobody answers any more is refused (ENOSYS), and the watcher says
/// "go on" only where it has run the command's own filter over the same numbers and that one allows the call (`answer`).
enum WatchFilter {
  /// SECCOMP_FILTER_FLAG_NEW_LISTENER, and SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (Linux 5.19): a signal that comes while the
  /// watcher looks does not break the call off, as it would not without a watcher.
  static let flags: UInt64 = 8 | 32

  private static let ask: UInt32 = 0x7fc0_0000  // SECCOMP_RET_USER_NOTIF
  private static let refusal: UInt32 = 0x0005_0000
  private static let size = 8

  /// - Parameters:
  ///   - own: the command's own filter.
  ///   - names: of calls that are to be seen although it lets them through.
  ///   - withAddress: the same, only where this argument is not null.
  static func program(
    _ own: [UInt8], seeing names: [String], withAddress: [(call: String, argument: Int)],
    _ architectures: [UInt32] = SeccompCompiler.architectures
  ) -> [UInt8] {
    var head: [Instruction] = [.load(4)]
    for architecture in architectures {
      var body: [Instruction] = [.load(0)]
      for name in names {
        guard let number = number(name, architecture) else { continue }
        body += [.unlessEqual(number, skip: 1), .answer(ask)]
      }
      for (name, argument) in withAddress {
        guard let number = number(name, architecture) else { continue }
        // Neither half of the pointer: what follows in the program loads anew.
        body += [
          .unlessEqual(number, skip: 5), .load(16 + UInt32(argument) * 8), .unlessEqual(0, skip: 2),
          .load(20 + UInt32(argument) * 8), .ifEqual(0, skip: 1), .answer(ask),
        ]
        // After a call of this name that has none, the number is gone from the accumulator.
        body.append(.load(0))
      }
      // Over the rest of the heads, each of which is for another machine.
      head += [.ifEqual(architecture, skip: 1), .jump(body.count)] + body
      head.append(.load(4))
    }
    return head.flatMap { $0.bytes } + asking(own)
  }

  /// Every refusal but ENOSYS becomes a question: what does not exist is no denial, and C libraries try it often.
  static func asking(_ own: [UInt8]) -> [UInt8] {
    var program = own
    for offset in stride(from: 0, to: own.count, by: size) where word(own, offset) & 0xffff == 0x06 {
      let value = UInt32(word(own, offset) >> 32)
      guard value & 0xffff_0000 == refusal, value & 0xffff != 38 else { continue }
      for index in 0..<4 { program[offset + 4 + index] = UInt8(truncatingIfNeeded: ask >> UInt32(8 * index)) }
    }
    return program
  }

  /// What a filter answers to a call: 0 lets it through, otherwise an errno. What is neither is refused.
  static func answer(_ program: [UInt8], _ machine: UInt32, _ number: UInt32, _ arguments: [UInt64]) -> Int32 {
    var data = [number, machine, 0, 0]
    for index in 0..<6 {
      let argument = index < arguments.count ? arguments[index] : 0
      data += [UInt32(truncatingIfNeeded: argument), UInt32(argument >> 32)]
    }
    var (at, accumulator) = (0, UInt32(0))
    while (at + 1) * size <= program.count {
      let word = word(program, at * size)
      let (yes, no, k) = (Int(word >> 16 & 0xff), Int(word >> 24 & 0xff), UInt32(word >> 32))
      at += 1
      switch word & 0xffff {
      case 0x20:
        guard Int(k) / 4 < data.count else { return 1 }
        accumulator = data[Int(k) / 4]
      case 0x54: accumulator &= k
      case 0x05: at += Int(k)
      case 0x15: at += accumulator == k ? yes : no
      case 0x25: at += accumulator > k ? yes : no
      case 0x35: at += accumulator >= k ? yes : no
      case 0x45: at += accumulator & k != 0 ? yes : no
      case 0x06:
        if k == 0x7fff_0000 { return 0 }
        return k & 0xffff_0000 == refusal && k & 0xfff != 0 ? Int32(k & 0xfff) : 1
      default: return 1
      }
    }
    return 1
  }

  private static func word(_ program: [UInt8], _ offset: Int) -> UInt64 {
    var word: UInt64 = 0
    for index in 0..<size { word |= UInt64(program[offset + index]) << UInt64(8 * index) }
    return word
  }

  static func number(_ name: String, _ architecture: UInt32) -> UInt32? {
    let number = seccomp_syscall_resolve_name_arch(architecture, name)
    if number >= 0 { return UInt32(number) }
    return SeccompTables.numbers[name].map { UInt32($0) }
  }

  /// `struct sock_filter` of linux/filter.h.
  private struct Instruction {
    var code: UInt16
    var yes: UInt8 = 0
    var no: UInt8 = 0
    var constant: UInt32

    static func load(_ offset: UInt32) -> Instruction { Instruction(code: 0x20, constant: offset) }
    static func answer(_ value: UInt32) -> Instruction { Instruction(code: 0x06, constant: value) }
    static func jump(_ distance: Int) -> Instruction { Instruction(code: 0x05, constant: UInt32(distance)) }
    static func ifEqual(_ value: UInt32, skip: UInt8) -> Instruction {
      Instruction(code: 0x15, yes: skip, constant: value)
    }
    static func unlessEqual(_ value: UInt32, skip: UInt8) -> Instruction {
      Instruction(code: 0x15, no: skip, constant: value)
    }

    var bytes: [UInt8] {
      [UInt8(truncatingIfNeeded: code), UInt8(code >> 8), yes, no]
        + (0..<4).map { UInt8(truncatingIfNeeded: constant >> UInt32(8 * $0)) }
    }
  }
}
