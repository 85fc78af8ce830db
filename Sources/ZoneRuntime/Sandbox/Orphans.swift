internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// Processes that a sandbox without namespaces would leave where Landlock cannot confine a signal (before Linux 6.12): its
/// launcher takes them as his children when their parents have ended, and kills them. What forks without end is bounded by
/// RLIMIT_NPROC only, and a launcher that was killed leaves them.
enum Orphans {
  /// From here on orphans of all that we start are ours (prctl(2), PR_SET_CHILD_SUBREAPER).
  static func adopt() throws(ZoneError) {
    _ = try attempt("take over what the sandbox may leave") { () throws(SyscallError) in
      try check(zns_prctl(36 /* PR_SET_CHILD_SUBREAPER */, 1, 0, 0, 0), "prctl")
    }
  }

  /// Ends all children, and theirs, when the keeper has ended.
  static func end() throws(ZoneError) {
    for _ in 0..<10_000 {
      let pids = try children()
      if pids.isEmpty { return }
      for pid in pids { Glibc.kill(pid, SIGKILL) }
      for pid in pids {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
      }
    }
    throw .refused("cannot end what the sandbox has left: it goes on forking (end it by hand: ps -u \(geteuid()))")
  }

  /// proc_tid_children(5).
  private static func children() throws(ZoneError) -> [Int32] {
    let bytes = try attempt("look for what the sandbox has left") { () throws(SyscallError) in
      try FileSystem.read("/proc/self/task/\(getpid())/children")
    }
    return bytes.split(separator: 32).compactMap { Int32(String(decoding: $0, as: UTF8.self)) }
  }
}

extension ZoneSpec {
  /// A sandbox without a pid namespace, on a kernel where no domain confines the signal that ends it.
  var leavesOrphans: Bool { sandbox?.bare != nil && !Landlock.ofKernel().scopesSignals }
}

extension Zones {
  /// What a sandbox has left that was ended before its command had. Best effort: there is an error to be told.
  public func endOrphans(of spec: ZoneSpec) {
    if spec.leavesOrphans { try? Orphans.end() }
  }
}
