// What Embedded Swift has no library for, and what musl lacks of that which Swift and two libraries expect.
#ifdef EMBEDDED_SWIFT
#define _GNU_SOURCE
#include "linux_ns.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

int *zns_errno(void) { return &errno; }

// The kernel lays out one array: the number of arguments, they, NULL, the environment (execve(2), the psABI). musl gives
// constructors nothing of it, but `environ` points into it.
char *const *zns_arguments(void) {
  static char **arguments;
  if (!arguments) {
    char **word = environ - 1;
    uintptr_t passed = 0;
    while ((uintptr_t)word[-1] != passed) word--, passed++;
    arguments = word;
  }
  return arguments;
}

/// Double(String)'s: the end of the number, or NULL where there is none at the very beginning.
const char *_swift_stdlib_strtod_clocale(const char *text, double *result) {
  if (*text == ' ' || (*text >= '\t' && *text <= '\r')) return NULL;
  char *end;
  *result = strtod(text, &end);
  return end == text ? NULL : end;
}

/// Swift's random numbers, from getrandom(2), which does not fail for so few bytes once the kernel has been seeded.
void arc4random_buf(void *bytes, size_t count) {
  for (char *next = bytes; count > 0;) {
    ssize_t got = getrandom(next, count < 256 ? count : 256, 0);
    if (got < 0 && errno != EINTR) abort();
    if (got > 0) next += got, count -= (size_t)got;
  }
}

// Debian builds libseccomp.a against glibc with _FORTIFY_SOURCE, where fprintf is a variant whose `flag` asks for a look at
// %n.
int __fprintf_chk(FILE *file, int flag, const char *format, ...) {
  (void)flag;
  va_list arguments;
  va_start(arguments, format);
  int count = vfprintf(file, format, arguments);
  va_end(arguments);
  return count;
}
#endif
