internal import Glibc

/// What a person can do where the machine, or what he may use of it, has run short.
public enum Shortage {
  /// nil: the error tells of no shortage.
  public static func remedy(_ errno: CInt) -> String? {
    switch errno {
    case ENOSPC: "make room there (df tells of bytes, df -i of files)"
    case EDQUOT: "make room there, or raise the quota (quota tells)"
    case EROFS: "it is mounted read-only (mount -o remount,rw)"
    case EMFILE: "raise the limit of open files (ulimit -n)"
    case ENFILE: "raise the machine's limit of open files (sysctl fs.file-max)"
    case ENOMEM: "free memory, or raise its limit (ulimit -v and -d, memory.max of the control group)"
    default: nil
    }
  }

  /// fork(2) and clone(2) say EAGAIN, which elsewhere is no shortage.
  public static let ofProcesses = "raise the limit of processes (ulimit -u, pids.max of the control group)"
}
