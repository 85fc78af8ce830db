// The stage's only library: system calls and a few loops. Results are the kernel's: a value, or -errno.
#ifndef KERNEL_H
#define KERNEL_H

#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/stat.h>
#include <linux/types.h>
#include <asm/errno.h>
#include <asm/ioctls.h>
#include <asm/signal.h>
#include <asm/stat.h>
#include <asm/statfs.h>
#include <asm/unistd.h>
#include <stddef.h>
#include <stdint.h>

#include "stage_plan.h"

#if defined(STAGE_SYSTEM_CALLS)
// Tests/fuzz plays the kernel.
long sys6(long n, long a, long b, long c, long d, long e, long f);
#elif defined(__x86_64__)
__attribute__((always_inline)) static inline long sys6(long n, long a, long b, long c, long d, long e, long f) {
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
__attribute__((always_inline)) static inline long sys6(long n, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = n;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
#else
#error "the stage knows x86-64 and aarch64"
#endif

#define SYS(n, a, b, c, d, e, f) sys6((n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define SYS0(n) SYS(n, 0, 0, 0, 0, 0, 0)
#define SYS1(n, a) SYS(n, a, 0, 0, 0, 0, 0)
#define SYS2(n, a, b) SYS(n, a, b, 0, 0, 0, 0)
#define SYS3(n, a, b, c) SYS(n, a, b, c, 0, 0, 0)
#define SYS4(n, a, b, c, d) SYS(n, a, b, c, d, 0, 0)
#define SYS5(n, a, b, c, d, e) SYS(n, a, b, c, d, e, 0)

#ifndef AT_FDCWD
#define AT_FDCWD -100
#endif
#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef O_CLOEXEC
#define O_CLOEXEC 02000000
#endif
#define MNT_DETACH 2
#define AF_UNIX 1
#define AF_INET 2
#define SOCK_DGRAM 2
#define SOCK_SEQPACKET 5
#define SOCK_CLOEXEC 02000000
#define SOCK_NONBLOCK 04000
#define MSG_PEEK 2
#define MSG_DONTWAIT 0x40
#define MSG_NOSIGNAL 0x4000
#define MSG_CMSG_CLOEXEC 0x40000000
#define MSG_CTRUNC 8
#define SOL_SOCKET 1
#define SCM_RIGHTS 1
#define SCM_CREDENTIALS 2
#define SO_PASSCRED 16
#define SO_PEERCRED 17
#define P_PIDFD 3
#define P_PID 1
#define WEXITED 4
#define WNOHANG 1
#define CLD_EXITED 1

typedef struct { uint64_t bits; } signals;
struct ucred_ { int32_t pid; uint32_t uid, gid; };
struct iovec_ { void *base; size_t length; };
struct msghdr_ {
  void *name; int name_length; struct iovec_ *parts; size_t part_count;
  void *control; size_t control_length; unsigned flags;
};
struct cmsghdr_ { size_t length; int level, type; };
// siginfo_t as waitid fills it: signo, errno, code, (pad), pid, uid, status.
struct child_info { int signo, error, code, pad; int pid; unsigned uid; int status; int rest[25]; };

static inline long sys_open(int at, const char *path, int flags, int mode) {
  return SYS4(__NR_openat, at, path, flags | O_CLOEXEC, mode);
}
// The two that are called everywhere: a copy in each file would be a page of the stage.
long sys_close(int fd);
__attribute__((noreturn)) void sys_exit(int status);
static inline long sys_read(int fd, void *to, size_t n) { return SYS3(__NR_read, fd, to, n); }
static inline long sys_write(int fd, const void *from, size_t n) { return SYS3(__NR_write, fd, from, n); }
static inline long sys_mount(const char *s, const char *t, const char *type, unsigned long flags, const char *data) {
  return SYS5(__NR_mount, s, t, type, flags, data);
}
static inline long sys_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
  return SYS5(__NR_prctl, option, a, b, c, d);
}
/// In its caller's own frame, always: a child on our memory and stack would return over the parent's return address.
__attribute__((always_inline)) static inline long sys_clone3(struct clone_args *args) { return SYS2(__NR_clone3, args, sizeof *args); }
static inline long sys_poll(struct pollfd *fds, unsigned n) { return SYS5(__NR_ppoll, fds, n, 0, 0, 0); }

/// openat2 with O_CLOEXEC. Of a path with `..` in it, or in a link on its way, the kernel says EAGAIN when anything at all on
/// the machine was mounted or renamed meanwhile. That passes; a bound, since somebody may rename without end.
long sys_resolve(int at, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);

static inline size_t length(const char *s) {
  size_t n = 0;
  while (s[n]) n++;
  return n;
}

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memset(void *to, int value, size_t n);
void *memmove(void *to, const void *from, size_t n);
int memcmp(const void *a, const void *b, size_t n);

/// Decimal digits of `value` at `to`; returns the end.
char *put_number(char *to, uint64_t value);
char *put_text(char *to, const char *text);

/// Sends one message: a byte of kind and `count` i32. Never raises SIGPIPE.
long send_numbers(int socket, char kind, const int32_t *numbers, int count);
/// Sends bytes with descriptors (at most 16).
long send_message(int socket, const void *bytes, size_t n, const int *fds, int fd_count, int flags);
/// Receives one message; *sender is its sender's pid where SO_PASSCRED is on. Descriptors that come along go to
/// `fds` (at most *fd_count).
long receive_message(int socket, void *bytes, size_t room, int *fds, int *fd_count, int *sender, int flags);

/// argv[0], to be written over by who is another program in ps(1) than the one that was executed.
extern char *program_name;

// The plan
extern const struct stage_plan *plan;
static inline const char *text(uint32_t offset) { return offset ? (const char *)plan + offset : 0; }
static inline const struct stage_op *op_at(uint32_t index) {
  return (const struct stage_op *)((const char *)plan + plan->ops) + index;
}

/// The zone's root while it is put together, and the user namespace for id maps; slots that ops fill.
extern int root_fd, userns_fd, master_fd, slave_fd, devpts_fd;

/// Runs one section. 0, or -errno with *step set to the op's index.
long run_section(int section, int32_t *step);

__attribute__((noreturn)) void keep_zone(void);
__attribute__((noreturn)) void join_zone(void);

/// The joiner's and the execution's common parts.
long write_file(const char *path, const char *content);
long write_map(int pid, const char *name, const char *content);
/// /proc/PID/ns/NAME.
/// waitid(2) for the end of a child, asked again where the kernel could not tell it: an end that is not heard is a wrong status,
/// or a wait for ever. -errno where it cannot for long.
long wait_for_child(int type, long id, struct child_info *info);
long open_namespace(int pid, const char *name);
/// With groups: drops the caller's supplementary groups too.
long become_root(int groups);
/// Moves the caller into the v1 groups of these `tasks` files.
long join_groups(const int *tasks, int count);

/// What the zone's first process and its children say to the keeper over the gate socket.
enum gate_message {
  GATE_READY = 'y',    // at the gate; descriptors: terminal master, devpts (where there are)
  GATE_FAILED = 'f',   // i32 section, step, errno
  GATE_GO = 'g',       // from the keeper
  GATE_PROCESS = 'p',  // from the command, just before it executes: the kernel adds its pid
  GATE_EXITED = 'x',   // i32 code, signal
  GATE_SIGNAL = 'k',   // from the keeper: i32 signal for the command
};

#endif
