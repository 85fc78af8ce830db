// System calls that a zone has no business with, and powers that it must not have or get.
#include "attack.h"
#include <linux/bpf.h>
#include <linux/sched.h>
#include <sys/personality.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>

static int nothing(void *unused) {
  (void)unused;
  return 0;
}

/// Tries in a child, for a success would change this process.
#define CHILD(name, call)                   \
  do {                                      \
    fflush(stdout);                         \
    pid_t pid = fork();                     \
    if (pid == 0) {                         \
      TRY(name, call);                      \
      _exit(0);                             \
    }                                       \
    waitpid(pid, NULL, 0);                  \
  } while (0)

int main(void) {
  static char stack[65536];
  struct clone_args arguments = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
  CHILD("unshare user namespace", unshare(CLONE_NEWUSER));
  CHILD("unshare mount namespace", unshare(CLONE_NEWNS));
  CHILD("unshare net namespace", unshare(CLONE_NEWNET));
  TRY("clone user namespace", clone(nothing, stack + sizeof stack, CLONE_NEWUSER | SIGCHLD, NULL));
  {
    errno = 0;
    long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid == 0) _exit(0);
    told("clone3 user namespace", pid);
  }
  {
    arguments.flags = 0;
    errno = 0;
    long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid == 0) _exit(0);
    told("clone3", pid);
  }
  int self = open("/proc/1/ns/user", O_RDONLY);
  CHILD("setns", setns(self, 0));
  TRY("keyctl", syscall(SYS_keyctl, 0, -3, 1));
  TRY("add_key", syscall(SYS_add_key, "user", "zones", "x", 1, -3));
  TRY("request_key", syscall(SYS_request_key, "user", "zones", NULL, -3));
  union bpf_attr attributes = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
  TRY("bpf", syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes));
  char ring[128] = {0};
  TRY("io_uring_setup", syscall(SYS_io_uring_setup, 4, ring));
  TRY("userfaultfd", syscall(SYS_userfaultfd, 0));
  TRY("userfaultfd user mode", syscall(SYS_userfaultfd, 1));
  char event[128] = {0};
  TRY("perf_event_open", syscall(SYS_perf_event_open, event, 0, -1, -1, 0));
  TRY("reboot", reboot(RB_DISABLE_CAD));
  TRY("kexec_load", syscall(SYS_kexec_load, 0, 0, NULL, 0));
  TRY("init_module", syscall(SYS_init_module, stack, 1, ""));
  TRY("finit_module", syscall(SYS_finit_module, 0, "", 0));
  TRY("delete_module", syscall(SYS_delete_module, "none", 0));
  TRY("open_by_handle_at", syscall(SYS_open_by_handle_at, AT_FDCWD, stack, O_RDONLY));
  struct timeval now;
  gettimeofday(&now, NULL);
  TRY("settimeofday", settimeofday(&now, NULL));
  TRY("acct", syscall(SYS_acct, NULL));
  TRY("quotactl", syscall(SYS_quotactl, 0, "/", 0, NULL));
  TRY("iopl", syscall(SYS_iopl, 3));
  TRY("mknod disk", mknod("/tmp/disk", S_IFBLK | 0600, (254 << 8) | 0));
  TRY("raw socket", socket(AF_INET, SOCK_RAW, 1));
  TRY("packet socket", socket(AF_PACKET, SOCK_RAW, 0));
  TRY("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
  TRY("syslog", syscall(SYS_syslog, 3, stack, sizeof stack));
  TRY("lookup_dcookie", syscall(SYS_lookup_dcookie, 0, stack, 10));
  TRY("set 32 bit personality", personality(0x0008 | 0x0040000));
  return 0;
}
