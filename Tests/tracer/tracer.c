// Runs a command and tells each system call that it makes, or stops it at one of them: the Nth of one process, where
// strace(1) counts each kind of call by itself and injects into every process at once.
//
//   tracer [-f] [-w] [-a] [-o FILE] [-k PROCESS:N | -e PROCESS:N] -- COMMAND…
//     -f  also what the command starts
//     -w  until all of it has ended, or that one call was hit; otherwise until the command has ended
//     -a  counts only calls that can fail (`error_of`)
//     -o  gets a line for each call, PROCESS NUMBER; with an injection, only that of the call that was hit
//     -k  SIGKILL at that call; -e: it fails, with what that kind of call fails with where a machine runs short
// A process is 0, the command, or what started it and which of its children it is: 0.2 is the command's second.
// It ends as the command does: with its status, or 128 + the signal's number.
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

struct tracee {
  pid_t pid;
  char name[128];     // "" until its maker has told of it
  int waits;          // stopped until then
  int children;
  int is_new;         // has made no call since it executed a program
  long calls;
  int error;          // what the call that it is in is to fail with
};

static struct tracee tracees[256];
static int tracee_count, follows, waits, only_failing, kills, has_target, is_hit, begun;
static char target[128];
static long target_call;
static FILE *told;

/// 0: it cannot fail.
static int error_of(long number) {
  switch (number) {
    case SYS_getpid: case SYS_gettid: case SYS_getuid: case SYS_geteuid: case SYS_getgid: case SYS_getegid: case SYS_umask:
    case SYS_exit: case SYS_exit_group: case SYS_set_tid_address: case SYS_rt_sigreturn: case SYS_restart_syscall:
    case SYS_setfsuid: case SYS_setfsgid: case SYS_set_robust_list: case SYS_rseq:
#ifdef SYS_arch_prctl
    case SYS_arch_prctl:
#endif
    // The Swift library's seed: it ends a program that gets none.
    case SYS_getrandom:
    // Whatever it says, the descriptor is closed (close(2)); one that is made to fail would not be.
    case SYS_close: return 0;
    case SYS_mmap: case SYS_brk: case SYS_madvise: case SYS_mremap: case SYS_mprotect: case SYS_socketpair: case SYS_socket:
    case SYS_memfd_create: case SYS_sendmsg: case SYS_recvmsg: return ENOMEM;
    case SYS_openat: case SYS_openat2: case SYS_dup: case SYS_dup3: case SYS_fcntl: case SYS_pidfd_open: case SYS_signalfd4:
    case SYS_open_tree:
#ifdef SYS_open
    case SYS_open: case SYS_dup2:
#endif
      return EMFILE;
    case SYS_mkdirat: case SYS_renameat: case SYS_renameat2: case SYS_symlinkat: case SYS_linkat: case SYS_mknodat: case SYS_write:
    case SYS_writev: case SYS_fsync:
#ifdef SYS_mkdir
    case SYS_mkdir: case SYS_rename: case SYS_link: case SYS_symlink:
#endif
      return ENOSPC;
    case SYS_clone: case SYS_clone3: case SYS_execve: case SYS_execveat: case SYS_unshare: case SYS_setns:
#ifdef SYS_fork
    case SYS_fork: case SYS_vfork:
#endif
      return EAGAIN;
    case SYS_mount: case SYS_umount2: case SYS_move_mount: case SYS_mount_setattr: case SYS_pivot_root: case SYS_fsmount:
    case SYS_fsopen: case SYS_fsconfig: case SYS_fchown: case SYS_fchownat: case SYS_fchmod: case SYS_fchmodat: case SYS_prctl:
    case SYS_capset: case SYS_seccomp: case SYS_setgroups: case SYS_setresuid: case SYS_setresgid: case SYS_sethostname:
    case SYS_flock: case SYS_keyctl:
#ifdef SYS_chown
    case SYS_chown: case SYS_chmod:
#endif
      return EPERM;
    default: return EIO;
  }
}

static void fail(const char *what) {
  fprintf(stderr, "tracer: %s: %s\n", what, strerror(errno));
  exit(125);
}

static struct tracee *find(pid_t pid) {
  for (int i = 0; i < tracee_count; i++)
    if (tracees[i].pid == pid) return &tracees[i];
  if (tracee_count == sizeof tracees / sizeof *tracees) { errno = E2BIG; fail("processes"); }
  struct tracee *new = &tracees[tracee_count++];
  memset(new, 0, sizeof *new);
  new->pid = pid;
  return new;
}

static void forget(struct tracee *tracee) { *tracee = tracees[--tracee_count]; }

/// At its entry: no call is made, and `set_result` says at its exit what it returns.
static void skip_call(pid_t pid) {
#if defined(__x86_64__)
  if (ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.orig_rax), -1L) < 0) fail("skip a call");
#elif defined(__aarch64__)
  int none = -1;
  struct iovec part = {&none, sizeof none};
  if (ptrace(PTRACE_SETREGSET, pid, 0x404 /* NT_ARM_SYSTEM_CALL */, &part) < 0) fail("skip a call");
#else
#error "which register has the call's number?"
#endif
}

static void set_result(pid_t pid, long result) {
#if defined(__x86_64__)
  if (ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.rax), result) < 0) fail("set a result");
#elif defined(__aarch64__)
  struct user_regs_struct registers;
  struct iovec part = {&registers, sizeof registers};
  if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &part) < 0) fail("set a result");
  registers.regs[0] = (unsigned long)result;
  if (ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &part) < 0) fail("set a result");
#endif
}

static void tell(const struct tracee *tracee, long number) {
  if (!told) return;
  fprintf(told, "%s %ld\n", tracee->name, number);
  if (has_target) fflush(told);  // what hangs from here on is killed, and we with it
}

static void at_call(struct tracee *tracee) {
  struct __ptrace_syscall_info info;
  if (ptrace(PTRACE_GET_SYSCALL_INFO, tracee->pid, sizeof info, &info) < 0) return;  // killed meanwhile
  if (info.op == PTRACE_SYSCALL_INFO_EXIT && tracee->error) {
    set_result(tracee->pid, -tracee->error);
    tracee->error = 0;
    is_hit = 1;
  }
  if (info.op != PTRACE_SYSCALL_INFO_ENTRY || !begun) return;
  long number = (long)info.entry.nr;
  // A mapping first of all is a C library's, which ends the program without one.
  int error = number == SYS_mmap && tracee->is_new ? 0 : error_of(number);
  tracee->is_new = 0;
  if (only_failing && !error) return;
  tracee->calls++;
  if (!has_target) { tell(tracee, number); return; }
  if (tracee->calls != target_call || strcmp(tracee->name, target) != 0) return;
  tell(tracee, number);
  if (kills) {
    is_hit = 1;
    kill(tracee->pid, SIGKILL);
  } else {
    skip_call(tracee->pid);
    tracee->error = error ? error : EIO;
  }
}

static void go_on(struct tracee *tracee, int signal) {
  // What is to happen has happened: from here on everybody runs as ever.
  ptrace(is_hit ? PTRACE_DETACH : PTRACE_SYSCALL, tracee->pid, 0, (long)signal);
  if (is_hit) forget(tracee);
}

static void stopped(struct tracee *tracee, int status) {
  int signal = WSTOPSIG(status), event = status >> 16;
  unsigned long message = 0;
  switch (event) {
    case PTRACE_EVENT_FORK: case PTRACE_EVENT_VFORK: case PTRACE_EVENT_CLONE: {
      ptrace(PTRACE_GETEVENTMSG, tracee->pid, 0, &message);
      struct tracee *child = find((pid_t)message);
      snprintf(child->name, sizeof child->name, "%.100s.%d", tracee->name, ++tracee->children);
      if (child->waits) {
        child->waits = 0;
        pid_t maker = tracee->pid;
        go_on(child, 0);
        tracee = find(maker);
      }
      return go_on(tracee, 0);
    }
    case PTRACE_EVENT_EXEC:
      begun = 1;
      tracee->is_new = 1;
      return go_on(tracee, 0);
    case PTRACE_EVENT_STOP:
      if (!tracee->name[0]) {
        tracee->waits = 1;
        return;
      }
      if (signal == SIGTRAP || is_hit) return go_on(tracee, 0);
      ptrace(PTRACE_LISTEN, tracee->pid, 0, 0);  // it was stopped by a signal, and stays so
      return;
    case 0: break;
    default: return go_on(tracee, 0);
  }
  if (signal == (SIGTRAP | 0x80)) {
    at_call(tracee);
    return go_on(tracee, 0);
  }
  go_on(tracee, signal);
}

static void take_target(const char *text) {
  const char *colon = strchr(text, ':');
  if (!colon || (size_t)(colon - text) >= sizeof target) { errno = EINVAL; fail(text); }
  memcpy(target, text, (size_t)(colon - text));
  target_call = atol(colon + 1);
  has_target = 1;
}

int main(int count, char **words) {
  for (int option; (option = getopt(count, words, "+fwao:k:e:")) != -1;) switch (option) {
    case 'f': follows = 1; break;
    case 'w': waits = 1; break;
    case 'a': only_failing = 1; break;
    case 'o':
      told = fopen(optarg, "we");
      if (!told) fail(optarg);
      break;
    case 'k': kills = 1; take_target(optarg); break;
    case 'e': only_failing = 1; take_target(optarg); break;
    default: return 2;
  }
  int gate[2];
  if (pipe(gate) < 0) fail("pipe");
  pid_t command = fork();
  if (command < 0) fail("fork");
  if (command == 0) {
    char word;
    close(gate[1]);
    if (read(gate[0], &word, 1) < 0) _exit(125);
    close(gate[0]);
    execvp(words[optind], words + optind);
    _exit(127);
  }
  long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC;
  if (follows) options |= PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;
  if (ptrace(PTRACE_SEIZE, command, 0, options) < 0) fail("ptrace");
  // A stop to begin from; it comes when the command reads the gate, or before.
  ptrace(PTRACE_INTERRUPT, command, 0, 0);
  strcpy(find(command)->name, "0");
  close(gate[0]);
  close(gate[1]);

  int ended = -1;
  while (ended < 0 || (waits && !is_hit && tracee_count > 0)) {
    int status;
    pid_t pid = waitpid(-1, &status, __WALL);
    if (pid < 0) {
      if (errno == EINTR) continue;
      break;
    }
    if (WIFSTOPPED(status)) {
      stopped(find(pid), status);
      continue;
    }
    if (pid == command) ended = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    for (int i = 0; i < tracee_count; i++)
      if (tracees[i].pid == pid) forget(&tracees[i]);
    // Who made one may have been killed before he could tell of it.
    for (int i = tracee_count - 1; i >= 0; i--)
      if (tracees[i].waits) {
        tracees[i].waits = 0;
        strcpy(tracees[i].name, "?");
        go_on(&tracees[i], 0);
      }
  }
  if (told) fclose(told);
  // Whoever is traced still is let go by our end (ptrace(2)).
  return ended < 0 ? 125 : ended;
}
