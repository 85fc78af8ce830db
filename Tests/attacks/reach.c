// One way out of a sandbox each: prints TAKEN where it is open, the errno where it is not.
#define ALSO_ON_THE_HOST
#include "attack.h"
#include <arpa/inet.h>
#include <linux/vm_sockets.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>

static int tell(int taken) {
  if (taken) puts("TAKEN");
  else puts(strerrorname_np(errno));
  return !taken;
}

/// A call whose arguments are of no use: what matters is whether it gets as far as the kernel's own look at them.
static int gets_through(long result) { return result >= 0 || (errno != EPERM && errno != ENOSYS); }

static int connects(int family, struct sockaddr *to, socklen_t size, int type) {
  int fd = socket(family, type | SOCK_NONBLOCK, 0);
  if (fd < 0) return 0;
  if (connect(fd, to, size) < 0 && errno != EINPROGRESS) return 0;
  // A datagram's way out is seen when one is sent.
  return type == SOCK_STREAM ? 1 : send(fd, "x", 1, 0) == 1;
}

/// Not an attack: executes a program in a Landlock domain of somebody's.
static int within(char **program) {
  uint64_t rules = 1 << 11;
  int ruleset = (int)syscall(444, &rules, sizeof rules, 0);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(446, ruleset, 0) < 0) return tell(0);
  execvp(program[0], program);
  return 2;
}

int main(int count, char **word) {
  if (count > 2 && !strcmp(word[1], "within")) return within(word + 2);
  refuse_outside_a_zone();
  if (count < 2) return 2;
  const char *what = word[1];
  struct sockaddr_in four = {.sin_family = AF_INET};
  struct sockaddr_in6 six = {.sin6_family = AF_INET6};
  struct sockaddr_un named = {.sun_family = AF_UNIX};
  if (count == 4) {
    inet_pton(AF_INET, word[2], &four.sin_addr);
    inet_pton(AF_INET6, word[2], &six.sin6_addr);
    four.sin_port = six.sin6_port = htons((unsigned short)atoi(word[3]));
  }
  if (!strcmp(what, "tcp")) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return tell(connect(fd, (struct sockaddr *)&four, sizeof four) == 0);
  }
  if (!strcmp(what, "route")) return tell(connects(AF_INET, (struct sockaddr *)&four, sizeof four, SOCK_DGRAM));
  if (!strcmp(what, "route6")) return tell(connects(AF_INET6, (struct sockaddr *)&six, sizeof six, SOCK_DGRAM));
  if (!strcmp(what, "abstract") || !strcmp(what, "unix")) {
    size_t length = strlen(word[2]);
    int hidden = *what == 'a';
    memcpy(named.sun_path + hidden, word[2], length);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    return tell(connects(AF_UNIX, (struct sockaddr *)&named, size, SOCK_STREAM));
  }
  if (!strcmp(what, "vsock")) return tell(socket(AF_VSOCK, SOCK_STREAM, 0) >= 0);
  if (!strcmp(what, "packet")) return tell(socket(AF_PACKET, SOCK_RAW, 0) >= 0);
  if (!strcmp(what, "tiocsti")) return tell(gets_through(ioctl(0, TIOCSTI, "x")));
  if (!strcmp(what, "io_uring")) return tell(gets_through(syscall(425, 1, 0)));
  if (!strcmp(what, "userfaultfd")) return tell(gets_through(syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */)));
  if (!strcmp(what, "keyring")) return tell(gets_through(syscall(SYS_keyctl, 0, -3, 0)));
  if (!strcmp(what, "bpf")) return tell(gets_through(syscall(SYS_bpf, 0, 0, 0)));
  if (!strcmp(what, "perf")) return tell(gets_through(syscall(SYS_perf_event_open, 0, 0, -1, -1, 0)));
  if (!strcmp(what, "userns")) return tell(unshare(CLONE_NEWUSER) == 0);
  if (!strcmp(what, "mount")) return tell(mount("tmpfs", "/mnt", "tmpfs", 0, 0) == 0);
  if (!strcmp(what, "chroot")) return tell(chroot("/tmp") == 0);
  if (!strcmp(what, "shm")) return tell(shmget((key_t)strtol(word[2], 0, 0), 1, 0) >= 0);
  if (!strcmp(what, "signal")) return tell(kill((pid_t)atoi(word[2]), 0) == 0);
  if (!strcmp(what, "privileges")) return tell(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1);
  if (!strcmp(what, "domains")) {
    // How many more there can be around it: of MAKE_BLOCK, which it may not do anyway (landlock(7)).
    uint64_t rules = 1 << 11;
    int made = 0;
    for (;; made++) {
      int ruleset = (int)syscall(444, &rules, sizeof rules, 0);
      if (ruleset < 0 || syscall(446, ruleset, 0) < 0) break;
      close(ruleset);
    }
    printf("%d\n", made);
    return 0;
  }
  if (!strcmp(what, "forks")) {
    // As many as it gets: the number is told, and they end with us.
    int made = 0;
    while (made < 5000) {
      pid_t child = fork();
      if (child == 0) { pause(); _exit(0); }
      if (child < 0) break;
      made++;
    }
    printf("%d\n", made);
    return 0;
  }
  return 2;
}
