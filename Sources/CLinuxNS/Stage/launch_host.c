// A launch by host root. It begins before there is a plan, and each process has its part ready when the next needs it:
//
//   builder  a mount namespace that the host owns, where the root is put together: its copy into the zone locks every
//            mount. A process of its own holds it, since to leave one means to wait until it is taken apart (0.3 ms
//            and more, for a grace period of RCU); its end is nobody's wait.
//   first    the zone's first process, born in its groups with its ids; when the root stands it takes its copy of the
//            mounts, and last it goes into the network
//   network  makes the network namespace meanwhile (network.c)
#include "keeper.h"
#include "init.h"
#include "launch.h"
#include "network.h"
#include "orders.h"
#include "process.h"

// Made by the first process itself, once it is somebody: /dev/mqueue belongs to the zone's root only where the ids are
// mapped before, and the root of the control groups is the group it is in by then.
enum { LATER = CLONE_NEWIPC | CLONE_NEWCGROUP };
// The builder's copy, and the network's process's.
enum { ELSEWHERE = CLONE_NEWNS | CLONE_NEWNET };

/// The zone's first process, until it is where it belongs.
static void be_born(int link, int gate, int exec_pipe, const struct ground *ground) __attribute__((noreturn));
static void be_born(int link, int gate, int exec_pipe, const struct ground *ground) {
  char message[16], moved = LINK_MOVED;
  if (receive_message(link, message, sizeof message, 0, 0, 0, 0) != 1 || message[0] != LINK_MAPPED) sys_exit(125);
  long result = become_root(1);
  if (result < 0) link_failed(link, 0, STAGE_STEP_IDENTITY, result);
  result = join_groups(ground->tasks, ground->task_count);
  if (result < 0) link_failed(link, 0, STAGE_STEP_CGROUP, result);
  SYS3(__NR_close_range, STAGE_FD_GROUPS, STAGE_FD_GROUPS + STAGE_MOST_GROUPS - 1, 0);
  if (orders.zone_flags & LATER) result = SYS1(__NR_unshare, orders.zone_flags & LATER);
  if (result < 0) link_failed(link, 0, STAGE_STEP_CLONE, result);

  int fds[7], count = 7;
  long got = receive_message(link, message, sizeof message, fds, &count, 0, 0);
  if (got == -EMFILE) link_failed(link, 0, STAGE_STEP_PLAN, got);
  if (got != 1 || message[0] != LINK_GO) sys_exit(125);
  result = count < 2 ? -EPROTO : map_plan(fds[0]);
  if (result < 0) link_failed(link, 0, STAGE_STEP_PLAN, result);
  // The copy of the mount namespace carries the working directory over: so the zone finds its root as ".".
  result = SYS1(__NR_fchdir, fds[1]);
  if (result >= 0) result = SYS1(__NR_unshare, CLONE_NEWNS);
  if (result < 0) link_failed(link, 0, STAGE_STEP_CLONE, result);
  sys_close(fds[0]);
  sys_close(fds[1]);
  int next = 2;
  if (!plan->terminal) payload_in = fds[2], payload_out = fds[3], payload_err = fds[4], next = 5;
  if (orders.zone_flags & CLONE_NEWNET) zone_network = (struct network){fds[next], fds[next + 1]};
  send_message(link, &moved, 1, 0, 0, 0);
  sys_close(link);
  be_first_process(gate, exec_pipe);
}

/// Makes the zone's first process, with its ids; they are the builder's userns_fd from then on.
static void make_first(struct zone *zone, struct launch *launch) {
  struct ground ground;
  hear_ground(&ground);
  // The keeper's child, not ours.
  struct clone_args args = {
      .flags = CLONE_PARENT | CLONE_NEWUSER | (orders.zone_flags & ~(uint32_t)(LATER | ELSEWHERE))};
  if (ground.directory >= 0) args.flags |= CLONE_INTO_CGROUP, args.cgroup = (uint64_t)ground.directory;
  long pid = sys_clone3(&args);
  if (pid < 0) launch_failed(0, STAGE_STEP_CLONE, pid);
  if (pid == 0) {
    keep_far_side(zone, launch);
    be_born(launch->link[1], launch->gate[1], launch->exec_pipe, &ground);
  }
  launch->first_pid = (int32_t)pid;
  keep_near_side(launch);
  SYS3(__NR_close_range, STAGE_FD_GROUPS, STAGE_FD_GROUPS + STAGE_MOST_GROUPS - 1, 0);

  char mapped = LINK_MAPPED;
  long result = write_map((int)pid, "uid_map", ground.ids.uid_map);
  if (result >= 0) result = write_map((int)pid, "gid_map", ground.ids.gid_map);
  if (result >= 0) result = send_message(launch->link[0], &mapped, 1, 0, 0, 0);
  if (result < 0) launch_failed(0, STAGE_STEP_MAP, result);
  userns_fd = (int)open_namespace((int)pid, "user");
  if (userns_fd < 0) launch_failed(0, STAGE_STEP_USERNS, userns_fd);
  bind_socket(zone, ground.run_directory);
  sys_close(ground.run_directory);
}

static int is_built;

static void build(struct zone *zone, struct launch *launch) __attribute__((noreturn, noinline));
static void build(struct zone *zone, struct launch *launch) {
  struct network network = {-1, -1};
  long result = sys_mount(0, "/", 0, MS_REC | MS_PRIVATE, 0);
  if (result < 0) launch_failed(0, STAGE_STEP_PRIVATE, result);
  make_first(zone, launch);
  if (orders.zone_flags & CLONE_NEWNET) {
    result = make_network(&network, userns_fd);
    if (result < 0) launch_failed(0, STAGE_STEP_NETWORK, result);
    zone->helpers[1] = network.process;
  }
  hear_plan();
  if (plan->tier != STAGE_TIER_HOST || plan->zone_flags != orders.zone_flags) launch_failed(0, STAGE_STEP_PLAN, -EPROTO);
  set_up_stdio(zone);
  int32_t step = 0;
  result = run_section(STAGE_SECTION_TREE, &step);
  if (result < 0) launch_failed(STAGE_SECTION_TREE, step, result);
  char message[64] = {LINK_GO};
  int fds[7] = {plan_fd, root_fd}, count = 2;
  if (!plan->terminal) fds[count++] = payload_in, fds[count++] = payload_out, fds[count++] = payload_err;
  if (network.socket >= 0) fds[count++] = network.process, fds[count++] = network.socket;
  // Where it has failed already it does not hear this, and what it said is heard below.
  result = send_message(launch->link[0], message, 1, fds, count, 0);
  if (result < 0 && result != -EPIPE && result != -ECONNRESET) launch_failed(0, STAGE_STEP_CLONE, result);
  if (network.socket >= 0) sys_close(network.socket);
  // Whoever is the last in our mount namespace pays for taking it apart: that is to be us.
  expect(launch->link[0], LINK_MOVED, message, sizeof message, 0, 0);
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
  zone->helpers[0] = builder;
}
