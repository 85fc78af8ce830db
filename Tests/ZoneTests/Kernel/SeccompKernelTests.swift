import Glibc
import LinuxNS
import Testing

@testable import ZoneRuntime

/// A C program that installs a filter and then tries what it is named, one line `name errno` each.
private let attempts = #"""
  #define _GNU_SOURCE
  #include <errno.h>
  #include <fcntl.h>
  #include <linux/filter.h>
  #include <linux/seccomp.h>
  #include <sched.h>
  #include <signal.h>
  #include <stdint.h>
  #include <stdio.h>
  #include <string.h>
  #include <sys/ioctl.h>
  #include <sys/mman.h>
  #include <sys/prctl.h>
  #include <sys/socket.h>
  #include <sys/syscall.h>
  #include <sys/wait.h>
  #include <unistd.h>
  static void told(const char *name, long result) { printf("%s %d\n", name, result < 0 ? errno : 0); }
  static long spawn(unsigned long flags) {
    long pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) _exit(0);
    if (pid > 0) waitpid(pid, 0, 0);
    return pid;
  }
  // Each in a child of its own, so that one success does not change what the next meets.
  static void unshared(const char *name, unsigned long flags) {
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) _exit(syscall(SYS_unshare, flags) ? errno : 0);
    waitpid(pid, &status, 0);
    errno = WEXITSTATUS(status);
    told(name, errno ? -1 : 0);
  }
  #ifdef __x86_64__
  static long call32(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory", "r8", "r9", "r10", "r11");
    if (result < 0) { errno = -(int)result; return -1; }
    return result;
  }
  #endif
  int main(int count, char **arguments) {
    static struct sock_filter code[4096];
    int file = open(arguments[1], O_RDONLY);
    long size = read(file, code, sizeof code);
    if (count < 2 || size <= 0 || size % 8) return 3;
    // Every attempt is one that changes nothing where it gets through.
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    grantpt(terminal); unlockpt(terminal);
    int other = ioctl(terminal, 0x5441 /* TIOCGPTPEER */, O_RDWR | O_NOCTTY);
    struct sock_fprog program = { size / 8, code };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return 4;
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)) { perror("seccomp"); return 5; }
    char parameters[256] = {0};
    told("io_uring_setup", syscall(425, 1, parameters));
    told("io_uring_enter", syscall(426, -1, 0, 0, 0, 0, 0));
    told("bpf", syscall(SYS_bpf, 5, parameters, sizeof parameters));
    told("userfaultfd", syscall(SYS_userfaultfd, 0));
    told("keyctl", syscall(SYS_keyctl, 0, -2, 0));
    told("add_key", syscall(SYS_add_key, "user", "zones-test", "x", 1, 0x7fffffff));
    told("request_key", syscall(SYS_request_key, "user", "zones-test-none", 0, 0));
    told("mount", syscall(SYS_mount, "none", "/no/such", "tmpfs", 0, 0));
    told("umount2", syscall(SYS_umount2, "/no/such", 0));
    told("fsopen", syscall(430, "no-such-type", 0));
    told("pivot_root", syscall(SYS_pivot_root, "/no/such", "/no/such"));
    told("setns", syscall(SYS_setns, -1, 0));
    unshared("unshare-files", CLONE_FILES);
    unshared("unshare-user", CLONE_NEWUSER);
    unshared("unshare-user-high", CLONE_NEWUSER | 1UL << 40);
    unshared("unshare-user-and-net", CLONE_NEWUSER | CLONE_NEWNET);
    unshared("unshare-mount", CLONE_NEWNS | 1UL << 33);
    unshared("unshare-time", 0x80);
    told("clone", spawn(0));
    told("clone-user", spawn(CLONE_NEWUSER));
    told("clone-user-high", spawn(CLONE_NEWUSER | 1UL << 40));
    told("clone-net", spawn(CLONE_NEWNET));
    told("clone3", syscall(435, parameters, 0));
    told("tiocsti", syscall(SYS_ioctl, other, 0x5412UL, "x"));
    told("tiocsti-high", syscall(SYS_ioctl, other, 0x5412UL | 1UL << 32, "x"));
    told("tiocsti-all-high", syscall(SYS_ioctl, other, 0x5412UL | 0xffffffffUL << 32, "x"));
    told("tioclinux", syscall(SYS_ioctl, other, 0x541cUL, "\3"));
    told("tioclinux-high", syscall(SYS_ioctl, other, 0x541cUL | 1UL << 63, "\3"));
    told("tiocgwinsz", syscall(SYS_ioctl, other, 0x5413UL, parameters));
    told("tiocgwinsz-high", syscall(SYS_ioctl, other, 0x5413UL | 1UL << 32, parameters));
    told("socket-unix", socket(AF_UNIX, SOCK_STREAM, 0));
    told("socket-inet", socket(AF_INET, SOCK_STREAM, 0));
    told("socket-inet6", socket(AF_INET6, SOCK_DGRAM, 0));
    told("socket-netlink", socket(AF_NETLINK, SOCK_RAW, 0));
    told("socket-packet", socket(AF_PACKET, SOCK_RAW, 0));
    told("socket-alg", socket(38, SOCK_SEQPACKET, 0));
    told("socket-vsock", socket(40, SOCK_STREAM, 0));
    told("socket-vsock-high", syscall(SYS_socket, 40UL | 1UL << 32, SOCK_STREAM, 0));
    told("socket-unix-high", syscall(SYS_socket, 1UL | 1UL << 32, SOCK_STREAM, 0));
    told("personality-ask", syscall(SYS_personality, 0xffffffffUL));
    told("personality-set", syscall(SYS_personality, 0UL));
    told("personality-no-aslr", syscall(SYS_personality, 0x0040000UL));
    told("kexec_load", syscall(SYS_kexec_load, 0, 0, 0, 0));
    told("init_module", syscall(SYS_init_module, 0, 0, 0));
    told("open_by_handle_at", syscall(SYS_open_by_handle_at, -1, parameters, 0));
    told("perf_event_open", syscall(SYS_perf_event_open, parameters, 0, -1, -1, 0));
    told("newer", syscall(600, 0));
    told("ptrace", syscall(SYS_ptrace, 16 /* PTRACE_ATTACH */, 0x7ffffffe, 0, 0));
    told("getpid", syscall(SYS_getpid));
  #ifdef __x86_64__
    told("x32-getpid", syscall(0x40000000 | SYS_getpid));
    told("x32-unshare", syscall(0x40000000 | SYS_unshare, CLONE_NEWUSER));
    unsigned *low = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    told("i386-getpid", call32(20, 0, 0, 0));
    told("i386-unshare-user", call32(310, CLONE_NEWUSER, 0, 0));
    told("i386-keyctl", call32(288, 0, 0, 0));
    told("i386-tiocsti", call32(54, other, 0x5412, (long)low));
    low[0] = 38; low[1] = SOCK_SEQPACKET; low[2] = 0;
    told("i386-socketcall-alg", call32(102, 1, (long)low, 0));
    low[0] = AF_INET; low[1] = SOCK_STREAM;
    told("i386-socketcall-inet", call32(102, 1, (long)low, 0));
    told("i386-socket-alg", call32(359, 38, SOCK_SEQPACKET, 0));
    low[0] = AF_UNIX; low[1] = SOCK_STREAM; low[2] = 0; low[3] = (unsigned)(uintptr_t)(low + 8);
    told("i386-socketcall-pair", call32(102, 8, (long)low, 0));
    told("i386-clone3", call32(435, 0, 0, 0));
  #endif
    fflush(stdout);
    return 0;
  }
  """#

/// Runs a program to its end; its standard output, or an error of the test.
private func run(_ command: [String], timeout: CInt = 60_000) throws -> (status: LinuxNS.ExitStatus, output: String) {
  let pipe = try OwnedFD.pipe()
  var actions = posix_spawn_file_actions_t()
  posix_spawn_file_actions_init(&actions)
  defer { posix_spawn_file_actions_destroy(&actions) }
  posix_spawn_file_actions_adddup2(&actions, pipe.second.raw, 1)
  posix_spawn_file_actions_adddup2(&actions, pipe.second.raw, 2)
  var arguments = command.map { strdup($0) } + [nil]
  defer { for argument in arguments { free(argument) } }
  var pid: pid_t = 0
  let error = posix_spawnp(&pid, command[0], &actions, nil, &arguments, environ)
  guard error == 0 else { throw SyscallError(call: "posix_spawnp", errno: error, path: command[0]) }
  let process = try Pidfd.open(Int32(pid))
  // Small outputs fit the pipe, so the end may be waited for first.
  if try !process.waitUntilEnd(timeout: timeout) {
    try process.signal(SIGKILL)
    _ = try process.reap()
    throw SyscallError(call: "wait", errno: ETIMEDOUT, path: command[0])
  }
  let status = try process.reap()
  return (status, try output(of: pipe))
}

private func output(of pipe: consuming DescriptorPair) throws -> String {
  let reader = try pipe.first.duplicate()
  _ = consume pipe
  return String(decoding: try FileSystem.read(reader), as: UTF8.self)
}

private let helperFolder = "/tmp/zones-test-seccomp-helper.\(getpid())"

/// Compiled once for all tests of this file; nil where there is no C compiler.
private let helper: String? = {
  let folder = helperFolder
  // Not by the children that other cases fork: they end by exit(3) too.
  atexit { if helperFolder.hasSuffix(".\(getpid())") { try? FileSystem.removeTree(helperFolder) } }
  try? FileSystem.makeDirectories(folder, mode: 0o700)
  guard (try? FileSystem.replace("\(folder)/attempts.c", with: Array(attempts.utf8))) != nil else { return nil }
  for compiler in ["cc", "gcc", "clang"] {
    if let result = try? run([compiler, "-w", "-O1", "-o", "\(folder)/attempts", "\(folder)/attempts.c"]) {
      if result.status == .exited(0) { return folder }
      print("the seccomp helper does not compile: \(result.output)")
    }
  }
  print("SKIPPED: seccomp kernel tests, no C compiler")
  return nil
}()

private func outcome(_ profile: SeccompProfile) throws -> [String: Int32] {
  let folder = try #require(helper)
  let filter = "\(folder)/filter.\(SeccompKey(profile).text)"
  try FileSystem.replace(filter, with: SeccompCompiler.compile(profile))
  let result = try run(["\(folder)/attempts", filter])
  try #require(result.status == .exited(0), "\(result.output)")
  var outcome: [String: Int32] = [:]
  for line in result.output.split(separator: "\n") {
    let words = line.split(separator: " ")
    outcome[String(words[0])] = Int32(words[1])
  }
  return outcome
}

@Suite(.serialized, .enabled(if: helper != nil, "a C compiler is needed")) struct SeccompKernelTests {
  @Test func theDefaultRefusesAndAllows() throws {
    let seen = try outcome(SeccompProfile(capabilities: .zoneDefault))
    let expected: [(CInt, [String])] = [
      (
        EPERM,
        [
          "io_uring_setup", "io_uring_enter", "bpf", "userfaultfd", "keyctl", "add_key", "request_key", "mount",
          "umount2", "fsopen",
          "pivot_root", "setns", "unshare-user", "unshare-user-high", "unshare-user-and-net", "unshare-mount",
          "unshare-time",
          "clone-user", "clone-user-high", "clone-net", "tiocsti", "tiocsti-high", "tiocsti-all-high", "tioclinux",
          "tioclinux-high",
          "personality-no-aslr", "kexec_load", "init_module", "open_by_handle_at", "perf_event_open",
        ]
      ),
      (ENOSYS, ["clone3", "newer"]),
      (EAFNOSUPPORT, ["socket-packet", "socket-alg", "socket-vsock", "socket-vsock-high"]),
      (ESRCH, ["ptrace"]),
      (
        0,
        [
          "unshare-files", "clone", "tiocgwinsz", "tiocgwinsz-high", "socket-unix", "socket-inet", "socket-inet6",
          "socket-netlink",
          "socket-unix-high", "personality-ask", "personality-set", "getpid",
        ]
      ),
    ]
    for (errno, names) in expected { for name in names { #expect(seen[name] == errno, "\(name)") } }
    #if arch(x86_64)
      let others: [(CInt, [String])] = [
        (ENOSYS, ["x32-getpid", "x32-unshare", "i386-clone3"]),
        (EPERM, ["i386-unshare-user", "i386-keyctl", "i386-tiocsti"]),
        (EAFNOSUPPORT, ["i386-socketcall-alg", "i386-socketcall-inet", "i386-socket-alg"]),
        (0, ["i386-getpid", "i386-socketcall-pair"]),
      ]
      for (errno, names) in others { for name in names { #expect(seen[name] == errno, "\(name)") } }
    #endif
  }

  @Test func nestingOpensNamespacesAndNotTheRest() throws {
    let seen = try outcome(SeccompProfile(capabilities: .zoneDefault, nesting: true))
    for name in ["mount", "umount2", "pivot_root"] { #expect(seen[name] == ENOENT, "\(name)") }
    #expect(seen["setns"] == EBADF)
    #expect(seen["clone3"] == EINVAL)
    for name in ["clone-user", "clone-net", "unshare-user", "unshare-time"] { #expect(seen[name] == 0, "\(name)") }
    for name in ["io_uring_setup", "bpf", "userfaultfd", "tiocsti", "tiocsti-high", "kexec_load"] {
      #expect(seen[name] == EPERM, "\(name)")
    }
    #expect(seen["keyctl"] != EPERM)
    #expect(seen["socket-vsock"] == EAFNOSUPPORT)
  }

  @Test func capabilitiesOpenTheirCalls() throws {
    let more = CapabilitySet.zoneDefault.union(CapabilitySet([.sysAdmin, .netRaw, .dacReadSearch]))
    let seen = try outcome(SeccompProfile(capabilities: more))
    #expect(seen["mount"] == ENOENT)
    #expect(seen["clone-net"] == 0)
    #expect(seen["socket-packet"] == 0)
    // Which of the two wrong arguments is looked at first differs between kernels.
    #expect([EINVAL, EBADF].contains(seen["open_by_handle_at"]))
    // A new user namespace would give every capability: that is nesting, whatever is kept.
    for name in ["unshare-user", "clone-user", "unshare-user-high", "unshare-user-and-net"] {
      #expect(seen[name] == EPERM, "\(name)")
    }
    #expect(seen["clone3"] == ENOSYS)
    for name in ["io_uring_setup", "userfaultfd", "tiocsti-high", "keyctl"] { #expect(seen[name] == EPERM, "\(name)") }
  }

  /// The attempts themselves can succeed: without a filter that refuses, they get through to the kernel.
  @Test func theAttemptsAreReal() throws {
    let allowAll: [UInt8] = [0x06, 0, 0, 0, 0, 0, 0xff, 0x7f]
    let folder = try #require(helper)
    try FileSystem.replace("\(folder)/filter.open", with: allowAll)
    let result = try run(["\(folder)/attempts", "\(folder)/filter.open"])
    try #require(result.status == .exited(0), "\(result.output)")
    let lines = Set(result.output.split(separator: "\n").map(String.init))
    for line in [
      "unshare-user 0", "clone-user 0", "mount \(ENOENT)", "keyctl \(ENOKEY)", "userfaultfd 0", "personality-no-aslr 0",
    ] {
      #expect(lines.contains(line), "\(line) in \(result.output)")
    }
    for line in lines where line.hasPrefix("socket-") || line.hasPrefix("clone3") {
      #expect(!line.hasSuffix(" \(ENOSYS)"))
    }
  }
}
