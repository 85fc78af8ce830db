// devices PATH…: opens device nodes of the tree and of volumes; asks their mounts to let them be devices; makes its own.
#include "attack.h"
#include <linux/mount.h>
#include <sys/sysmacros.h>

static void open_all(const char *how, int count, char **paths) {
  char name[300];
  for (int i = 0; i < count; i++) snprintf(name, sizeof name, "%s %s", how, paths[i]), TRY(name, open(paths[i], O_RDONLY | O_NONBLOCK));
}

/// Each mount that we see, and all below it.
static void let_be_devices(void) {
  FILE *mounts = fopen("/proc/self/mountinfo", "r");
  char line[4096], path[4096], name[4200];
  while (mounts && fgets(line, sizeof line, mounts)) {
    if (sscanf(line, "%*d %*d %*s %*s %4095s", path) != 1) continue;
    struct mount_attr attributes = {.attr_clr = MOUNT_ATTR_NODEV};
    mount(NULL, path, NULL, MS_REMOUNT | MS_BIND, NULL);
    syscall(SYS_mount_setattr, AT_FDCWD, path, 0, &attributes, sizeof attributes);
    int tree = syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0) continue;
    if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0) {
      snprintf(name, sizeof name, "node in a copy of %s", path);
      TRY(name, openat(tree, "planted", O_RDONLY | O_NONBLOCK));
    }
    close(tree);
  }
  if (mounts) fclose(mounts);
}

static long make_and_open(const char *path) {
  unlink(path);
  if (mknod(path, S_IFCHR | 0666, makedev(1, 5)) < 0) return -1;
  return open(path, O_RDONLY);
}

int main(int argc, char **argv) {
  // Shows that what is tried would work where devices are allowed.
  printf("control: %s\n", open("/dev/zero", O_RDONLY) < 0 ? "refused" : "opened");
  open_all("open", argc - 1, argv + 1);
  let_be_devices();
  open_all("open again", argc - 1, argv + 1);
  TRY("make in /tmp", make_and_open("/tmp/made"));
  TRY("make in /dev", make_and_open("/dev/made"));
  mkdir("/tmp/new", 0755);
  if (mount("tmpfs", "/tmp/new", "tmpfs", 0, NULL) == 0) TRY("make on a new tmpfs", make_and_open("/tmp/new/made"));
  puts("end");
  return 0;
}
