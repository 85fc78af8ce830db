// The stage: keeper, joiner and init of a zone, the joiner of an execution, and what makes an OCI container. One free-standing program, executed
// from a sealed memfd, so that no executable of the host is ever entered by a zone (CVE-2019-5736).
#include "container.h"
#include "kernel.h"
#include "orders.h"
#include "process.h"

char *program_name;

__attribute__((noreturn, used)) static void begin(char **stack) {
  program_name = stack[1];  // argc, argv[0], …
  // All signals stay blocked here and in the zone's init; the command gets an empty mask.
  // Modes are the plan's, whole.
  SYS1(__NR_umask, 0);
  uint64_t all = ~0ull;
  SYS4(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &all, 0, 8);
  // While the launcher sees to our orders.
  forget_launcher();
  hear_orders();
  if (!plan || plan->mode == STAGE_LAUNCH) keep_zone();
  if (plan->mode == STAGE_CONTAINER) make_container();
  if (plan->mode == STAGE_ENTER) enter_container();
  join_zone();
}

// The kernel enters with no return address; the ABI wants the stack aligned at a call.
#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call begin\n hlt\n");
#else
__asm__(".globl _start\n_start:\n mov x29, #0\n mov x0, sp\n bl begin\n brk #0\n");
#endif
