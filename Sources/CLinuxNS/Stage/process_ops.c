// The process, between its fork and its execve: who it is and what it may do.
#include "inside.h"
#include "ops.h"
#include "process.h"

long ids(const struct stage_op *op) {
  if (!(op->flags & STAGE_KEEP_GROUPS)) {
    uint32_t count = (uint32_t)op->fd;
    long result = SYS2(__NR_setgroups, count, text(op->text[0]));
    if (result < 0) return result;
  }
  sys_prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
  long result = SYS3(__NR_setresgid, op->b, op->b, op->b);
  if (result >= 0) result = SYS3(__NR_setresuid, op->a, op->a, op->a);
  if (result >= 0) result = raise_all();
  return result;
}

long change_directory(const struct stage_op *op) {
  // The first step that looks at the tree.
  long result = wait_for_root();
  if (result >= 0) result = SYS1(__NR_chdir, text(op->text[0]));
  if (result == -ENOENT && op->flags & STAGE_MAKE) {
    // After the pivot, or the joining, "/" is the zone's; what was open below it is closed by now.
    root_fd = (int)sys_open(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0);
    if (root_fd < 0) return root_fd;
    result = make_directories(text(op->text[0]) + 1);
    if (result >= 0) result = SYS1(__NR_chdir, text(op->text[0]));
    sys_close(root_fd);
  }
  if ((result == -ENOENT || result == -ENOTDIR || result == -EACCES) && op->flags & STAGE_OPTIONAL)
    result = SYS1(__NR_chdir, "/");
  if (result < 0) return result;
  // CVE-2024-21626: a working directory outside the root has no name in it.
  char here[4096];
  result = SYS2(__NR_getcwd, here, sizeof here);
  if (result >= 0 && here[0] != '/') return -ENOENT;
  return result < 0 ? result : 0;
}

long bounding(uint64_t keep) {
  for (unsigned long c = 0; c < 64; c++) {
    if (keep >> c & 1) continue;
    long result = sys_prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
    if (result == -EINVAL) return 0;  // past the kernel's last
    if (result < 0) return result;
  }
  return 0;
}

/// - sets: effective, permitted, inheritable, ambient.
static long hold(const uint64_t *sets) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  for (int half = 0; half < 2; half++)
    data[half] = (struct __user_cap_data_struct){
        (uint32_t)(sets[0] >> 32 * half), (uint32_t)(sets[1] >> 32 * half), (uint32_t)(sets[2] >> 32 * half)};
  long result = SYS2(__NR_capset, &header, data);
  if (result >= 0) result = sys_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (unsigned long c = 0; result >= 0 && c < 64; c++)
    if (sets[3] >> c & 1) result = sys_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, c, 0, 0);
  return result;
}

long capabilities(uint64_t effective, uint64_t ambient) {
  uint64_t sets[4] = {effective, effective, ambient, ambient};
  return hold(sets);
}

long capability_sets(const struct stage_op *op) {
  uint64_t sets[4];
  memcpy(sets, text(op->text[0]), sizeof sets);
  return hold(sets);
}

long seccomp(const struct stage_op *op) {
  struct { unsigned short count; const void *program; } filter = {(unsigned short)op->a, text(op->text[0])};
  long result = SYS3(__NR_seccomp, 1 /* SECCOMP_SET_MODE_FILTER */, op->b, &filter);
  if (result < 0 || !(op->b & 8 /* SECCOMP_FILTER_FLAG_NEW_LISTENER */)) return result;
  // A container's is the launcher's to pass on, a watched command's goes to who answers: neither socket is the program's.
  int listener = (int)result;
  char kind = STAGE_SAYS_DESCRIPTORS;
  result = send_message(watch_way >= 0 ? watch_way : told_on, &kind, 1, &listener, 1, 0);
  sys_close(listener);
  return result;
}

long keyring(void) {
  long result = SYS2(__NR_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, 0);
  return result == -ENOSYS ? 0 : result;
}

// linux/landlock.h may be older than the kernel.
enum { LANDLOCK_RULE_PATH_BENEATH_ = 1, LANDLOCK_SCOPE_SIGNAL_ = 2 };

int signals_are_scoped;

long landlock(const struct stage_op *op) {
  static int ruleset = -1, scopes;
  long result;
  if (op->flags & STAGE_MAKE) {
    // An older kernel takes the longer one where nothing stands in what it does not know.
    uint64_t attributes[3] = {op->a, (uint32_t)op->b, op->b >> 32};
    scopes = (int)attributes[2];
    result = SYS3(__NR_landlock_create_ruleset, attributes, sizeof attributes, 0);
    ruleset = (int)result;
    return result < 0 ? result : 0;
  }
  if (op->text[0]) {
    uint64_t links = op->flags & STAGE_STRAIGHT ? RESOLVE_NO_SYMLINKS : 0;
    struct __attribute__((packed)) { uint64_t accesses; int32_t fd; } rule = {op->a, -1};
    result = sys_resolve(AT_FDCWD, text(op->text[0]), O_PATH, 0, links);
    if (result < 0) return op->flags & STAGE_OPTIONAL ? 0 : result;
    rule.fd = (int)result;
    result = SYS4(__NR_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH_, &rule, 0);
    sys_close(rule.fd);
    return result;
  }
  result = SYS2(__NR_landlock_restrict_self, ruleset, 0);
  sys_close(ruleset);
  if (result >= 0 && scopes & LANDLOCK_SCOPE_SIGNAL_) signals_are_scoped = 1;
  return result;
}
