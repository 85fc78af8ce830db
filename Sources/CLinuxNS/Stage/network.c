// The network namespace takes longest of all (0.4 ms and more), and lo a tenth of it. So a process of its own makes it
// while the launcher plans, the root is put together and the zone's first process mounts what needs no network.
#include "kernel.h"
#include "network.h"
#include "ops.h"
#include "orders.h"

enum { STANDS = 's' };

enum { OURS = 0, LAUNCHERS = 1 };

/// The launcher puts it on its network while the zone is made.
static void tell_launcher(void) {
  char kind = STAGE_SAYS_NETWORK;
  // Where it cannot be opened nothing is told, and the launcher opens it when the zone's first process is in it.
  int fd = (int)sys_open(AT_FDCWD, "/proc/self/ns/net", O_RDONLY, 0);
  if (fd < 0) return;
  send_message(LAUNCHERS, &kind, 1, &fd, 1, 0);
  sys_close(fd);
}

static void make(int socket, int user_namespace) __attribute__((noreturn));
static void make(int socket, int user_namespace) {
  char message[4];
  // It stays the host's root in name, so that it stays dumpable, which who comes in by its pidfd asks for.
  long result = SYS2(__NR_setns, user_namespace, CLONE_NEWUSER);
  // Whoever made us holds the other end of much: its end is seen only where we hold none of it.
  if (result >= 0) result = SYS3(__NR_dup3, socket, OURS, O_CLOEXEC);
  if (result >= 0) {
    socket = OURS;
    result = SYS3(__NR_dup3, STAGE_FD_CONTROL, LAUNCHERS, O_CLOEXEC);
  }
  if (result >= 0) result = SYS3(__NR_close_range, LAUNCHERS + 1, ~0u, 0);
  if (result >= 0) result = SYS1(__NR_unshare, CLONE_NEWNET);
  if (result >= 0) result = loopback();
  int32_t number = (int32_t)result;
  send_numbers(socket, STANDS, &number, 1);
  if (number < 0) sys_exit(125);
  if (orders.tell_network) tell_launcher();
  sys_close(LAUNCHERS);
  receive_message(OURS, message, sizeof message, 0, 0, 0, 0);  // the end of the last who may want to enter
  sys_exit(0);
}

struct network zone_network = {-1, -1};

long make_network(struct network *network, int user_namespace) {
  int ends[2];
  long result = SYS4(__NR_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
  if (result < 0) return result;
  struct clone_args args = {
      .flags = CLONE_PARENT | CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&network->process};
  result = sys_clone3(&args);
  if (result < 0) return result;
  if (result == 0) make(ends[1], user_namespace);
  network->socket = ends[0];
  sys_close(ends[1]);
  return 0;
}

long enter_network(struct network *network) {
  if (network->socket < 0) return 0;
  char message[8];
  int32_t result = -EPIPE;
  // The zone's init and the command's process both wait for it: it is looked at, not taken, and by poll(2), since of those
  // who wait in recvmsg(2) one message wakes only one.
  struct pollfd stands = {network->socket, POLLIN, 0};
  while (sys_poll(&stands, 1) < 0) {}
  long got = receive_message(network->socket, message, sizeof message, 0, 0, 0, MSG_PEEK);
  if (got == 5 && message[0] == STANDS) memcpy(&result, message + 1, 4);
  if (result >= 0) result = (int32_t)SYS2(__NR_setns, network->process, CLONE_NEWNET);
  sys_close(network->socket);
  sys_close(network->process);
  network->socket = -1;
  return result;
}
