internal import CSeccomp
internal import Glibc

/// A program that decides by the call's number alone: for each architecture a balanced tree over ranges of numbers with the
/// same answer. Some 70 ranges, where there are 450 calls.
enum SeccompCallTable {
  /// `struct sock_filter`: what it is, where to go on yes and no, a constant.
  private struct Instruction {
    var code: UInt16
    var yes: UInt8 = 0
    var no: UInt8 = 0
    var constant: UInt32

    // BPF_LD|W|ABS, BPF_RET|K, BPF_JMP|JGE|K, BPF_JMP|JEQ|K and BPF_JMP|JA of linux/bpf_common.h.
    static func load(_ offset: UInt32) -> Instruction { Instruction(code: 0x20, constant: offset) }
    static func answer(_ value: UInt32) -> Instruction { Instruction(code: 0x06, constant: value) }
    static func atLeast(_ value: UInt32, yes: UInt8) -> Instruction {
      Instruction(code: 0x35, yes: yes, constant: value)
    }
    /// Goes on with the next where equal, else over the one after it.
    static func equal(_ value: UInt32) -> Instruction { Instruction(code: 0x15, no: 1, constant: value) }
    static func jump(_ distance: Int) -> Instruction { Instruction(code: 0x05, constant: UInt32(distance)) }
  }

  // Offsets in struct seccomp_data (seccomp(2)).
  private static let numberOffset: UInt32 = 0
  private static let architectureOffset: UInt32 = 4

  /// - Parameter rules: one a call, without tests. Every other number answers ENOSYS.
  static func program(_ rules: [SeccompRule], _ architectures: [UInt32]) throws(SeccompError) -> [UInt8] {
    var actions: [String: UInt32] = [:]
    for rule in rules { actions[rule.call] = SeccompCompiler.value(of: rule.action) }
    var blocks: [[Instruction]] = []
    for architecture in architectures {
      blocks.append([.load(numberOffset)] + (try tree(ranges(actions, architecture)[...])))
    }
    // A pair of instructions for each architecture that leads to its block; whoever fits none does not exist.
    var program: [Instruction] = [.load(architectureOffset)]
    for (index, architecture) in architectures.enumerated() {
      let pairsLeft = (architectures.count - index - 1) * 2
      program.append(.equal(architecture))
      program.append(.jump(pairsLeft + 1 + blocks[..<index].reduce(0) { $0 + $1.count }))
    }
    program.append(.answer(nothing))
    return (program + blocks.joined()).flatMap(bytes)
  }

  private static let nothing = SeccompCompiler.value(of: .refuse(.noSuchCall))

  /// Numbers from `first` up to the next range's answer `action`.
  private struct Range {
    var first: UInt32
    var action: UInt32
  }

  /// Calls of an architecture by number, put together where neighbours answer the same; the first begins at 0.
  private static func ranges(_ actions: [String: UInt32], _ architecture: UInt32) -> [Range] {
    var found = [Range(first: 0, action: nothing)]
    let add = { (number: UInt32, action: UInt32) in
      if found[found.count - 1].action != action { found.append(Range(first: number, action: action)) }
    }
    // Two stretches: the last number was 469 in Linux 6.17, and ARM has calls of its own from 0x0f0001 on.
    for stretch: Swift.Range<UInt32> in [0..<600, 0x0f_0000..<0x0f_0010] {
      for number in stretch { add(number, name(of: number, architecture).flatMap { actions[$0] } ?? nothing) }
      add(stretch.upperBound, nothing)
    }
    return found
  }

  static func name(of number: UInt32, _ architecture: UInt32) -> String? {
    if let text = seccomp_syscall_resolve_num_arch(architecture, CInt(bitPattern: number)) {
      defer { free(text) }
      return String(cString: text)
    }
    return SeccompTables.numbers.first { $0.value == Int32(bitPattern: number) }?.key
  }

  private static func tree(_ ranges: ArraySlice<Range>) throws(SeccompError) -> [Instruction] {
    guard ranges.count > 1, let first = ranges.first else { return ranges.first.map { [.answer($0.action)] } ?? [] }
    let middle = ranges.startIndex + ranges.count / 2
    let lower = try tree(ranges[..<middle])
    let upper = try tree(ranges[middle...])
    // A jump is at most 255 instructions long.
    guard let distance = UInt8(exactly: lower.count) else {
      throw SeccompError(step: "compile", why: "the tree of calls from \(first.first) on is too large")
    }
    return [.atLeast(ranges[middle].first, yes: distance)] + lower + upper
  }

  private static func bytes(_ instruction: Instruction) -> [UInt8] {
    withUnsafeBytes(of: instruction.code) { Array($0) } + [instruction.yes, instruction.no]
      + withUnsafeBytes(of: instruction.constant) { Array($0) }
  }
}
