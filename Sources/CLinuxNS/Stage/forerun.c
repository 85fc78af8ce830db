// The namespaces that take longest, made ahead of the zone: while the launcher plans and the builder puts the root
// together, the forerunner makes the network namespace (0.5 ms) and brings its lo up (0.1 ms). The zone's first process
// comes into them by the joiner, who is born in the zone's groups, which the forerunner is not.
#include "kernel.h"
#include "forerun.h"
#include "ops.h"

enum { MAPPED = 'm', DONE = 'd' };

static void run_ahead(int socket, uint32_t flags) __attribute__((noreturn));
static void run_ahead(int socket, uint32_t flags) {
  char message[4];
  // Files of the network namespace in /proc and /sys belong to the zone's root, hence not before the ids are mapped.
  if (receive_message(socket, message, sizeof message, 0, 0, 0, 0) != 1 || message[0] != MAPPED) sys_exit(125);
  int32_t result = 0;
  if (flags & CLONE_NEWNET) {
    result = (int32_t)SYS1(__NR_unshare, CLONE_NEWNET);
    if (result >= 0) result = (int32_t)loopback();
  }
  send_numbers(socket, DONE, &result, 1);
  receive_message(socket, message, sizeof message, 0, 0, 0, 0);  // the end of who made us
  sys_exit(0);
}

long forerun(struct forerunner *forerunner, uint32_t zone_flags, int32_t *failed) {
  int ends[2];
  *failed = STAGE_STEP_JOINER;
  long result = SYS4(__NR_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
  if (result < 0) return result;
  struct clone_args args = {
      .flags = CLONE_NEWUSER | CLONE_PARENT | CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&forerunner->process};
  result = sys_clone3(&args);
  if (result < 0) return result;
  if (result == 0) {
    // Its maker's end is seen only where nobody else holds that end: all but the one socket is closed.
    SYS3(__NR_dup3, ends[1], 0, O_CLOEXEC);
    SYS3(__NR_close_range, 1, ~0u, 0);
    run_ahead(0, zone_flags);
  }
  forerunner->pid = result;
  forerunner->socket = ends[0];
  sys_close(ends[1]);
  return 0;
}

long map_forerunner(struct forerunner *forerunner, const struct stage_ids *ids, int32_t *failed) {
  char mapped = MAPPED;
  *failed = STAGE_STEP_MAP;
  long result = write_map((int)forerunner->pid, "uid_map", ids->uid_map);
  if (result >= 0) result = write_map((int)forerunner->pid, "gid_map", ids->gid_map);
  if (result >= 0) result = send_message(forerunner->socket, &mapped, 1, 0, 0, 0);
  if (result < 0) return result;
  *failed = STAGE_STEP_USERNS;
  char path[64], *end = put_text(path, "/proc/");
  end = put_number(end, (uint64_t)forerunner->pid);
  *put_text(end, "/ns/user") = 0;
  result = sys_open(AT_FDCWD, path, O_RDONLY, 0);
  if (result < 0) return result;
  forerunner->user_namespace = (int)result;
  return 0;
}

long forerunner_is_done(const struct forerunner *forerunner, int32_t *failed) {
  char message[8];
  int32_t result = -EPIPE;
  *failed = STAGE_STEP_NETWORK;
  long got = receive_message(forerunner->socket, message, sizeof message, 0, 0, 0, 0);
  if (got == 5 && message[0] == DONE) memcpy(&result, message + 1, 4);
  return result;
}
