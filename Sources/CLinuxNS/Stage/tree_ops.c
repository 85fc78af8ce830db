// The tree: what is mounted to make the zone's root, by whoever holds it. Targets are used by descriptor: mount(2) gets "."
// after fchdir, move_mount(2) an empty path.
#include "inside.h"
#include "ops.h"

/// A detached copy of the source: the plan's own (opened on the host's side before anything ran), or by path.
static long source_tree(const struct stage_op *op) {
  unsigned flags = OPEN_TREE_CLOEXEC | (op->flags & STAGE_RECURSIVE ? AT_RECURSIVE : 0);
  if (op->text[1] && op->flags & STAGE_STRAIGHT) {
    // Who may write above it could have put a link there since it was looked at.
    long fd = sys_resolve(AT_FDCWD, text(op->text[1]), O_PATH, 0, RESOLVE_NO_SYMLINKS);
    if (fd < 0) return fd;
    long tree = SYS3(__NR_open_tree, fd, "", flags | AT_EMPTY_PATH | OPEN_TREE_CLONE);
    sys_close((int)fd);
    return tree;
  }
  if (op->text[1]) return SYS3(__NR_open_tree, AT_FDCWD, text(op->text[1]), flags | OPEN_TREE_CLONE);
  return op->fd;
}

long set_attributes(int tree, const struct stage_op *op) {
  struct mount_attr attributes = {.attr_set = op->a, .attr_clr = op->b};
  if (op->flags & STAGE_IDMAP) {
    attributes.attr_set |= MOUNT_ATTR_IDMAP;
    attributes.userns_fd = (uint64_t)userns_fd;
  }
  if (!attributes.attr_set && !attributes.attr_clr) return 0;
  unsigned flags = AT_EMPTY_PATH | (op->flags & STAGE_RECURSIVE ? AT_RECURSIVE : 0);
  return SYS5(__NR_mount_setattr, tree, "", flags, &attributes, sizeof attributes);
}

long root_tmpfs(const struct stage_op *op) {
  long result = sys_mount("zone", text(op->text[0]), "tmpfs", op->a, text(op->text[1]));
  if (result < 0) return result;
  long fd = sys_open(AT_FDCWD, text(op->text[0]), O_RDONLY | O_DIRECTORY, 0);
  return fd < 0 ? fd : enter_new_root((int)fd);
}

/// The source on the host directory text[0]. The tree's descriptor, or -errno.
static long attach_on_host(const struct stage_op *op) {
  long tree = source_tree(op);
  if (tree < 0) return tree;
  long result = set_attributes((int)tree, op);
  if (result < 0) return result;
  long to = sys_open(AT_FDCWD, text(op->text[0]), O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
  if (to < 0) return to;
  result = attach((int)tree, (int)to);
  sys_close((int)to);
  return result < 0 ? result : tree;
}

long root_tree(const struct stage_op *op) {
  long tree = attach_on_host(op);
  if (tree < 0) return tree;
  long fd = sys_open((int)tree, ".", O_RDONLY | O_DIRECTORY, 0);
  sys_close((int)tree);
  return fd < 0 ? fd : enter_new_root((int)fd);
}

long host_tree(const struct stage_op *op) {
  long tree = attach_on_host(op);
  if (tree < 0) return tree;
  sys_close((int)tree);
  return 0;
}

long attach_source(const struct stage_op *op) {
  long tree = source_tree(op);
  if (tree < 0) return tree == -ENOENT && op->flags & STAGE_OPTIONAL ? 0 : tree;
  uint32_t mode;
  long result = kind_of((int)tree, "", AT_EMPTY_PATH, &mode);
  if (result >= 0) result = set_attributes((int)tree, op);
  if (result < 0) return result;
  int is_file = (mode & S_IFMT) != S_IFDIR;
  long to = mount_point(op, text(op->text[0]), is_file);
  if (to < 0) {
    sys_close((int)tree);
    return to == -ENOENT && op->flags & STAGE_OPTIONAL ? 0 : to;
  }
  uint32_t there;
  result = kind_of((int)to, "", AT_EMPTY_PATH, &there);
  if (result >= 0 && is_file == ((there & S_IFMT) == S_IFDIR)) result = is_file ? -EISDIR : -ENOTDIR;
  if (result >= 0) result = attach((int)tree, (int)to);
  sys_close((int)to);
  sys_close((int)tree);
  return result;
}

/// What shows the kernel itself is mounted where it is said, not where a link of the tree's leads (CVE-2019-19921).
static long is_straight(const struct stage_op *op) {
  const char *type = text(op->text[1]);
  if (memcmp(type, "proc", 5) && memcmp(type, "sysfs", 6)) return 0;
  long fd = sys_resolve(root_fd, text(op->text[0]), O_PATH, 0, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
  if (fd == -ELOOP) return fd;
  if (fd >= 0) sys_close((int)fd);
  return 0;
}

/// mount(2)'s data of the op with the mode of what `fd` is in front; 0 where there is no room for it.
static const char *data_with_mode(int fd, const struct stage_op *op) {
  static char data[4096];  // the kernel takes a page
  const char *rest = op->text[2] ? text(op->text[2]) : "";
  uint32_t mode;
  if (length(rest) > sizeof data - sizeof "mode=7777," || kind_of(fd, "", AT_EMPTY_PATH, &mode) < 0) return 0;
  char *end = put_text(data, "mode=");
  for (int shift = 9; shift >= 0; shift -= 3) *end++ = (char)('0' + (mode >> shift & 7));
  *end++ = ',';
  *put_text(end, rest) = 0;
  return data;
}

long mount_type(const struct stage_op *op) {
  long straight = is_straight(op);
  if (straight < 0) return straight;
  const char *path = text(op->text[0]), *data = text(op->text[2]);
  long to = op->flags & STAGE_KEEP_MODE ? inside(path, O_PATH, 0) : -ENOENT;
  long result = 0;
  if (to < 0) to = mount_point(op, path, 0);
  else if (!(data = data_with_mode((int)to, op))) result = -E2BIG;
  if (to < 0) return to == -ENOENT && op->flags & STAGE_OPTIONAL ? 0 : to;
  if (result >= 0) result = SYS1(__NR_fchdir, to);
  const char *type = text(op->text[1]), *source = op->text[3] ? text(op->text[3]) : type;
  if (result >= 0 && op->flags & STAGE_COPY_UP) result = copy_up((int)to, op, source, data);
  else if (result >= 0) result = sys_mount(source, ".", type, op->a, data);
  forget_parent();
  sys_close((int)to);
  long back = SYS1(__NR_fchdir, root_fd);
  return result < 0 ? result : back;
}

/// The mounter's credentials are those the overlay works with: fsids inside the zone's range, with every capability.
/// With host root's the upper layer would be read-only without a word.
static long mount_overlay(const char *place, const struct stage_op *op) {
  long result = raise_all();
  return result < 0 ? result : sys_mount("overlay", place, "overlay", op->a, text(op->text[2]));
}

/// mount(2) takes a page of options, into which hundreds of layers go by short names alone: those are looked up from the
/// working directory.
static long go_to_layers(const char *path) {
  // The way there is the host's root's alone.
  switch_fsids(0, 0);
  long from = sys_open(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
  long result = from < 0 ? from : SYS1(__NR_fchdir, from);
  if (from >= 0) sys_close((int)from);
  switch_fsids(fs_uid, fs_gid);
  return result;
}

long overlay(const struct stage_op *op) {
  long to = mount_point(op, text(op->text[0]), 0);
  if (to < 0) return to;
  int by_name = op->text[1] != 0;
  long result = by_name ? go_to_layers(text(op->text[1])) : SYS1(__NR_fchdir, to);
  if (result >= 0) result = mount_overlay(by_name ? text(op->text[3]) : ".", op);
  forget_parent();
  sys_close((int)to);
  SYS1(__NR_fchdir, root_fd);
  switch_fsids(0, 0);
  switch_fsids(fs_uid, fs_gid);
  return result;
}

/// As `overlay`.
long root_overlay(const struct stage_op *op) {
  const char *place = text(op->text[0]);
  long result = go_to_layers(text(op->text[1]));
  if (result >= 0) result = mount_overlay(place, op);
  switch_fsids(0, 0);
  if (result < 0) return result;
  long fd = sys_open(AT_FDCWD, place, O_RDONLY | O_DIRECTORY, 0);
  return fd < 0 ? fd : enter_new_root((int)fd);
}

long read_only(const struct stage_op *op) {
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
  if (!op->text[0]) return SYS5(__NR_mount_setattr, root_fd, "", AT_EMPTY_PATH, &attributes, sizeof attributes);
  long fd = inside(text(op->text[0]), O_PATH, 0);
  if (fd < 0) return fd;
  long result = SYS5(__NR_mount_setattr, fd, "", AT_EMPTY_PATH, &attributes, sizeof attributes);
  sys_close((int)fd);
  return result;
}
