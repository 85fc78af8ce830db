// Ops that only containers have: what an OCI bundle may ask for and a zone never does.
#include "container.h"
#include "inside.h"
#include "ops.h"
#include "process.h"

long propagation(const struct stage_op *op) {
  if (!op->text[0]) return sys_mount(0, "/", 0, op->a, 0);
  long fd = inside(text(op->text[0]), O_PATH, 0);
  if (fd < 0) return fd;
  struct mount_attr attributes = {.propagation = op->a & ~(uint64_t)MS_REC};
  unsigned flags = AT_EMPTY_PATH | (op->a & MS_REC ? AT_RECURSIVE : 0);
  long result = SYS5(__NR_mount_setattr, fd, "", flags, &attributes, sizeof attributes);
  sys_close((int)fd);
  return result;
}

long node(const struct stage_op *op) {
  const char *name, *path = text(op->text[0]);
  long parent = made_parent_of(path, &name);
  if (parent < 0) return parent;
  long result = SYS4(__NR_mknodat, parent, name, op->b, op->a);
  if (result == -EEXIST) {
    // A device that is there by the same numbers is the one that was meant.
    struct statx status;
    result = status_of((int)parent, name, AT_SYMLINK_NOFOLLOW, &status);
    if (result >= 0 && ((status.stx_mode & S_IFMT) != (op->b & S_IFMT) || device_of(&status) != op->a)) result = -EEXIST;
  }
  if (result < 0) return result;
  uint32_t owner[2];
  memcpy(owner, text(op->text[1]), sizeof owner);
  return SYS5(__NR_fchownat, parent, name, owner[0], owner[1], AT_SYMLINK_NOFOLLOW);
}

/// The old root's mounts may be shared with the host's: to take them away there too is not what is meant.
long leave_root(void) {
  long old = sys_open(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0);
  if (old < 0) return old;
  long result = SYS1(__NR_fchdir, root_fd);
  if (result >= 0) result = SYS2(__NR_pivot_root, ".", ".");
  if (result >= 0) result = SYS1(__NR_fchdir, old);
  if (result >= 0) result = sys_mount(0, ".", 0, MS_SLAVE | MS_REC, 0);
  if (result >= 0) result = SYS2(__NR_umount2, ".", MNT_DETACH);
  if (result >= 0) result = SYS1(__NR_chdir, "/");
  sys_close((int)old);
  return result;
}

/// By descriptor, whatever the tree has at /dev/console (CVE-2025-52565).
long console(const struct stage_op *op) {
  if (slave_fd < 0) return -ENOTTY;
  long tree = SYS3(__NR_open_tree, slave_fd, "", AT_EMPTY_PATH | OPEN_TREE_CLOEXEC | OPEN_TREE_CLONE);
  if (tree < 0) return tree;
  long to = mount_point(op, text(op->text[0]), 1);
  long result = to < 0 ? to : attach((int)tree, (int)to);
  if (to >= 0) sys_close((int)to);
  sys_close((int)tree);
  return result;
}

/// What was opened as another user can then be opened again by its /proc/self/fd name. Not the devices that all share.
long stdio_owner(const struct stage_op *op) {
  for (int i = 0; i < 3; i++) {
    struct statx status;
    long result = status_of(i, "", AT_EMPTY_PATH, &status);
    if (result < 0) return result;
    if (status.stx_uid == op->a) continue;
    if ((status.stx_mode & S_IFMT) == S_IFCHR && status.stx_rdev_major == 1) continue;
    result = SYS5(__NR_fchownat, i, "", op->a, -1, AT_EMPTY_PATH);
    // A read-only file system, or an owner that is not mapped: then it stays as it is.
    if (result < 0 && result != -EPERM && result != -EINVAL && result != -EROFS) return result;
  }
  return 0;
}

/// Raised here, as host root; the process sets the values itself, at the last moment.
long hard_limit(const struct stage_op *op) {
  uint64_t now[2];
  long result = SYS4(__NR_prlimit64, 0, op->flags, 0, now);
  if (result < 0 || now[1] >= op->b) return result;
  now[1] = op->b;
  return SYS4(__NR_prlimit64, 0, op->flags, now, 0);
}

/// A relative name begins where the process is to be, which it is only after its start. Of a directory that is not there
/// yet, or is none to be entered, the process itself hears: nothing is said here.
static long may_execute(const char *path, const void *directory) {
  long from = *path == '/' ? AT_FDCWD : inside(directory, O_PATH | O_DIRECTORY, 0);
  if (from < 0 && from != AT_FDCWD) return 0;
  long result = SYS3(__NR_faccessat, from, path, 1 /* X_OK */);
  if (from >= 0) sys_close((int)from);
  return result;
}

long find_command(const struct stage_op *op) { return search(may_execute, text(op->text[0])); }
