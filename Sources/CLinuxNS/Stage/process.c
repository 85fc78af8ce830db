// What start and exec share: becoming root of the zone's user namespace, its groups, and the way into the command.
#include "container.h"
#include "inside.h"
#include "process.h"

int payload_in = -1, payload_out = -1, payload_err = -1;

/// Ignored signals stay so over every execve (signal(7)): nohup's SIGHUP would be the zone's, and an ignored SIGCHLD
/// takes a child's end away from who waits for it.
static void default_signals(void) {
  static const uint64_t by_default[4];
  for (int number = 1; number <= 64; number++) SYS4(__NR_rt_sigaction, number, by_default, 0, 8);
}

/// What sshd or a unit of systemd's have, so that they live on: less than 0.
static void be_killable(void) {
  static const char path[] = "/proc/self/oom_score_adj";
  char first = 0;
  long fd = sys_open(AT_FDCWD, path, O_RDONLY, 0);
  if (fd < 0) return;
  sys_read((int)fd, &first, 1);
  sys_close((int)fd);
  if (first == '-') write_file(path, "0");
}

void forget_launcher(void) {
  default_signals();
  be_killable();
}

long become_root(int groups) {
  long result = groups ? SYS2(__NR_setgroups, 0, 0) : 0;
  if (result >= 0) result = SYS3(__NR_setresgid, 0, 0, 0);
  if (result >= 0) result = SYS3(__NR_setresuid, 0, 0, 0);
  return result;
}

long join_groups(const int *tasks, int count) {
  for (int i = 0; i < count; i++) {
    if (tasks[i] < 0) continue;
    // "tasks" moves one thread and waits for nobody; cgroup.procs waits 4 to 12 ms for other CPUs.
    long result = sys_write(tasks[i], "0", 1);
    if (result < 0) return result;
  }
  return 0;
}

static long place(int fd, int number) {
  return fd == number ? SYS3(__NR_fcntl, fd, 2 /* F_SETFD */, 0) : SYS3(__NR_dup3, fd, number, 0);
}

static long set_stdio(void) {
  // Lifted first, so that no number is overwritten before it was used; not further, for the caller's limit may be low.
  int from[3] = {payload_in, payload_out, payload_err};
  for (int i = 0; i < 3; i++) {
    // A directory of the host's, whoever gave it, would be a way out of the root (CVE-2024-21626).
    uint32_t mode;
    long look = kind_of(from[i], "", AT_EMPTY_PATH, &mode);
    if (look < 0) return look;
    if ((mode & S_IFMT) == S_IFDIR) return -EISDIR;
    long fd = SYS3(__NR_fcntl, from[i], 1030 /* F_DUPFD_CLOEXEC */, 5);
    if (fd < 0) return fd;
    from[i] = (int)fd;
  }
  for (int i = 0; i < 3; i++) {
    long result = place(from[i], i);
    if (result < 0) return result;
  }
  return 0;
}

long search(long (*try)(const char *path, const void *with), const void *with) {
  const char *name = text(((const uint32_t *)text(plan->argv))[0]);
  for (const char *c = name; *c; c++)
    if (*c == '/') return try(name, with);
  if (!*name) return -ENOENT;
  const char *path = text(plan->path);
  long first = -ENOENT;
  size_t n = length(name);
  char full[4096];
  while (path && *path) {
    size_t folder = 0;
    while (path[folder] && path[folder] != ':') folder++;
    if (folder && folder + n + 2 < sizeof full) {
      memcpy(full, path, folder);
      full[folder] = '/';
      memcpy(full + folder + 1, name, n + 1);
      long result = try(full, with);
      if (result == -EACCES) first = result;
      else if (result != -ENOENT && result != -ENOTDIR && result != -ELOOP) return result;
    }
    path += folder;
    if (*path == ':') path++;
  }
  return first;
}

/// - with: the argument vector and the environment.
static long execute(const char *path, const void *with) {
  const char *const *const *vectors = with;
  return SYS3(__NR_execve, path, vectors[0], vectors[1]);
}

volatile uint32_t *root_stands;

enum { FUTEX_WAIT = 0, FUTEX_WAKE = 1 };

/// The mount that a path leads to; 0 where it cannot be told.
static uint64_t mount_of(const char *path) {
  struct statx status;
  long result = SYS5(__NR_statx, AT_FDCWD, path, AT_NO_AUTOMOUNT, STATX_MNT_ID, &status);
  return result < 0 || !(status.stx_mask & STATX_MNT_ID) ? 0 : status.stx_mnt_id;
}

long wait_for_root(void) {
  if (!root_stands) return 0;
  // An end of who puts it up is ours too: the first process of a pid namespace takes all along.
  while (!__atomic_load_n(root_stands, __ATOMIC_ACQUIRE)) SYS4(__NR_futex, root_stands, FUTEX_WAIT, 0, 0);
  // It is about to take the host's root off, and is told of it late (let_go). Until then "/.." leads up to that one.
  uint64_t ours = mount_of("/"), above;
  while (ours && (above = mount_of("/..")) != ours) {
    if (!above) return -EIO;
    SYS0(__NR_sched_yield);
  }
  return ours ? SYS1(__NR_chdir, "/") : -EIO;
}

void say_root_stands(void) {
  if (!root_stands) return;
  __atomic_store_n(root_stands, 1, __ATOMIC_RELEASE);
  // Who is not woken waits for ever.
  for (int tries = 0; tries < 1000 && SYS3(__NR_futex, root_stands, FUTEX_WAKE, 1) < 0; tries++) {}
}

int told_on = -1, hook_state = -1, watch_way = -1;

/// Everything but the three, what is to be kept, the announcement and the last is closed, not merely marked: execve(2)
/// resolves its path, and that of a script's interpreter, while marked descriptors are still open, so that a link in a
/// hostile tree to /proc/self/fd/N/.. would lead to the host (the execve half of CVE-2024-21626).
static long close_all_but(int *announce, int last) {
  int kept = (int)plan->preserved, most = 3 + kept, end = most + 3;
  int first = (int)SYS3(__NR_fcntl, *announce, 1030 /* F_DUPFD_CLOEXEC */, end);
  int second = (int)SYS3(__NR_fcntl, last, 1030, end);
  // A container's hooks have their state, a watched command of a launch the way of its listener: never both.
  int *more = hook_state >= 0 ? &hook_state : &watch_way;
  int third = *more < 0 ? 0 : (int)SYS3(__NR_fcntl, *more, 1030, end);
  if (first < 0 || second < 0 || third < 0) return -EMFILE;
  long result = 0;
  int tells_last = told_on == last;
  // What fails below is told where nothing is put over.
  told_on = tells_last ? second : first;
  // What is kept lies above all numbers it is to have (STAGE_FD_FIRST), or is moved there first.
  for (int i = 0; result >= 0 && i < kept; i++) {
    int from = plan->fd_preserved + i;
    if (from < end) result = -EMFILE;
    else result = SYS3(__NR_dup3, from, 3 + i, 0);
  }
  if (result >= 0) result = SYS3(__NR_dup3, first, most, O_CLOEXEC);
  if (result >= 0) result = SYS3(__NR_dup3, second, most + 1, O_CLOEXEC);
  if (result >= 0 && *more >= 0) result = SYS3(__NR_dup3, third, *more = most + 2, O_CLOEXEC);
  if (result >= 0) {
    told_on = tells_last ? most + 1 : most;
    *announce = most;
    result = SYS3(__NR_close_range, *more >= 0 ? end : end - 1, ~0u, 0);
  }
  return result;
}

long execute_process(int announce, int last, int32_t *step) {
  *step = STAGE_STEP_EXECUTE;
  told_on = plan->mode == STAGE_LAUNCH ? announce : last;
  if (plan->mode == STAGE_LAUNCH) watch_way = plan->fd_watch;
  SYS0(__NR_setsid);
  SYS1(__NR_umask, 022);
  long result = set_stdio();
  if (result < 0) return result;
  if (plan->terminal) {
    result = SYS3(__NR_ioctl, 0, TIOCSCTTY, 0);
    if (result < 0) return result;
  }
  uint64_t none = 0;
  SYS4(__NR_rt_sigprocmask, 2, &none, 0, 8);

  // The vectors of the plan are offsets; the stack holds the pointers, as large as they need (the kernel bounds both).
  uint32_t count = plan->argc + plan->envc + 2;
  const char *pointers[count];
  const uint32_t *argv = (const uint32_t *)text(plan->argv), *envp = (const uint32_t *)text(plan->envp);
  for (uint32_t i = 0; i < plan->argc; i++) pointers[i] = text(argv[i]);
  pointers[plan->argc] = 0;
  for (uint32_t i = 0; i < plan->envc; i++) pointers[plan->argc + 1 + i] = text(envp[i]);
  pointers[count - 1] = 0;

  result = close_all_but(&announce, last);
  if (result < 0) return result;
  result = run_section(STAGE_SECTION_PROCESS, step);
  if (result >= 0 && plan->mode == STAGE_CONTAINER)
    result = run_hooks(plan->hook_count, plan->start_hook_count, hook_state, step);
  if (result < 0) return result;
  if (home_variable) pointers[plan->argc + 1 + home_place] = home_variable;
  *step = STAGE_STEP_EXECUTE;
  char kind = plan->mode == STAGE_LAUNCH ? GATE_PROCESS : STAGE_SAYS_STARTED;
  int32_t self = (int32_t)SYS0(__NR_getpid);
  result = send_numbers(announce, kind, &self, 1);
  if (result < 0) return result;
  const char *const *vectors[2] = {pointers, pointers + plan->argc + 1};
  return search(execute, vectors);
}
