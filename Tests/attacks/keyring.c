// keyring SERIAL: the launcher's keys. SERIAL is one that lies in his session keyring, called zones-launcher as the one in
// his user's keyring.
#include "attack.h"
#include <linux/keyctl.h>

static long keyctl(int operation, long a, long b, long c, long d) { return syscall(SYS_keyctl, operation, a, b, c, d); }

int main(int argc, char **argv) {
  long serial = argc > 1 ? atol(argv[1]) : 0;
  char bytes[256];
  TRY("read", keyctl(KEYCTL_READ, serial, (long)bytes, sizeof bytes, 0));
  TRY("link", keyctl(KEYCTL_LINK, serial, KEY_SPEC_PROCESS_KEYRING, 0, 0));
  TRY("read after link", keyctl(KEYCTL_READ, serial, (long)bytes, sizeof bytes, 0));
  TRY("open to all", keyctl(KEYCTL_SETPERM, serial, 0x3f3f3f3f, 0, 0));
  TRY("revoke", keyctl(KEYCTL_REVOKE, serial, 0, 0, 0));
  static const struct { const char *name; int keyring; } places[] = {
      {"thread", KEY_SPEC_THREAD_KEYRING}, {"process", KEY_SPEC_PROCESS_KEYRING}, {"session", KEY_SPEC_SESSION_KEYRING},
      {"user", KEY_SPEC_USER_KEYRING},     {"user session", KEY_SPEC_USER_SESSION_KEYRING}};
  for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
    char name[64];
    snprintf(name, sizeof name, "search %s", places[i].name);
    TRY(name, keyctl(KEYCTL_SEARCH, places[i].keyring, (long)"user", (long)"zones-launcher", 0));
  }
  TRY("request", syscall(SYS_request_key, "user", "zones-launcher", NULL, 0));
  // Shows that what is tried works with a key of one's own.
  long own = syscall(SYS_add_key, "user", "zones-own", "x", 1, KEY_SPEC_SESSION_KEYRING);
  printf("own: %s\n", own >= 0 && keyctl(KEYCTL_READ, own, (long)bytes, sizeof bytes, 0) == 1 ? "read" : strerrorname_np(errno));
  return 0;
}
