#include "kernel.h"

void *memcpy(void *restrict to, const void *restrict from, size_t n) {
  char *t = to;
  const char *f = from;
  while (n--) *t++ = *f++;
  return to;
}
void *memset(void *to, int value, size_t n) {
  char *t = to;
  while (n--) *t++ = (char)value;
  return to;
}
void *memmove(void *to, const void *from, size_t n) {
  char *t = to;
  const char *f = from;
  if (t < f) return memcpy(to, from, n);
  while (n--) t[n] = f[n];
  return to;
}
int memcmp(const void *a, const void *b, size_t n) {
  const unsigned char *x = a, *y = b;
  for (; n--; x++, y++)
    if (*x != *y) return *x - *y;
  return 0;
}

long sys_close(int fd) { return SYS1(__NR_close, fd); }

void sys_exit(int status) {
  for (;;) SYS1(__NR_exit_group, status);
}

char *put_number(char *to, uint64_t value) {
  char digits[20];
  int n = 0;
  do digits[n++] = (char)('0' + value % 10);
  while (value /= 10);
  while (n) *to++ = digits[--n];
  return to;
}

char *put_text(char *to, const char *s) {
  while (*s) *to++ = *s++;
  return to;
}

long send_message(int socket, const void *bytes, size_t n, const int *fds, int fd_count, int flags) {
  struct { struct cmsghdr_ header; int fds[STAGE_FDS_A_MESSAGE]; } control;
  struct iovec_ part = {(void *)bytes, n};
  struct msghdr_ message = {0, 0, &part, 1, 0, 0, 0};
  if (fd_count > STAGE_FDS_A_MESSAGE) return -EINVAL;
  if (fd_count > 0) {
    control.header = (struct cmsghdr_){sizeof control.header + sizeof(int) * (size_t)fd_count, SOL_SOCKET, SCM_RIGHTS};
    for (int i = 0; i < fd_count; i++) control.fds[i] = fds[i];
    message.control = &control;
    message.control_length = (control.header.length + 7) & ~(size_t)7;
  }
  // Whoever waits for it waits for ever where it is lost: a kernel that has no memory for it now is asked again, and by no
  // other call, which a filter might not let through.
  long result;
  int tries = 1000;
  do result = SYS3(__NR_sendmsg, socket, &message, MSG_NOSIGNAL | flags);
  while (result == -EINTR || ((result == -ENOMEM || result == -ENOBUFS) && --tries > 0));
  return result;
}

long send_numbers(int socket, char kind, const int32_t *numbers, int count) {
  char bytes[1 + 4 * 4];
  bytes[0] = kind;
  memcpy(bytes + 1, numbers, 4 * (size_t)count);
  return send_message(socket, bytes, 1 + 4 * (size_t)count, 0, 0, 0);
}

long receive_message(int socket, void *bytes, size_t room, int *fds, int *fd_count, int *sender, int flags) {
  _Alignas(8) char control[256];
  struct iovec_ part = {bytes, room};
  struct msghdr_ message = {0, 0, &part, 1, control, sizeof control, 0};
  int space = fd_count ? *fd_count : 0;
  if (fd_count) *fd_count = 0;
  if (sender) *sender = 0;
  long result;
  do result = SYS3(__NR_recvmsg, socket, &message, MSG_CMSG_CLOEXEC | flags);
  while (result == -EINTR);
  if (result < 0) return result;
  for (size_t at = 0; at + sizeof(struct cmsghdr_) <= message.control_length;) {
    struct cmsghdr_ *h = (struct cmsghdr_ *)(control + at);
    if (h->length < sizeof *h || at + h->length > message.control_length) break;
    char *data = (char *)(h + 1);
    if (h->level == SOL_SOCKET && h->type == SCM_CREDENTIALS && sender) memcpy(sender, data, sizeof *sender);
    if (h->level == SOL_SOCKET && h->type == SCM_RIGHTS) {
      int n = (int)((h->length - sizeof *h) / sizeof(int));
      for (int i = 0; i < n; i++) {
        int fd;
        memcpy(&fd, data + sizeof(int) * (size_t)i, sizeof fd);
        if (fd_count && *fd_count < space) fds[(*fd_count)++] = fd;
        else sys_close(fd);
      }
    }
    at += (h->length + 7) & ~(size_t)7;
  }
  // The room is for more than anybody sends us: what is missing had no number left (RLIMIT_NOFILE).
  if (fd_count && message.flags & MSG_CTRUNC) {
    while (*fd_count > 0) sys_close(fds[--*fd_count]);
    return -EMFILE;
  }
  return result;
}

long sys_resolve(int at, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
  struct open_how how = {flags | O_CLOEXEC, mode, resolve};
  long fd = -EAGAIN;
  for (int turn = 0; fd == -EAGAIN && turn < 10000; turn++) fd = SYS4(__NR_openat2, at, path, &how, sizeof how);
  return fd;
}

long write_file(const char *path, const char *content) {
  long fd = sys_open(AT_FDCWD, path, O_WRONLY, 0);
  if (fd < 0) return fd;
  long result = sys_write((int)fd, content, length(content));
  sys_close((int)fd);
  return result < 0 ? result : 0;
}

/// At `to`, of 64 bytes: /proc/PID/FOLDER/NAME, or without the folder.
static const char *proc_path(char *to, int pid, const char *folder, const char *name) {
  char *end = put_number(put_text(to, "/proc/"), (uint64_t)pid);
  *put_text(put_text(end, folder), name) = 0;
  return to;
}

long write_map(int pid, const char *name, const char *content) {
  char path[64];
  return write_file(proc_path(path, pid, "/", name), content);
}

long open_namespace(int pid, const char *name) {
  char path[64];
  return sys_open(AT_FDCWD, proc_path(path, pid, "/ns/", name), O_RDONLY, 0);
}

long wait_for_child(int type, long id, struct child_info *info) {
  long result;
  int tries = 0;
  memset(info, 0, sizeof *info);
  do result = SYS5(__NR_waitid, type, id, info, WEXITED, 0);
  while (result < 0 && result != -ECHILD && ++tries < 1000);
  return result;
}
