#define _GNU_SOURCE
#include "linux_ns.h"
#include "result.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>



int zns_open(int directory, const char *path, int flags, mode_t mode) { return openat(directory, path, flags, mode); }

long zns_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
  struct open_how how = {.flags = flags | O_CLOEXEC, .mode = mode, .resolve = resolve};
  long fd = -EAGAIN;
  // EAGAIN: see sys_resolve.
  for (int turn = 0; fd == -EAGAIN && turn < 10000; turn++)
    fd = RESULT(syscall(SYS_openat2, directory, path, &how, sizeof how));
  return fd;
}
long zns_memfd_create(const char *name, unsigned flags) { return RESULT(syscall(SYS_memfd_create, name, flags)); }
long zns_pipe2(int *ends, int flags) { return RESULT(pipe2(ends, flags)); }
long zns_fcntl(int fd, int command, long argument) { return RESULT(fcntl(fd, command, argument)); }
void zns_start_writing(int fd) { sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE); }
long zns_ioctl(int fd, unsigned long request, unsigned long argument) {
  return RESULT(syscall(SYS_ioctl, fd, request, argument));
}
long zns_close_range(unsigned first, unsigned last, unsigned flags) {
  return RESULT(syscall(SYS_close_range, first, last, flags));
}
long zns_pidfd_open(pid_t pid, unsigned flags) { return RESULT(syscall(SYS_pidfd_open, pid, flags)); }
long zns_pidfd_send_signal(int pidfd, int signal) {
  return RESULT(syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0));
}
long zns_pidfd_getfd(int pidfd, int fd) { return RESULT(syscall(SYS_pidfd_getfd, pidfd, fd, 0)); }
long zns_setns(int fd, int flags) { return RESULT(setns(fd, flags)); }
long zns_unshare(int flags) { return RESULT(unshare(flags)); }
long zns_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data) {
  return RESULT(syscall(SYS_mount, source, target, type, flags, data));
}
long zns_umount2(const char *target, int flags) { return RESULT(syscall(SYS_umount2, target, flags)); }
long zns_open_tree(int directory, const char *path, unsigned flags) {
  return RESULT(syscall(SYS_open_tree, directory, path, flags | OPEN_TREE_CLOEXEC));
}
long zns_move_mount(int from_directory, const char *from, int to_directory, const char *to, unsigned flags) {
  return RESULT(syscall(SYS_move_mount, from_directory, from, to_directory, to, flags));
}
long zns_mount_setattr(int directory, const char *path, unsigned flags, uint64_t set, uint64_t clear,
                       uint64_t propagation, int userns_fd) {
  struct mount_attr attributes = {
      .attr_set = set, .attr_clr = clear, .propagation = propagation, .userns_fd = (uint64_t)(userns_fd < 0 ? 0 : userns_fd)};
  return RESULT(syscall(SYS_mount_setattr, directory, path, flags, &attributes, sizeof attributes));
}
long zns_renameat2(int old_directory, const char *old_path, int new_directory, const char *new_path, unsigned flags) {
  return RESULT(syscall(SYS_renameat2, old_directory, old_path, new_directory, new_path, flags));
}
long zns_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
  return RESULT(prctl(option, a, b, c, d));
}
long zns_capget(uint64_t *effective, uint64_t *permitted, uint64_t *inheritable) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {{0, 0, 0}, {0, 0, 0}};
  long result = RESULT(syscall(SYS_capget, &header, data));
  if (result < 0) return result;
  *effective = data[0].effective | (uint64_t)data[1].effective << 32;
  *permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
  *inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
  return 0;
}
extern char **environ;
char *const *zns_environment(void) { return environ; }
long zns_gettid(void) { return syscall(SYS_gettid); }

long zns_raise_descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return 0;
  struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  return limit.rlim_cur > LONG_MAX ? LONG_MAX : (long)limit.rlim_cur;
}

int zns_start_thread(void *(*body)(void *), void *argument) {
  zns_heap_has_threads();
  pthread_t thread;
  int error = pthread_create(&thread, NULL, body, argument);
  if (error == 0) pthread_detach(thread);
  return error;
}
long zns_keyctl(int operation, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
  return RESULT(syscall(SYS_keyctl, operation, a, b, c, d));
}

long zns_wait_pidfd(int pidfd, int options, int *code, int *status) {
  siginfo_t info;
  memset(&info, 0, sizeof info);
  long result;
  do result = RESULT(waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | options));
  while (result == -EINTR);
  *code = info.si_pid ? info.si_code : 0;
  *status = info.si_status;
  return result < 0 ? result : 0;
}

long zns_filesystem_type(const char *path) {
  struct statfs status;
  long result = RESULT(statfs(path, &status));
  return result < 0 ? result : (long)((unsigned long)status.f_type & 0xfffffffful);
}

long zns_signalfd(uint64_t signals) {
  return RESULT(syscall(SYS_signalfd4, -1, &signals, sizeof signals, SFD_CLOEXEC | SFD_NONBLOCK));
}
long zns_eventfd(void) { return RESULT(syscall(SYS_eventfd2, 0, O_CLOEXEC | O_NONBLOCK)); }

long zns_read_signalfd(int fd) {
  struct signalfd_siginfo info;
  long got;
  do got = RESULT(read(fd, &info, sizeof info));
  while (got == -EINTR);
  return got < 0 ? got : (long)info.ssi_signo;
}
long zns_drop_capabilities(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct none[2];
  memset(none, 0, sizeof none);
  return RESULT(syscall(SYS_capset, &header, none));
}

// 444 on every architecture (since 5.13); the libc's headers may be older than the kernel.
long zns_landlock_abi(void) { return RESULT(syscall(444, NULL, 0, 1u)); }

long zns_file_facts(const char *path, int follow, struct zns_file_facts *facts) {
  struct stat status;
  if ((follow ? stat(path, &status) : lstat(path, &status)) != 0) return -errno;
  facts->inode = status.st_ino;
  facts->device_major = major(status.st_dev);
  facts->device_minor = minor(status.st_dev);
  facts->size = status.st_size;
  facts->modified_seconds = status.st_mtim.tv_sec;
  facts->modified_nanoseconds = status.st_mtim.tv_nsec;
  facts->mode = status.st_mode;
  facts->uid = status.st_uid;
  return 0;
}

long zns_ended_child(void) {
  siginfo_t information = {0};
  if (waitid(P_ALL, 0, &information, WEXITED | WNOHANG | WNOWAIT) != 0) return errno == ECHILD ? 0 : -errno;
  return information.si_pid;
}

long zns_has_bounding(int capability) { return RESULT(prctl(PR_CAPBSET_READ, capability, 0, 0, 0)); }

long zns_epoll_create(void) { return RESULT(epoll_create1(EPOLL_CLOEXEC)); }
long zns_epoll_control(int epoll, int operation, int fd, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  return RESULT(epoll_ctl(epoll, operation, fd, &event));
}
long zns_epoll_wait(int epoll, int *ready, int timeout) {
  struct epoll_event events[64];
  long count = RESULT(epoll_wait(epoll, events, 64, timeout));
  for (long i = 0; i < count; i++) ready[i] = events[i].data.fd;
  return count;
}
