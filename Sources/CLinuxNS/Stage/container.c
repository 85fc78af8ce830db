// An OCI container's process. It is the launcher's child, not ours: engines wait for it as the subreaper above the runtime
// (conmon, containerd's shim), so nobody of ours may stay between. Three parts:
//
//   stage    makes what namespaces it can while the launcher plans; is put where the process is to begin (groups,
//            namespaces by path), makes it, and ends; where there is a user namespace it first puts the root together in a
//            mount namespace of the host's, whose copy locks each mount
//   process  its namespaces, its root, the hooks of its own side; then it waits: for the launcher, or, where that one goes,
//            at a socket that `start` connects to
//   enter    for another process in a living container
#include "container.h"
#include "inside.h"
#include "kernel.h"
#include "ops.h"
#include "orders.h"
#include "process.h"

// Between the stage and the process
enum { LINK_MAPPED = 'm', LINK_ROOT = 'r', LINK_MOVED = 'v' };

static int told = STAGE_FD_CONTROL;

static void fail(int32_t section, int32_t step, long error) __attribute__((noreturn));
static void fail(int32_t section, int32_t step, long error) {
  int32_t numbers[3] = {section, step, (int32_t)-error};
  send_numbers(told, STAGE_SAYS_FAILED, numbers, 3);
  sys_exit(125);
}

/// What the launcher answers: go on, with the container's state where there are hooks.
static int hear_go(int from) {
  char message[4];
  int state = -1, count = 1;
  long got = receive_message(from, message, sizeof message, &state, &count, 0, 0);
  // Whoever launches has gone, or has failed: nothing is started.
  if (got != 1 || message[0] != STAGE_GO) sys_exit(125);
  return count > 0 ? state : -1;
}

long mounted(void) {
  if (!plan->outer_hooks && !plan->hook_count) return 0;
  char kind = STAGE_SAYS_MOUNTED;
  long result = send_message(told, &kind, 1, 0, 0, 0);
  if (result < 0) return result;
  int state = hear_go(told);
  int32_t step = 0;
  result = run_hooks(0, plan->hook_count, state, &step);
  if (result < 0) fail(STAGE_SECTION_ZONE, step, result);
  if (state >= 0) sys_close(state);
  return 0;
}

/// Who connects says that the container is to be started. The socket is 0600 in a directory of 0700, so it is the
/// container's owner or root; credentials would tell less: in a user namespace host root is nobody.
static int wait_at_gate(void) {
  for (;;) {
    int peer = (int)SYS4(__NR_accept4, plan->fd_gate, 0, 0, SOCK_CLOEXEC);
    if (peer >= 0) return peer;
    if (peer != -EINTR && peer != -ECONNABORTED) fail(0, STAGE_STEP_GATE, peer);
  }
}

/// Its word, or 0 where it went without one.
static int hear_start(int peer, int *state) {
  char message[4];
  int count = 1;
  *state = -1;
  long got = receive_message(peer, message, sizeof message, state, &count, 0, 0);
  return got == 1 && message[0] == STAGE_GO;
}

static void take_root(int link) {
  char message[4];
  int root, count = 1;
  if (receive_message(link, message, sizeof message, &root, &count, 0, 0) != 1 || message[0] != LINK_ROOT || count != 1)
    sys_exit(125);
  // The copy of the mount namespace carries the working directory over: so the container finds its root as ".".
  long result = SYS1(__NR_fchdir, root);
  if (result >= 0) result = SYS1(__NR_unshare, CLONE_NEWNS);
  if (result < 0) fail(0, STAGE_STEP_CLONE, result);
  sys_close(root);
  char moved = LINK_MOVED;
  send_message(link, &moved, 1, 0, 0, 0);
}

static void run(int section) {
  int32_t step = 0;
  long result = run_section(section, &step);
  if (result < 0) fail(section, step, result);
}

/// No directory of the host's is held where foreign code may run beside us: CAP_SYS_PTRACE reads /proc/PID/fd.
static void close_hosts(void) {
  if (plan->fd_cgroup >= 0) sys_close(plan->fd_cgroup);
  for (int i = 0; i < 12; i++)
    if (plan->fd_tasks[i] >= 0) sys_close(plan->fd_tasks[i]);
  for (int i = 0; i < 8; i++)
    if (plan->fd_join_ns[i] >= 0) sys_close(plan->fd_join_ns[i]);
  if (plan->fd_cgroup_ns >= 0) sys_close(plan->fd_cgroup_ns);
  SYS3(__NR_close_range, plan->fd_sources, ~0u, 0);
}

static void be_process(int link) __attribute__((noreturn));
static void be_process(int link) {
  long result = 0;
  sys_prctl(PR_SET_NAME, (unsigned long)"zone-oci:init", 0, 0, 0);
  if (link >= 0) {
    char message[4];
    if (receive_message(link, message, sizeof message, 0, 0, 0, 0) != 1 || message[0] != LINK_MAPPED) sys_exit(125);
    result = become_root(!plan->deny_setgroups);
    if (result < 0) fail(0, STAGE_STEP_IDENTITY, result);
  }
  if (plan->late_flags) result = SYS1(__NR_unshare, plan->late_flags);
  if (result < 0) fail(0, STAGE_STEP_CLONE, result);
  if (plan->fd_cgroup_ns >= 0) result = SYS2(__NR_setns, plan->fd_cgroup_ns, CLONE_NEWCGROUP);
  if (result < 0) fail(0, STAGE_STEP_JOIN, result);
  if (plan->builder) take_root(link);
  else run(STAGE_SECTION_TREE);
  if (link >= 0) sys_close(link);
  // In a user namespace that stood already: the way to the host's tree is the caller's to go, and whatever is made from here
  // on is made by an id that the namespace has.
  if (plan->joins_user) result = become_root(!plan->deny_setgroups);
  if (result < 0) fail(0, STAGE_STEP_IDENTITY, result);
  run(STAGE_SECTION_ZONE);

  // From here on foreign code may run beside us (a shared pid namespace, an entered container): nothing of ours may be
  // traced or read through /proc.
  sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  close_hosts();
  payload_in = plan->fd_stdin, payload_out = plan->fd_stdout, payload_err = plan->fd_stderr;
  char ready = STAGE_SAYS_READY;
  // At an open gate nobody is waited for: that it may go was said meanwhile, that it has started is heard next.
  result = plan->open_gate ? 0 : send_message(told, &ready, 1, &master_fd, master_fd >= 0, 0);
  if (result < 0) sys_exit(125);
  if (master_fd >= 0) {
    sys_close(master_fd);
    payload_in = payload_out = payload_err = slave_fd;
  }
  int state = -1;
  if (plan->fd_gate < 0) state = hear_go(told);
  else
    for (;;) {
      told = wait_at_gate();
      if (hear_start(told, &state)) break;
      sys_close(told);
    }
  hook_state = state;
  int32_t step = 0;
  result = execute_process(told, told, &step);
  told = told_on;
  fail(STAGE_SECTION_PROCESS, step, result);
}

static long enter_by_path(void) {
  for (int i = 0; i < 8; i++) {
    if (plan->fd_join_ns[i] < 0) continue;
    long result = SYS2(__NR_setns, plan->fd_join_ns[i], 0);
    if (result < 0) return result;
  }
  return 0;
}

/// time_namespaces(7): the children are in it, and its clocks stand still until the first is.
static long make_time(void) {
  long result = SYS1(__NR_unshare, CLONE_NEWTIME);
  if (result >= 0 && plan->time_offsets) result = write_file("/proc/self/timens_offsets", text(plan->time_offsets));
  return result;
}

static void map_process(int32_t pid) {
  long result = 0;
  if (plan->uid_map) {
    if (plan->deny_setgroups) result = write_map(pid, "setgroups", "deny");
    if (result >= 0) result = write_map(pid, "uid_map", text(plan->uid_map));
    if (result >= 0) result = write_map(pid, "gid_map", text(plan->gid_map));
  } else {
    char message[4];
    send_numbers(told, STAGE_SAYS_MAP, &pid, 1);
    if (receive_message(told, message, sizeof message, 0, 0, 0, 0) != 1 || message[0] != STAGE_MAPPED) sys_exit(125);
  }
  if (result < 0) fail(0, STAGE_STEP_MAP, result);
}

void make_container(void) {
  run(STAGE_SECTION_BEFORE);
  long result = join_groups(plan->fd_tasks, 12);
  if (result < 0) fail(0, STAGE_STEP_CGROUP, result);
  // Whoever lives in what we are about to enter may not trace us, nor read our descriptors through /proc.
  if (plan->fd_join_ns[0] >= 0) sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  result = enter_by_path();
  if (result < 0) fail(0, STAGE_STEP_JOIN, result);
  uint32_t flags = plan->zone_flags & ~made_ahead;
  if (flags & CLONE_NEWTIME) result = make_time();
  if (result < 0) fail(0, STAGE_STEP_TIME, result);
  flags &= ~(uint32_t)CLONE_NEWTIME;
  if (plan->builder) {
    // Host root's own: what it attaches is locked in the copy that the container's user namespace gets.
    result = SYS1(__NR_unshare, CLONE_NEWNS);
    if (result < 0) fail(0, STAGE_STEP_UNSHARE, result);
    flags &= ~(uint32_t)CLONE_NEWNS;
  }
  int link[2] = {-1, -1};
  if (flags & CLONE_NEWUSER) result = SYS4(__NR_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link);
  struct clone_args args = {.flags = CLONE_PARENT | flags};
  if (plan->fd_cgroup >= 0) args.flags |= CLONE_INTO_CGROUP, args.cgroup = (uint64_t)plan->fd_cgroup;
  if (result >= 0) result = sys_clone3(&args);
  if (result < 0) fail(0, STAGE_STEP_CLONE, result);
  if (result == 0) {
    if (link[0] >= 0) sys_close(link[0]);
    be_process(link[1]);
  }
  int32_t pid = (int32_t)result;
  if (send_numbers(told, STAGE_SAYS_PROCESS, &pid, 1) < 0) {
    SYS2(__NR_kill, pid, SIGKILL);  // a process that nobody knows of; its launcher sees the socket close with it
    sys_exit(125);
  }
  if (link[0] < 0) sys_exit(0);
  sys_close(link[1]);
  map_process(pid);
  if (plan->builder) {
    userns_fd = (int)open_namespace(pid, "user");
    if (userns_fd < 0) fail(0, STAGE_STEP_USERNS, userns_fd);
  }
  char message[4] = {LINK_MAPPED};
  send_message(link[0], message, 1, 0, 0, 0);
  if (!plan->builder) sys_exit(0);
  run(STAGE_SECTION_TREE);
  message[0] = LINK_ROOT;
  send_message(link[0], message, 1, &root_fd, 1, 0);
  // Whoever is the last in our mount namespace pays for taking it apart: that is to be us.
  receive_message(link[0], message, sizeof message, 0, 0, 0, 0);
  sys_exit(0);
}

/// CVE-2016-9962: nothing of the container may trace us once we are in its namespaces.
static void enter(void) __attribute__((noreturn));
static void enter(void) {
  sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  close_hosts();
  long result = plan->zone_flags ? SYS2(__NR_setns, plan->fd_join, plan->zone_flags) : 0;
  if (result < 0) fail(0, STAGE_STEP_SETNS, result);
  if (plan->zone_flags & CLONE_NEWUSER) result = become_root(!plan->deny_setgroups);
  if (result < 0) fail(0, STAGE_STEP_IDENTITY, result);
  if (plan->terminal) {
    // The container's own, below its own /dev/pts.
    root_fd = (int)sys_open(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0);
    run(STAGE_SECTION_ZONE);
    sys_close(root_fd);
    payload_in = payload_out = payload_err = slave_fd;
    char kind = STAGE_SAYS_DESCRIPTORS;
    result = send_message(told, &kind, 1, &master_fd, 1, 0);
    if (result < 0) sys_exit(125);
    sys_close(master_fd);
  }
  struct clone_args args = {.flags = CLONE_PARENT};
  result = sys_clone3(&args);
  if (result < 0) fail(0, STAGE_STEP_FORK, result);
  if (result == 0) {
    int state = hear_go(told);
    if (state >= 0) sys_close(state);
    int32_t step = 0;
    result = execute_process(told, told, &step);
    told = told_on;
    fail(STAGE_SECTION_PROCESS, step, result);
  }
  int32_t pid = (int32_t)result;
  send_numbers(told, STAGE_SAYS_PROCESS, &pid, 1);
  sys_exit(0);
}

void enter_container(void) {
  run(STAGE_SECTION_BEFORE);
  long result = join_groups(plan->fd_tasks, 12);
  if (result < 0) fail(0, STAGE_STEP_CGROUP, result);
  payload_in = plan->fd_stdin, payload_out = plan->fd_stdout, payload_err = plan->fd_stderr;
  if (plan->fd_cgroup < 0) enter();
  // Of a v2 group one is born a member (cgroup.procs waits for other CPUs, 4 to 12 ms).
  struct clone_args args = {
      .flags = CLONE_PARENT | CLONE_INTO_CGROUP, .cgroup = (uint64_t)plan->fd_cgroup};
  result = sys_clone3(&args);
  if (result < 0) fail(0, STAGE_STEP_CGROUP, result);
  if (result == 0) enter();
  sys_exit(0);
}
