// Which instructions of a static executable a run comes by: single-steps PROGRAM (not what it starts) and prints the
// address of every 16 bytes of code that were executed, in the order of their first execution, to the file STEPS names.
//   steps STEPS PROGRAM [ARGUMENT…]      ends with the program's status
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

// A static, not relocated executable lies in the first 256 MiB.
enum { GRANULE = 16, HIGHEST = 256 << 20 };
static unsigned char seen[HIGHEST / GRANULE];

static void die(const char *what) {
  fprintf(stderr, "steps: %s: %s\n", what, strerror(errno));
  exit(125);
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: steps STEPS PROGRAM [ARGUMENT…]\n");
    return 2;
  }
  FILE *out = fopen(argv[1], "w");
  if (!out) die(argv[1]);
  pid_t child = fork();
  if (child < 0) die("fork");
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    execv(argv[2], argv + 2);
    die(argv[2]);
  }
  int status, signal = 0;
  while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
    signal = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, child, 0, &registers) < 0) die("PTRACE_GETREGS");
    unsigned long at = registers.rip / GRANULE;
    if (at < sizeof seen && !seen[at]) {
      seen[at] = 1;
      fprintf(out, "%llx\n", registers.rip);
    }
    if (ptrace(PTRACE_SINGLESTEP, child, 0, signal) < 0) die("PTRACE_SINGLESTEP");
  }
  if (fclose(out) != 0) die(argv[1]);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
