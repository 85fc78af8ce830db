// Bounds on what a directory's tree takes of its file system: project quotas, and btrfs' quota groups of subvolumes.
#define _GNU_SOURCE
#include "linux_ns.h"
#include "result.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_quotactl_fd
#define SYS_quotactl_fd 443  // the same on every architecture
#endif

static long quota(int file, unsigned command, uint32_t id, void *argument) {
  return RESULT(syscall(SYS_quotactl_fd, file, QCMD(command, PRJQUOTA), id, argument));
}

long zns_project_quotas(int directory) {
  struct fs_quota_statv state = {.qs_version = FS_QSTATV_VERSION1};
  long result = quota(directory, Q_XGETQSTATV, 0, &state);
  // quotactl(2): none is on, or the file system has no such thing.
  if (result == -ESRCH) return 0;
  if (result == -ENOSYS || result == -EINVAL) {
    // Kernels before 5.14 have no such call at all: then it is the same for what is no descriptor.
    long without = quota(-1, Q_XGETQSTATV, 0, &state);
    return without == -ENOSYS ? -ENOSYS : 0;
  }
  if (result < 0) return result;
  return (state.qs_flags & FS_QUOTA_PDQ_ENFD) != 0;
}

long zns_project(int file, uint32_t *id) {
  struct fsxattr attributes;
  long result = RESULT(ioctl(file, FS_IOC_FSGETXATTR, &attributes));
  if (result == 0) *id = attributes.fsx_projid;
  return result;
}

long zns_set_project(int file, uint32_t id, int is_directory) {
  struct fsxattr attributes;
  long result = RESULT(ioctl(file, FS_IOC_FSGETXATTR, &attributes));
  if (result < 0) return result;
  attributes.fsx_projid = id;
  if (is_directory) attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
  return RESULT(ioctl(file, FS_IOC_FSSETXATTR, &attributes));
}

long zns_project_use(int directory, uint32_t id, struct zns_quota_use *use) {
  struct if_dqblk block = {0};
  long result = quota(directory, Q_GETQUOTA, id, &block);
  if (result == -ENOENT) result = 0;  // xfs: nothing was ever counted by it
  if (result < 0) return result;
  use->bytes = block.dqb_curspace;
  use->files = block.dqb_curinodes;
  use->limit = block.dqb_bhardlimit << QIF_DQBLKSIZE_BITS;
  use->file_limit = block.dqb_ihardlimit;
  return 0;
}

long zns_limit_project(int directory, uint32_t id, uint64_t bytes) {
  // Empty files take next to nothing, and a file system has so many alone: one for each smallest block.
  struct if_dqblk block = {.dqb_bhardlimit = (bytes + QIF_DQBLKSIZE - 1) >> QIF_DQBLKSIZE_BITS,
                           .dqb_ihardlimit = bytes ? (bytes >> 12) + 256 : 0,
                           .dqb_valid = QIF_LIMITS};
  return quota(directory, Q_SETQUOTA, id, &block);
}

// MARK: btrfs

long zns_make_subvolume(int directory, const char *name) {
  struct btrfs_ioctl_vol_args arguments = {0};
  if (strlen(name) > BTRFS_PATH_NAME_MAX) return -ENAMETOOLONG;
  strcpy(arguments.name, name);
  return RESULT(ioctl(directory, BTRFS_IOC_SUBVOL_CREATE, &arguments));
}

long zns_limit_subvolume(int subvolume, int outside, uint64_t bytes) {
  struct btrfs_ioctl_ino_lookup_args lookup = {.objectid = BTRFS_FIRST_FREE_OBJECTID};
  if (ioctl(subvolume, BTRFS_IOC_INO_LOOKUP, &lookup) < 0) return -errno;
  // All bits set takes the limit away.
  struct btrfs_ioctl_qgroup_limit_args arguments = {
      .qgroupid = lookup.treeid,
      .lim = {.flags = BTRFS_QGROUP_LIMIT_MAX_RFER, .max_rfer = bytes ? bytes : UINT64_MAX}};
  return RESULT(ioctl(outside, BTRFS_IOC_QGROUP_LIMIT, &arguments));
}

/// `/sys/fs/btrfs/UUID/qgroups`: there while btrfs counts.
static long groups_path(int subvolume, char path[64]) {
  struct btrfs_ioctl_fs_info_args information = {0};
  if (ioctl(subvolume, BTRFS_IOC_FS_INFO, &information) < 0) return -errno;
  char *at = path + sprintf(path, "/sys/fs/btrfs/");
  for (int byte = 0; byte < BTRFS_FSID_SIZE; byte++) {
    if (byte == 4 || byte == 6 || byte == 8 || byte == 10) *at++ = '-';
    at += sprintf(at, "%02x", information.fsid[byte]);
  }
  strcpy(at, "/qgroups");
  return 0;
}

long zns_subvolume_quotas(int directory) {
  char path[64];
  long result = groups_path(directory, path);
  if (result < 0) return result;
  return access(path, F_OK) == 0;
}

static long read_number(const char *folder, unsigned long long group, const char *name, uint64_t *number) {
  char path[128], text[32];
  snprintf(path, sizeof path, "%s/0_%llu/%s", folder, group, name);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -errno;
  ssize_t got = read(file, text, sizeof text - 1);
  long result = got < 0 ? -errno : 0;
  close(file);
  if (got < 0) return result;
  text[got] = 0;
  *number = strtoull(text, NULL, 10);
  return 0;
}

long zns_subvolume_use(int subvolume, struct zns_quota_use *use) {
  char folder[64];
  long result = groups_path(subvolume, folder);
  if (result < 0) return result;
  struct btrfs_ioctl_ino_lookup_args lookup = {.objectid = BTRFS_FIRST_FREE_OBJECTID};
  if (ioctl(subvolume, BTRFS_IOC_INO_LOOKUP, &lookup) < 0) return -errno;
  uint64_t limit;
  result = read_number(folder, lookup.treeid, "referenced", &use->bytes);
  if (result == 0) result = read_number(folder, lookup.treeid, "max_referenced", &limit);
  if (result < 0) return result;
  use->files = use->file_limit = 0;
  use->limit = limit > INT64_MAX ? 0 : limit;
  return 0;
}
