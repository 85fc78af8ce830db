// swap ONE OTHER: exchanges two paths with each other as fast as it can (renameat2(2), RENAME_EXCHANGE), until whoever
// started it is gone or one of the paths is. It runs on the host, in a folder of a case's own: it is the racing half.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <signal.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  puts("swapping");
  fflush(stdout);
  while (renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE) == 0) {}
  perror(argv[1]);
  return 1;
}
