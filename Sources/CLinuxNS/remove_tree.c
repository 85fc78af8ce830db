// Removing a tree that somebody hostile has made. Nothing here allocates but one block of pages, takes a lock or
// recurses, so that it also runs in a child of a multi-threaded process.
//
// The walk holds one descriptor for each level, LEVELS at most. A directory that lies deeper is moved up into the tree's
// top first, and met there again: so a chain of 50,000 directories costs two calls a directory, and no path is ever
// longer than one name. Each name is looked at once, by openat2(2) with no link and no mount crossed.
#define _GNU_SOURCE
#include "linux_ns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  LEVELS = 32,
  ROOM = 8192,      // of getdents64(2), a level
  PASSES = 128,     // over one directory that is still not empty after it was emptied
  ALL_PASSES = 1024,  // of this kind, in one removal: somebody writes
  ATTEMPTS = 64,    // at one name that is another kind of thing each time it is looked at
};

struct entry {  // struct linux_dirent64
  uint64_t inode;
  int64_t offset;
  uint16_t size;
  uint8_t type;
  char name[];
};

struct level {
  int fd;
  int passes;
  int removed;  // in this pass
  unsigned seen;
  long at, end;
  char name[256];
  char bytes[ROOM] __attribute__((aligned(8)));
};

struct walk {
  struct zns_removal *result;
  time_t begun;
  unsigned moved;
  int passes;
  int depth;             // of the level that is being emptied
  int moved_this_pass;   // into the top
  struct level level[LEVELS];  // 0 is the tree's own
};

static void put(char *path, size_t *at, const char *text) {
  size_t room = sizeof((struct zns_removal *)0)->path - 1, length = strlen(text);
  if (*at + 1 + length > room) {
    // The end of it says more than its beginning.
    size_t drop = *at + 1 + length - room;
    if (drop > *at) return;
    memmove(path, path + drop, *at - drop);
    *at -= drop;
  }
  path[(*at)++] = '/';
  memcpy(path + *at, text, length);
  *at += length;
  path[*at] = 0;
}

static long tell(struct zns_removal *result, int error, int why, const char *call) {
  result->error = error;
  result->why = why;
  result->call = call;
  result->path[0] = 0;
  return -error;
}

/// Says what failed, on which name of the present level; NULL is the level itself.
static long fail(struct walk *walk, int error, int why, const char *call, const char *name) {
  struct zns_removal *result = walk->result;
  tell(result, error, why, call);
  size_t at = 0;
  for (int i = 1; i <= walk->depth; i++) put(result->path, &at, walk->level[i].name);
  if (name) put(result->path, &at, name);
  return -error;
}

static long refused(struct walk *walk, int directory, int error, const char *call, const char *name) {
  int why = ZNS_REMOVAL_CALL;
  if (error == EBUSY || error == EXDEV) why = ZNS_REMOVAL_MOUNT;
  if (error == EPERM) {
    why = zns_file_flags(directory, name);
    int above = why ? 0 : zns_file_flags(directory, "");
    // The flag of the directory that it lies in: that one is to be told.
    if (above && walk->depth >= 0 && directory == walk->level[walk->depth].fd) return fail(walk, error, above, call, NULL);
  }
  return fail(walk, error, why, call, name);
}

static int open_below(int directory, const char *name, uint64_t flags) {
  struct open_how how = {
      .flags = flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
      // One name, and never `..`: RESOLVE_BENEATH would add nothing, and says EXDEV where somebody renames meanwhile.
      .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
  return (int)syscall(SYS_openat2, directory, name, &how, sizeof how);
}

/// A directory that its owner may not enter. It is ours, or this fails and the next call tells.
static void make_ours(int fd) {
  char link[40];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  int saved = errno;
  chmod(link, 0700);  // of the descriptor: fchmod(2) takes none that was opened with O_PATH
  errno = saved;
}

/// Opens a directory for reading, if need be after giving its owner the right to.
static int open_directory(int directory, const char *name) {
  int fd = open_below(directory, name, O_RDONLY);
  if (fd < 0 && errno == EACCES) {
    int look = open_below(directory, name, O_PATH);
    if (look < 0) { errno = EACCES; return -1; }
    make_ours(look);
    close(look);
    fd = open_below(directory, name, O_RDONLY);
  }
  if (fd < 0) return -1;
  struct stat status;
  // To take names away one has to be able to write and search it. Root and the zone's own root need no bits.
  if (geteuid() != 0 && fstat(fd, &status) == 0 && (status.st_mode & 0700) != 0700) make_ours(fd);
  return fd;
}

/// Moves a directory of the deepest level up into the top, under a name that is free there.
static long move_up(struct walk *walk, int directory, const char *name) {
  for (int attempt = 0; attempt < 100000; attempt++) {
    char place[48];
    snprintf(place, sizeof place, ".zones-removing-%u", walk->moved++);
    if (renameat(directory, name, walk->level[0].fd, place) == 0) {
      walk->moved_this_pass = 1;
      return 0;
    }
    // Taken by somebody's file, or by what an earlier removal left.
    if (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR || errno == EISDIR) continue;
    return -errno;
  }
  return -EEXIST;
}

/// Removes one name of a directory, or enters it. 1: entered, as a new level.
static long take(struct walk *walk, int directory, const char *name, int may_be_directory) {
  for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (!may_be_directory) {
      if (unlinkat(directory, name, 0) == 0 || errno == ENOENT) return 0;
      // A directory is EISDIR; POSIX and some file systems say EPERM, which then rmdir(2) answers.
      if (errno != EISDIR && errno != EPERM) return refused(walk, directory, errno, "unlink", name);
      may_be_directory = errno == EISDIR ? 1 : 2;
    }
    if (unlinkat(directory, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return 0;
    if (errno == ENOTDIR) {
      if (may_be_directory == 2) return refused(walk, directory, EPERM, "unlink", name);
      may_be_directory = 0;
      continue;
    }
    if (errno != ENOTEMPTY && errno != EEXIST) return refused(walk, directory, errno, "rmdir", name);
    if (walk->depth + 1 >= LEVELS) {
      long moved = move_up(walk, directory, name);
      if (moved == -EACCES) {
        // Its own `..` changes, which takes the right to write it.
        int look = open_below(directory, name, O_PATH);
        if (look >= 0) { make_ours(look); close(look); }
        moved = move_up(walk, directory, name);
      }
      if (moved == 0 || moved == -ENOENT) return 0;
      return refused(walk, directory, (int)-moved, "rename", name);
    }
    int fd = open_directory(directory, name);
    if (fd < 0) {
      if (errno == ENOENT) return 0;
      if (errno == ENOTDIR || errno == ELOOP) { may_be_directory = 0; continue; }
      return refused(walk, directory, errno, "open", name);
    }
    struct level *next = &walk->level[++walk->depth];
    next->fd = fd;
    next->at = next->end = next->passes = next->removed = next->seen = 0;
    strncpy(next->name, name, sizeof next->name - 1);
    next->name[sizeof next->name - 1] = 0;
    return 1;
  }
  return fail(walk, EAGAIN, ZNS_REMOVAL_WRITER, "unlink", name);
}

/// Whether a large directory is large because somebody goes on filling it: by what is younger than our walk. Without this
/// one pass of getdents64(2) would never come to its end.
static int is_written(const struct walk *walk, struct level *level, const char *name) {
  enum { LARGE = 8192, LOOK_EACH = 1024 };
  if (++level->seen < LARGE || level->seen % LOOK_EACH) return 0;
  if (level == walk->level && walk->moved) return 0;  // what we moved up is young as well
  struct stat status;
  return fstatat(level->fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_ctime > walk->begun;
}

/// Empties the level that is open, and those that it opens, until the first is empty.
static long empty(struct walk *walk) {
  while (walk->depth >= 0) {
    struct level *level = &walk->level[walk->depth];
    if (level->at >= level->end) {
      level->end = syscall(SYS_getdents64, level->fd, level->bytes, sizeof level->bytes);
      level->at = 0;
      if (level->end < 0) return fail(walk, errno, ZNS_REMOVAL_CALL, "getdents64", NULL);
    }
    if (level->end > 0) {
      struct entry *entry = (struct entry *)(level->bytes + level->at);
      level->at += entry->size;
      const char *name = entry->name;
      if (name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]))) continue;
      if (is_written(walk, level, name)) return fail(walk, ENOTEMPTY, ZNS_REMOVAL_WRITER, "rmdir", NULL);
      long result = take(walk, level->fd, name, entry->type == 4 /* DT_DIR */);
      if (result < 0) return result;
      level->removed = 1;
      continue;
    }
    // Its end. Whoever holds the level above says whether it is empty; names may have come while we read.
    int above = walk->depth > 0 ? walk->level[walk->depth - 1].fd : -1;
    if (above >= 0) {
      if (unlinkat(above, level->name, AT_REMOVEDIR) == 0 || errno == ENOENT || errno == ENOTDIR) {
        close(level->fd);
        walk->depth--;
        continue;
      }
      if (errno != ENOTEMPTY && errno != EEXIST) {
        int error = errno;
        close(level->fd);
        walk->depth--;
        return refused(walk, above, error, "rmdir", level->name);
      }
      // Renamed away under our hands, and something else put there: that one is met in another pass of the level above.
      struct stat ours, there;
      if (fstat(level->fd, &ours) == 0 && fstatat(above, level->name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
          (ours.st_ino != there.st_ino || ours.st_dev != there.st_dev)) {
        close(level->fd);
        walk->depth--;
        continue;
      }
    } else if (!level->removed) {
      return 0;  // the top, and a whole pass met nothing
    } else if (walk->moved_this_pass) {
      level->passes = 0;
      walk->passes--;
      walk->moved_this_pass = 0;
    }
    if (++level->passes > PASSES || ++walk->passes > ALL_PASSES) return fail(walk, ENOTEMPTY, ZNS_REMOVAL_WRITER, "rmdir", NULL);
    if (level->passes > 16) nanosleep(&(struct timespec){0, 1000000}, NULL);  // let him go on with something else
    level->at = level->end = 0;
    level->removed = 0;
    if (lseek(level->fd, 0, SEEK_SET) < 0) return fail(walk, errno, ZNS_REMOVAL_CALL, "lseek", NULL);
  }
  return 0;
}

long zns_remove_tree(const char *path, struct zns_removal *result) {
  memset(result, 0, sizeof *result);
  const char *slash = strrchr(path, '/');
  const char *name = slash ? slash + 1 : path;
  char parent[4096];
  size_t length = slash ? (size_t)(slash - path) : 1;
  if (!*name || !strcmp(name, ".") || !strcmp(name, "..") || strlen(name) > 255)
    return tell(result, EINVAL, ZNS_REMOVAL_CALL, "open");
  if (length >= sizeof parent) return tell(result, ENAMETOOLONG, ZNS_REMOVAL_CALL, "open");
  memcpy(parent, slash ? path : ".", length);
  parent[length] = 0;
  int above = open(length ? parent : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (above < 0) return errno == ENOENT ? 0 : tell(result, errno, ZNS_REMOVAL_CALL, "open");
  // What most calls are for takes no memory: a file, an empty directory, nothing at all.
  if (unlinkat(above, name, 0) == 0 || errno == ENOENT || unlinkat(above, name, AT_REMOVEDIR) == 0 || errno == ENOENT) {
    close(above);
    return 0;
  }
  struct walk *walk = mmap(NULL, sizeof *walk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (walk == MAP_FAILED) {
    close(above);
    return tell(result, ENOMEM, ZNS_REMOVAL_CALL, "mmap");
  }
  walk->result = result;
  walk->begun = time(NULL);
  long done = 0;
  for (int round = 0; round < PASSES; round++) {
    walk->depth = -1;
    done = take(walk, above, name, 0);
    // The path itself is what the caller names: it is told without a part below it.
    if (done < 0) result->path[0] = 0;
    if (done <= 0) break;
    done = empty(walk);
    for (; walk->depth >= 0; walk->depth--) close(walk->level[walk->depth].fd);
    if (done < 0) break;
  }
  if (done > 0) done = tell(result, ENOTEMPTY, ZNS_REMOVAL_WRITER, "rmdir");
  munmap(walk, sizeof *walk);
  close(above);
  return done;
}

// MARK: as root of a user namespace

static void help(int go, const char *path, struct zns_removal *result) {
  // Not without whoever waits for it: set before the change of ids as well, which clears it.
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  char word;
  long got;
  do got = read(go, &word, 1);
  while (got < 0 && errno == EINTR);
  if (got != 1) _exit(1);
  // The calls, not the library's functions: those would ask every thread of the parent, none of which is here.
  if (syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0) {
    result->error = errno;
    result->call = "setresuid";
    _exit(0);
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  long done = zns_remove_tree(path, result);
  if (done == 0) result->error = 0;
  _exit(0);
}

long zns_removal_begin(const char *path, struct zns_removal_helper *helper) {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0) return -errno;
  struct zns_removal *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) {
    close(sockets[0]);
    close(sockets[1]);
    return -ENOMEM;
  }
  shared->error = ECANCELED;  // until it says otherwise
  int pidfd = -1;
  struct clone_args arguments = {
      .flags = CLONE_NEWUSER | CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&pidfd, .exit_signal = SIGCHLD};
  long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid == 0) {
    close(sockets[0]);
    help(sockets[1], path, shared);
  }
  int error = errno;
  close(sockets[1]);
  if (pid < 0) {
    close(sockets[0]);
    munmap(shared, sizeof *shared);
    return -error;
  }
  *helper = (struct zns_removal_helper){(int)pid, pidfd, sockets[0], shared};
  return 0;
}

long zns_removal_end(struct zns_removal_helper *helper, int go, struct zns_removal *result) {
  if (go) send(helper->go, "g", 1, MSG_NOSIGNAL);
  else close(helper->go), helper->go = -1;
  int code = 0, status = 0;
  zns_wait_pidfd(helper->pidfd, 0, &code, &status);
  *result = *helper->result;
  if (helper->go >= 0) close(helper->go);
  close(helper->pidfd);
  munmap(helper->result, sizeof *helper->result);
  return -(long)result->error;
}
