// chattr(1)'s flags by statx(2), from the kernel's header: musl has a statx from 1.2.4 on, and its <sys/stat.h> does not
// get on with <linux/stat.h>, which is why this has a file of its own.
#include "linux_ns.h"

#include <linux/fcntl.h>
#include <linux/stat.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int zns_file_flags(int directory, const char *name) {
  struct statx status;
  memset(&status, 0, sizeof status);
  if (syscall(SYS_statx, directory, name, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, STATX_TYPE, &status) < 0)
    return ZNS_REMOVAL_CALL;
  if (status.stx_attributes & STATX_ATTR_IMMUTABLE) return ZNS_REMOVAL_IMMUTABLE;
  if (status.stx_attributes & STATX_ATTR_APPEND) return ZNS_REMOVAL_APPEND_ONLY;
  return ZNS_REMOVAL_CALL;
}
