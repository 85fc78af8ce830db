// What this process holds: capability sets, groups, no_new_privs, and whether it can add to them.
#include "attack.h"
#include <linux/capability.h>

int main(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {{0}};
  syscall(SYS_capget, &header, data);
  printf("inheritable %08x%08x\n", data[1].inheritable, data[0].inheritable);
  printf("effective %08x%08x\n", data[1].effective, data[0].effective);
  gid_t groups[64];
  int count = getgroups(64, groups);
  printf("groups");
  for (int i = 0; i < count; i++) printf(" %u", groups[i]);
  puts("");
  printf("no_new_privs %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  int bounding = 0, ambient = 0;
  for (int cap = 0; cap < 64; cap++) {
    if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1) bounding++;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1) ambient++;
  }
  printf("bounding %d\nambient %d\n", bounding, ambient);
  struct __user_cap_data_struct all[2] = {{~0u, ~0u, ~0u}, {~0u, ~0u, ~0u}};
  TRY("raise all capabilities", syscall(SYS_capset, &header, all));
  char path[4096];
  printf("getcwd %s\n", getcwd(path, sizeof path) ? path : strerrorname_np(errno));
  return 0;
}
