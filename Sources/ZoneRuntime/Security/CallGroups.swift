/// System calls by what they are for: `--calls file-system,network`. Groups and not single calls, so that another version of
/// a C library does not break what was said once. Every call that a zone may make is in one group; what no list names is
/// in `base`, which every program needs and which is always there.
public struct CallGroups: OptionSet, Hashable, Sendable {
  public var rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let base = CallGroups(rawValue: 1)
  public static let process = CallGroups(rawValue: 2)
  public static let network = CallGroups(rawValue: 4)
  /// A constant, for every start asks for it.
  public static let all = CallGroups(rawValue: 0xfff)

  /// By the bits' order.
  public static let names = ["base"] + table.map { $0.name }

  private static let table: [(name: String, calls: String)] = [
    (
      "process",
      "clone clone3 fork vfork wait4 waitid waitpid kill tkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_open "
        + "pidfd_send_signal process_mrelease setpgid setsid"
    ),
    // Without sendmsg: by it the launch says its last word, behind the filter.
    (
      "network",
      "socket socketcall socketpair connect bind listen accept accept4 send sendto sendmmsg recv recvfrom recvmsg "
        + "recvmmsg recvmmsg_time64 shutdown getsockname getpeername setsockopt getsockopt"
    ),
    (
      "file-system",
      "chmod fchmod fchmodat fchmodat2 chown chown32 fchown fchown32 fchownat lchown lchown32 link linkat "
        + "mkdir mkdirat mknod mknodat rename renameat renameat2 rmdir symlink symlinkat unlink unlinkat truncate "
        + "truncate64 utime utimensat utimensat_time64 utimes futimesat setxattr lsetxattr fsetxattr removexattr "
        + "lremovexattr fremovexattr setxattrat removexattrat file_setattr inotify_add_watch inotify_init inotify_init1 "
        + "inotify_rm_watch fanotify_mark name_to_handle_at sync syncfs"
    ),
    (
      "ipc",
      "ipc msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget "
        + "mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink"
    ),
    (
      "identity",
      "setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setregid setregid32 "
        + "setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setuid setuid32 capset"
    ),
    ("scheduling", "sched_setaffinity sched_setattr sched_setparam sched_setscheduler setpriority nice ioprio_set"),
    ("clock", "adjtimex clock_adjtime clock_adjtime64"),
    ("async-io", "io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit"),
    ("debug", "ptrace process_vm_readv process_vm_writev"),
    ("walls", "seccomp landlock_add_rule landlock_create_ruleset landlock_restrict_self unshare"),
    // Those that a capability or --nesting opens, and nothing else.
    ("privileged", SeccompTables.conditional.map { $0.calls }.joined(separator: " ")),
  ]

  private static let byCall: [String: UInt32] = {
    var all: [String: UInt32] = [:]
    for (index, row) in table.enumerated() {
      for call in SeccompTables.names(row.calls) { all[call] = 1 << UInt32(index + 1) }
    }
    return all
  }()

  /// The group of a call; `base` of one that is in no list.
  public static func of(_ call: String) -> CallGroups { CallGroups(rawValue: byCall[call] ?? 1) }

  /// The calls that the lists name: for who checks that each is one.
  static var listed: [String] { table.flatMap { SeccompTables.names($0.calls) } }

  /// Those that are in it, in the table's order.
  public var words: [String] {
    CallGroups.names.enumerated().filter { contains(CallGroups(rawValue: 1 << UInt32($0.offset))) }.map { $0.element }
  }

  /// - Parameter names: of groups; `base` need not be among them. None: all.
  public init(named names: [String]) throws(SyntaxError) {
    guard !names.isEmpty else {
      self = .all
      return
    }
    self = .base
    for name in names {
      guard let index = CallGroups.names.firstIndex(of: name) else {
        throw SyntaxError(
          what: "calls", value: name,
          why:
            "no group of system calls\(suggestion(for: name, in: CallGroups.names)) (\(CallGroups.names.joined(separator: " ")))"
        )
      }
      rawValue |= 1 << UInt32(index)
    }
  }
}
