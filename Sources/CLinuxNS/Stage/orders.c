// The launcher's orders: what a launch begins with, and the plan with its descriptors.
#include "kernel.h"
#include "ops.h"
#include "orders.h"

const struct stage_plan *plan;
struct orders orders;
int plan_fd = -1;
uint32_t made_ahead;

static void refuse_at(int32_t step, long error) __attribute__((noreturn));
static void refuse_at(int32_t step, long error) {
  int32_t numbers[3] = {-1, step, (int32_t)-error};
  send_numbers(STAGE_FD_CONTROL, STAGE_SAYS_FAILED, numbers, 3);
  sys_exit(125);
}

static void refuse(long error) __attribute__((noreturn));
static void refuse(long error) { refuse_at(STAGE_STEP_PLAN, error); }

/// The launcher's next message, with its descriptors.
static long hear(char *message, size_t room, int *fds, int *count) {
  *count = STAGE_FDS_A_MESSAGE;
  long got = receive_message(STAGE_FD_CONTROL, message, room, fds, count, 0, 0);
  if (got == -EMFILE) refuse(got);
  if (got <= 0) sys_exit(125);  // the launcher has gone, or thought better of it
  return got;
}

long map_plan(int fd) {
  struct statx status;
  long result = SYS5(__NR_statx, fd, "", AT_EMPTY_PATH, STATX_SIZE, &status);
  if (result < 0) return result;
  result = SYS(__NR_mmap, 0, status.stx_size, 1 /* PROT_READ */, 2 /* MAP_PRIVATE */, fd, 0);
  if (result > -4096 && result < 0) return result;
  const struct stage_plan *mapped = (const struct stage_plan *)result;
  if (status.stx_size < sizeof *mapped || mapped->magic != STAGE_MAGIC || mapped->version != STAGE_PLAN_VERSION ||
      mapped->size != status.stx_size)
    return -EINVAL;
  plan = mapped;
  return 0;
}

/// Gives a descriptor the number it is to have. The kernel chooses the lowest free one, far below the places.
static void place(int fd, int number) {
  if (fd >= STAGE_FD_GROUPS) refuse(-EMFILE);
  long result = SYS3(__NR_dup3, fd, number, O_CLOEXEC);
  // dup(2): a number above RLIMIT_NOFILE is no descriptor.
  if (result < 0) refuse(result == -EBADF ? -EMFILE : result);
  sys_close(fd);
}

static void take_plan(const char *message, long got, int *fds, int count) {
  int number = STAGE_FD_FIRST;
  for (;;) {
    if (got != 2 || message[0] != STAGE_PLAN) refuse(-EPROTO);
    for (int i = 0; i < count; i++) {
      if (plan_fd < 0) {
        plan_fd = fds[i];
        long result = map_plan(plan_fd);
        if (result < 0) refuse(result);
      } else place(fds[i], number++);
    }
    if (!message[1]) break;
    static char next[4];
    got = hear(next, sizeof next, fds, &count);
    message = next;
  }
  if (!plan) refuse(-EPROTO);
}

void hear_plan(void) {
  char message[4];
  int fds[STAGE_FDS_A_MESSAGE], count;
  long got = hear(message, sizeof message, fds, &count);
  take_plan(message, got, fds, count);
}

void hear_ground(struct ground *ground) {
  static char message[2 + sizeof ground->ids];
  int fds[STAGE_FDS_A_MESSAGE], count, first = STAGE_FD_GROUPS;
  long got = hear(message, sizeof message, fds, &count);
  if (got != sizeof message || message[0] != STAGE_GROUND || count > 1 + STAGE_MOST_GROUPS || count < 1 + message[1])
    refuse(-EPROTO);
  memcpy(&ground->ids, message + 2, sizeof ground->ids);
  ground->ids.uid_map[sizeof ground->ids.uid_map - 1] = ground->ids.gid_map[sizeof ground->ids.gid_map - 1] = 0;
  ground->run_directory = fds[0];
  count--;
  for (int i = 0; i < count; i++) place(fds[i + 1], STAGE_FD_GROUPS + i);
  ground->directory = message[1] ? first++ : -1;
  ground->task_count = STAGE_FD_GROUPS + count - first;
  for (int i = 0; i < ground->task_count; i++) ground->tasks[i] = first + i;
}

void hear_orders(void) {
  char message[8];
  int fds[STAGE_FDS_A_MESSAGE], count;
  long got = hear(message, sizeof message, fds, &count);
  if (message[0] == STAGE_AHEAD && got == 5) {
    // The network namespace alone takes half a millisecond: meanwhile the launcher makes groups and a plan.
    memcpy(&made_ahead, message + 1, 4);
    long result = SYS1(__NR_unshare, made_ahead);
    if (result < 0) refuse_at(STAGE_STEP_CLONE, result);
    // Where it fails here it is tried again, and told, as a step of the plan.
    if (made_ahead & CLONE_NEWNET) loopback_is_up = loopback() >= 0;
    return hear_plan();
  }
  if (message[0] != STAGE_BEGIN) return take_plan(message, got, fds, count);
  if (got != 6) refuse(-EPROTO);
  memcpy(&orders.zone_flags, message + 1, 4);
  orders.tell_network = message[5];
  if (!is_begun()) refuse(-EPROTO);
}
