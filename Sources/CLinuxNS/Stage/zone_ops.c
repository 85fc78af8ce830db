// The zone, from inside its namespaces: its root entered, the kernel's files covered, the host's root let go.
#include "bare.h"
#include "inside.h"
#include "ops.h"

static int null_fd = -1, empty_fd = -1;

/// The copy of the mount namespace locked every mount of the root, the root too: pivot_root(2) wants one of our own.
long enter_root(void) {
  long tree = SYS3(__NR_open_tree, AT_FDCWD, ".", OPEN_TREE_CLOEXEC | OPEN_TREE_CLONE | AT_RECURSIVE);
  if (tree < 0) return tree;
  long result = SYS5(__NR_move_mount, tree, "", AT_FDCWD, ".", MOVE_MOUNT_F_EMPTY_PATH);
  if (result < 0) return result;
  long fd = sys_open((int)tree, ".", O_RDONLY | O_DIRECTORY, 0);
  sys_close((int)tree);
  return fd < 0 ? fd : enter_new_root((int)fd);
}

/// CVE-2025-31133: what covers a file is the character device 1:3 we made ourselves, looked at again here.
static long open_null(void) {
  if (null_fd >= 0) return 0;
  long fd = inside("dev/null", O_PATH | O_NOFOLLOW, 0);
  if (fd < 0) return fd;
  struct statx status;
  long result = status_of((int)fd, "", AT_EMPTY_PATH, &status);
  if (result >= 0 && ((status.stx_mode & S_IFMT) != S_IFCHR || status.stx_rdev_major != 1 || status.stx_rdev_minor != 3))
    result = -ENODEV;
  if (result < 0) sys_close((int)fd);
  else null_fd = (int)fd;
  return result;
}

static long cover(int from, int to) {
  long tree = SYS3(__NR_open_tree, from, "", AT_EMPTY_PATH | OPEN_TREE_CLOEXEC | OPEN_TREE_CLONE);
  if (tree < 0) return tree;
  long result = attach((int)tree, to);
  sys_close((int)tree);
  return result;
}

/// One empty read-only tmpfs covers every directory.
static long open_empty(int to) {
  long result = SYS1(__NR_fchdir, to);
  if (result >= 0) result = sys_mount("tmpfs", ".", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "nr_blocks=1,nr_inodes=1,mode=555");
  forget_parent();
  SYS1(__NR_fchdir, root_fd);
  return result;
}

/// No link may lead a mask elsewhere where procfs and sysfs are ours, and fresh; in a bundle's tree links stay in the root.
static long covered(const struct stage_op *op) {
  uint64_t links = op->flags & STAGE_FOLLOW ? RESOLVE_NO_MAGICLINKS : RESOLVE_NO_SYMLINKS;
  return sys_resolve(root_fd, text(op->text[0]), O_PATH, 0, RESOLVE_IN_ROOT | links);
}

long mask(const struct stage_op *op) {
  long to = covered(op);
  if (to == -ENOENT || to == -EACCES) return 0;
  if (to < 0) return to;
  uint32_t mode;
  long result = kind_of((int)to, "", AT_EMPTY_PATH, &mode);
  if (result >= 0 && (mode & S_IFMT) != S_IFDIR) {
    result = open_null();
    if (result >= 0) result = cover(null_fd, (int)to);
  } else if (result >= 0 && empty_fd < 0) {
    result = open_empty((int)to);
    if (result >= 0) {
      long fd = covered(op);
      if (fd < 0) result = fd;
      else empty_fd = (int)fd;
    }
  } else if (result >= 0) result = cover(empty_fd, (int)to);
  sys_close((int)to);
  return result;
}

long read_only_path(const struct stage_op *op) {
  long to = covered(op);
  if (to == -ENOENT) return 0;
  if (to < 0) return to;
  long tree = SYS3(__NR_open_tree, to, "", AT_EMPTY_PATH | OPEN_TREE_CLOEXEC | OPEN_TREE_CLONE | AT_RECURSIVE);
  long result = tree;
  if (tree >= 0) {
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC};
    // A bundle says read-only, and means no more.
    if (op->flags & STAGE_FOLLOW) attributes.attr_set = MOUNT_ATTR_RDONLY;
    result = SYS5(__NR_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes);
    if (result >= 0) result = attach((int)tree, (int)to);
    sys_close((int)tree);
  }
  sys_close((int)to);
  return result;
}

long pivot(void) { return SYS2(__NR_pivot_root, ".", "."); }

/// The old root lies over the new one since: it is detached, and "/" and "." are the zone's. Waits out a grace period of
/// RCU, 0.1 ms and more, after the mounts have gone from everybody's sight (namespace_unlock of fs/namespace.c).
long let_go(void) {
  // Without a mount namespace of the zone's own this is the host's root, and stays.
  if (is_bare()) return 0;
  long result = SYS2(__NR_umount2, ".", MNT_DETACH);
  return result < 0 ? result : SYS1(__NR_chdir, "/");
}

int loopback_is_up;

long loopback(void) {
  struct { char name[16]; short flags; char rest[22]; } request;
  memset(&request, 0, sizeof request);
  memcpy(request.name, "lo", 3);
  request.flags = 1 | 0x40;  // IFF_UP | IFF_RUNNING
  long fd = SYS3(__NR_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fd;
  long result = SYS3(__NR_ioctl, fd, 0x8914 /* SIOCSIFFLAGS */, &request);
  sys_close((int)fd);
  return result;
}

long kernel_file(const struct stage_op *op) {
  long fd = sys_resolve(root_fd, text(op->text[0]), O_WRONLY, 0, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
  if (fd < 0) return fd == -ENOENT && op->flags & STAGE_OPTIONAL ? 0 : fd;
  // Whatever the tree has there: nothing but the kernel's own files is written to (CVE-2019-16884, CVE-2025-52881).
  struct statfs system;
  long result = SYS2(__NR_fstatfs, fd, &system);
  if (result >= 0 && system.f_type != 0x9fa0 /* PROC_SUPER_MAGIC */) result = -EXDEV;
  const char *content = text(op->text[1]);
  if (result >= 0) result = sys_write((int)fd, content, length(content));
  sys_close((int)fd);
  return result;
}

/// Of the zone's own devpts, before anything foreign ran in it.
static long open_master(void) {
  if (is_bare()) return sys_open(AT_FDCWD, "/dev/ptmx", O_RDWR | O_NOCTTY, 0);
  // A tree without a devpts of its own may have anything there.
  long look = inside("dev/pts/ptmx", O_PATH | O_NOFOLLOW, 0);
  if (look < 0) return look;
  struct statfs system;
  long kind = SYS2(__NR_fstatfs, look, &system);
  sys_close((int)look);
  if (kind < 0 || system.f_type != 0x1cd1 /* DEVPTS_SUPER_MAGIC */) return -ENODEV;
  long master = inside("dev/pts/ptmx", O_RDWR | O_NOCTTY, 0);
  if (master < 0) return master;
  // Again: in a living container somebody may have put another thing there meanwhile.
  kind = SYS2(__NR_fstatfs, master, &system);
  return kind < 0 || system.f_type != 0x1cd1 ? -ENODEV : master;
}

/// A pair; TIOCGPTPEER opens no path (CVE-2025-52565).
long terminal(const struct stage_op *op) {
  long master = open_master();
  if (master < 0) return master;
  int unlock = 0;
  struct { uint16_t rows, columns, x, y; } size = {(uint16_t)op->a, (uint16_t)op->b, 0, 0};
  long result = SYS3(__NR_ioctl, master, TIOCSPTLCK, &unlock);
  if (result >= 0 && op->a) result = SYS3(__NR_ioctl, master, TIOCSWINSZ, &size);
  if (result >= 0) result = SYS3(__NR_ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (result < 0) return result;
  master_fd = (int)master;
  slave_fd = (int)result;
  return 0;
}
