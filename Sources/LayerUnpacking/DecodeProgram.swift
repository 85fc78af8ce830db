internal import CLinuxNS
internal import Glibc
internal import LinuxNS
internal import ZoneRuntime

/// `orchestrator decode`, hidden: standard input, which gzip or zstd has compressed, to standard output. To be called before
/// the process has a second thread. It reads what a stranger made, and can do no more than read and write what it was given.
public enum DecodeProgram {
  static let calls = """
    brk clock_gettime close exit exit_group fstat futex getrandom lseek madvise mmap mprotect mremap munmap read
    rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack write writev
    """.split { $0 == " " || $0 == "\n" }.map(String.init)
  /// Of address space, in bytes: zstd's largest window and what the program has.
  static let mostMemory: UInt64 = 2 << 30

  /// - Returns: 0; 1 with a line on standard error.
  public static func run() -> Int32 {
    do {
      let filter = try CallFilter.program(allowing: calls)
      try check(zns_bound_process(mostMemory, 8), "setrlimit")
      // An ordinary user has none to lose.
      if geteuid() == 0 { try check(zns_keep_capabilities(0), "capset") }
      try check(zns_no_new_privs(), "prctl PR_SET_NO_NEW_PRIVS")
      try check(zns_end_with_parent(), "prctl PR_SET_PDEATHSIG")
      try check(filter.withUnsafeBytes { zns_load_filter($0.baseAddress, $0.count) }, "prctl PR_SET_SECCOMP")
      var source = try LayerSource(
        DescriptorSource(OwnedFD(raw: 0)), said: nil, tally: LayerTally(.sha256, most: UnpackLimits().bytes))
      let output = OwnedFD(raw: 1)
      var room = [UInt8](repeating: 0, count: 1 << 18)
      while true {
        var got = 0
        var failure: ByteSourceError?
        room.withUnsafeMutableBytes { bytes in
          do throws(ByteSourceError) { got = try source.read(into: bytes) } catch { failure = error }
        }
        if let failure { return complain("it \(failure.why)") }
        if got == 0 { return 0 }
        try FileSystem.write(room[..<got], to: output)
      }
    } catch { return complain("\(error)") }
  }

  private static func complain(_ why: String) -> Int32 {
    let line = Array(why.utf8)
    _ = write(2, line, line.count)
    return 1
  }
}
