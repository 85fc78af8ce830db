// A launch by an ordinary user: the joiner makes a first user namespace, attaches there what the user may attach, and
// clones the zone's first process into a second one, which locks what the first attached.
#include "keeper.h"
#include "init.h"
#include "launch.h"
#include "process.h"

static long map_nested(int pid) {
  long result = 0;
  if (plan->deny_setgroups) result = write_map(pid, "setgroups", "deny");
  if (result >= 0) result = write_map(pid, "uid_map", text(plan->nested_uid_map));
  if (result >= 0) result = write_map(pid, "gid_map", text(plan->nested_gid_map));
  return result;
}

static void join(int link, int gate, int exec_pipe) __attribute__((noreturn));
static void join(int link, int gate, int exec_pipe) {
  char message[16];
  int32_t step = 0;
  int mapped[2];
  if (receive_message(link, message, sizeof message, 0, 0, 0, 0) != 1 || message[0] != LINK_GO) sys_exit(125);
  long result = join_groups(plan->fd_tasks, 12);
  if (result < 0) link_failed(link, 0, STAGE_STEP_CGROUP, result);
  // Not possible, and not needed, where the map has one id: nothing but the caller's own groups could be set.
  result = become_root(!plan->deny_setgroups);
  if (result < 0) link_failed(link, 0, STAGE_STEP_IDENTITY, result);
  // The change of ids closed our /proc files to ourselves; the nested map is written through them.
  sys_prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  result = sys_mount(0, "/", 0, MS_REC | MS_PRIVATE, 0);
  if (result < 0) link_failed(link, 0, STAGE_STEP_PRIVATE, result);
  result = run_section(STAGE_SECTION_TREE, &step);
  if (result < 0) link_failed(link, STAGE_SECTION_TREE, step, result);
  result = SYS2(__NR_pipe2, mapped, O_CLOEXEC);
  if (result < 0) link_failed(link, 0, STAGE_STEP_CLONE, result);
  struct clone_args args = {.flags = plan->zone_flags | CLONE_PARENT};
  long pid = sys_clone3(&args);
  if (pid < 0) link_failed(link, 0, STAGE_STEP_CLONE, pid);
  if (pid == 0) {
    sys_close(link);
    sys_close(mapped[1]);
    char byte;
    if (sys_read(mapped[0], &byte, 1) != 1) sys_exit(125);
    sys_close(mapped[0]);
    be_first_process(gate, exec_pipe);
  }
  result = map_nested((int)pid);
  if (result < 0) link_failed(link, 0, STAGE_STEP_NESTED_MAP, result);
  sys_write(mapped[1], "m", 1);
  int32_t number = (int32_t)pid;
  send_numbers(link, LINK_DONE, &number, 1);
  sys_exit(0);
}

/// Writes the joiner's id maps, or has the launcher do it (newuidmap is a program of the distribution's).
static void map_joiner(int pid) {
  if (plan->uid_map) {
    long result = plan->deny_setgroups ? write_map(pid, "setgroups", "deny") : 0;
    if (result >= 0) result = write_map(pid, "uid_map", text(plan->uid_map));
    if (result >= 0) result = write_map(pid, "gid_map", text(plan->gid_map));
    if (result < 0) launch_failed(0, STAGE_STEP_MAP, result);
    return;
  }
  int32_t number = pid;
  send_numbers(STAGE_FD_CONTROL, STAGE_SAYS_MAP, &number, 1);
  char message[16];
  long got = receive_message(STAGE_FD_CONTROL, message, sizeof message, 0, 0, 0, 0);
  if (got != 1 || message[0] != STAGE_MAPPED) sys_exit(125);
}

static void wait_for_end(int pidfd) {
  struct pollfd end = {pidfd, POLLIN, 0};
  while (sys_poll(&end, 1) < 0) {}
  sys_close(pidfd);
}

void launch_by_user(struct zone *zone, struct launch *launch) {
  if (plan->tier != STAGE_TIER_USER) launch_failed(0, STAGE_STEP_PLAN, -EPROTO);
  set_up_stdio(zone);
  int joiner = -1;
  struct clone_args args = {
      .flags = plan->joiner_flags | CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&joiner, .exit_signal = SIGCHLD};
  if (plan->fd_cgroup >= 0) args.flags |= CLONE_INTO_CGROUP, args.cgroup = (uint64_t)plan->fd_cgroup;
  launch->joiner = sys_clone3(&args);
  if (launch->joiner < 0) launch_failed(0, STAGE_STEP_JOINER, launch->joiner);
  if (launch->joiner == 0) {
    keep_far_side(zone, launch);
    join(launch->link[1], launch->gate[1], launch->exec_pipe);
  }
  keep_near_side(launch);
  map_joiner((int)launch->joiner);
  char message[64] = {LINK_GO};
  long result = send_message(launch->link[0], message, 1, 0, 0, 0);
  if (result < 0) launch_failed(0, STAGE_STEP_DIED, result);
  expect(launch->link[0], LINK_DONE, message, sizeof message, 0, 0);
  memcpy(&launch->first_pid, message + 1, 4);
  wait_for_end(joiner);
}
