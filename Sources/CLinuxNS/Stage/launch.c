// A launch, from the keeper's side, up to the zone's gate. What differs by who puts the root together is in
// launch_host.c and launch_user.c.
#include "bare.h"
#include "keeper.h"
#include "launch.h"
#include "orders.h"
#include "process.h"

void launch_failed(int32_t section, int32_t step, long error) {
  int32_t numbers[3] = {section, step, (int32_t)-error};
  send_numbers(STAGE_FD_CONTROL, STAGE_SAYS_FAILED, numbers, 3);
  sys_exit(125);
}

void link_failed(int link, int32_t section, int32_t step, long error) {
  int32_t numbers[3] = {section, step, (int32_t)-error};
  send_numbers(link, LINK_FAILED, numbers, 3);
  sys_exit(125);
}

void expect(int from, char kind, char *message, size_t room, int *fds, int *fd_count) {
  int space = fd_count ? *fd_count : 0;
  long got = receive_message(from, message, room, fds, fd_count, 0, 0);
  if (got == -ECONNRESET) {
    // Told once where the other side closed with something unread, ahead of what it said.
    if (fd_count) *fd_count = space;
    got = receive_message(from, message, room, fds, fd_count, 0, 0);
  }
  if (got >= 1 && message[0] == kind) return;
  int32_t numbers[3] = {0, STAGE_STEP_DIED, got == -EMFILE ? EMFILE : EPIPE};
  if (got == 13 && message[0] == LINK_FAILED) memcpy(numbers, message + 1, sizeof numbers);
  launch_failed(numbers[0], numbers[1], -numbers[2]);
}

void keep_far_side(const struct zone *zone, const struct launch *launch) {
  sys_close(launch->link[0]);
  sys_close(launch->gate[0]);
  sys_close(zone->exec_pipe);
}

void keep_near_side(const struct launch *launch) {
  sys_close(launch->link[1]);
  sys_close(launch->gate[1]);
  sys_close(launch->exec_pipe);
}

static int make_pipe(int *ours, int writes) {
  int ends[2];
  long result = SYS2(__NR_pipe2, ends, O_CLOEXEC);
  if (result < 0) launch_failed(0, STAGE_STEP_CLONE, result);
  *ours = ends[writes ? 1 : 0];
  return ends[writes ? 0 : 1];
}

void bind_socket(struct zone *zone, int run_directory) {
  struct { uint16_t family; char path[108]; } address = {AF_UNIX, ""};
  char *end = put_number(put_text(address.path, "/proc/self/fd/"), (uint64_t)run_directory);
  *put_text(end, "/keeper.sock") = 0;
  long result = SYS3(__NR_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  zone->listening = (int)result;
  SYS1(__NR_umask, 0177);
  if (result >= 0) result = SYS3(__NR_bind, zone->listening, &address, sizeof address);
  SYS1(__NR_umask, 0);
  if (result < 0) launch_failed(0, STAGE_STEP_LISTEN, result);
}

void set_up_stdio(struct zone *zone) {
  if (plan->terminal) return;
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

static void keep_namespaces(struct zone *zone) {
  // The user namespace first, as a joiner needs them.
  static const char *const names[] = {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"};
  for (int i = 0; i < 7; i++) {
    long fd = open_namespace(zone->init_pid, names[i]);
    if (fd < 0) launch_failed(0, STAGE_STEP_NAMESPACES, fd);
    zone->namespaces[zone->namespace_count++] = (int)fd;
  }
}

void launch(struct zone *zone) {
  // Shared with the builder, who is another process on our memory.
  static struct launch launch;
  int one = 1;
  SYS1(__NR_chdir, "/");
  long result = SYS4(__NR_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, launch.link);
  if (result >= 0) result = SYS4(__NR_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, launch.gate);
  if (result >= 0) result = SYS5(__NR_setsockopt, launch.gate[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof one);
  if (result < 0) launch_failed(0, STAGE_STEP_CLONE, result);
  zone->gate = launch.gate[0];
  launch.exec_pipe = make_pipe(&zone->exec_pipe, 0);

  if (is_begun()) launch_by_host(zone, &launch);
  else {
    bind_socket(zone, plan->fd_run);
    if (is_bare()) launch_bare(zone, &launch);
    else launch_by_user(zone, &launch);
  }

  zone->init_pid = launch.first_pid;
  struct child_info info;
  if (launch.joiner) wait_for_child(P_PID, launch.joiner, &info);
  sys_close(launch.link[0]);
  result = SYS2(__NR_pidfd_open, zone->init_pid, 0);
  if (result < 0) launch_failed(0, STAGE_STEP_DIED, result);
  zone->init = (int)result;

  char message[64];
  int fds[2], fd_count = 2;
  expect(zone->gate, GATE_READY, message, sizeof message, fds, &fd_count);
  zone->devpts = fd_count > 0 ? fds[0] : -1;
  zone->master = fd_count > 1 ? fds[1] : -1;
  close_payload_ends();
  if (plan->keep_namespaces) keep_namespaces(zone);
  // The keeper lives as long as the zone: it holds nothing of what it was made from.
  if (root_fd >= 0) sys_close(root_fd);
  if (userns_fd >= 0) sys_close(userns_fd);
  sys_close(plan_fd);
  SYS3(__NR_close_range, plan->fd_sources, ~0u, 0);
}
