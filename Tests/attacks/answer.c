// Ends with 42, by the one system call that it makes: what fails around it is not its own. Built with -nostdlib.
#include <sys/syscall.h>

void _start(void) {
#if defined(__x86_64__)
  __asm__ volatile("syscall" : : "a"(SYS_exit_group), "D"(42));
#elif defined(__aarch64__)
  register long number __asm__("x8") = SYS_exit_group, status __asm__("x0") = 42;
  __asm__ volatile("svc 0" : : "r"(number), "r"(status));
#else
#error "exit_group of this processor"
#endif
  __builtin_unreachable();
}
