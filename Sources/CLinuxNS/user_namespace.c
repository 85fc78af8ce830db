// A user namespace that nobody lives in, for the maps of an id-mapped mount (mount_setattr(2)).
#define _GNU_SOURCE
#include "linux_ns.h"
#include "result.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static long write_map(int pid, const char *name, const char *text) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return -errno;
  long result = RESULT(write(file, text, strlen(text)));
  close(file);
  return result < 0 ? result : 0;
}

long zns_user_namespace(const char *uid_map, const char *gid_map) {
  int hold[2];
  if (pipe2(hold, O_CLOEXEC) < 0) return -errno;
  // As fork(2), without an exit signal. The child makes system calls only, so a caller may have threads.
  long pid = RESULT(syscall(SYS_clone, CLONE_NEWUSER, NULL, NULL, NULL, NULL));
  if (pid == 0) {
    char end;
    close(hold[1]);
    while (read(hold[0], &end, 1) < 0 && errno == EINTR) {}
    _exit(0);
  }
  close(hold[0]);
  if (pid < 0) {
    close(hold[1]);
    return pid;
  }
  long result = write_map((int)pid, "uid_map", uid_map);
  if (result >= 0) result = write_map((int)pid, "gid_map", gid_map);
  if (result >= 0) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/user", (int)pid);
    result = RESULT(open(path, O_RDONLY | O_CLOEXEC));
  }
  close(hold[1]);
  while (waitpid((pid_t)pid, NULL, __WALL) < 0 && errno == EINTR) {}
  return result;
}
