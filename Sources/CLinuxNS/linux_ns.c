#define _GNU_SOURCE
#include "linux_ns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define RESULT(call) ({ long r_ = (long)(call); r_ < 0 ? -(long)errno : r_; })


int zns_open(int directory, const char *path, int flags, mode_t mode) { return openat(directory, path, flags, mode); }

long zns_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
  struct open_how how = {.flags = flags | O_CLOEXEC, .mode = mode, .resolve = resolve};
  return RESULT(syscall(SYS_openat2, directory, path, &how, sizeof how));
}
long zns_memfd_create(const char *name, unsigned flags) { return RESULT(syscall(SYS_memfd_create, name, flags)); }
long zns_pipe2(int *ends, int flags) { return RESULT(pipe2(ends, flags)); }
long zns_fcntl(int fd, int command, long argument) { return RESULT(fcntl(fd, command, argument)); }
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
long zns_gettid(void) { return syscall(SYS_gettid); }
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

enum { MOST_FDS = 16 };

long zns_send_fds(int socket, const void *bytes, size_t count, const int *fds, int fd_count) {
  union { struct cmsghdr header; char room[CMSG_SPACE(sizeof(int) * MOST_FDS)]; } control;
  if (fd_count < 0 || fd_count > MOST_FDS) return -EINVAL;
  struct iovec part = {(void *)bytes, count};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (fd_count > 0) {
    memset(&control, 0, sizeof control);
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)fd_count);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)fd_count);
    memcpy(CMSG_DATA(header), fds, sizeof(int) * (size_t)fd_count);
  }
  long sent;
  do sent = RESULT(sendmsg(socket, &message, MSG_NOSIGNAL));
  while (sent == -EINTR);
  return sent;
}

long zns_receive_fds(int socket, void *bytes, size_t room, int *fds, int *fd_count, int flags) {
  union { struct cmsghdr header; char room[CMSG_SPACE(sizeof(int) * MOST_FDS)]; } control;
  struct iovec part = {bytes, room};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  int space = *fd_count;
  *fd_count = 0;
  long got;
  do got = RESULT(recvmsg(socket, &message, MSG_CMSG_CLOEXEC | flags));
  while (got == -EINTR);
  if (got < 0) return got;
  int lost = (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0;
  for (struct cmsghdr *h = CMSG_FIRSTHDR(&message); h; h = CMSG_NXTHDR(&message, h)) {
    if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) continue;
    int n = (int)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    for (int i = 0; i < n; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(h) + sizeof(int) * (size_t)i, sizeof fd);
      if (!lost && *fd_count < space) fds[(*fd_count)++] = fd;
      else { close(fd); lost = 1; }
    }
  }
  if (lost) {
    while (*fd_count > 0) close(fds[--*fd_count]);
    return -EMSGSIZE;
  }
  return got;
}

long zns_peer_credentials(int socket, pid_t *pid, uid_t *uid, gid_t *gid) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  long result = RESULT(getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size));
  if (result < 0) return result;
  *pid = peer.pid; *uid = peer.uid; *gid = peer.gid;
  return 0;
}

// MARK: spawning

enum { MOST_SPAWN_FDS = 512 };

struct spawn_child { const struct zns_spawn *spawn; int user_namespace; sigset_t mask; int error; };

static int spawn_run(void *argument) {
  struct spawn_child *child = argument;
  const struct zns_spawn *spawn = child->spawn;
  // The parent's handlers run on memory we share: back to the default before a signal can come.
  for (int n = 1; n < 65; n++) {
    struct sigaction action;
    if (n == SIGKILL || n == SIGSTOP || sigaction(n, NULL, &action) < 0) continue;
    if (action.sa_handler == SIG_IGN && n != SIGPIPE) continue;
    if (action.sa_handler == SIG_DFL) continue;
    memset(&action, 0, sizeof action);
    sigaction(n, &action, NULL);
  }
  if (spawn->new_session && setsid() < 0) goto failed;
  if (child->user_namespace >= 0 && setns(child->user_namespace, CLONE_NEWUSER) < 0) goto failed;
  // First lift every descriptor above the target numbers, then put each in its place: no order can overwrite one. No
  // further than needed: the caller's RLIMIT_NOFILE may be low.
  int executable = spawn->executable;
  if (executable >= 0) {
    executable = fcntl(executable, F_DUPFD_CLOEXEC, spawn->fd_count);
    if (executable < 0) goto failed;
  }
  int lifted[MOST_SPAWN_FDS];
  if (spawn->fd_count > MOST_SPAWN_FDS) { errno = E2BIG; goto failed; }
  for (int i = 0; i < spawn->fd_count; i++) {
    lifted[i] = -1;
    if (spawn->fds[i] < 0) continue;
    lifted[i] = fcntl(spawn->fds[i], F_DUPFD_CLOEXEC, spawn->fd_count);
    if (lifted[i] < 0) goto failed;
  }
  for (int i = 0; i < spawn->fd_count; i++) {
    if (lifted[i] < 0) { close(i); continue; }
    if (dup2(lifted[i], i) < 0) goto failed;
  }
  if (syscall(SYS_close_range, (unsigned)spawn->fd_count, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */) < 0) goto failed;
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (executable >= 0) syscall(SYS_execveat, executable, "", spawn->argv, spawn->envp, AT_EMPTY_PATH);
  else execve(spawn->path, spawn->argv, spawn->envp);
failed:
  child->error = errno ? errno : EINVAL;
  _exit(127);
}

long zns_spawn(const struct zns_spawn *spawn, int *pidfd) { return zns_spawn_in(-1, spawn, pidfd); }

long zns_spawn_in(int user_namespace, const struct zns_spawn *spawn, int *pidfd) {
  enum { STACK = 64 * 1024 };
  char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return -errno;
  struct spawn_child child = {.spawn = spawn, .user_namespace = user_namespace};
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &child.mask);
  *pidfd = -1;
  // CLONE_VFORK suspends this thread until the child has executed or exited, so the stack may be local to the call.
  long pid = RESULT(clone(spawn_run, stack + STACK, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &child, pidfd));
  pthread_sigmask(SIG_SETMASK, &child.mask, NULL);
  munmap(stack, STACK);
  if (pid > 0 && child.error) {
    int code, status;
    zns_wait_pidfd(*pidfd, 0, &code, &status);
    close(*pidfd);
    *pidfd = -1;
    return -child.error;
  }
  return pid;
}

long zns_filesystem_type(const char *path) {
  struct statfs status;
  long result = RESULT(statfs(path, &status));
  return result < 0 ? result : (long)((unsigned long)status.f_type & 0xfffffffful);
}

const char *zns_errno_name(int number) { return strerrorname_np(number); }
const char *zns_errno_text(int number) { return strerrordesc_np(number); }

// The linker's --wrap sends libgcc's frame registration here in static executables: registering makes the first
// unwind sort every record of the program (measured: 9 ms), and Swift errors do not unwind.
void __wrap___register_frame_info(const void *begin, void *object);
void *__wrap___deregister_frame_info(const void *begin);
void __wrap___register_frame_info(const void *begin, void *object) { (void)begin; (void)object; }
void *__wrap___deregister_frame_info(const void *begin) { (void)begin; return NULL; }

long zns_signalfd(uint64_t signals) {
  return RESULT(syscall(SYS_signalfd4, -1, &signals, sizeof signals, SFD_CLOEXEC | SFD_NONBLOCK));
}
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

// Runs a function as vfork(2) would, on its own stack, with our memory and descriptors: what it opens, we have. It has
// its own credentials and namespaces. Its result is 0 or -errno.
static long run_beside(int (*function)(void *), void *argument, int flags) {
  enum { STACK = 64 * 1024 };
  char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return -errno;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int pidfd = -1;
  // No exit signal: nobody who waits for children of his own may find this one.
  long pid = RESULT(clone(function, stack + STACK, CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_PIDFD | flags, argument, &pidfd));
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  munmap(stack, STACK);
  if (pid < 0) return pid;
  siginfo_t end = {0};
  long waited;
  do waited = RESULT(waitid(P_PIDFD, (id_t)pidfd, &end, WEXITED | __WALL));
  while (waited == -EINTR);
  close(pidfd);
  return waited < 0 ? waited : end.si_code == CLD_EXITED ? -(long)end.si_status : -ECANCELED;
}

static int write_text(const char *path, const char *text) {
  int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return errno;
  ssize_t count = write(file, text, strlen(text));
  int error = count < 0 ? errno : 0;
  close(file);
  return error;
}

// `0 ID 1`; printf's family is not for a child on a borrowed memory.
static void single_map(char *room, unsigned id) {
  char digits[12];
  int count = 0;
  do digits[count++] = (char)('0' + id % 10);
  while ((id /= 10) > 0);
  *room++ = '0';
  *room++ = ' ';
  while (count > 0) *room++ = digits[--count];
  memcpy(room, " 1", 3);
}

struct user_network { unsigned uid, gid; int user, network, step; };

static int make_user_network(void *argument) {
  struct user_network *made = argument;
  char map[32];
  made->step = 1;
  int error = write_text("/proc/thread-self/setgroups", "deny");
  single_map(map, made->uid);
  if (!error) error = write_text("/proc/thread-self/uid_map", map);
  single_map(map, made->gid);
  if (!error) error = write_text("/proc/thread-self/gid_map", map);
  if (error) _exit(error);
  made->step = 3;
  error = write_text("/proc/sys/net/ipv4/ip_forward", "1");
  if (error) _exit(error);
  made->step = 2;
  made->user = open("/proc/thread-self/ns/user", O_RDONLY | O_CLOEXEC);
  if (made->user < 0) _exit(errno);
  made->network = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (made->network < 0) {
    error = errno;
    close(made->user);
    _exit(error);
  }
  _exit(0);
}

long zns_make_user_network(int *user_namespace, int *network_namespace, int *step) {
  struct user_network made = {.uid = geteuid(), .gid = getegid(), .user = -1, .network = -1};
  long result = run_beside(make_user_network, &made, CLONE_NEWUSER | CLONE_NEWNET);
  *user_namespace = made.user;
  *network_namespace = made.network;
  *step = made.step;
  return result;
}

struct sockets_in { int network, user, count; const struct zns_socket_kind *kinds; int *sockets; };

static int make_sockets(void *argument) {
  struct sockets_in *wish = argument;
  if (setns(wish->user, CLONE_NEWUSER) < 0 || setns(wish->network, CLONE_NEWNET) < 0) _exit(errno);
  for (int i = 0; i < wish->count; i++) {
    const struct zns_socket_kind *kind = &wish->kinds[i];
    wish->sockets[i] = socket(kind->domain, kind->type | SOCK_CLOEXEC, kind->protocol);
    if (wish->sockets[i] < 0) {
      int error = errno;
      while (i-- > 0) close(wish->sockets[i]);
      _exit(error);
    }
  }
  _exit(0);
}

long zns_sockets_in(int network_namespace, const struct zns_socket_kind *kinds, int count, int *sockets) {
  // ioctl_nsfs(2), NS_GET_USERNS
  int owner = ioctl(network_namespace, 0xb701);
  if (owner < 0) return -errno;
  struct sockets_in wish = {network_namespace, owner, count, kinds, sockets};
  long result = run_beside(make_sockets, &wish, 0);
  close(owner);
  return result;
}

long zns_receive_datagram(int socket, void *bytes, size_t room, struct zns_datagram_ends *ends) {
  struct sockaddr_in peer = {0};
  struct iovec vector = {bytes, room};
  union { struct cmsghdr header; char room[CMSG_SPACE(sizeof(struct in_pktinfo))]; } control;
  struct msghdr message = {.msg_name = &peer, .msg_namelen = sizeof peer, .msg_iov = &vector, .msg_iovlen = 1,
                           .msg_control = &control, .msg_controllen = sizeof control};
  long got = RESULT(recvmsg(socket, &message, MSG_DONTWAIT));
  if (got < 0) return got;
  ends->peer = peer.sin_addr.s_addr;
  ends->port = peer.sin_port;
  ends->own = 0;
  for (struct cmsghdr *one = CMSG_FIRSTHDR(&message); one; one = CMSG_NXTHDR(&message, one)) {
    if (one->cmsg_level != IPPROTO_IP || one->cmsg_type != IP_PKTINFO) continue;
    struct in_pktinfo information;
    memcpy(&information, CMSG_DATA(one), sizeof information);
    ends->own = information.ipi_spec_dst.s_addr;
  }
  return got;
}

long zns_send_datagram(int socket, const void *bytes, size_t count, const struct zns_datagram_ends *ends) {
  struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = ends->port, .sin_addr.s_addr = ends->peer};
  struct iovec vector = {(void *)bytes, count};
  union { struct cmsghdr header; char room[CMSG_SPACE(sizeof(struct in_pktinfo))]; } control;
  memset(&control, 0, sizeof control);
  struct msghdr message = {.msg_name = &peer, .msg_namelen = sizeof peer, .msg_iov = &vector, .msg_iovlen = 1,
                           .msg_control = &control, .msg_controllen = sizeof control};
  struct cmsghdr *one = CMSG_FIRSTHDR(&message);
  one->cmsg_level = IPPROTO_IP;
  one->cmsg_type = IP_PKTINFO;
  one->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
  struct in_pktinfo information = {.ipi_spec_dst.s_addr = ends->own};
  memcpy(CMSG_DATA(one), &information, sizeof information);
  return RESULT(sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL));
}

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
