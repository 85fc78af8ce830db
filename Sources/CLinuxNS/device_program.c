// Which devices a v2 group may use is said by a program (cgroup-v2.rst, "Device controller"; bpf(2)).
#define _GNU_SOURCE
#include "linux_ns.h"
#include "result.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// linux/bpf.h, as far as it is needed: BPF_PROG_LOAD and BPF_PROG_ATTACH take the beginning of their attributes.
enum { PROG_LOAD = 5, PROG_ATTACH = 8, TYPE_CGROUP_DEVICE = 15, ATTACH_CGROUP_DEVICE = 6, ALLOW_MULTI = 2 };

long zns_attach_device_program(int group, const uint64_t *instructions, unsigned count) {
  struct {
    uint32_t type, count;
    uint64_t instructions, license;
    uint32_t log_level, log_size;
    uint64_t log;
    uint32_t kernel_version, flags;
    char name[16];
  } load;
  memset(&load, 0, sizeof load);
  load.type = TYPE_CGROUP_DEVICE;
  load.count = count;
  load.instructions = (uint64_t)(uintptr_t)instructions;
  load.license = (uint64_t)(uintptr_t) "Apache";
  memcpy(load.name, "zone_devices", 12);
  // A signal that comes while the kernel checks it, whose ever it is, ends that with EAGAIN.
  long program = -EAGAIN;
  for (int turn = 0; program == -EAGAIN && turn < 1000; turn++)
    program = RESULT(syscall(SYS_bpf, PROG_LOAD, &load, sizeof load));
  if (program < 0) return program;
  struct { uint32_t target, program, type, flags; } attach = {
      (uint32_t)group, (uint32_t)program, ATTACH_CGROUP_DEVICE, ALLOW_MULTI};
  long result = RESULT(syscall(SYS_bpf, PROG_ATTACH, &attach, sizeof attach));
  close((int)program);
  return result;
}
