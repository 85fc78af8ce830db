// What the attack programs share. Each try prints one line: "NAME: refused ERRNO" or "NAME: DONE" and what it got.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/// Tells how a call ended: any result but -1 is an attack that succeeded.
__attribute__((unused)) static long told(const char *name, long result) {
  int error = errno;
  if (result == -1)
    printf("%s: refused %s\n", name, strerrorname_np(error));
  else
    printf("%s: DONE\n", name);
  fflush(stdout);
  return result;
}
#define TRY(name, call) (errno = 0, told(name, (long)(call)))

/// An attack that is started outside a zone would hit the machine: it refuses. The first user namespace has inode
/// 0xEFFFFFFD (PROC_USER_INIT_INO of include/linux/proc_ns.h). A container without a user namespace of its own is told by
/// /attacks/here, a file that no root has but one that a case made.
__attribute__((constructor)) static void refuse_outside_a_zone(void) {
#ifdef ALSO_ON_THE_HOST
  // It asks for itself, where it is about to attack.
  static int asked;
  if (!asked++) return;
#endif
  // A sandbox without namespaces.
  if (prctl(PR_GET_SECCOMP) == 2 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) return;
  struct stat status;
  if (stat("/attacks/here", &status) == 0) return;
  if (stat("/proc/self/ns/user", &status) < 0 || status.st_ino == 0xEFFFFFFDu) {
    fprintf(stderr, "an attack runs in a zone only\n");
    _exit(3);
  }
}

/// Writes back what the file holds, so that an attack that succeeds changes nothing; one that cannot be read is only
/// opened for writing.
__attribute__((unused)) static long rewrite(const char *path) {
  char text[4096];
  int in = open(path, O_RDONLY | O_CLOEXEC);
  long count = in < 0 ? 0 : read(in, text, sizeof text);
  if (in >= 0) close(in);
  int out = open(path, O_WRONLY | O_CLOEXEC);
  if (out < 0) return -1;
  long result = count > 0 ? write(out, text, count) : 0;
  int error = errno;
  close(out);
  errno = error;
  return result;
}
