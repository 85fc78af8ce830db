// A start with no walls: fork, exec, wait. forkexec PROGRAM; exits with the program's status. gcc -O2 -static forkexec.c
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: forkexec PROGRAM\n");
    return 2;
  }
  pid_t pid = fork();
  if (pid < 0) {
    perror("fork");
    return 126;
  }
  if (pid == 0) {
    execv(argv[1], argv + 1);
    _exit(127);
  }
  int status;
  if (waitpid(pid, &status, 0) < 0) {
    perror("waitpid");
    return 126;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}
