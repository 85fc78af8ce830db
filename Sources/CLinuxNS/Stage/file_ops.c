// The files of the tree: directories, links, devices and what is written, as the fsids of the zone's root.
#include "inside.h"
#include "ops.h"

long directory(const struct stage_op *op) {
  if (!(op->flags & STAGE_FRESH)) return make_directory(text(op->text[0]), op->a);
  long result = SYS3(__NR_mkdirat, root_fd, text(op->text[0]), op->a);
  return result == -EEXIST ? 0 : result;
}

long symbolic_link(const struct stage_op *op) {
  if (op->flags & STAGE_FRESH) return SYS3(__NR_symlinkat, text(op->text[1]), root_fd, text(op->text[0]));
  const char *name;
  long parent = parent_of(text(op->text[0]), &name);
  if (parent < 0) return parent;
  long result = SYS3(__NR_symlinkat, text(op->text[1]), parent, name);
  return result == -EEXIST ? 0 : result;
}

static long put(int fd, const char *from, size_t n) {
  while (n) {
    long sent = sys_write(fd, from, n);
    if (sent < 0 && sent != -EINTR) return sent;
    if (sent > 0) from += sent, n -= (size_t)sent;
  }
  return 0;
}

long file(const struct stage_op *op) {
  long fd = new_file(text(op->text[0]), op->b);
  if (fd < 0) return fd;
  long result = put((int)fd, op->text[1] ? text(op->text[1]) : "", (size_t)op->a);
  sys_close((int)fd);
  return result;
}

long copy(const struct stage_op *op) {
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

long device(const struct stage_op *op) {
  const char *name;
  long parent = parent_of(text(op->text[0]), &name);
  if (parent < 0) return parent;
  long result = SYS4(__NR_mknodat, parent, name, S_IFCHR | op->b, op->a);
  if (result < 0) return result;
  return SYS5(__NR_fchownat, parent, name, plan->zone_root_uid, plan->zone_root_gid, AT_SYMLINK_NOFOLLOW);
}
