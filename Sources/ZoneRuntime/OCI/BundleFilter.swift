internal import CLinuxNS
internal import CSeccomp
internal import Glibc
internal import LinuxNS

/// Turns a bundle's seccomp into a program for seccomp(2), and keeps compiled ones: Docker's default takes 3 ms.
enum BundleFilter {
  /// The program, from the cache or compiled.
  /// - Parameter directory: where compiled ones are kept; made when first written to.
  static func program(_ wish: BundleSeccomp, cache directory: String) throws(ZoneError) -> [UInt8] {
    let identity = wish.identity
    let path = "\(directory)/\(name(identity))"
    if let stored = stored(path, identity) { return stored }
    let program: [UInt8]
    do throws(SeccompError) { program = try compile(wish) } catch { throw .refused("\(error)") }
    // Best effort: a directory that cannot be written costs time and nothing else.
    try? store(program, identity, path)
    return program
  }

  // MARK: the cache

  private static let magic = Array("znsoci01".utf8)

  /// A name to find it by. What it says is no proof: the file has the whole identity, which is compared.
  private static func name(_ identity: [UInt8]) -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in identity { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return "filter-" + String(hash, radix: 16)
  }

  private static func stored(_ path: String, _ identity: [UInt8]) -> [UInt8]? {
    guard let file = try? OwnedFD.open(path, O_RDONLY | O_NOFOLLOW),
      let bytes = try? FileSystem.read(file, limit: 1 << 20)
    else { return nil }
    var status = stat()
    guard fstat(file.raw, &status) == 0, status.st_uid == geteuid(), status.st_mode & 0o022 == 0 else { return nil }
    let head = header(identity)
    guard bytes.count > head.count, bytes.prefix(head.count).elementsEqual(head) else { return nil }
    let program = Array(bytes.dropFirst(head.count))
    return program.count % SeccompCompiler.instructionSize == 0 ? program : nil
  }

  private static func header(_ identity: [UInt8]) -> [UInt8] {
    let library = "\(SCMP_VER_MAJOR).\(SCMP_VER_MINOR).\(SCMP_VER_MICRO) \(identity.count)\n"
    return magic + Array(library.utf8) + identity
  }

  private static func store(_ program: [UInt8], _ identity: [UInt8], _ path: String) throws(SyscallError) {
    try FileSystem.makeDirectories(FileSystem.parent(of: path), mode: 0o700)
    try FileSystem.replace(path, with: header(identity) + program)
  }

  // MARK: compiling

  static func compile(_ wish: BundleSeccomp) throws(SeccompError) -> [UInt8] {
    guard let context = seccomp_init(wish.defaultAction) else {
      throw SeccompError(step: "seccomp_init", errno: ENOMEM)
    }
    defer { seccomp_release(context) }
    for architecture in wish.architectures {
      let result = seccomp_arch_add(context, architecture)
      if result != 0 && result != -EEXIST { throw SeccompError(step: "seccomp_arch_add", errno: -result) }
    }
    try check(seccomp_attr_set(context, SCMP_FLTATR_CTL_LOG, wish.flags & 2 == 0 ? 0 : 1), "seccomp_attr_set")
    var highest = -1
    for rule in wish.rules {
      for name in rule.names {
        let number = seccomp_syscall_resolve_name(name)
        // A call of another machine's, or newer than the library: not one that this filter could see.
        guard number != -1 else { continue }
        highest = max(highest, Int(number))
        // libseccomp refuses a rule that says what happens anyway.
        if rule.action == wish.defaultAction { continue }
        try add(rule, number, name, to: context)
      }
    }
    let program = try SeccompCompiler.export(context)
    return unknownCalls(wish, highest) + program
  }

  private static func add(_ rule: BundleSeccomp.Rule, _ number: CInt, _ name: String, to context: scmp_filter_ctx)
    throws(SeccompError)
  {
    let tests = rule.arguments.map {
      scmp_arg_cmp(arg: $0.index, op: scmp_compare($0.comparison), datum_a: $0.value, datum_b: $0.valueTwo)
    }
    let indices = rule.arguments.map { $0.index }
    // Several tests of one argument cannot hold at once in libseccomp: each is a rule of its own then, as runc and Docker
    // have it.
    let isRepeated = indices.indices.contains { at in indices[..<at].contains(indices[at]) }
    let groups = isRepeated ? tests.map { [$0] } : [tests]
    for group in groups {
      var result = group.withUnsafeBufferPointer {
        seccomp_rule_add_array(context, rule.action, number, UInt32($0.count), $0.baseAddress)
      }
      // The same rule twice says nothing new.
      if result == -EEXIST { result = 0 }
      try check(result, "seccomp_rule_add \(name)")
    }
  }

  /// Calls that are newer than all that the profile names answer ENOSYS where they would answer another error: the C
  /// libraries then take the older call that the profile does know. Only for the machine's own calls.
  private static func unknownCalls(_ wish: BundleSeccomp, _ highest: Int) -> [UInt8] {
    let isError = wish.defaultAction & 0xffff_0000 == 0x0005_0000
    let kills = wish.defaultAction == 0 || wish.defaultAction == 0x8000_0000
    guard highest > 0, isError || kills else { return [] }
    var program: [UInt8] = []
    func add(_ code: UInt16, _ jumpTrue: UInt8, _ jumpFalse: UInt8, _ value: UInt32) {
      withUnsafeBytes(of: code.littleEndian) { program.append(contentsOf: $0) }
      program += [jumpTrue, jumpFalse]
      withUnsafeBytes(of: value.littleEndian) { program.append(contentsOf: $0) }
    }
    let (load, equal, above, answer): (UInt16, UInt16, UInt16, UInt16) = (0x20, 0x15, 0x25, 0x06)
    add(load, 0, 0, 4)  // seccomp_data.arch
    add(equal, 0, 4, seccomp_arch_native())
    add(load, 0, 0, 0)  // seccomp_data.nr
    add(above, 2, 0, 0x3fff_ffff)  // x32's, which are none of this machine's own
    add(above, 0, 1, UInt32(highest))
    add(answer, 0, 0, 0x0005_0000 | UInt32(ENOSYS))
    return program
  }

  private static func check(_ result: CInt, _ step: String) throws(SeccompError) {
    guard result == 0 else { throw SeccompError(step: step, errno: -result) }
  }
}
