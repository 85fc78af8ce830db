#ifndef FORERUN_H
#define FORERUN_H
#include "kernel.h"

/// A process that holds the zone's user and network namespace until the zone's first process is in them.
struct forerunner {
  long pid;
  int process;         // pidfd
  int socket;          // its end is the forerunner's
  int user_namespace;
};

/// Makes it: the user namespace with its ids; then, beside us, the network namespace. -errno, with the step in *failed.
long forerun(struct forerunner *forerunner, const struct stage_prepare *from, int32_t *failed);

/// Waits until its network namespace stands. -errno, with the step in *failed.
long forerunner_is_done(const struct forerunner *forerunner, int32_t *failed);

#endif
