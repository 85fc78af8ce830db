// Keystrokes pushed into the terminal that we were given (TIOCSTI), by every spelling of the request, and the
// terminal's console (TIOCLINUX, CVE-2017-5226, CVE-2019-10063: a filter that looked at 64 bits).
#include "attack.h"
#include <sys/ioctl.h>

int main(void) {
  char key = 'x', mode[2] = {3, 0};
  TRY("TIOCSTI", ioctl(0, TIOCSTI, &key));
  TRY("TIOCSTI with high bits", syscall(SYS_ioctl, 0, 0x100000000ul | TIOCSTI, &key));
  TRY("TIOCLINUX", ioctl(0, TIOCLINUX, mode));
  int tty = open("/dev/tty", O_RDWR);
  if (tty >= 0) TRY("TIOCSTI on /dev/tty", ioctl(tty, TIOCSTI, &key));
  int console = open("/dev/console", O_RDWR | O_NOCTTY);
  if (console >= 0) TRY("TIOCSTI on /dev/console", ioctl(console, TIOCSTI, &key));
  // Not a zone's first process: leave the session and take the terminal.
  TRY("TIOCSCTTY", setsid() < 0 ? -1 : ioctl(0, TIOCSCTTY, 1));
  puts("end");
  return 0;
}
