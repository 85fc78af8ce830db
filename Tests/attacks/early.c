// early MARKER: the first thing a command does is to look above its root for MARKER, a path of the host's, while whoever
// set its zone up may not have taken the host's root away.
#include "attack.h"

int main(int argc, char **argv) {
  char path[4096];
  snprintf(path, sizeof path, "/..%s", argc > 1 ? argv[1] : "/no-marker");
  int above = open("/..", O_PATH | O_DIRECTORY);
  TRY("above the root", access(path, F_OK));
  TRY("by a descriptor", above < 0 ? -1 : faccessat(above, path + 4, F_OK, 0));
  return 0;
}
