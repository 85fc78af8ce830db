// withkey COMMAND…: a login's place in the machine, no attack: runs the command with a key in its session keyring and one
// in its user's keyring, both called zones-launcher. "@key@" among the arguments becomes the number of the first.
#define _GNU_SOURCE
#include <linux/keyctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
  long key = syscall(SYS_add_key, "user", "zones-launcher", "secret", 6, KEY_SPEC_SESSION_KEYRING);
  long lasting = syscall(SYS_add_key, "user", "zones-launcher", "secret", 6, KEY_SPEC_USER_KEYRING);
  if (key < 0 || lasting < 0) return perror("add_key"), 3;
  static char number[32];
  snprintf(number, sizeof number, "%ld", key);
  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], "@key@") == 0) argv[i] = number;
  pid_t pid = fork();
  if (pid == 0) {
    execvp(argv[1], argv + 1);
    _exit(127);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  char bytes[16];
  if (syscall(SYS_keyctl, KEYCTL_READ, key, bytes, sizeof bytes) != 6) printf("the launcher's key is gone: DONE\n");
  syscall(SYS_keyctl, KEYCTL_UNLINK, lasting, KEY_SPEC_USER_KEYRING);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
