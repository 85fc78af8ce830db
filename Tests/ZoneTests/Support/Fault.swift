import Foundation

/// A system call that is made to fail, by strace's fault injection: in each process of a command its `which`th of that name.
struct Fault: CustomStringConvertible {
  var call: String
  var which: Int
  var error: String

  var description: String { "\(error) of \(call) \(which)" }

  /// What this kind of call fails with where a machine has run short of something; nil: it cannot fail.
  private static func error(of call: String) -> String? {
    switch call {
    case "getpid", "gettid", "getuid", "geteuid", "getgid", "getegid", "umask", "exit", "exit_group", "set_tid_address",
      "arch_prctl", "rt_sigreturn", "restart_syscall", "setfsuid", "setfsgid", "set_robust_list", "rseq",
      // The Swift library's seed: it ends a program that gets none.
      "getrandom",
      // Whatever it says, the descriptor is closed (close(2)); one that is made to fail would not be.
      "close":
      nil
    case "mmap", "brk", "madvise", "mremap", "mprotect", "socketpair", "socket", "memfd_create", "sendmsg", "recvmsg":
      "ENOMEM"
    case "open", "openat", "openat2", "dup", "dup2", "dup3", "fcntl", "pidfd_open", "signalfd4", "open_tree":
      "EMFILE"
    case "mkdir", "mkdirat", "rename", "renameat2", "link", "symlink", "symlinkat", "mknodat", "write", "writev",
      "fsync":
      "ENOSPC"
    case "clone", "clone3", "fork", "vfork", "execve", "execveat", "unshare", "setns": "EAGAIN"
    case "mount", "umount2", "move_mount", "mount_setattr", "pivot_root", "fsmount", "fsopen", "fsconfig", "chown",
      "fchown", "fchownat", "chmod", "fchmod", "fchmodat", "prctl", "capset", "seccomp", "setgroups", "setresuid",
      "setresgid", "sethostname", "flock", "keyctl":
      "EPERM"
    default: "EIO"
    }
  }

  /// Every call that the command makes, and with `following` all that it starts, each once. Runs it.
  /// - Parameters:
  ///   - succeeds: the status it has to end with.
  ///   - quietly: what becomes of the traced command before it runs, its streams redirected say.
  static func all(
    _ command: Command, following: Bool, succeeds: Int32, quietly: (Command) -> Command
  ) throws -> [Fault] {
    let trace = try Trace(command, following: following, succeeds: succeeds, quietly: quietly)
    var names: [String] = []
    var most: [String: Int] = [:]
    for calls in trace.processes {
      for name in calls where !names.contains(name) { names.append(name) }
      for (name, same) in Dictionary(grouping: calls, by: { $0 }) { most[name] = max(most[name] ?? 0, same.count) }
    }
    return names.flatMap { name -> [Fault] in
      guard let error = error(of: name), let most = most[name] else { return [] }
      // The first mapping of a program is its C library's, which ends it without one.
      return ((name == "mmap" ? 2 : 1)..<(most + 1)).map { Fault(call: name, which: $0, error: error) }
    }
  }

  /// Runs a command that meets it.
  func meet(_ command: Command, following: Bool, quietly: (Command) -> Command) throws -> Outcome {
    let options = ["-o", "/dev/null", "-e", "inject=\(call):error=\(error):when=\(which)"]
    return try quietly(Trace.strace(command, options, following)).run()
  }
}
