// forks COUNT: makes children that stay until it cannot, or has COUNT; says how many processes there are then, with
// itself, and why it stopped.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
  int count = argc > 1 ? atoi(argv[1]) : 0, made = 1, error = 0;
  for (; made < count; made++) {
    pid_t pid = fork();
    if (pid < 0) {
      error = errno;
      break;
    }
    if (pid == 0) {
      pause();
      _exit(0);
    }
  }
  printf("%d %s\n", made, error ? strerrorname_np(error) : "none");
  fflush(stdout);
  // Only now, so that no child has it ignored.
  signal(SIGTERM, SIG_IGN);
  kill(0, SIGTERM);
  while (wait(NULL) > 0) {}
  return 0;
}
