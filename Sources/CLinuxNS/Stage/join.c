// An execution in a living zone. Three processes, as the kernel wants them: the watcher, which stays on the host's side
// and tells the end; the joiner, born in the zone's cgroup, which enters the namespaces; and the command, a child of
// the watcher (CLONE_PARENT) in the zone's pid namespace.
#include "kernel.h"
#include "files.h"
#include "process.h"

static void fail_on(int socket, int32_t step, long error) __attribute__((noreturn));
static void fail_on(int socket, int32_t step, long error) {
  int32_t numbers[3] = {STAGE_SECTION_PROCESS, step, (int32_t)-error};
  send_numbers(socket, STAGE_SAYS_FAILED, numbers, 3);
  sys_exit(125);
}

static void fail(int32_t step, long error) __attribute__((noreturn));
static void fail(int32_t step, long error) { fail_on(STAGE_FD_CONTROL, step, error); }

static long enter_namespaces(void) {
  if (plan->fd_join >= 0) return SYS2(__NR_setns, plan->fd_join, plan->zone_flags);
  // The user namespace first: it gives the power to enter the others.
  for (int i = 0; i < 8; i++) {
    if (plan->fd_join_ns[i] < 0) continue;
    long result = SYS2(__NR_setns, plan->fd_join_ns[i], 0);
    if (result < 0) return result;
  }
  return 0;
}

static void join(int answer, int exec_pipe) __attribute__((noreturn));
static void join(int answer, int exec_pipe) {
  // CVE-2016-9962: nothing of the zone may trace us once we are in its namespaces.
  sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  long result = join_groups(plan->fd_tasks, 12);
  if (result < 0) fail(STAGE_STEP_CGROUP, result);
  result = enter_namespaces();
  if (result < 0) fail(STAGE_STEP_SETNS, result);
  if (!plan->keep_identity) result = become_root(!plan->deny_setgroups);
  if (result < 0) fail(STAGE_STEP_IDENTITY, result);
  struct clone_args args = {.flags = CLONE_PARENT};
  long pid = sys_clone3(&args);
  if (pid < 0) fail(STAGE_STEP_FORK, pid);
  if (pid == 0) {
    sys_close(answer);
    int32_t step = 0;
    if (plan->mode == STAGE_FILES) {
      result = serve_files(exec_pipe, &step);
      fail(step, result);
    }
    result = execute_process(exec_pipe, STAGE_FD_CONTROL, &step);
    fail_on(told_on, step, result);
  }
  int32_t number = (int32_t)pid;
  sys_write(answer, &number, sizeof number);
  sys_exit(0);
}

void join_zone(void) {
  payload_in = plan->fd_stdin, payload_out = plan->fd_stdout, payload_err = plan->fd_stderr;
  int answer[2], announce[2];
  long result = SYS2(__NR_pipe2, answer, O_CLOEXEC);
  if (result >= 0) result = SYS4(__NR_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, announce);
  if (result < 0) fail(STAGE_STEP_FORK, result);
  struct clone_args args = {.exit_signal = SIGCHLD};
  if (plan->fd_cgroup >= 0) args.flags |= CLONE_INTO_CGROUP, args.cgroup = (uint64_t)plan->fd_cgroup;
  long joiner = sys_clone3(&args);
  if (joiner < 0) fail(STAGE_STEP_CGROUP, joiner);
  if (joiner == 0) join(answer[1], announce[1]);
  sys_close(answer[1]);
  sys_close(announce[1]);
  int32_t command = 0;
  if (sys_read(answer[0], &command, sizeof command) != sizeof command) sys_exit(125);  // the joiner has told why
  struct child_info info;
  wait_for_child(P_PID, joiner, &info);
  int pidfd = (int)SYS2(__NR_pidfd_open, command, 0);
  if (pidfd < 0) fail(STAGE_STEP_FORK, pidfd);
  // The command's own descriptors are its own: kept open here, a reader would never see their end.
  for (int i = 0; i < 3; i++) sys_close(i);
  int listening = STAGE_FD_CONTROL, announced = announce[0], marked = 0;
  for (;;) {
    struct pollfd fds[3] = {{announced, POLLIN, 0}, {listening, POLLIN, 0}, {pidfd, POLLIN, 0}};
    if (sys_poll(fds, 3) < 0) continue;
    char message[16];
    if (fds[0].revents) {
      // The announcement comes directly before execve, the end of file with it: together they mean "started".
      long got = receive_message(announced, message, sizeof message, 0, 0, 0, MSG_DONTWAIT);
      if (got > 0) marked = 1;
      if (got == 0) {
        if (marked) send_numbers(STAGE_FD_CONTROL, STAGE_SAYS_STARTED, &command, 1);
        announced = -1;
      }
      continue;
    }
    if (fds[1].revents) {
      long got = receive_message(listening, message, sizeof message, 0, 0, 0, MSG_DONTWAIT);
      int signal;
      if (got == 5 && message[0] == STAGE_SIGNAL) {
        memcpy(&signal, message + 1, 4);
        SYS4(__NR_pidfd_send_signal, pidfd, signal, 0, 0);
      } else if (got == 0 || (got < 0 && got != -EAGAIN)) {
        // Who asked for the command has gone, as a terminal goes: SIGHUP, which nohup(1) outlives on purpose.
        listening = -1;
        SYS4(__NR_pidfd_send_signal, pidfd, SIGHUP, 0, 0);
      }
    }
    if (fds[2].revents) break;
  }
  wait_for_child(P_PIDFD, pidfd, &info);
  int32_t numbers[3] = {info.code == CLD_EXITED ? info.status : 0, info.code == CLD_EXITED ? 0 : info.status, 0};
  send_numbers(STAGE_FD_CONTROL, STAGE_SAYS_ENDED, numbers, 3);
  sys_exit(info.code == CLD_EXITED ? info.status : 128 + info.status);
}
