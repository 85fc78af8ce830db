// The same call by the processor's other tables of system calls, of which a filter may know nothing: i386 and x32.
#include "attack.h"

#if defined(__x86_64__)
static long of_i386(long number, const char *path, long mode) {
  long result;
  __asm__ volatile("int $0x80"
                   : "=a"(result)
                   : "a"(number), "b"(path), "c"(mode)
                   : "memory", "r8", "r9", "r10", "r11");
  if (result >= 0 || result < -4095) return result;
  errno = -result;
  return -1;
}

/// In a child, for a filter may kill who calls.
static void attempt(const char *name, int i386, const char *path) {
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    TRY(name, i386 ? of_i386(39, path, 0700) : syscall(0x40000000 | SYS_mkdir, path, 0700));
    _exit(0);
  }
  int status;
  waitpid(pid, &status, 0);
  if (WIFSIGNALED(status)) printf("%s: refused signal %d\n", name, WTERMSIG(status));
}
#endif

int main(void) {
  // Static, so that they lie where 32 bits reach; not position independent for the same reason.
  static const char native[] = "/tmp/native";
  TRY("mkdir", mkdir(native, 0700));
#if defined(__x86_64__)
  static const char other[] = "/tmp/i386", another[] = "/tmp/x32";
  attempt("mkdir of i386", 1, other);
  attempt("mkdir of x32", 0, another);
#endif
  puts("end");
  return 0;
}
