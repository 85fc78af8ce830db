// The zone's files for `zonectl cp`: a process in the zone, with no more rights than its root, opens what it is asked
// for and hands the descriptors out. So no path of the zone's is ever resolved with the host's rights.
#include "files.h"
#include "process.h"

static void answer(long result) {
  int32_t number = (int32_t)(result < 0 ? -result : 0);
  send_numbers(payload_in, STAGE_SAYS_NO, &number, 1);
}

static void serve(char *message, size_t size) {
  int32_t first, second;
  memcpy(&first, message + 1, 4);
  memcpy(&second, message + 5, 4);
  message[size] = 0;
  char *path = message + 9;
  switch (message[0]) {
    case STAGE_FILE_OPEN: {
      long fd = sys_open(AT_FDCWD, path, first | O_NOCTTY, second);
      if (fd < 0) { answer(fd); return; }
      char kind = STAGE_SAYS_DESCRIPTORS;
      int number = (int)fd;
      send_message(payload_in, &kind, 1, &number, 1, 0);
      sys_close(number);
      return;
    }
    case STAGE_FILE_MKDIR: answer(SYS3(__NR_mkdirat, AT_FDCWD, path, second)); return;
    case STAGE_FILE_SYMLINK: {
      if (second < 1 || (size_t)second + 9 >= size) { answer(-EINVAL); return; }
      static char target[4096];
      if ((size_t)second >= sizeof target) { answer(-ENAMETOOLONG); return; }
      memcpy(target, path, (size_t)second);
      target[second] = 0;
      answer(SYS3(__NR_symlinkat, target, AT_FDCWD, path + second));
      return;
    }
    default: answer(-EPROTO);
  }
}

long serve_files(int announce, int32_t *step) {
  static char message[STAGE_MESSAGE_ROOM + 1];
  SYS1(__NR_umask, 0);
  long result = run_section(STAGE_SECTION_PROCESS, step);
  if (result < 0) return result;
  // A change of ids makes a process traceable again by its equals; the zone's processes are our equals now.
  sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  int32_t self = 0;
  send_numbers(announce, STAGE_SAYS_STARTED, &self, 1);
  // Nothing stays open but the socket we are asked on.
  SYS3(__NR_dup3, payload_in, 3, O_CLOEXEC);
  payload_in = 3;
  SYS3(__NR_close_range, 4, ~0u, 0);
  for (int i = 0; i < 3; i++) sys_close(i);
  for (;;) {
    long got = receive_message(payload_in, message, STAGE_MESSAGE_ROOM, 0, 0, 0, 0);
    if (got <= 0) sys_exit(0);
    if (got < 10) answer(-EPROTO);
    else serve(message, (size_t)got);
  }
}
