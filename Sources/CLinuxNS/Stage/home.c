// HOME, where nobody said it: from the container's own passwd(5), which is to be seen only here. What is in that file is
// whatever the image, or who lives in the container, made of it.
#include "inside.h"
#include "ops.h"
#include "process.h"

enum { MOST_OF_PASSWD = 4 << 20, LONGEST_HOME = 4096 };

const char *home_variable;
uint32_t home_place;

static char found[5 + LONGEST_HOME + 1];

/// What has been read of a line.
struct account { int field, digits, is_wrong; uint64_t uid; size_t home; };

/// - Returns: whether the line that ends with this byte is the uid's.
static int take(struct account *line, char byte, uint64_t uid) {
  if (byte == '\n') {
    if (line->field == 6 && line->digits && line->uid == uid) return 1;
    memset(line, 0, sizeof *line);
  } else if (byte == ':') line->field++;
  else if (line->field == 2) {
    // What is no number of ten digits at most is nobody's line.
    if (byte < '0' || byte > '9' || ++line->digits > 10) line->field = 7;
    else line->uid = line->uid * 10 + (uint64_t)(byte - '0');
  } else if (line->field == 5) {
    if (!byte || line->home == LONGEST_HOME) line->is_wrong = 1;
    else found[5 + line->home++] = byte;
  }
  return 0;
}

/// The first line of the uid's, as getpwuid(3) has it.
static int find_account(int file, uint64_t uid, struct account *line) {
  char room[4096];
  for (long all = 0; all < MOST_OF_PASSWD;) {
    long got = sys_read(file, room, sizeof room);
    // The last line may have no end.
    if (got <= 0) return got == 0 && take(line, '\n', uid);
    for (long i = 0; i < got; i++)
      if (take(line, room[i], uid)) return 1;
    all += got;
  }
  return 0;
}

/// Never fails: a tree may have no such file, and the variable has a value already.
long home(const struct stage_op *op) {
  long file = sys_resolve(AT_FDCWD, "/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, RESOLVE_NO_MAGICLINKS);
  if (file < 0) return 0;
  struct account line;
  memset(&line, 0, sizeof line);
  uint32_t mode;
  // A device may have no end, and a read of a FIFO takes what is somebody else's.
  int is_there = kind_of((int)file, "", AT_EMPTY_PATH, &mode) >= 0 && (mode & S_IFMT) == S_IFREG &&
                 find_account((int)file, op->a, &line);
  sys_close((int)file);
  if (!is_there || line.is_wrong || !line.home || found[5] != '/') return 0;
  memcpy(found, "HOME=", 5);
  found[5 + line.home] = 0;
  home_variable = found;
  home_place = (uint32_t)op->b;
  return 0;
}
