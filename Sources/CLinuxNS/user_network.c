// Namespaces that an ordinary user has power over, entered by a child on our memory, so that the caller stays where it is.
#define _GNU_SOURCE
#include "linux_ns.h"
#include "result.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

// Runs a function as vfork(2) would, on its own stack, with our memory and descriptors: what it opens, we have. It has
// its own credentials and namespaces. Its result is 0 or -errno.
static long run_beside(int (*function)(void *), void *argument, int flags) {
  enum { STACK = 64 * 1024 };
  char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return -errno;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int pidfd = -1;
  // No exit signal: nobody who waits for children of his own may find this one.
  long pid = RESULT(clone(function, stack + STACK, CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_PIDFD | flags, argument, &pidfd));
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  munmap(stack, STACK);
  if (pid < 0) return pid;
  siginfo_t end = {0};
  long waited;
  do waited = RESULT(waitid(P_PIDFD, (id_t)pidfd, &end, WEXITED | __WALL));
  while (waited == -EINTR);
  close(pidfd);
  return waited < 0 ? waited : end.si_code == CLD_EXITED ? -(long)end.si_status : -ECANCELED;
}

static int write_text(const char *path, const char *text) {
  int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return errno;
  ssize_t count = write(file, text, strlen(text));
  int error = count < 0 ? errno : 0;
  close(file);
  return error;
}

// `0 ID 1`; printf's family is not for a child on a borrowed memory.
static void single_map(char *room, unsigned id) {
  char digits[12];
  int count = 0;
  do digits[count++] = (char)('0' + id % 10);
  while ((id /= 10) > 0);
  *room++ = '0';
  *room++ = ' ';
  while (count > 0) *room++ = digits[--count];
  memcpy(room, " 1", 3);
}

struct user_network { unsigned uid, gid; int user, network, step; };

static int make_user_network(void *argument) {
  struct user_network *made = argument;
  char map[32];
  made->step = 1;
  int error = write_text("/proc/thread-self/setgroups", "deny");
  single_map(map, made->uid);
  if (!error) error = write_text("/proc/thread-self/uid_map", map);
  single_map(map, made->gid);
  if (!error) error = write_text("/proc/thread-self/gid_map", map);
  if (error) _exit(error);
  made->step = 3;
  error = write_text("/proc/sys/net/ipv4/ip_forward", "1");
  if (error) _exit(error);
  made->step = 2;
  made->user = open("/proc/thread-self/ns/user", O_RDONLY | O_CLOEXEC);
  if (made->user < 0) _exit(errno);
  made->network = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (made->network < 0) {
    error = errno;
    close(made->user);
    _exit(error);
  }
  _exit(0);
}

long zns_make_user_network(int *user_namespace, int *network_namespace, int *step) {
  struct user_network made = {.uid = geteuid(), .gid = getegid(), .user = -1, .network = -1};
  long result = run_beside(make_user_network, &made, CLONE_NEWUSER | CLONE_NEWNET);
  *user_namespace = made.user;
  *network_namespace = made.network;
  *step = made.step;
  return result;
}

struct sockets_in { int network, user, count; const struct zns_socket_kind *kinds; int *sockets; };

static int make_sockets(void *argument) {
  struct sockets_in *wish = argument;
  // EINVAL: it is our own user namespace already.
  if ((setns(wish->user, CLONE_NEWUSER) < 0 && errno != EINVAL) || setns(wish->network, CLONE_NEWNET) < 0) _exit(errno);
  for (int i = 0; i < wish->count; i++) {
    const struct zns_socket_kind *kind = &wish->kinds[i];
    wish->sockets[i] = socket(kind->domain, kind->type | SOCK_CLOEXEC, kind->protocol);
    if (wish->sockets[i] < 0) {
      int error = errno;
      while (i-- > 0) close(wish->sockets[i]);
      _exit(error);
    }
  }
  _exit(0);
}

long zns_sockets_in(int network_namespace, const struct zns_socket_kind *kinds, int count, int *sockets) {
  // ioctl_nsfs(2), NS_GET_USERNS
  int owner = ioctl(network_namespace, 0xb701);
  if (owner < 0) return -errno;
  struct sockets_in wish = {network_namespace, owner, count, kinds, sockets};
  long result = run_beside(make_sockets, &wish, 0);
  close(owner);
  return result;
}

static int act_as_root(void *argument) {
  (void)argument;
  // AppArmor's switch lets the namespace be made, and refuses what needs a capability in it.
  return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? errno : 0;
}

long zns_try_user_namespace(void) { return run_beside(act_as_root, NULL, CLONE_NEWUSER | CLONE_NEWNS); }
