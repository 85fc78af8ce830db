// allocate MIB: touches that much memory, then says how much.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
  int count = argc > 1 ? atoi(argv[1]) : 0;
  for (int i = 0; i < count; i++) {
    char *piece = malloc(1 << 20);
    if (!piece) {
      printf("refused after %d MiB\n", i);
      return 1;
    }
    memset(piece, i + 1, 1 << 20);
  }
  printf("%d MiB\n", count);
  return 0;
}
