// A launch, from the keeper's side: the tree (builder), the zone's groups (joiner), the zone's first process, up to the
// gate. In the host tier it begins before there is a plan: the namespaces are made while the launcher plans (forerun.c).
#include "keeper.h"
#include "forerun.h"
#include "init.h"
#include "orders.h"
#include "process.h"

static void fail(int32_t section, int32_t step, long error) __attribute__((noreturn));
static void fail(int32_t section, int32_t step, long error) {
  int32_t numbers[3] = {section, step, (int32_t)-error};
  send_numbers(STAGE_FD_CONTROL, STAGE_SAYS_FAILED, numbers, 3);
  sys_exit(125);
}

// Between builder (or keeper) and joiner: it is told GO when the root stands, in the host tier with descriptors: the
// plan, the root, the forerunner, and what the command gets as 0, 1 and 2 if that is no terminal. It answers with the pid
// of the zone's first process, or a failure.
enum { JOINER_GO = 'j', JOINER_DONE = 'd', JOINER_FAILED = 'f' };

static void joiner_fail(int link, int32_t section, int32_t step, long error) __attribute__((noreturn));
static void joiner_fail(int link, int32_t section, int32_t step, long error) {
  int32_t numbers[3] = {section, step, (int32_t)-error};
  send_numbers(link, JOINER_FAILED, numbers, 3);
  sys_exit(125);
}

static long map_nested(int pid) {
  long result = 0;
  if (plan->deny_setgroups) result = write_map(pid, "setgroups", "deny");
  if (result >= 0) result = write_map(pid, "uid_map", text(plan->nested_uid_map));
  if (result >= 0) result = write_map(pid, "gid_map", text(plan->nested_gid_map));
  return result;
}

static struct groups groups;

/// Of the host tier: into the zone's groups, and then into the forerunner's namespaces and to the root.
static void join_from_host(int link) {
  char message[16];
  int fds[6], count = 6;
  long result = join_groups(groups.tasks, groups.task_count);
  if (result < 0) joiner_fail(link, 0, STAGE_STEP_CGROUP, result);
  if (receive_message(link, message, sizeof message, fds, &count, 0, 0) != 1 || message[0] != JOINER_GO) sys_exit(125);
  result = count < 3 ? -EPROTO : map_plan(fds[0]);
  if (result < 0) joiner_fail(link, 0, STAGE_STEP_PLAN, result);
  result = SYS2(__NR_setns, fds[2], CLONE_NEWUSER | (prepare.zone_flags & CLONE_NEWNET));
  if (result < 0) joiner_fail(link, 0, STAGE_STEP_CLONE, result);
  // The copy of the mount namespace carries the working directory over: so the zone finds its root as ".".
  result = SYS1(__NR_fchdir, fds[1]);
  if (result >= 0) result = become_root();
  if (result < 0) joiner_fail(link, 0, STAGE_STEP_IDENTITY, result);
  for (int i = 0; i < 3; i++) sys_close(fds[i]);
  if (count == 6) payload_in = fds[3], payload_out = fds[4], payload_err = fds[5];
}

/// Of the user tier: it attaches what the user may attach, as root of a first user namespace.
static void join_from_user(int link) {
  char message[16];
  int32_t step = 0;
  if (receive_message(link, message, sizeof message, 0, 0, 0, 0) != 1 || message[0] != JOINER_GO) sys_exit(125);
  long result = join_groups(plan->fd_tasks, 12);
  if (result < 0) joiner_fail(link, 0, STAGE_STEP_CGROUP, result);
  result = become_root();
  if (result < 0) joiner_fail(link, 0, STAGE_STEP_IDENTITY, result);
  // The change of ids closed our /proc files to ourselves; the nested map is written through them.
  sys_prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  result = sys_mount(0, "/", 0, MS_REC | MS_PRIVATE, 0);
  if (result < 0) joiner_fail(link, 0, STAGE_STEP_PRIVATE, result);
  result = run_section(STAGE_SECTION_TREE, &step);
  if (result < 0) joiner_fail(link, STAGE_SECTION_TREE, step, result);
}

static void join(int link, int gate, int exec_pipe) __attribute__((noreturn));
static void join(int link, int gate, int exec_pipe) {
  uint32_t flags = prepare.zone_flags ? prepare.zone_flags & ~(uint32_t)CLONE_NEWNET : plan->zone_flags;
  if (prepare.zone_flags) join_from_host(link);
  else join_from_user(link);
  int mapped[2];
  long result = SYS2(__NR_pipe2, mapped, O_CLOEXEC);
  if (result < 0) joiner_fail(link, 0, STAGE_STEP_CLONE, result);
  struct clone_args args = {.flags = flags | CLONE_PARENT};
  long pid = sys_clone3(&args);
  if (pid < 0) joiner_fail(link, 0, STAGE_STEP_CLONE, pid);
  if (pid == 0) {
    sys_close(link);
    sys_close(mapped[1]);
    char byte;
    if (plan->nested_uid_map && sys_read(mapped[0], &byte, 1) != 1) sys_exit(125);
    sys_close(mapped[0]);
    be_first_process(gate, exec_pipe);
  }
  if (plan->nested_uid_map) {
    result = map_nested((int)pid);
    if (result < 0) joiner_fail(link, 0, STAGE_STEP_NESTED_MAP, result);
    sys_write(mapped[1], "m", 1);
  }
  int32_t number = (int32_t)pid;
  send_numbers(link, JOINER_DONE, &number, 1);
  sys_exit(0);
}

/// Writes the joiner's id maps, or has the launcher do it (newuidmap is a program of the distribution's).
static void map_joiner(int pid) {
  if (plan->uid_map) {
    long result = plan->deny_setgroups ? write_map(pid, "setgroups", "deny") : 0;
    if (result >= 0) result = write_map(pid, "uid_map", text(plan->uid_map));
    if (result >= 0) result = write_map(pid, "gid_map", text(plan->gid_map));
    if (result < 0) fail(0, STAGE_STEP_MAP, result);
    return;
  }
  int32_t number = pid;
  send_numbers(STAGE_FD_CONTROL, STAGE_SAYS_MAP, &number, 1);
  char message[16];
  long got = receive_message(STAGE_FD_CONTROL, message, sizeof message, 0, 0, 0, 0);
  if (got != 1 || message[0] != STAGE_MAPPED) sys_exit(125);
}

static long open_of(int pid, const char *name, int flags) {
  char path[64], *end = put_text(path, "/proc/");
  end = put_number(end, (uint64_t)pid);
  end = put_text(end, "/");
  end = put_text(end, name);
  *end = 0;
  return sys_open(AT_FDCWD, path, flags, 0);
}

static void keep_namespaces(struct zone *zone) {
  // The user namespace first, as a joiner needs them.
  static const char *const names[] = {"ns/user", "ns/mnt", "ns/pid", "ns/net", "ns/ipc", "ns/uts", "ns/cgroup"};
  for (int i = 0; i < 7; i++) {
    long fd = open_of(zone->init_pid, names[i], O_RDONLY);
    if (fd < 0) fail(0, STAGE_STEP_NAMESPACES, fd);
    zone->namespaces[zone->namespace_count++] = (int)fd;
  }
}

static int make_pipe(int *ours, int writes) {
  int ends[2];
  long result = SYS2(__NR_pipe2, ends, O_CLOEXEC);
  if (result < 0) fail(0, STAGE_STEP_CLONE, result);
  *ours = ends[writes ? 1 : 0];
  return ends[writes ? 0 : 1];
}

static void set_up_stdio(struct zone *zone) {
  payload_in = plan->fd_stdin >= 0 ? plan->fd_stdin : make_pipe(&zone->input, 1);
  payload_out = plan->fd_stdout >= 0 ? plan->fd_stdout : make_pipe(&zone->output, 0);
  payload_err = plan->fd_stderr >= 0 ? plan->fd_stderr : make_pipe(&zone->errors, 0);
}

static void close_payload_ends(void) {
  int *const ends[] = {&payload_in, &payload_out, &payload_err};
  for (int i = 0; i < 3; i++) {
    if (*ends[i] > 2) sys_close(*ends[i]);
    *ends[i] = -1;
  }
}

/// Waits for one message of the joiner or of the zone's first process; tells a failure on and exits.
static void expect(int from, char kind, char *message, size_t room, int *fds, int *fd_count) {
  long got = receive_message(from, message, room, fds, fd_count, 0, 0);
  if (got >= 1 && message[0] == kind) return;
  int32_t numbers[3] = {0, STAGE_STEP_DIED, EPIPE};
  if (got == 13 && message[0] == 'f') memcpy(numbers, message + 1, sizeof numbers);
  fail(numbers[0], numbers[1], -numbers[2]);
}

// What builder and keeper share: in the host tier they are two processes on one memory and one table of descriptors.
static int link_ends[2], gate_ends[2], payload_exec_pipe;
static long joiner_pid;
static struct forerunner ahead = {.socket = -1};
static int32_t first_pid;
static volatile int is_built;

/// Makes the joiner. Returns its pidfd.
static int make_joiner(struct zone *zone, struct clone_args args, int group) {
  int joiner = -1;
  if (group >= 0) args.flags |= CLONE_INTO_CGROUP, args.cgroup = (uint64_t)group;
  args.flags |= CLONE_PIDFD, args.pidfd = (uint64_t)(uintptr_t)&joiner;
  joiner_pid = sys_clone3(&args);
  if (joiner_pid < 0) fail(0, STAGE_STEP_JOINER, joiner_pid);
  if (joiner_pid == 0) {
    sys_close(link_ends[0]);
    sys_close(gate_ends[0]);
    sys_close(zone->exec_pipe);
    if (ahead.socket >= 0) sys_close(ahead.socket);
    join(link_ends[1], gate_ends[1], payload_exec_pipe);
  }
  // So that the end of either side is seen by the other.
  sys_close(link_ends[1]);
  sys_close(gate_ends[1]);
  sys_close(payload_exec_pipe);
  return joiner;
}

static void wait_for_end(int pidfd) {
  struct pollfd end = {pidfd, POLLIN, 0};
  while (sys_poll(&end, 1) < 0) {}
  sys_close(pidfd);
}

/// Has the joiner clone the zone's first process.
static void let_go(int joiner, const int *fds, int count) {
  char message[64] = {JOINER_GO};
  long result = send_message(link_ends[0], message, 1, fds, count, 0);
  if (result < 0) fail(0, STAGE_STEP_DIED, result);
  expect(link_ends[0], JOINER_DONE, message, sizeof message, 0, 0);
  memcpy(&first_pid, message + 1, 4);
  // It holds our mount namespace to its end: who outlives it pays for taking that apart.
  wait_for_end(joiner);
}

/// The builder: the root is put together in a mount namespace that the host owns, for its copy into the zone's locks
/// every mount. A process of its own holds that namespace, since to leave one means to wait until it is taken apart
/// (0.3 ms and more, for a grace period of RCU); its end is nobody's wait.
static void build_apart(struct zone *zone) __attribute__((noreturn, noinline));
static void build_apart(struct zone *zone) {
  long result = sys_mount(0, "/", 0, MS_REC | MS_PRIVATE, 0);
  if (result < 0) fail(0, STAGE_STEP_PRIVATE, result);
  // Forerunner, joiner and first process are the keeper's children, not ours.
  int32_t failed = 0;
  result = forerun(&ahead, &prepare, &failed);
  if (result < 0) fail(0, failed, result);
  userns_fd = ahead.user_namespace;

  hear_groups(&groups);
  struct clone_args args = {.flags = CLONE_PARENT};
  int joiner = make_joiner(zone, args, groups.directory);
  hear_plan();
  if (plan->tier != STAGE_TIER_HOST) fail(0, STAGE_STEP_PLAN, -EPROTO);
  if (!plan->terminal) set_up_stdio(zone);
  int32_t step = 0;
  result = run_section(STAGE_SECTION_TREE, &step);
  if (result < 0) fail(STAGE_SECTION_TREE, step, result);
  result = forerunner_is_done(&ahead, &failed);
  if (result < 0) fail(0, failed, result);
  int fds[6] = {plan_fd, root_fd, ahead.process, payload_in, payload_out, payload_err};
  let_go(joiner, fds, plan->terminal ? 3 : 6);
  sys_close(ahead.socket);
  wait_for_end(ahead.process);
  is_built = 1;
  sys_exit(0);
}

void launch(struct zone *zone) {
  int one = 1;
  SYS1(__NR_chdir, "/");
  long result = SYS4(__NR_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link_ends);
  if (result >= 0) result = SYS4(__NR_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, gate_ends);
  if (result >= 0) result = SYS5(__NR_setsockopt, gate_ends[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof one);
  if (result < 0) fail(0, STAGE_STEP_CLONE, result);
  zone->gate = gate_ends[0];
  payload_exec_pipe = make_pipe(&zone->exec_pipe, 0);

  if (prepare.zone_flags) {
    // As vfork(2): we go on when it lets go of our memory, which it does before it lets go of its namespace.
    static int builder = -1;
    struct clone_args args = {
        .flags = CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_NEWNS | CLONE_PIDFD,
        .pidfd = (uint64_t)(uintptr_t)&builder, .exit_signal = SIGCHLD};
    result = sys_clone3(&args);
    if (result == 0) build_apart(zone);
    if (result < 0) fail(0, STAGE_STEP_UNSHARE, result);
    if (!is_built) sys_exit(125);  // it has told why
    zone->builder = builder;
  } else {
    if (plan->tier != STAGE_TIER_USER) fail(0, STAGE_STEP_PLAN, -EPROTO);
    if (!plan->terminal) set_up_stdio(zone);
    struct clone_args args = {.flags = plan->joiner_flags, .exit_signal = SIGCHLD};
    int joiner = make_joiner(zone, args, plan->fd_cgroup);
    map_joiner((int)joiner_pid);
    let_go(joiner, 0, 0);
  }

  zone->init_pid = first_pid;
  struct child_info info;
  SYS5(__NR_waitid, P_PID, joiner_pid, &info, WEXITED, 0);
  if (ahead.pid) SYS5(__NR_waitid, P_PID, ahead.pid, &info, WEXITED, 0);
  sys_close(link_ends[0]);
  result = SYS2(__NR_pidfd_open, zone->init_pid, 0);
  if (result < 0) fail(0, STAGE_STEP_DIED, result);
  zone->init = (int)result;

  char message[64];
  int fds[2], fd_count = 2;
  expect(zone->gate, GATE_READY, message, sizeof message, fds, &fd_count);
  if (fd_count > 0) zone->devpts = fds[0];
  if (fd_count > 1) zone->master = fds[1];
  close_payload_ends();
  if (plan->keep_namespaces) keep_namespaces(zone);
  // The keeper lives as long as the zone: it holds none of its mounts, of its groups or of what it was made from.
  if (root_fd >= 0) sys_close(root_fd);
  if (userns_fd >= 0) sys_close(userns_fd);
  sys_close(plan_fd);
  SYS3(__NR_close_range, STAGE_FD_GROUPS, STAGE_FD_GROUPS + STAGE_MOST_GROUPS - 1, 0);
  SYS3(__NR_close_range, plan->fd_sources, ~0u, 0);
}
