// The zone's root against the kernel's files: everything in /proc and /sys that would act on the whole machine.
#include "attack.h"

int main(void) {
  static const char *const writes[] = {
      "/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
      "/proc/sys/vm/overcommit_memory", "/proc/sys/vm/drop_caches", "/proc/sys/kernel/panic_on_oops",
      "/proc/sys/fs/binfmt_misc/register", "/proc/sys/user/max_user_namespaces", "/proc/sys/kernel/ns_last_pid",
      "/proc/sys/kernel/domainname", "/proc/irq/0/smp_affinity", "/proc/self/uid_map",
      "/proc/fs/xfs/stat", "/sys/kernel/uevent_helper", "/sys/power/state", "/sys/kernel/mm/ksm/run",
      "/sys/class/net/lo/mtu", "/sys/module/kernel/parameters/panic", "/dev/mem", "/dev/kmem", "/dev/port"};
  char name[200];
  for (unsigned i = 0; i < sizeof writes / sizeof *writes; i++) {
    snprintf(name, sizeof name, "write %s", writes[i]);
    TRY(name, rewrite(writes[i]));
  }
  // Masked: there, perhaps, but empty.
  static const char *const masked[] = {"/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug",
                                       "/proc/latency_stats", "/proc/interrupts", "/proc/kallsyms"};
  for (unsigned i = 0; i < sizeof masked / sizeof *masked; i++) {
    char text[4096];
    int fd = open(masked[i], O_RDONLY);
    long count = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    int error = errno;
    // kallsyms is no secret where every address in it is zero.
    if (count > 0 && !strcmp(masked[i], "/proc/kallsyms") && !strncmp(text, "0000000000000000", 16)) count = 0;
    if (count > 0)
      printf("read %s: DONE\n", masked[i]);
    else
      printf("read %s: refused %s\n", masked[i], count < 0 ? strerrorname_np(error) : "empty");
    if (fd >= 0) close(fd);
  }
  return 0;
}
