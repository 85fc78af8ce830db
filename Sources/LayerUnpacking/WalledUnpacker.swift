internal import CLinuxNS
internal import Glibc
internal import LinuxNS
internal import ZoneRuntime

/// The process that reads a layer. It is nobody outside of a user namespace, sees the directory and a /proc of itself, has no
/// network, and makes only the calls that files and memory take: what goes wrong here has one half-made layer to spoil.
enum WalledUnpacker {
  /// To write files of others as they are, and nothing else. A whiteout's device 0:0 takes none (mknod(2), since 5.8).
  static let capabilities = CapabilitySet([.chown, .dacOverride, .fowner, .fsetid, .setfcap])
  /// Bytes of address space: four million names take less than half of it.
  static let mostMemory: UInt64 = 8 << 30
  /// The parent, the file, the other parent, and what removing a tree takes (remove_tree.c).
  static let mostDescriptors: UInt32 = 64

  static let calls = """
    brk chmod clock_gettime clock_nanosleep close close_range exit exit_group faccessat fadvise64 fallocate fchmod
    fchmodat fchmodat2 fchown fchownat fcntl fgetxattr flistxattr fremovexattr fsetxattr fstat fstatfs ftruncate futex
    getdents64 getegid geteuid getgid getpid getrandom gettid getuid getxattr lgetxattr linkat listxattr llistxattr
    lremovexattr lseek lsetxattr madvise membarrier mkdirat mknodat mmap mprotect mremap munmap nanosleep newfstatat open
    openat openat2 ppoll pread64 pwrite64 read readlink readlinkat readv removexattr renameat renameat2 restart_syscall
    rseq rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity sched_yield set_robust_list setxattr sigaltstack stat
    statx symlinkat tgkill unlinkat utimensat write writev
    """.split { $0 == " " || $0 == "\n" }.map(String.init)

  /// - Parameter go: a byte comes when the ids are there.
  static func run(_ order: UnpackOrder, _ ids: UnpackingIds, go: consuming OwnedFD) -> Never {
    _ = zns_end_with_parent()  // asked again behind the walls, where it matters
    let raw = go.take()
    var byte: UInt8 = 0
    guard read(raw, &byte, 1) == 1 else { _exit(1) }
    close(raw)
    let answer = act(order, ids)
    tell(answer)
    _exit(answer.error == nil ? 0 : 1)
  }

  /// Writes the report. Where nobody reads it there is nothing more to be done.
  static func tell(_ answer: UnpackAnswer) {
    let report = OwnedFD(raw: UnpackOrder.report)
    guard let bytes = try? JSON.encode(answer, name: "report") else { _exit(1) }
    guard bytes.count <= UnpackAnswer.most else {
      let why = "it leaves more to its stacks than \(UnpackAnswer.most >> 20) MB say"
      _ = try? FileSystem.write(Array("{\"error\":\"\(why)\"}".utf8), to: report)
      _exit(1)
    }
    _ = try? FileSystem.write(bytes, to: report)
  }

  private static func act(_ order: UnpackOrder, _ ids: UnpackingIds) -> UnpackAnswer {
    do throws(UnpackTrouble) {
      let root = try wallIn(ids)
      switch order.job {
      case .unpack: return UnpackAnswer(layer: try unpack(order, ids, into: root))
      case .remove:
        do throws(SyscallError) { try empty(root) } catch { throw UnpackTrouble("\(error)") }
        return UnpackAnswer()
      }
    } catch { return UnpackAnswer(error: error.why, isUntouched: error.isUntouched) }
  }

  // MARK: the walls

  /// - Returns: the directory, from inside.
  private static func wallIn(_ ids: UnpackingIds) throws(UnpackTrouble) -> OwnedFD {
    let filter: [UInt8]
    do throws(SeccompError) { filter = try CallFilter.program(allowing: calls) } catch {
      throw UnpackTrouble("\(error)", isUntouched: true)
    }
    do throws(SyscallError) {
      let groups = zns_no_groups()
      // Who has one id alone cannot leave his groups: what they open is out of sight.
      if groups != -Int(EPERM) || ids.count > 1 { try check(groups, "setgroups") }
      var step: UnsafePointer<CChar>?
      let made = zns_wall_in(UnpackOrder.directory, &step)
      let root = OwnedFD(raw: CInt(try check(made, step.map { String(cString: $0) } ?? "unshare")))
      close(UnpackOrder.directory)
      let last = UInt32(max(root.raw, UnpackOrder.blob, UnpackOrder.report))
      try check(zns_close_range(last + 1, .max, 0), "close_range")
      try check(zns_bound_process(mostMemory, mostDescriptors), "setrlimit")
      try check(zns_keep_capabilities(capabilities.rawValue), "capset")
      try check(zns_end_with_parent(), "prctl PR_SET_PDEATHSIG")
      try check(filter.withUnsafeBytes { zns_load_filter($0.baseAddress, $0.count) }, "prctl PR_SET_SECCOMP")
      return root
    } catch { throw UnpackTrouble("cannot wall the unpacker in: \(error)", isUntouched: true) }
  }

  // MARK: the work

  private static func unpack(_ order: UnpackOrder, _ ids: UnpackingIds, into root: consuming OwnedFD)
    throws(UnpackTrouble) -> UnpackReport
  {
    do throws(SyscallError) {
      guard try FileSystem.list(of: root, "the layer's directory").isEmpty else {
        throw SyscallError(call: "getdents64", errno: ENOTEMPTY, path: "the layer's directory")
      }
    } catch { throw UnpackTrouble("\(error)", isUntouched: true) }
    let tally = LayerTally(order.diffID?.algorithm ?? .sha256, most: order.limits.bytes)
    var limits = LayerLimits()
    limits.ids = ids.count
    limits.fewIds = ids.mend
    limits.names = order.limits.names
    let unpacked: UnpackedLayer
    do throws(ByteSourceError) {
      let source = try LayerSource(
        DescriptorSource(OwnedFD(raw: UnpackOrder.blob)), said: order.compression, tally: tally)
      unpacked = try Self.unpack(source, into: root, limits)
    } catch { throw UnpackTrouble(error.why) }
    guard let found = tally.digest else { throw UnpackTrouble("its hash cannot be made") }
    if let wanted = order.diffID, wanted != found {
      throw UnpackTrouble("it is \(found.text) when it is decoded, and the image says \(wanted.text)")
    }
    return UnpackReport(
      diffID: found, bytes: tally.bytes, names: unpacked.names, notes: unpacked.notes,
      omissions: unpacked.omissions, omitted: unpacked.omitted)
  }

  private static func unpack(_ source: consuming LayerSource, into root: consuming OwnedFD, _ limits: LayerLimits)
    throws(ByteSourceError) -> UnpackedLayer
  {
    do throws(UnpackError) { return try LayerWriter.unpack(source, into: root, layer: limits) } catch {
      throw ByteSourceError("\(error)")
    }
  }

  /// Takes everything out of a directory, and gives it back as a new one. Names need not be text: each is first given
  /// one that no layer can have.
  private static func empty(_ root: consuming OwnedFD) throws(SyscallError) {
    let gone = ".wh.removed"
    try FileSystem.removeTree("/layer/\(gone)")  // of one who was killed
    let raw = root.raw
    for attribute in try Xattr.all(of: root, .root) { try Xattr.remove(attribute.name, of: root, .root) }
    let tree = TreeFD(root)
    for name in try tree.names(.root) {
      try FileSystem.call("rename", BytePath(name).words) { name.withCString { renameat(raw, $0, raw, gone) } }
      try FileSystem.removeTree("/layer/\(gone)")
    }
    try FileSystem.call("chown", nil) { fchown(raw, 0, 0) }
    try FileSystem.call("chmod", nil) { fchmod(raw, 0o700) }
  }
}

/// What the caller is told, in one line.
private struct UnpackTrouble: Error {
  var why: String
  var isUntouched: Bool

  init(_ why: String, isUntouched: Bool = false) {
    self.why = why
    self.isUntouched = isUntouched
  }
}
