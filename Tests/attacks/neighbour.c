// neighbour SOCKET: somebody who reached a keeper's socket asks it for the way into its zone, and to kill it. Harmless
// wherever the answer is no; the keeper's owner runs it to see that it would be answered.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv) {
  int end = socket(AF_UNIX, SOCK_SEQPACKET, 0);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", argc > 1 ? argv[1] : "");
  if (connect(end, (struct sockaddr *)&address, sizeof address) < 0) return printf("connect: %s\n", strerrorname_np(errno)), 1;
  struct timeval limit = {10, 0};
  setsockopt(end, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  char answer[64], kill[5] = {'K'};
  int number = SIGKILL;
  memcpy(kill + 1, &number, sizeof number);
  send(end, "n", 1, MSG_NOSIGNAL);
  long got = recv(end, answer, sizeof answer, 0);
  printf("way in: %s\n", got > 0 && answer[0] == 'D' ? "given" : got == 0 || errno == ECONNRESET ? "hung up" : "no answer");
  if (argc > 2) return 0;  // the owner only asks
  send(end, kill, sizeof kill, MSG_NOSIGNAL);
  return 0;
}
