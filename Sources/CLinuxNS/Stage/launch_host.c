// A launch by host root. It begins before there is a plan, and each process has its part ready when the next needs it:
//
//   builder     a mount namespace that the host owns, where the root is put together: its copy into the zone locks every
//               mount. A process of its own holds it, since to leave one means to wait until it is taken apart (0.3 ms
//               and more, for a grace period of RCU); its end is nobody's wait.
//   forerunner  user and network namespace (0.5 ms), while the launcher plans (forerun.c)
//   joiner      born in the zone's groups; it clones the zone's first process there, in the user namespace
//   first       in its other namespaces; when the root stands it takes the network, and its copy of the mounts
#include "keeper.h"
#include "forerun.h"
#include "init.h"
#include "launch.h"
#include "orders.h"
#include "process.h"

/// The zone's first process, until it is where it belongs.
static void move_in(int link, int gate, int exec_pipe, const struct forerunner *ahead) __attribute__((noreturn));
static void move_in(int link, int gate, int exec_pipe, const struct forerunner *ahead) {
  char message[16], moved = LINK_MOVED;
  int fds[5], count = 5;
  if (receive_message(link, message, sizeof message, fds, &count, 0, 0) != 1 || message[0] != LINK_GO) sys_exit(125);
  long result = count < 2 ? -EPROTO : map_plan(fds[0]);
  if (result < 0) link_failed(link, 0, STAGE_STEP_PLAN, result);
  if (orders.zone_flags & CLONE_NEWNET) {
    result = SYS2(__NR_setns, ahead->process, CLONE_NEWNET);
    if (result < 0) link_failed(link, 0, STAGE_STEP_NETWORK, result);
  }
  // The copy of the mount namespace carries the working directory over: so the zone finds its root as ".".
  result = SYS1(__NR_fchdir, fds[1]);
  if (result >= 0) result = SYS1(__NR_unshare, CLONE_NEWNS);
  if (result < 0) link_failed(link, 0, STAGE_STEP_CLONE, result);
  if (count == 5) payload_in = fds[2], payload_out = fds[3], payload_err = fds[4];
  sys_close(fds[0]);
  sys_close(fds[1]);
  sys_close(ahead->process);
  send_message(link, &moved, 1, 0, 0, 0);
  sys_close(link);
  be_first_process(gate, exec_pipe);
}

static void join(struct launch *launch, const struct groups *groups, const struct forerunner *ahead)
    __attribute__((noreturn));
static void join(struct launch *launch, const struct groups *groups, const struct forerunner *ahead) {
  int link = launch->link[1];
  long result = join_groups(groups->tasks, groups->task_count);
  if (result < 0) link_failed(link, 0, STAGE_STEP_CGROUP, result);
  result = SYS2(__NR_setns, ahead->process, CLONE_NEWUSER);
  if (result < 0) link_failed(link, 0, STAGE_STEP_USERNS, result);
  result = become_root(1);
  if (result < 0) link_failed(link, 0, STAGE_STEP_IDENTITY, result);
  struct clone_args args = {.flags = (orders.zone_flags & ~(uint32_t)(CLONE_NEWNET | CLONE_NEWNS)) | CLONE_PARENT};
  long pid = sys_clone3(&args);
  if (pid < 0) link_failed(link, 0, STAGE_STEP_CLONE, pid);
  if (pid == 0) move_in(link, launch->gate[1], launch->exec_pipe, ahead);
  int32_t number = (int32_t)pid;
  send_numbers(link, LINK_DONE, &number, 1);
  sys_exit(0);
}

/// Returns the joiner's pidfd.
static int make_joiner(struct zone *zone, struct launch *launch, const struct forerunner *ahead) {
  struct groups groups;
  hear_groups(&groups);
  int joiner = -1;
  // It and the zone's first process are the keeper's children, not ours.
  struct clone_args args = {.flags = CLONE_PARENT | CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&joiner};
  if (groups.directory >= 0) args.flags |= CLONE_INTO_CGROUP, args.cgroup = (uint64_t)groups.directory;
  launch->joiner = sys_clone3(&args);
  if (launch->joiner < 0) launch_failed(0, STAGE_STEP_JOINER, launch->joiner);
  if (launch->joiner == 0) {
    keep_far_side(zone, launch);
    sys_close(ahead->socket);
    join(launch, &groups, ahead);
  }
  keep_near_side(launch);
  return joiner;
}

static int is_built;

static void build(struct zone *zone, struct launch *launch) __attribute__((noreturn, noinline));
static void build(struct zone *zone, struct launch *launch) {
  struct forerunner ahead;
  int32_t failed = STAGE_STEP_PRIVATE;
  long result = sys_mount(0, "/", 0, MS_REC | MS_PRIVATE, 0);
  if (result >= 0) result = forerun(&ahead, orders.zone_flags, &failed);
  if (result < 0) launch_failed(0, failed, result);
  launch->forerunner = ahead.pid;
  struct stage_ids ids;
  hear_ids(&ids);
  result = map_forerunner(&ahead, &ids, &failed);
  if (result < 0) launch_failed(0, failed, result);
  userns_fd = ahead.user_namespace;
  int joiner = make_joiner(zone, launch, &ahead);

  hear_plan();
  if (plan->tier != STAGE_TIER_HOST || plan->zone_flags != orders.zone_flags) launch_failed(0, STAGE_STEP_PLAN, -EPROTO);
  set_up_stdio(zone);
  int32_t step = 0;
  result = run_section(STAGE_SECTION_TREE, &step);
  if (result < 0) launch_failed(STAGE_SECTION_TREE, step, result);
  char message[64];
  expect(launch->link[0], LINK_DONE, message, sizeof message, 0, 0);
  memcpy(&launch->first_pid, message + 1, 4);
  result = forerunner_is_done(&ahead, &failed);
  if (result < 0) launch_failed(0, failed, result);
  int fds[5] = {plan_fd, root_fd, payload_in, payload_out, payload_err};
  message[0] = LINK_GO;
  result = send_message(launch->link[0], message, 1, fds, plan->terminal ? 2 : 5, 0);
  if (result < 0) launch_failed(0, STAGE_STEP_DIED, result);
  // Whoever is the last in our mount namespace pays for taking it apart: that is to be us.
  wait_for_end(joiner);
  expect(launch->link[0], LINK_MOVED, message, sizeof message, 0, 0);
  sys_close(ahead.socket);
  wait_for_end(ahead.process);
  is_built = 1;
  sys_exit(0);
}

void launch_by_host(struct zone *zone, struct launch *launch) {
  // As vfork(2): we go on when it lets go of our memory, which it does before it lets go of its namespace.
  static int builder = -1;
  struct clone_args args = {
      .flags = CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_NEWNS | CLONE_PIDFD,
      .pidfd = (uint64_t)(uintptr_t)&builder, .exit_signal = SIGCHLD};
  long result = sys_clone3(&args);
  if (result == 0) build(zone, launch);
  if (result < 0) launch_failed(0, STAGE_STEP_UNSHARE, result);
  if (!is_built) sys_exit(125);  // it has told why
  zone->builder = builder;
}
