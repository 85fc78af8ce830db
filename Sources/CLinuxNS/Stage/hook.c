// Hooks of the container's side (OCI runtime spec, "POSIX-platform Hooks"): programs that are executed with the
// container's state as their standard input, one after the other.
#include "container.h"
#include "process.h"

static void execute(const struct stage_hook *hook, int state, int error) __attribute__((noreturn));
static void execute(const struct stage_hook *hook, int state, int error) {
  const char *pointers[hook->argc + hook->envc + 2];
  const uint32_t *argv = (const uint32_t *)text(hook->argv), *envp = (const uint32_t *)text(hook->envp);
  for (uint32_t i = 0; i < hook->argc; i++) pointers[i] = text(argv[i]);
  pointers[hook->argc] = 0;
  const char **environment = pointers + hook->argc + 1;
  for (uint32_t i = 0; i < hook->envc; i++) environment[i] = text(envp[i]);
  environment[hook->envc] = 0;
  long result = 0;
  SYS0(__NR_setsid);
  if (state >= 0) {
    SYS3(__NR_lseek, state, 0, 0);
    result = SYS3(__NR_dup3, state, 0, 0);
  }
  uint64_t none = 0;
  SYS4(__NR_rt_sigprocmask, 2, &none, 0, 8);
  if (result >= 0) result = SYS3(__NR_close_range, 3, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */);
  // Behind the container's filter it may not be had: there all that is open closes anyway (close_all_but).
  if (result < 0 && hook_state >= 0) result = 0;
  if (result >= 0) result = SYS3(__NR_execve, text(hook->path), pointers, environment);
  int32_t number = (int32_t)result;
  sys_write(error, &number, sizeof number);
  sys_exit(125);
}

long run_hook(const struct stage_hook *hook, int state) {
  int error[2], process = -1;
  long result = SYS2(__NR_pipe2, error, O_CLOEXEC);
  if (result < 0) return result;
  // Not clone3(2): the container's filter may stand already, and most have it answer ENOSYS.
  result = SYS5(__NR_clone, CLONE_PIDFD | SIGCHLD, 0, &process, 0, 0);
  if (result == 0) execute(hook, state, error[1]);
  sys_close(error[1]);
  long pid = result;
  if (result < 0) {
    sys_close(error[0]);
    return result;
  }
  int32_t number = 0;
  long late = 0;
  if (sys_read(error[0], &number, sizeof number) != sizeof number) number = 0;
  sys_close(error[0]);
  struct pollfd end = {process, POLLIN, 0};
  int64_t until[2] = {hook->timeout, 0};
  long ended;
  do ended = SYS5(__NR_ppoll, &end, 1, hook->timeout ? until : 0, 0, 0);
  while (ended == -EINTR);
  if (ended == 0) {
    // With all that it has started: the session is its own.
    SYS2(__NR_kill, -pid, SIGKILL);
    late = -ETIMEDOUT;
  }
  struct child_info info;
  wait_for_child(P_PIDFD, process, &info);
  sys_close(process);
  if (late) return late;
  if (number < 0) return number;
  if (info.code != CLD_EXITED) return -(STAGE_HOOK_KILLED + info.status);
  return info.status ? -(STAGE_HOOK_EXITED + info.status) : 0;
}

long run_hooks(uint32_t from, uint32_t count, int state, int32_t *step) {
  const struct stage_hook *hooks = (const struct stage_hook *)text(plan->hooks);
  for (uint32_t i = from; i < from + count; i++) {
    long result = run_hook(&hooks[i], state);
    *step = STAGE_STEP_HOOK + (int32_t)i;
    if (result < 0) return result;
  }
  return 0;
}
