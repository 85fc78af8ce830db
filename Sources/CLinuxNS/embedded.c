// What Embedded Swift has no library for.
#ifdef EMBEDDED_SWIFT
#define _GNU_SOURCE
#include "linux_ns.h"

#include <errno.h>
#include <stdlib.h>

int *zns_errno(void) { return &errno; }

// glibc gives main's arguments to every constructor.
static char **arguments;
__attribute__((constructor)) static void keep_arguments(int count, char **values) {
  (void)count;
  arguments = values;
}

char *const *zns_arguments(void) { return arguments; }

/// Double(String)'s: the end of the number, or NULL where there is none at the very beginning.
const char *_swift_stdlib_strtod_clocale(const char *text, double *result) {
  if (*text == ' ' || (*text >= '\t' && *text <= '\r')) return NULL;
  char *end;
  *result = strtod(text, &end);
  return end == text ? NULL : end;
}
#endif
