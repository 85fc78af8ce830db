// The stage: keeper, joiner and init of a zone, and the joiner of an execution. One free-standing program, executed
// from a sealed memfd, so that no executable of the host is ever entered by a zone (CVE-2019-5736).
#include "kernel.h"

const struct stage_plan *plan;

char *program_name;

__attribute__((noreturn, used)) static void begin(char **stack) {
  program_name = stack[1];  // argc, argv[0], …
  struct statx status;
  int32_t numbers[3] = {-1, STAGE_STEP_PLAN, 0};
  long result = SYS5(__NR_statx, STAGE_FD_PLAN, "", AT_EMPTY_PATH, STATX_SIZE, &status);
  if (result >= 0) {
    result = SYS(__NR_mmap, 0, status.stx_size, 1 /* PROT_READ */, 2 /* MAP_PRIVATE */, STAGE_FD_PLAN, 0);
    if (result > -4096 && result < 0) goto failed;
    plan = (const struct stage_plan *)result;
    result = -EINVAL;
    if (status.stx_size >= sizeof *plan && plan->magic == STAGE_MAGIC && plan->version == STAGE_PLAN_VERSION &&
        plan->size == status.stx_size) {
      sys_close(STAGE_FD_PLAN);
      // All signals stay blocked here and in the zone's init; the command gets an empty mask.
      // Modes are the plan's, whole.
      SYS1(__NR_umask, 0);
      uint64_t all = ~0ull;
      SYS4(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &all, 0, 8);
      if (plan->mode == STAGE_LAUNCH) keep_zone();
      if (plan->mode == STAGE_EXEC || plan->mode == STAGE_FILES) join_zone();
    }
  }
failed:
  numbers[2] = (int32_t)-result;
  send_numbers(STAGE_FD_CONTROL, STAGE_SAYS_FAILED, numbers, 3);
  sys_exit(125);
}

// The kernel enters with no return address; the ABI wants the stack aligned at a call.
#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call begin\n hlt\n");
#else
__asm__(".globl _start\n_start:\n mov x29, #0\n mov x0, sp\n bl begin\n brk #0\n");
#endif
