/// Which system calls a zone has: tables, so that a reader sees at once what is where. Calls of x86-64, i386, aarch64
/// and arm; one that a machine does not have is left out there. A call in no table is newer than them and answers
/// ENOSYS, so that libraries fall back; a test keeps every call that libseccomp knows in exactly one table.
enum SeccompTables {
  /// Always there. `ioctl`, `clone`, `unshare` and `socketcall` are here too: what is refused of them is told by their
  /// arguments.
  static let allowed = """
    _llseek _newselect accept accept4 access adjtimex alarm arch_prctl arm_fadvise64_64 arm_sync_file_range bind
    breakpoint brk cacheflush cachestat capget capset chdir chmod chown chown32 clock_adjtime clock_adjtime64
    clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 clone close
    close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_pwait
    epoll_pwait2 epoll_wait eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64
    fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64
    fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync
    ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake futimesat get_robust_list
    get_thread_area get_tls getcpu getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32
    getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid
    getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid
    getuid32 getxattr inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents
    io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl ioprio_get ioprio_set ipc kill landlock_add_rule
    landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listxattr llistxattr
    lremovexattr lseek lsetxattr lstat lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret mincore
    mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 modify_ldt mprotect mq_getsetattr mq_notify mq_open
    mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap msgctl msgget msgrcv
    msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat nice oldfstat oldlstat oldolduname
    oldstat olduname open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free
    pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease process_vm_readv
    process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead readdir readlink
    readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr rename renameat
    renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn
    rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max
    sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
    sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp
    select semctl semget semop semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto
    set_robust_list set_thread_area set_tid_address set_tls setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32
    setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid
    setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr sgetmask shmat shmctl shmdt
    shmget shutdown sigaction sigaltstack signal signalfd signalfd4 sigpending sigprocmask sigreturn sigsuspend
    socketcall socketpair splice ssetmask stat stat64 statfs statfs64 statx symlink symlinkat sync sync_file_range syncfs sysinfo
    tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime
    timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill
    truncate truncate64 ugetrlimit umask uname unlink unlinkat unshare utime utimensat utimensat_time64 utimes vfork
    vmsplice wait4 waitid waitpid write writev
    """

  /// EPERM whatever the zone may: new and wide kernel code with a record of ways out (io_uring, userfaultfd), the
  /// host's own business (kexec, swap, sysfs(2)), and calls that are gone or were never made.
  static let refused = """
    _sysctl afs_syscall bdflush break create_module epoll_ctl_old epoll_wait_old ftime get_kernel_syms getpmsg gtty idle
    io_uring_enter io_uring_register io_uring_setup kexec_file_load kexec_load lock mpx nfsservctl pciconfig_iobase
    pciconfig_read pciconfig_write prof profil putpmsg query_module security stty swapoff swapon sysfs tuxcall ulimit
    userfaultfd uselib usr26 usr32 ustat vm86 vm86old vserver lsm_set_self_attr
    """

  /// EPERM unless the zone keeps one of the capabilities (the kernel would ask for it, but is not asked at all), or
  /// may nest zones.
  static let conditional: [(calls: String, capabilities: [Capability], nesting: Bool)] = [
    (
      "mount umount umount2 pivot_root move_mount open_tree open_tree_attr fsopen fspick fsconfig fsmount mount_setattr",
      [.sysAdmin], true
    ),
    ("setns sethostname setdomainname", [.sysAdmin], true),
    ("quotactl quotactl_fd fanotify_init lookup_dcookie", [.sysAdmin], false),
    ("bpf", [.sysAdmin, .bpf], false),
    ("perf_event_open", [.sysAdmin, .perfmon], false),
    ("syslog", [.sysAdmin, .syslog], false),
    // Keys belong to users, not to namespaces, before Linux 5.3; a runtime in the zone makes itself a session keyring.
    ("keyctl add_key request_key", [], true),
    ("chroot", [.sysChroot], true),
    ("open_by_handle_at", [.dacReadSearch], false),
    ("kcmp pidfd_getfd", [.sysPtrace], false),
    (
      "process_madvise get_mempolicy set_mempolicy set_mempolicy_home_node mbind migrate_pages move_pages", [.sysNice],
      false
    ),
    ("reboot", [.sysBoot], false),
    ("init_module finit_module delete_module", [.sysModule], false),
    ("acct", [.sysPacct], false),
    ("ioperm iopl", [.sysRawio], false),
    ("settimeofday stime clock_settime clock_settime64", [.sysTime], false),
    ("vhangup", [.sysTtyConfig], false),
  ]

  /// In a table above, but younger than the libseccomp that Debian 12 has. From 424 on all machines count alike.
  static let numbers: [String: Int32] = [
    "cachestat": 451, "fchmodat2": 452, "map_shadow_stack": 453, "futex_wake": 454, "futex_wait": 455,
    "futex_requeue": 456, "statmount": 457, "listmount": 458, "lsm_get_self_attr": 459, "lsm_set_self_attr": 460,
    "lsm_list_modules": 461, "mseal": 462, "setxattrat": 463, "getxattrat": 464, "listxattrat": 465,
    "removexattrat": 466, "open_tree_attr": 467, "file_getattr": 468, "file_setattr": 469,
  ]

  /// The allowed ones among `numbers` that are not by name in `allowed`.
  static let allowedNewer = """
    statmount listmount lsm_get_self_attr lsm_list_modules mseal setxattrat getxattrat listxattrat removexattrat
    file_getattr file_setattr
    """

  /// Of `allowed`, what reaches other processes of the host's where there are no namespaces: System V's and POSIX' messages,
  /// memory and semaphores, and the call that hides a socket's family in memory. As a kernel without them.
  static let sharedKernel = """
    ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink
    msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget socketcall
    """

  static func names(_ table: String) -> [String] {
    table.split(whereSeparator: { $0 == " " || $0 == "\n" }).map(String.init)
  }

  /// Told apart by their arguments, or by more than a table can say: see SeccompProfile.
  static let special = ["clone3", "personality", "socket"]
}
