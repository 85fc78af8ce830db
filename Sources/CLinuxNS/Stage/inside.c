// Names below the zone's root. Each is resolved once, by openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS), and used by
// descriptor from then on (CVE-2021-30465, CVE-2019-16884).
#include "inside.h"

long status_of(int fd, const char *path, int flags, struct statx *status) {
  return SYS5(__NR_statx, fd, path, flags, STATX_BASIC_STATS, status);
}

uint64_t device_of(const struct statx *status) {
  return (status->stx_rdev_minor & 0xff) | status->stx_rdev_major << 8 | (status->stx_rdev_minor & ~0xffu) << 12;
}

long kind_of(int fd, const char *path, int flags, uint32_t *mode) {
  struct statx status;
  long result = status_of(fd, path, flags, &status);
  *mode = status.stx_mode;
  return result;
}

long inside(const char *path, uint64_t flags, uint64_t mode) {
  return sys_resolve(root_fd, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

// One after the other, most names lie in the same directory.
static char parent_path[256];
static int parent_fd = -1;

void forget_parent(void) {
  if (parent_fd >= 0) sys_close(parent_fd);
  parent_fd = -1;
}

long parent_of(const char *path, const char **name) {
  char folder[4096];
  size_t cut = 0, n = length(path);
  if (n >= sizeof folder) return -ENAMETOOLONG;
  for (size_t i = 0; i < n; i++)
    if (path[i] == '/') cut = i + 1;
  *name = path + cut;
  if (!**name) return -EINVAL;
  memcpy(folder, path, cut);
  folder[cut] = 0;
  if (parent_fd >= 0 && cut < sizeof parent_path && memcmp(folder, parent_path, cut + 1) == 0) return parent_fd;
  forget_parent();
  long fd = inside(cut ? folder : ".", O_PATH | O_DIRECTORY, 0);
  if (fd < 0) return fd;
  parent_fd = (int)fd;
  if (cut < sizeof parent_path) memcpy(parent_path, folder, cut + 1);
  else parent_path[0] = '/', parent_path[1] = '/', parent_path[2] = 0;
  return parent_fd;
}

long make_directory(const char *path, uint64_t mode) {
  const char *name;
  long parent = parent_of(path, &name);
  if (parent < 0) return parent;
  long result = SYS3(__NR_mkdirat, parent, name, mode);
  return result == -EEXIST ? 0 : result;
}

long make_directories(const char *path) {
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

long made_parent_of(const char *path, const char **name) {
  long parent = parent_of(path, name);
  if (parent != -ENOENT) return parent;
  char folder[4096];
  size_t n = (size_t)(*name - path);
  memcpy(folder, path, n);
  folder[n ? n - 1 : 0] = 0;
  long result = make_directories(folder);
  return result < 0 ? result : parent_of(path, name);
}

static long make_file(const char *path) {
  const char *name;
  long parent = parent_of(path, &name);
  if (parent < 0) return parent;
  long fd = sys_open((int)parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
  if (fd < 0) return fd == -EEXIST ? 0 : fd;
  sys_close((int)fd);
  return 0;
}

long mount_point(const struct stage_op *op, const char *path, int is_file) {
  long fd = inside(path, O_PATH, 0);
  if (fd == -ENOENT && op->flags & STAGE_MAKE) {
    const char *name;
    long parent = made_parent_of(path, &name);
    if (parent < 0) return parent;
    long result = is_file ? make_file(path) : make_directory(path, 0755);
    if (result < 0) return result;
    fd = inside(path, O_PATH, 0);
  }
  return fd;
}

long new_file(const char *path, uint64_t mode) {
  const char *name;
  long parent = parent_of(path, &name);
  if (parent < 0) return parent;
  int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  long fd = sys_open((int)parent, name, flags, (int)mode);
  if (fd == -EEXIST && SYS3(__NR_unlinkat, parent, name, 0) == 0) fd = sys_open((int)parent, name, flags, (int)mode);
  return fd;
}
