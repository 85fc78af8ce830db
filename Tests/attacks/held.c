// For the audit's cases: a descriptor of the host's in a zone's hands, and a process that is traced.
//   held take SOCKET         in the zone: waits for a descriptor on a unix socket, and keeps it
//   held give SOCKET FILE    on the host: opens FILE and hands it over
//   held trace PID           on the host: traces a process until it is ended itself
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int fail(const char *what) {
  perror(what);
  return 1;
}

static int transfer(int socket, int fd) {
  char byte = 0;
  union { struct cmsghdr align; char room[CMSG_SPACE(sizeof(int))]; } control = {0};
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  if (fd < 0) return recvmsg(socket, &message, 0) < 1 || message.msg_controllen == 0 ? fail("recvmsg") : 0;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS, header->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  return sendmsg(socket, &message, 0) < 1 ? fail("sendmsg") : 0;
}

int main(int argc, char **argv) {
  if (argc == 3 && !strcmp(argv[1], "trace")) {
    if (ptrace(PTRACE_SEIZE, atoi(argv[2]), 0, 0) < 0) return fail("ptrace");
    puts("traced");
    fflush(stdout);
    pause();
    return 0;
  }
  if (argc < 3) return 2;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, argv[2], sizeof address.sun_path - 1);
  int end = socket(AF_UNIX, SOCK_STREAM, 0);
  if (argc == 4) {
    int fd = open(argv[3], O_RDONLY);
    if (fd < 0 || connect(end, (struct sockaddr *)&address, sizeof address) < 0) return fail(argv[3]);
    if (transfer(end, fd)) return 1;
    char byte;
    return read(end, &byte, 1) < 0 ? fail("read") : 0;
  }
  if (bind(end, (struct sockaddr *)&address, sizeof address) < 0 || listen(end, 4) < 0) return fail("listen");
  for (;;) {
    int other = accept(end, 0, 0);
    if (other < 0 || transfer(other, -1)) return 1;
    if (write(other, "", 1) < 0) return 1;
    close(other);
  }
}
