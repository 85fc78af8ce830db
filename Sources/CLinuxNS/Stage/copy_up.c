// A tmpfs that begins with what its mount point held (Podman's and runc's option tmpcopyup). What is copied is the
// image's, and hostile: nothing is opened through a link, and the depth is bounded.
#include "inside.h"
#include "ops.h"

enum { DEEPEST = 64 };
struct entry { uint64_t inode; int64_t offset; uint16_t size; uint8_t type; char name[]; };

static long copy_content(int from, int to) {
  for (;;) {
    long sent = SYS4(__NR_sendfile, to, from, 0, 1 << 20);
    if (sent == -EINTR) continue;
    if (sent <= 0) return sent;
  }
}

static long copy_directory(int from, int to, int depth);

static long copy_entry(int from, int to, const char *name, int depth) {
  struct statx status;
  long result = status_of(from, name, AT_SYMLINK_NOFOLLOW, &status);
  if (result < 0) return result;
  uint32_t mode = status.stx_mode & 07777;
  switch (status.stx_mode & S_IFMT) {
    case S_IFDIR: {
      result = SYS3(__NR_mkdirat, to, name, 0700);
      long below = result < 0 ? result : sys_open(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
      long above = below < 0 ? below : sys_open(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
      result = above < 0 ? above : copy_directory((int)below, (int)above, depth + 1);
      if (above >= 0) sys_close((int)above);
      if (below >= 0) sys_close((int)below);
      break;
    }
    case S_IFREG: {
      long below = sys_open(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
      long above = below < 0 ? below : sys_open(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
      result = above < 0 ? above : copy_content((int)below, (int)above);
      if (above >= 0) sys_close((int)above);
      if (below >= 0) sys_close((int)below);
      break;
    }
    case S_IFLNK: {
      char target[4096];
      long n = SYS4(__NR_readlinkat, from, name, target, sizeof target - 1);
      if (n < 0) return n;
      target[n] = 0;
      result = SYS3(__NR_symlinkat, target, to, name);
      break;
    }
    default:
      result = SYS4(__NR_mknodat, to, name, status.stx_mode, device_of(&status));
  }
  if (result >= 0) result = SYS5(__NR_fchownat, to, name, status.stx_uid, status.stx_gid, AT_SYMLINK_NOFOLLOW);
  // After the owner, whose change takes setuid bits away.
  if (result >= 0 && (status.stx_mode & S_IFMT) != S_IFLNK) result = SYS3(__NR_fchmodat, to, name, mode);
  return result;
}

static long copy_directory(int from, int to, int depth) {
  if (depth > DEEPEST) return -ELOOP;
  _Alignas(8) char room[2048];
  for (;;) {
    long got = SYS3(__NR_getdents64, from, room, sizeof room);
    if (got <= 0) return got;
    for (long at = 0; at < got;) {
      const struct entry *entry = (const struct entry *)(room + at);
      at += entry->size;
      const char *name = entry->name;
      if (name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]))) continue;
      long result = copy_entry(from, to, name, depth);
      if (result < 0) return result;
    }
  }
}

/// Root's stays whose the mount is: the container's root, who is another one where the host's side mounts.
static long copy_owner(int from, int to) {
  struct statx status;
  long result = status_of(from, "", AT_EMPTY_PATH, &status);
  if (result < 0 || !(status.stx_uid | status.stx_gid)) return result;
  result = SYS3(__NR_fchown, to, status.stx_uid ? status.stx_uid : -1u, status.stx_gid ? status.stx_gid : -1u);
  return result == -EINVAL ? 0 : result;  // one that is not mapped here
}

long copy_up(int to, const struct stage_op *op, const char *source, const char *data) {
  // Opened before it is covered.
  long from = sys_open(to, ".", O_RDONLY | O_DIRECTORY, 0);
  if (from < 0) return from;
  const char *type = text(op->text[1]);
  long result = sys_mount(source, ".", type, op->a & ~(uint64_t)MS_RDONLY, data);
  long fresh = result < 0 ? result : inside(text(op->text[0]), O_RDONLY | O_DIRECTORY, 0);
  result = fresh < 0 ? fresh : copy_directory((int)from, (int)fresh, 0);
  if (result >= 0 && op->flags & STAGE_KEEP_OWNER) result = copy_owner((int)from, (int)fresh);
  if (result >= 0 && op->a & MS_RDONLY) {
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
    result = SYS5(__NR_mount_setattr, fresh, "", AT_EMPTY_PATH, &attributes, sizeof attributes);
  }
  if (fresh >= 0) sys_close((int)fresh);
  sys_close((int)from);
  return result;
}
