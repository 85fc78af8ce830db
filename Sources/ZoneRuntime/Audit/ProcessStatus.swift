internal import LinuxNS

/// What proc_pid_status(5) tells of a process's walls. Ids are the host's.
struct ProcessStatus: Equatable, Sendable {
  var parent: Int32
  /// Who traces it (ptrace(2)); 0 is nobody.
  var tracer: Int32
  /// Its pid in each pid namespace from the reader's down.
  var pids: [Int32]
  /// Real, effective, saved, of files.
  var uids: [UInt32]
  var gids: [UInt32]
  var groups: [UInt32]
  var inheritable: CapabilitySet
  var permitted: CapabilitySet
  var effective: CapabilitySet
  var bounding: CapabilitySet
  var ambient: CapabilitySet
  var noNewPrivileges: Bool
  /// 0 none, 1 strict, 2 filters.
  var seccompMode: Int
  var seccompFilters: Int

  static func read(_ pid: Int32) throws(ZoneError) -> ProcessStatus {
    let bytes = try attempt("look at process \(pid)") { () throws(SyscallError) in
      try FileSystem.read("/proc/\(pid)/status")
    }
    do throws(SyntaxError) { return try ProcessStatus(bytes) } catch { throw .syntax(error) }
  }

  /// - Throws: where a line is missing or is none of these: what cannot be read is not taken for harmless.
  init(_ bytes: [UInt8]) throws(SyntaxError) {
    let fields = Fields(lines: bytes.split(separator: 10))
    parent = try fields.number("PPid")
    tracer = try fields.number("TracerPid")
    pids = try fields.numbers("NSpid")
    uids = try fields.numbers("Uid")
    gids = try fields.numbers("Gid")
    groups = try fields.numbers("Groups")
    inheritable = try fields.capabilities("CapInh")
    permitted = try fields.capabilities("CapPrm")
    effective = try fields.capabilities("CapEff")
    bounding = try fields.capabilities("CapBnd")
    ambient = try fields.capabilities("CapAmb")
    noNewPrivileges = try fields.number("NoNewPrivs", as: Int.self) != 0
    seccompMode = try fields.number("Seccomp")
    seccompFilters = try fields.number("Seccomp_filters")
    guard uids.count == 4, gids.count == 4, !pids.isEmpty else {
      throw SyntaxError(what: "process status", value: "Uid, Gid, NSpid", why: "not as proc_pid_status(5) has them")
    }
  }

  private struct Fields {
    let lines: [ArraySlice<UInt8>]

    func words(_ name: String) throws(SyntaxError) -> [String] {
      let head = Array("\(name):".utf8)
      guard let line = lines.first(where: { $0.starts(with: head) }) else {
        throw SyntaxError(what: "process status", value: name, why: "the kernel does not tell it")
      }
      return line.dropFirst(head.count).split(whereSeparator: { $0 == 9 || $0 == 32 })
        .map { String(decoding: $0, as: UTF8.self) }
    }

    func numbers<Number: FixedWidthInteger>(_ name: String, as: Number.Type = Number.self) throws(SyntaxError)
      -> [Number]
    {
      var numbers: [Number] = []
      for word in try words(name) {
        guard let number = Number(word, radix: 10) else {
          throw SyntaxError(what: "process status", value: "\(name): \(word)", why: "not a number")
        }
        numbers.append(number)
      }
      return numbers
    }

    func number<Number: FixedWidthInteger>(_ name: String, as: Number.Type = Number.self) throws(SyntaxError) -> Number
    {
      let all: [Number] = try numbers(name)
      guard all.count == 1 else {
        throw SyntaxError(what: "process status", value: name, why: "not one number")
      }
      return all[0]
    }

    func capabilities(_ name: String) throws(SyntaxError) -> CapabilitySet {
      let all = try words(name)
      guard all.count == 1, let bits = UInt64(all[0], radix: 16) else {
        throw SyntaxError(what: "process status", value: name, why: "not one set of capabilities")
      }
      return CapabilitySet(rawValue: bits)
    }
  }
}
