// Messages with descriptors and credentials, and datagrams that tell to which address they came.
#define _GNU_SOURCE
#include "linux_ns.h"
#include "result.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_FDS = 16 };

long zns_send_aside(int socket, const void *bytes, size_t count, const void *address, unsigned length) {
  // Those of before, where we live on: without a signal at their end they are nobody else's to wait for.
  while (wait4(-1, NULL, WNOHANG | __WCLONE, NULL) > 0) {}
  long child = RESULT(syscall(SYS_clone, 0, 0, 0, 0, 0));
  if (child != 0) return child < 0 ? child : 0;
  // A copy of one thread of ours, perhaps of many: nothing but system calls. It lets go of what it was born with, for
  // locks and the ends of pipes would be held by it.
  unsigned own = (unsigned)socket;
  if (own > 0) syscall(SYS_close_range, 0, own - 1, 0);
  syscall(SYS_close_range, own + 1, ~0u, 0);
  syscall(SYS_sendto, socket, bytes, count, MSG_NOSIGNAL, address, length);
  for (;;) syscall(SYS_exit_group, 0);
}

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
  int lost = (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0, received = 0;
  for (struct cmsghdr *h = CMSG_FIRSTHDR(&message); h; h = CMSG_NXTHDR(&message, h)) {
    if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) continue;
    int n = (int)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    for (int i = 0; i < n; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(h) + sizeof(int) * (size_t)i, sizeof fd);
      received++;
      if (!lost && *fd_count < space) fds[(*fd_count)++] = fd;
      else { close(fd); lost = 1; }
    }
  }
  if (lost) {
    while (*fd_count > 0) close(fds[--*fd_count]);
    // There was room for more of them, but no number left (RLIMIT_NOFILE).
    return message.msg_flags & MSG_CTRUNC && received < MOST_FDS ? -EMFILE : -EMSGSIZE;
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
