// The supervisor's side of seccomp_unotify(2).
#define _GNU_SOURCE
#include "linux_ns.h"
#include "result.h"

#include <linux/seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

long zns_call_receive(int listener, struct zns_call *call) {
  // The kernel wants it zeroed.
  struct seccomp_notif notice;
  memset(&notice, 0, sizeof notice);
  long result = RESULT(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notice));
  if (result < 0) return result;
  call->id = notice.id;
  call->pid = notice.pid;
  call->number = (uint32_t)notice.data.nr;
  call->machine = notice.data.arch;
  call->instruction = notice.data.instruction_pointer;
  for (int i = 0; i < 6; i++) call->arguments[i] = notice.data.args[i];
  return 0;
}

long zns_call_answer(int listener, uint64_t id, int error) {
  struct seccomp_notif_resp answer;
  memset(&answer, 0, sizeof answer);
  answer.id = id;
  answer.error = -error;
  if (!error) answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  return RESULT(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer));
}

long zns_call_waits(int listener, uint64_t id) { return RESULT(ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id)); }

long zns_read_memory(uint32_t pid, uint64_t address, void *bytes, size_t room) {
  struct iovec ours = {bytes, room}, theirs = {(void *)(uintptr_t)address, room};
  return RESULT(process_vm_readv((pid_t)pid, &ours, 1, &theirs, 1, 0));
}

long zns_read_text(uint32_t pid, uint64_t address, char *bytes, size_t room) {
  size_t at = 0;
  while (at < room) {
    // To the end of a page: the next one may not be there.
    size_t part = 4096 - (size_t)((address + at) & 4095);
    if (part > room - at) part = room - at;
    long got = zns_read_memory(pid, address + at, bytes + at, part);
    if (got < 0) return got;
    char *end = memchr(bytes + at, 0, (size_t)got);
    if (end) return end - bytes;
    if ((size_t)got < part) return -EFAULT;
    at += part;
  }
  return -ENAMETOOLONG;
}
