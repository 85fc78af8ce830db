// A child of ours that works on what a stranger made: in namespaces of its own, where it sees one directory and nothing
// else. The callers are programs of one thread (fork(2)).
#define _GNU_SOURCE
#include "linux_ns.h"
#include "result.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

long zns_begin_walled(int *pidfd) {
  *pidfd = -1;
  struct clone_args arguments = {
      .flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNET | CLONE_PIDFD,
      .pidfd = (uint64_t)(uintptr_t)pidfd, .exit_signal = SIGCHLD};
  return RESULT(syscall(SYS_clone3, &arguments, sizeof arguments));
}

long zns_end_with_parent(void) { return RESULT(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)); }

static const unsigned quiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

static int set_attributes(int mount, uint64_t set) {
  struct mount_attr attributes = {.attr_set = set};
  return (int)syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &attributes, sizeof attributes);
}

/// A new file system that is mounted nowhere yet.
static int new_mount(const char *type, const char *key, const char *value, unsigned attributes) {
  int context = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
  if (context < 0) return -1;
  int mount = -1;
  if (syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, key, value, 0) == 0 &&
      syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
    mount = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes);
  int error = errno;
  close(context);
  errno = error;
  return mount;
}

static int attach(int mount, const char *place) {
  return (int)syscall(SYS_move_mount, mount, "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH);
}

#define STEP(name, call) do { *step = name; if ((long)(call) < 0) return -errno; } while (0)

long zns_wall_in(int directory, const char **step) {
  int layer, root, proc;
  // Before the namespace: the working directory is taken along into its copy of the mounts, a descriptor is not.
  STEP("fchdir", fchdir(directory));
  STEP("unshare", unshare(CLONE_NEWNS));
  STEP("mount", syscall(SYS_mount, NULL, "/", NULL, 0x44000 /* MS_REC | MS_PRIVATE */, NULL));
  STEP("open_tree", layer = (int)syscall(SYS_open_tree, AT_FDCWD, ".", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  STEP("mount_setattr", set_attributes(layer, quiet | MOUNT_ATTR_NOSYMFOLLOW));
  STEP("fsmount tmpfs", root = new_mount("tmpfs", "size", "64k", quiet));
  STEP("mkdirat", mkdirat(root, "layer", 0755));
  STEP("mkdirat", mkdirat(root, "proc", 0755));
  // Only processes: nothing of the machine's is told or set there.
  STEP("fsmount proc", proc = new_mount("proc", "subset", "pid", quiet | MOUNT_ATTR_RDONLY));
  STEP("move_mount", attach(root, "."));
  STEP("fchdir", fchdir(root));
  STEP("move_mount", attach(layer, "layer"));
  STEP("move_mount", attach(proc, "proc"));
  STEP("mount_setattr", set_attributes(root, MOUNT_ATTR_RDONLY));
  STEP("pivot_root", syscall(SYS_pivot_root, ".", "."));
  STEP("umount2", syscall(SYS_umount2, ".", 2 /* MNT_DETACH */));
  STEP("chdir", chdir("/"));
  close(layer);
  close(root);
  close(proc);
  int inside;
  STEP("open", inside = open("/layer", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  return inside;
}

long zns_merge_layers(const char *links, const char *layers, const char **step) {
  char options[4096];
  if (snprintf(options, sizeof options, "lowerdir=%s,userxattr", layers) >= (int)sizeof options) return -E2BIG;
  STEP("unshare", unshare(CLONE_NEWNS));
  STEP("mount", syscall(SYS_mount, NULL, "/", NULL, 0x44000 /* MS_REC | MS_PRIVATE */, NULL));
  // The layers' names are told from here, since there is one page for all of them; on top of it the mount is found by name.
  STEP("chdir", chdir(links));
  // An overlay without an upper layer wants two of them.
  int merged;
  if (strchr(layers, ':') == NULL) {
    STEP("open", merged = open(layers, O_PATH | O_DIRECTORY | O_CLOEXEC));
    return merged;
  }
  unsigned long flags = 0xf /* MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC */;
  STEP("mount overlay", syscall(SYS_mount, "overlay", ".", "overlay", flags, options));
  STEP("open", merged = open(links, O_PATH | O_DIRECTORY | O_CLOEXEC));
  // It lives on by its descriptor, and the next one finds the names.
  STEP("umount", syscall(SYS_umount2, links, 2 /* MNT_DETACH */));
  return merged;
}

long zns_bound_process(uint64_t address_space, unsigned descriptors) {
  struct rlimit memory = {address_space, address_space}, core = {0, 0}, files = {descriptors, descriptors};
  if (setrlimit(RLIMIT_AS, &memory) < 0 || setrlimit(RLIMIT_CORE, &core) < 0 || setrlimit(RLIMIT_NOFILE, &files) < 0)
    return -errno;
  return 0;
}

long zns_keep_capabilities(uint64_t kept) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
    return -errno;
  for (unsigned capability = 0; capability < 64; capability++) {
    if (kept >> capability & 1) continue;
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
    if (errno == EINVAL) break;  // the kernel has no more
    return -errno;
  }
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct sets[2] = {
      {.effective = (uint32_t)kept, .permitted = (uint32_t)kept},
      {.effective = (uint32_t)(kept >> 32), .permitted = (uint32_t)(kept >> 32)}};
  return RESULT(syscall(SYS_capset, &header, sets));
}

long zns_no_new_privs(void) { return RESULT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)); }

long zns_no_groups(void) { return RESULT(syscall(SYS_setgroups, 0, NULL)); }

long zns_load_filter(const void *program, size_t count) {
  struct { unsigned short count; const void *instructions; } all = {(unsigned short)(count / 8), program};
  return RESULT(prctl(PR_SET_SECCOMP, 2 /* SECCOMP_MODE_FILTER */, &all, 0, 0));
}
