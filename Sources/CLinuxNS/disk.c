// A file system in a file: a volume that is a disk of its own.
#define _GNU_SOURCE
#include "linux_ns.h"
#include "result.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/// The device that has the file already: ext4 on two devices of one file would be written by two who do not know each
/// other; on one it is one file system, however often it is mounted. Known by what the file is: the kernel's name of it may
/// be another than ours. -ENOENT: none has it.
static long find_device(const struct stat *file, int how, char path[32]) {
  long last = -ENOENT;
  // Numbers are given from 0 on, and a machine has few that were never used.
  for (int number = 0, missing = 0; missing < 16 && number < 1 << 20; number++) {
    snprintf(path, 32, "/dev/loop%d", number);
    int device = open(path, how | O_CLOEXEC);
    if (device < 0) { missing++; continue; }
    missing = 0;
    struct loop_info64 information;
    if (ioctl(device, LOOP_GET_STATUS64, &information) == 0 && information.lo_device == file->st_dev &&
        information.lo_inode == file->st_ino)
      return device;
    close(device);
  }
  return last;
}

static long make_device(int file, char path[32], const char **step) {
  int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  *step = "open /dev/loop-control";
  if (control < 0) return -errno;
  long result;
  for (int tries = 0; tries < 64; tries++) {
    *step = "ioctl LOOP_CTL_GET_FREE";
    int number = ioctl(control, LOOP_CTL_GET_FREE);
    if (number < 0) { result = -errno; break; }
    snprintf(path, 32, "/dev/loop%d", number);
    *step = "open a loop device";
    int device = open(path, O_RDWR | O_CLOEXEC);
    if (device < 0) { result = -errno; break; }
    // The last unmount takes the device away.
    struct loop_config config = {.fd = (unsigned)file, .info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};
    *step = "ioctl LOOP_CONFIGURE";
    if (ioctl(device, LOOP_CONFIGURE, &config) == 0) { close(control); return device; }
    result = -errno;
    close(device);
    if (result != -EBUSY) break;  // somebody else was faster
  }
  close(control);
  return result;
}

long zns_disk_device(const char *path, unsigned *major_number, unsigned *minor_number) {
  struct stat status;
  char name[32];
  if (stat(path, &status) < 0) return -errno;
  int device = (int)find_device(&status, O_RDONLY, name);
  if (device < 0) return device;
  long result = RESULT(fstat(device, &status));
  *major_number = major(status.st_rdev);
  *minor_number = minor(status.st_rdev);
  close(device);
  return result;
}

long zns_mount_disk(const char *path, const char **step) {
  *step = "open";
  int file = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (file < 0) return -errno;
  long result = -EINVAL;
  int device = -1, context = -1, lock = -1;
  char name[32];
  struct stat status;
  // Who looks for a device of the file and makes one does both alone. The device keeps `file` open, and would keep its lock.
  if (fstat(file, &status) < 0) result = -errno;
  else if (S_ISREG(status.st_mode) &&
           ((lock = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) < 0 || flock(lock, LOCK_EX) < 0))
    result = -errno;
  else if (S_ISREG(status.st_mode)) {
    result = find_device(&status, O_RDWR, name);
    if (result == -ENOENT) result = make_device(file, name, step);
    device = (int)result;
  }
  if (device >= 0) {
    *step = "fsopen ext4";
    context = (int)syscall(SYS_fsopen, "ext4", FSOPEN_CLOEXEC);
    if (context < 0) result = -errno;
  }
  if (context >= 0) {
    *step = "mount ext4";
    if (syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "source", name, 0) < 0 ||
        syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "errors", "remount-ro", 0) < 0 ||
        syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
      result = -errno;
    else result = RESULT(syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
    close(context);
  }
  if (device >= 0) close(device);
  if (lock >= 0) close(lock);
  close(file);
  return result;
}

long zns_show_mount(int mount, const char *at, const char **step) {
  *step = "unshare";
  if (unshare(CLONE_NEWNS) < 0) return -errno;
  *step = "mount";
  if (syscall(SYS_mount, NULL, "/", NULL, 0x84000 /* MS_REC | MS_SLAVE: what the host unmounts goes here too */, NULL) < 0) return -errno;
  *step = "move_mount";
  return RESULT(syscall(SYS_move_mount, mount, "", AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH));
}
