// Starting a program without copying our memory.
#define _GNU_SOURCE
#include "linux_ns.h"
#include "result.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST_SPAWN_FDS = 512 };

struct spawn_child { const struct zns_spawn *spawn; int user_namespace; sigset_t mask; int error; };

static void spawn_run(void *argument) {
  struct spawn_child *child = argument;
  const struct zns_spawn *spawn = child->spawn;
  // The parent's handlers run on memory we share: back to the default before a signal can come.
  for (int n = 1; n < 65 && !spawn->blocked; n++) {
    struct sigaction action;
    if (n == SIGKILL || n == SIGSTOP || sigaction(n, NULL, &action) < 0) continue;
    if (action.sa_handler == SIG_IGN && n != SIGPIPE) continue;
    if (action.sa_handler == SIG_DFL) continue;
    memset(&action, 0, sizeof action);
    sigaction(n, &action, NULL);
  }
  if (spawn->new_session && setsid() < 0) goto failed;
  if (child->user_namespace >= 0 && setns(child->user_namespace, CLONE_NEWUSER) < 0) goto failed;
  // First lift every descriptor above the target numbers, then put each in its place: no order can overwrite one. No
  // further than needed: the caller's RLIMIT_NOFILE may be low.
  int executable = spawn->executable;
  if (executable >= 0) {
    executable = fcntl(executable, F_DUPFD_CLOEXEC, spawn->fd_count);
    if (executable < 0) goto failed;
  }
  int lifted[MOST_SPAWN_FDS];
  if (spawn->fd_count > MOST_SPAWN_FDS) { errno = E2BIG; goto failed; }
  for (int i = 0; i < spawn->fd_count; i++) {
    lifted[i] = -1;
    if (spawn->fds[i] < 0) continue;
    lifted[i] = fcntl(spawn->fds[i], F_DUPFD_CLOEXEC, spawn->fd_count);
    if (lifted[i] < 0) goto failed;
  }
  for (int i = 0; i < spawn->fd_count; i++) {
    if (lifted[i] < 0) { close(i); continue; }
    if (dup2(lifted[i], i) < 0) goto failed;
  }
  if (syscall(SYS_close_range, (unsigned)spawn->fd_count, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */) < 0) goto failed;
  sigset_t none;
  sigemptyset(&none);
  if (!spawn->blocked) sigprocmask(SIG_SETMASK, &none, NULL);
  if (executable >= 0) syscall(SYS_execveat, executable, "", spawn->argv, spawn->envp, AT_EMPTY_PATH);
  else execve(spawn->path, spawn->argv, spawn->envp);
failed:
  child->error = errno ? errno : EINVAL;
  _exit(127);
}

// clone3(2), which no C library wraps: the child calls `run` on the stack that it is given, and does not come back.
struct clone3_arguments { uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup; };
static long clone3(struct clone3_arguments *arguments, void (*run)(void *), void *argument) {
#if defined(__x86_64__)
  register long result __asm__("rax") = SYS_clone3;
  register void (*child)(void *) __asm__("r8") = run;
  register void *given __asm__("r9") = argument;
  __asm__ volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "mov %%r9, %%rdi\n\t"
      "call *%%r8\n\t"
      "hlt\n"
      "1:"
      : "+r"(result)
      : "D"(arguments), "S"(sizeof *arguments), "r"(child), "r"(given)
      : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long number __asm__("x8") = SYS_clone3;
  register long result __asm__("x0") = (long)arguments;
  register long size __asm__("x1") = sizeof *arguments;
  register void (*child)(void *) __asm__("x9") = run;
  register void *given __asm__("x10") = argument;
  __asm__ volatile(
      "svc 0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x29, xzr\n\t"
      "mov x0, x10\n\t"
      "blr x9\n\t"
      "brk 1\n"
      "1:"
      : "+r"(result)
      : "r"(number), "r"(size), "r"(child), "r"(given)
      : "memory");
  return result;
#else
#error "clone3 of this processor"
#endif
}

long zns_spawn(const struct zns_spawn *spawn, int *pidfd) { return zns_spawn_in(-1, spawn, pidfd); }

long zns_spawn_in(int user_namespace, const struct zns_spawn *spawn, int *pidfd) {
  enum { STACK = 64 * 1024 };
  char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return -errno;
  struct spawn_child child = {.spawn = spawn, .user_namespace = user_namespace};
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &child.mask);
  *pidfd = -1;
  struct clone3_arguments arguments = {
      .flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | (spawn->cgroup >= 0 ? 0x200000000 /* CLONE_INTO_CGROUP */ : 0),
      .pidfd = (uint64_t)(uintptr_t)pidfd, .exit_signal = SIGCHLD, .stack = (uint64_t)(uintptr_t)stack,
      .stack_size = STACK, .cgroup = spawn->cgroup >= 0 ? (uint64_t)spawn->cgroup : 0};
  // CLONE_VFORK suspends this thread until the child has executed or exited, so the stack may be local to the call.
  long pid = clone3(&arguments, spawn_run, &child);
  pthread_sigmask(SIG_SETMASK, &child.mask, NULL);
  munmap(stack, STACK);
  if (pid > 0 && child.error) {
    int code, status;
    zns_wait_pidfd(*pidfd, 0, &code, &status);
    close(*pidfd);
    *pidfd = -1;
    return -child.error;
  }
  return pid;
}
