// Calls on files of a tree that a stranger has filled: by descriptor and one name, extended attributes by the link that
// /proc has of a descriptor, since those opened with O_PATH take no f…xattr(2).
#define _GNU_SOURCE
#include "linux_ns.h"
#include "result.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

static long remove_group(int parent, const char *name) {
  if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return 0;
  if (errno != EBUSY && errno != ENOTEMPTY) return -errno;
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *directory = fd < 0 ? NULL : fdopendir(fd);
  if (directory == NULL) {
    long error = errno == ENOENT ? 0 : -errno;
    if (fd >= 0) close(fd);
    return error;
  }
  // Depth is bounded by cgroup.max.depth.
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
    if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) remove_group(fd, entry->d_name);
  closedir(directory);
  return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

long zns_remove_groups(const char *path) { return remove_group(AT_FDCWD, path); }

/// A zone has its own attributes user.overlay.* as user.overlay.overlay.* on disk.
static int is_copied(const char *name) {
  static const char *const copied[] = {"user.overlay.overlay.", "system.posix_acl_"};
  for (int i = 0; i < 2; i++)
    if (!strncmp(name, copied[i], strlen(copied[i]))) return 1;
  return !strncmp(name, "user.", 5) && strncmp(name, "user.overlay.", 13);
}

long zns_copy_attributes(const char *from, const char *to) {
  char names[XATTR_LIST_MAX], value[XATTR_SIZE_MAX];
  ssize_t length = llistxattr(from, names, sizeof names);
  if (length < 0) return errno == ENOTSUP || errno == EACCES ? 0 : -errno;
  for (const char *name = names; name < names + length; name += strlen(name) + 1) {
    if (!is_copied(name)) continue;
    ssize_t size = lgetxattr(from, name, value, sizeof value);
    if (size < 0 && (errno == EACCES || errno == ENODATA)) continue;
    if (size < 0 || lsetxattr(to, name, value, size, 0) < 0) return -errno;
  }
  return 0;
}

/// Whether each attribute that is copied is the other's as well. 1, 0 or an error.
static long are_had_by(const char *path, const char *other) {
  char names[XATTR_LIST_MAX], value[XATTR_SIZE_MAX], others[XATTR_SIZE_MAX];
  ssize_t length = llistxattr(path, names, sizeof names);
  if (length < 0) return errno == ENOTSUP || errno == EACCES ? 1 : -errno;
  for (const char *name = names; name < names + length; name += strlen(name) + 1) {
    if (!is_copied(name)) continue;
    if (other == NULL) return 0;
    ssize_t size = lgetxattr(path, name, value, sizeof value);
    if (size < 0 && (errno == EACCES || errno == ENODATA)) continue;
    if (size < 0) return -errno;
    ssize_t found = lgetxattr(other, name, others, sizeof others);
    if (found < 0 && errno != ENODATA) return -errno;
    if (found != size || memcmp(value, others, size) != 0) return 0;
  }
  return 1;
}

long zns_same_attributes(const char *path, const char *other) {
  long same = are_had_by(path, other);
  return same == 1 && other != NULL ? are_had_by(other, path) : same;
}

static int64_t nanoseconds(struct timespec time) {
  // A file can bear any time; one outside of what fits is as far as that goes.
  if (time.tv_sec > 9000000000) return 9000000000 * 1000000000;
  if (time.tv_sec < -9000000000) return -9000000000 * 1000000000;
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

long zns_tree_facts(int directory, const char *name, struct zns_tree_facts *facts) {
  struct stat status;
  if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0) return -errno;
  facts->inode = status.st_ino;
  facts->device = status.st_dev;
  facts->special = status.st_rdev;
  facts->links = status.st_nlink;
  facts->size = status.st_size;
  facts->modified = nanoseconds(status.st_mtim);
  facts->changed = nanoseconds(status.st_ctim);
  facts->mode = status.st_mode;
  facts->uid = status.st_uid;
  facts->gid = status.st_gid;
  return 0;
}

struct link { char text[40]; };
static struct link link_of(int fd) {
  struct link link;
  snprintf(link.text, sizeof link.text, "/proc/self/fd/%d", fd);
  return link;
}

long zns_list_xattrs(int fd, char *names, size_t room) { return RESULT(listxattr(link_of(fd).text, names, room)); }
long zns_get_xattr(int fd, const char *name, void *value, size_t room) {
  return RESULT(getxattr(link_of(fd).text, name, value, room));
}
long zns_set_xattr(int fd, const char *name, const void *value, size_t size) {
  return RESULT(setxattr(link_of(fd).text, name, value, size, 0));
}
long zns_remove_xattr(int fd, const char *name) { return RESULT(removexattr(link_of(fd).text, name)); }
long zns_change_mode(int fd, uint32_t mode) {
  // By the link only where the descriptor itself takes no change: that is looked up first.
  if (fchmod(fd, mode) == 0) return 0;
  return errno == EBADF ? RESULT(chmod(link_of(fd).text, mode)) : -errno;
}
long zns_reopen(int fd, int flags) { return RESULT(open(link_of(fd).text, flags | O_CLOEXEC | O_NOCTTY)); }

long zns_set_modified(int directory, const char *name, int64_t modified) {
  int64_t seconds = modified / 1000000000, rest = modified % 1000000000;
  if (rest < 0) seconds--, rest += 1000000000;
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = seconds, .tv_nsec = rest}};
  // utimensat(2) takes AT_EMPTY_PATH from 5.8 on, and not every C library passes it.
  if (!*name) {
    if (futimens(directory, times) == 0) return 0;
    return errno == EBADF ? RESULT(utimensat(AT_FDCWD, link_of(directory).text, times, 0)) : -errno;
  }
  return RESULT(utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW));
}

long zns_share_content(int to, int from) { return RESULT(ioctl(to, FICLONE, from)); }

long zns_make_whiteout(int directory, const char *name) { return RESULT(mknodat(directory, name, S_IFCHR, makedev(0, 0))); }
long zns_make_fifo(int directory, const char *name) { return RESULT(mkfifoat(directory, name, 0600)); }
long zns_make_socket(int directory, const char *name) { return RESULT(mknodat(directory, name, S_IFSOCK | 0600, 0)); }

long zns_link_open(int file, int directory, const char *name) {
  return RESULT(linkat(AT_FDCWD, link_of(file).text, directory, name, AT_SYMLINK_FOLLOW));
}

long zns_seek_data(int fd, int64_t offset) { return RESULT(lseek(fd, offset, SEEK_DATA)); }
long zns_seek_hole(int fd, int64_t offset) { return RESULT(lseek(fd, offset, SEEK_HOLE)); }

long zns_sync_filesystem(int fd) { return RESULT(syncfs(fd)); }

long zns_filesystem_id(int fd, uint64_t *id) {
  struct statfs status;
  if (fstatfs(fd, &status) < 0) return -errno;
  memcpy(id, &status.f_fsid, sizeof *id);
  return 0;
}

long zns_random(void *bytes, size_t count) { return RESULT(getrandom(bytes, count, 0)); }
