// The plan's ops, one function each. They know no policy: what to do, in which order and with what is the plan's.
//
// Targets inside the zone are resolved once, below the root, by openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS),
// and used by descriptor: mount(2) gets "." after fchdir, move_mount(2) an empty path (CVE-2021-30465, CVE-2019-16884).
#include "kernel.h"


int root_fd = -1, userns_fd = -1, null_fd = -1, empty_fd = -1, master_fd = -1, slave_fd = -1, devpts_fd = -1;
static uint32_t fs_uid, fs_gid;

static long kind_of(int fd, const char *path, int flags, uint32_t *mode) {
  struct statx status;
  long result = SYS5(__NR_statx, fd, path, flags, STATX_TYPE | STATX_MODE, &status);
  *mode = status.stx_mode;
  return result;
}

static long inside(const char *path, uint64_t flags, uint64_t mode) {
  return sys_resolve(root_fd, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

/// Opens the directory that holds `path`'s last name and points *name at it.
static long parent_of(const char *path, const char **name) {
  char folder[4096];
  size_t cut = 0, n = length(path);
  if (n >= sizeof folder) return -ENAMETOOLONG;
  for (size_t i = 0; i < n; i++)
    if (path[i] == '/') cut = i + 1;
  *name = path + cut;
  if (!**name) return -EINVAL;
  memcpy(folder, path, cut);
  folder[cut] = 0;
  return inside(cut ? folder : ".", O_PATH | O_DIRECTORY, 0);
}

static long make_directory(const char *path, uint64_t mode) {
  const char *name;
  long parent = parent_of(path, &name);
  if (parent < 0) return parent;
  long result = SYS3(__NR_mkdirat, parent, name, mode);
  sys_close((int)parent);
  return result == -EEXIST ? 0 : result;
}

/// Makes every missing directory of `path`; existing links are followed inside the root.
static long make_directories(const char *path) {
  char part[4096];
  size_t n = length(path);
  if (n >= sizeof part) return -ENAMETOOLONG;
  for (size_t i = 1; i <= n; i++) {
    if (path[i] != '/' && path[i] != 0) continue;
    memcpy(part, path, i);
    part[i] = 0;
    long fd = inside(part, O_PATH | O_DIRECTORY, 0);
    if (fd == -ENOENT) {
      long result = make_directory(part, 0755);
      if (result < 0) return result;
      continue;
    }
    if (fd < 0) return fd;
    sys_close((int)fd);
  }
  return 0;
}

static long make_file(const char *path) {
  const char *name;
  long parent = parent_of(path, &name);
  if (parent < 0) return parent;
  long fd = sys_open((int)parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
  sys_close((int)parent);
  if (fd < 0) return fd == -EEXIST ? 0 : fd;
  sys_close((int)fd);
  return 0;
}

/// The target of a mount, made where the op says so: a directory, or a file where the source is one.
static long target(const struct stage_op *op, const char *path, int is_file) {
  long fd = inside(path, O_PATH, 0);
  if (fd == -ENOENT && op->flags & STAGE_MAKE) {
    const char *name;
    long parent = parent_of(path, &name);
    if (parent == -ENOENT) {
      char folder[4096];
      size_t n = (size_t)(name - path);
      memcpy(folder, path, n);
      folder[n ? n - 1 : 0] = 0;
      long result = make_directories(folder);
      if (result < 0) return result;
    } else if (parent < 0) return parent;
    else sys_close((int)parent);
    long result = is_file ? make_file(path) : make_directory(path, 0755);
    if (result < 0) return result;
    fd = inside(path, O_PATH, 0);
  }
  return fd;
}

/// A detached copy of the source: the plan's own (opened on the host's side before anything ran), or by path.
static long source_tree(const struct stage_op *op) {
  unsigned flags = OPEN_TREE_CLOEXEC | (op->flags & STAGE_RECURSIVE ? AT_RECURSIVE : 0);
  if (op->text[1]) return SYS3(__NR_open_tree, AT_FDCWD, text(op->text[1]), flags | OPEN_TREE_CLONE);
  return op->fd;
}

static long set_attributes(int tree, const struct stage_op *op) {
  struct mount_attr attributes = {.attr_set = op->a, .attr_clr = op->b};
  if (op->flags & STAGE_IDMAP) {
    attributes.attr_set |= MOUNT_ATTR_IDMAP;
    attributes.userns_fd = (uint64_t)userns_fd;
  }
  if (!attributes.attr_set && !attributes.attr_clr) return 0;
  unsigned flags = AT_EMPTY_PATH | (op->flags & STAGE_RECURSIVE ? AT_RECURSIVE : 0);
  return SYS5(__NR_mount_setattr, tree, "", flags, &attributes, sizeof attributes);
}

static long attach(int tree, int to) {
  return SYS5(__NR_move_mount, tree, "", to, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

static long enter_new_root(int fd) {
  if (root_fd >= 0) sys_close(root_fd);
  root_fd = fd;
  return SYS1(__NR_fchdir, fd);
}

static long root_tmpfs(const struct stage_op *op) {
  long result = sys_mount("zone", text(op->text[0]), "tmpfs", op->a, text(op->text[1]));
  if (result < 0) return result;
  long fd = sys_open(AT_FDCWD, text(op->text[0]), O_RDONLY | O_DIRECTORY, 0);
  return fd < 0 ? fd : enter_new_root((int)fd);
}

static long root_tree(const struct stage_op *op) {
  long tree = source_tree(op);
  if (tree < 0) return tree;
  long result = set_attributes((int)tree, op);
  if (result < 0) return result;
  long to = sys_open(AT_FDCWD, text(op->text[0]), O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
  if (to < 0) return to;
  result = attach((int)tree, (int)to);
  sys_close((int)to);
  if (result < 0) return result;
  long fd = sys_open((int)tree, ".", O_RDONLY | O_DIRECTORY, 0);
  sys_close((int)tree);
  return fd < 0 ? fd : enter_new_root((int)fd);
}

static long host_tree(const struct stage_op *op) {
  long tree = source_tree(op);
  if (tree < 0) return tree;
  long result = set_attributes((int)tree, op);
  if (result < 0) return result;
  long to = sys_open(AT_FDCWD, text(op->text[0]), O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
  if (to < 0) return to;
  result = attach((int)tree, (int)to);
  sys_close((int)to);
  sys_close((int)tree);
  return result;
}

static long symbolic_link(const struct stage_op *op) {
  const char *name;
  long parent = parent_of(text(op->text[0]), &name);
  if (parent < 0) return parent;
  long result = SYS3(__NR_symlinkat, text(op->text[1]), parent, name);
  sys_close((int)parent);
  return result == -EEXIST ? 0 : result;
}

/// A new file in the place of whatever is there: never through a link, never into a FIFO or device.
static long new_file(const char *path, uint64_t mode) {
  const char *name;
  long parent = parent_of(path, &name);
  if (parent < 0) return parent;
  int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  long fd = sys_open((int)parent, name, flags, (int)mode);
  if (fd == -EEXIST && SYS3(__NR_unlinkat, parent, name, 0) == 0) fd = sys_open((int)parent, name, flags, (int)mode);
  sys_close((int)parent);
  return fd;
}

static long put(int fd, const char *from, size_t n) {
  while (n) {
    long sent = sys_write(fd, from, n);
    if (sent < 0 && sent != -EINTR) return sent;
    if (sent > 0) from += sent, n -= (size_t)sent;
  }
  return 0;
}

static long file(const struct stage_op *op) {
  long fd = new_file(text(op->text[0]), op->b);
  if (fd < 0) return fd;
  long result = put((int)fd, op->text[1] ? text(op->text[1]) : "", (size_t)op->a);
  sys_close((int)fd);
  return result;
}

static void switch_fsids(uint32_t uid, uint32_t gid) {
  SYS1(__NR_setfsgid, gid);
  SYS1(__NR_setfsuid, uid);
}

static long copy(const struct stage_op *op) {
  long fd = new_file(text(op->text[0]), op->b);
  if (fd < 0) return fd;
  char chunk[4096];
  long result = 0, got;
  SYS3(__NR_lseek, op->fd, 0, 0);
  while (!result && (got = sys_read(op->fd, chunk, sizeof chunk)) != 0) {
    if (got < 0) result = got == -EINTR ? 0 : got;
    else result = put((int)fd, chunk, (size_t)got);
  }
  if (!result && op->a) {
    // Away from the fsids the file was made with there is no CAP_CHOWN.
    switch_fsids(0, 0);
    result = SYS3(__NR_fchown, fd, op->a, op->a >> 32);
    switch_fsids(fs_uid, fs_gid);
  }
  sys_close((int)fd);
  return result;
}

static long attach_source(const struct stage_op *op) {
  long tree = source_tree(op);
  if (tree < 0) return tree == -ENOENT && op->flags & STAGE_OPTIONAL ? 0 : tree;
  uint32_t mode;
  long result = kind_of((int)tree, "", AT_EMPTY_PATH, &mode);
  if (result >= 0) result = set_attributes((int)tree, op);
  if (result < 0) return result;
  int is_file = (mode & S_IFMT) != S_IFDIR;
  long to = target(op, text(op->text[0]), is_file);
  if (to < 0) return to == -ENOENT && op->flags & STAGE_OPTIONAL ? 0 : to;
  uint32_t there;
  result = kind_of((int)to, "", AT_EMPTY_PATH, &there);
  if (result >= 0 && is_file == ((there & S_IFMT) == S_IFDIR)) result = is_file ? -EISDIR : -ENOTDIR;
  if (result >= 0) result = attach((int)tree, (int)to);
  sys_close((int)to);
  sys_close((int)tree);
  return result;
}

static long mount_type(const struct stage_op *op) {
  long to = target(op, text(op->text[0]), 0);
  if (to < 0) return to == -ENOENT && op->flags & STAGE_OPTIONAL ? 0 : to;
  long result = SYS1(__NR_fchdir, to);
  if (result >= 0) result = sys_mount(text(op->text[1]), ".", text(op->text[1]), op->a, text(op->text[2]));
  sys_close((int)to);
  long back = SYS1(__NR_fchdir, root_fd);
  return result < 0 ? result : back;
}

/// setfsuid to another id drops the file capabilities from the effective set; this takes them up again.
static long raise_all(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  long result = SYS2(__NR_capget, &header, data);
  if (result < 0) return result;
  data[0].effective = data[0].permitted;
  data[1].effective = data[1].permitted;
  return SYS2(__NR_capset, &header, data);
}

/// The mounter's credentials are those the overlay works with: fsids inside the zone's range, with every capability.
/// With host root's the upper layer would be read-only without a word.
static long overlay(const struct stage_op *op) {
  long to = target(op, text(op->text[0]), 0);
  if (to < 0) return to;
  long result = raise_all();
  if (result >= 0) result = SYS1(__NR_fchdir, to);
  if (result >= 0) result = sys_mount("overlay", ".", "overlay", op->a, text(op->text[2]));
  sys_close((int)to);
  SYS1(__NR_fchdir, root_fd);
  switch_fsids(0, 0);
  switch_fsids(fs_uid, fs_gid);
  return result;
}

static long device(const struct stage_op *op) {
  const char *name;
  switch_fsids(0, 0);
  long parent = parent_of(text(op->text[0]), &name);
  long result = parent;
  if (parent >= 0) {
    result = SYS4(__NR_mknodat, parent, name, S_IFCHR | op->b, op->a);
    if (result >= 0) result = SYS5(__NR_fchownat, parent, name, plan->zone_root_uid, plan->zone_root_gid, AT_SYMLINK_NOFOLLOW);
    sys_close((int)parent);
  }
  switch_fsids(fs_uid, fs_gid);
  return result;
}

static long read_only(const struct stage_op *op) {
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
  if (!op->text[0]) return SYS5(__NR_mount_setattr, root_fd, "", AT_EMPTY_PATH, &attributes, sizeof attributes);
  long fd = inside(text(op->text[0]), O_PATH, 0);
  if (fd < 0) return fd;
  long result = SYS5(__NR_mount_setattr, fd, "", AT_EMPTY_PATH, &attributes, sizeof attributes);
  sys_close((int)fd);
  return result;
}

/// The copy of the mount namespace locked every mount of the root, the root too: pivot_root(2) wants one of our own.
static long enter_root(void) {
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
  long result = SYS5(__NR_statx, fd, "", AT_EMPTY_PATH, STATX_TYPE, &status);
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
  SYS1(__NR_fchdir, root_fd);
  return result;
}

static long mask(const struct stage_op *op) {
  // No link may lead a mask elsewhere: procfs and sysfs are ours, and fresh.
  long to = sys_resolve(root_fd, text(op->text[0]), O_PATH, 0, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
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
      long fd = sys_resolve(root_fd, text(op->text[0]), O_PATH, 0, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
      if (fd < 0) result = fd;
      else empty_fd = (int)fd;
    }
  } else if (result >= 0) result = cover(empty_fd, (int)to);
  sys_close((int)to);
  return result;
}

static long read_only_path(const struct stage_op *op) {
  long to = sys_resolve(root_fd, text(op->text[0]), O_PATH, 0, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
  if (to == -ENOENT) return 0;
  if (to < 0) return to;
  long tree = SYS3(__NR_open_tree, to, "", AT_EMPTY_PATH | OPEN_TREE_CLOEXEC | OPEN_TREE_CLONE | AT_RECURSIVE);
  long result = tree;
  if (tree >= 0) {
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC};
    result = SYS5(__NR_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes);
    if (result >= 0) result = attach((int)tree, (int)to);
    sys_close((int)tree);
  }
  sys_close((int)to);
  return result;
}

static long pivot(void) {
  long result = SYS2(__NR_pivot_root, ".", ".");
  // The old root lies over the new one: detach it, and "/" and "." are the zone's.
  if (result >= 0) result = SYS2(__NR_umount2, ".", MNT_DETACH);
  if (result >= 0) result = SYS1(__NR_chdir, "/");
  return result;
}

static long loopback(void) {
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

static long kernel_file(const struct stage_op *op) {
  long fd = sys_resolve(root_fd, text(op->text[0]), O_WRONLY, 0, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
  if (fd < 0) return fd == -ENOENT && op->flags & STAGE_OPTIONAL ? 0 : fd;
  const char *content = text(op->text[1]);
  long result = sys_write((int)fd, content, length(content));
  sys_close((int)fd);
  return result;
}

/// A pair from the zone's own devpts, before anything foreign ran in it; TIOCGPTPEER opens no path (CVE-2025-52565).
static long terminal(const struct stage_op *op) {
  long master = inside("dev/pts/ptmx", O_RDWR | O_NOCTTY, 0);
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

static long ids(const struct stage_op *op) {
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

static long change_directory(const struct stage_op *op) {
  long result = SYS1(__NR_chdir, text(op->text[0]));
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

static long bounding(uint64_t keep) {
  for (unsigned long c = 0; c < 64; c++) {
    if (keep >> c & 1) continue;
    long result = sys_prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
    if (result == -EINVAL) return 0;  // past the kernel's last
    if (result < 0) return result;
  }
  return 0;
}

static long capabilities(uint64_t effective, uint64_t ambient) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {
      {(uint32_t)effective, (uint32_t)effective, (uint32_t)ambient},
      {(uint32_t)(effective >> 32), (uint32_t)(effective >> 32), (uint32_t)(ambient >> 32)}};
  long result = SYS2(__NR_capset, &header, data);
  if (result >= 0) result = sys_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (unsigned long c = 0; result >= 0 && c < 64; c++)
    if (ambient >> c & 1) result = sys_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, c, 0, 0);
  return result;
}

static long seccomp(const struct stage_op *op) {
  struct { unsigned short count; const void *program; } filter = {(unsigned short)op->a, text(op->text[0])};
  return SYS3(__NR_seccomp, 1 /* SECCOMP_SET_MODE_FILTER */, 0, &filter);
}

static long run_op(const struct stage_op *op) {
  switch (op->code) {
    case STAGE_OP_NONE: return 0;
    case STAGE_OP_ROOT_TMPFS: return root_tmpfs(op);
    case STAGE_OP_ROOT_TREE: return root_tree(op);
    case STAGE_OP_HOST_TREE: return host_tree(op);
    case STAGE_OP_FSIDS:
      fs_uid = (uint32_t)op->a, fs_gid = (uint32_t)op->b;
      switch_fsids(fs_uid, fs_gid);
      return 0;
    case STAGE_OP_MKDIR:
      if (!(op->flags & STAGE_FRESH)) return make_directory(text(op->text[0]), op->a);
      { long result = SYS3(__NR_mkdirat, root_fd, text(op->text[0]), op->a); return result == -EEXIST ? 0 : result; }
    case STAGE_OP_SYMLINK:
      if (op->flags & STAGE_FRESH) return SYS3(__NR_symlinkat, text(op->text[1]), root_fd, text(op->text[0]));
      return symbolic_link(op);
    case STAGE_OP_FILE: return file(op);
    case STAGE_OP_COPY: return copy(op);
    case STAGE_OP_ATTACH: return attach_source(op);
    case STAGE_OP_MOUNT: return mount_type(op);
    case STAGE_OP_OVERLAY: return overlay(op);
    case STAGE_OP_DEVICE: return device(op);
    case STAGE_OP_READ_ONLY: return read_only(op);
    case STAGE_OP_ENTER_ROOT: return enter_root();
    case STAGE_OP_MASK: return mask(op);
    case STAGE_OP_READ_ONLY_PATH: return read_only_path(op);
    case STAGE_OP_PIVOT: return pivot();
    case STAGE_OP_HOSTNAME: return SYS2(__NR_sethostname, text(op->text[0]), length(text(op->text[0])));
    case STAGE_OP_LOOPBACK: return loopback();
    case STAGE_OP_WRITE: return kernel_file(op);
    case STAGE_OP_TERMINAL: return terminal(op);
    case STAGE_OP_RLIMIT: {
      uint64_t limit[2] = {op->a, op->b};
      return SYS4(__NR_prlimit64, 0, op->flags, limit, 0);
    }
    case STAGE_OP_IDS: return ids(op);
    case STAGE_OP_CHDIR: return change_directory(op);
    case STAGE_OP_BOUNDING: return bounding(op->a);
    case STAGE_OP_CAPABILITIES: return capabilities(op->a, op->b);
    case STAGE_OP_NO_NEW_PRIVS: return sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    case STAGE_OP_SECCOMP: return seccomp(op);
    case STAGE_OP_OOM_SCORE: return write_file("/proc/self/oom_score_adj", text(op->text[0]));
    case STAGE_OP_KEYRING: {
      long result = SYS2(__NR_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, 0);
      return result == -ENOSYS ? 0 : result;
    }
    case STAGE_OP_DEATH_SIGNAL: return sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    default: return -ENOSYS;
  }
}

long run_section(int section, int32_t *step) {
  struct stage_range range = plan->section[section];
  for (uint32_t i = 0; i < range.count; i++) {
    long result = run_op(op_at(range.first + i));
    if (result < 0) {
      *step = (int32_t)(range.first + i);
      return result;
    }
  }
  if (section == STAGE_SECTION_TREE) switch_fsids(0, 0), raise_all();
  return 0;
}
