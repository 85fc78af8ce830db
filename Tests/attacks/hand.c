// hand give SOCKET: gives its standard output and error to who takes them, and goes on.
// hand take SOCKET: another zone's process, which takes them, keeps them open and writes to them without end.
#include "attack.h"
#include <sys/socket.h>
#include <sys/un.h>

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int take = strcmp(argv[1], "take") == 0, end = socket(AF_UNIX, SOCK_STREAM, 0), fds[2] = {1, 2};
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", argv[2]);
  char byte = 'x', room[CMSG_SPACE(sizeof fds)];
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
  signal(SIGPIPE, SIG_IGN);
  if (!take) {
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fds)};
    memcpy(CMSG_DATA(header), fds, sizeof fds);
    while (connect(end, (struct sockaddr *)&address, sizeof address) < 0) usleep(10000);
    if (sendmsg(end, &message, 0) != 1) return 3;
    for (;;) pause();
  }
  if (bind(end, (struct sockaddr *)&address, sizeof address) < 0 || chmod(argv[2], 0777) < 0 || listen(end, 1) < 0) return 3;
  int from = accept(end, NULL, NULL);
  if (recvmsg(from, &message, 0) != 1) return 3;
  memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fds);
  puts("taken");
  fflush(stdout);
  static char bytes[4096];
  memset(bytes, '.', sizeof bytes);
  for (;;)
    if (write(fds[0], bytes, sizeof bytes) < 0) pause();
}
