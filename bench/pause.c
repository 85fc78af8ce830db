// A process that lives, and does nothing, until it is killed.
#include <unistd.h>

int main(void) {
  for (;;) pause();
}
