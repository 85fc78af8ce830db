// The zone's root against its mounts: clear a read-only flag, take a cover off, mount something new, see beneath.
#include "attack.h"
#include <linux/mount.h>

static long make_writable(const char *path) {
  struct mount_attr attributes = {.attr_clr = MOUNT_ATTR_RDONLY};
  return syscall(SYS_mount_setattr, AT_FDCWD, path, AT_RECURSIVE, &attributes, sizeof attributes);
}

/// A detached copy of the mount, made writable, and written through.
static long copy_and_write(const char *path) {
  int tree = syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (tree < 0) return -1;
  struct mount_attr attributes = {.attr_clr = MOUNT_ATTR_RDONLY};
  if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0) return -1;
  return openat(tree, "zones-was-here", O_CREAT | O_WRONLY, 0644);
}

int main(void) {
  static const char *covers[] = {"/usr",     "/proc/kcore", "/proc/keys",   "/proc/sys",        "/proc/sysrq-trigger",
                                 "/proc/bus", "/proc/irq",  "/sys/firmware", "/proc/timer_list", "/proc/interrupts",
                                 "/proc",    "/sys",        "/dev"};
  char name[200];
  for (unsigned i = 0; i < sizeof covers / sizeof *covers; i++) {
    const char *path = covers[i];
    struct stat status;
    if (lstat(path, &status) < 0) continue;
    snprintf(name, sizeof name, "umount %s", path), TRY(name, umount2(path, MNT_DETACH));
  }
  static const char *read_only[] = {"/usr", "/proc/sys", "/proc/sysrq-trigger", "/sys", "/sys/fs/cgroup"};
  for (unsigned i = 0; i < sizeof read_only / sizeof *read_only; i++) {
    const char *path = read_only[i];
    snprintf(name, sizeof name, "remount %s", path), TRY(name, mount(NULL, path, NULL, MS_REMOUNT | MS_BIND, NULL));
    snprintf(name, sizeof name, "setattr %s", path), TRY(name, make_writable(path));
    snprintf(name, sizeof name, "bind %s", path), TRY(name, mount(path, "/mnt", NULL, MS_BIND, NULL));
  }
  TRY("copy /usr", copy_and_write("/usr"));
  TRY("create in /usr", open("/usr/zones-was-here", O_CREAT | O_WRONLY, 0644));
  TRY("fresh proc", mount("proc", "/mnt", "proc", 0, NULL));
  TRY("fresh sysfs", mount("sysfs", "/mnt", "sysfs", 0, NULL));
  TRY("fresh cgroup2", mount("cgroup2", "/mnt", "cgroup2", 0, NULL));
  TRY("fresh cgroup v1", mount("cgroup", "/mnt", "cgroup", 0, "memory"));
  TRY("fresh tmpfs", mount("tmpfs", "/mnt", "tmpfs", 0, NULL));
  TRY("host's disk", mount("/dev/vda", "/mnt", "ext4", 0, NULL));
  TRY("debugfs", mount("debugfs", "/mnt", "debugfs", 0, NULL));
  TRY("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
  TRY("pivot_root", syscall(SYS_pivot_root, "/tmp", "/tmp"));
  TRY("swapon", syscall(SYS_swapon, "/tmp/x", 0));
  return 0;
}
