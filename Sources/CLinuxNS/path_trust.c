// Whether a path can be redirected by somebody else: each directory on the way to it, and each link, as lstat(2) tells.
// Top-down, so that what was found trustworthy cannot be exchanged by the time that the next name is looked at.
#define _GNU_SOURCE
#include "linux_ns.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_LINKS = 40 };  // as the kernel's own

static _Thread_local char meant[4096];

static long distrust(struct zns_trust *result, int why, const char *path, const struct stat *status) {
  result->why = why;
  result->owner = status ? status->st_uid : 0;
  size_t length = strlen(path);
  memcpy(meant, path, length + 1);
  return 1;
}

/// Whoever has "/" decides about all that lies below: root, or who he is in our eyes, where our user namespace does not
/// know him.
static int owns_all(uint32_t uid) {
  struct stat top;
  return stat("/", &top) == 0 && top.st_uid == uid;
}

long zns_trust_path(const char *path, uint32_t self, struct zns_trust *result) {
  char done[4096] = "", rest[4096], link[4096];
  int links = 0, reached = 0;
  size_t length = strlen(path);
  result->why = ZNS_TRUST_CALL;
  meant[0] = 0;
  result->path = meant;
  if (path[0] != '/') return -EINVAL;
  if (length >= sizeof rest) return -ENAMETOOLONG;
  memcpy(rest, path, length + 1);
  struct stat status;
  for (char *at = rest;;) {
    while (*at == '/') at++;
    if (!*at) break;
    char *end = strchrnul(at, '/');
    size_t name = (size_t)(end - at), before = strlen(done);
    if (name == 1 && at[0] == '.') { at = end; continue; }
    if (name == 2 && at[0] == '.' && at[1] == '.') {
      char *slash = strrchr(done, '/');
      if (slash) *slash = 0;
      at = end;
      continue;
    }
    if (before + 1 + name >= sizeof done) return -ENAMETOOLONG;
    done[before] = '/';
    memcpy(done + before + 1, at, name);
    done[before + 1 + name] = 0;
    at = end;
    if (lstat(done, &status) < 0) {
      // What is missing is ours to make, in a place that is trusted.
      if (errno == ENOENT) return 0;
      int error = errno;
      distrust(result, ZNS_TRUST_CALL, done, NULL);
      return -error;
    }
    // Who owns it can do with it as he likes, whatever its mode is at the moment.
    if (status.st_uid != 0 && status.st_uid != self && !owns_all(status.st_uid))
      return distrust(result, S_ISLNK(status.st_mode) ? ZNS_TRUST_LINK : ZNS_TRUST_OWNER, done, &status);
    reached = 0;
    if (S_ISLNK(status.st_mode)) {
      if (++links > MOST_LINKS) return -ELOOP;
      ssize_t target = readlink(done, link, sizeof link);
      if (target < 0) return -errno;
      size_t left = strlen(at);
      if ((size_t)target + left + 1 >= sizeof rest) return -ENAMETOOLONG;
      memmove(rest + target, at, left + 1);
      memcpy(rest, link, (size_t)target);
      if (link[0] == '/') done[0] = 0;
      else done[before] = 0;
      at = rest;
      continue;
    }
    if (!S_ISDIR(status.st_mode)) return distrust(result, ZNS_TRUST_NO_DIRECTORY, done, &status);
    // In a sticky directory nobody renames or removes what is not his (/tmp).
    if (status.st_mode & 022 && !(status.st_mode & S_ISVTX)) return distrust(result, ZNS_TRUST_WRITABLE, done, &status);
    reached = 1;
  }
  if (!reached) return 0;
  // The place itself, which is ours alone.
  if (status.st_uid != self) return distrust(result, ZNS_TRUST_OWNER, done, &status);
  if (status.st_mode & 022) return distrust(result, ZNS_TRUST_WRITABLE, done, &status);
  if (status.st_mode & 055) return distrust(result, ZNS_TRUST_OPEN, done, &status);
  return 0;
}
