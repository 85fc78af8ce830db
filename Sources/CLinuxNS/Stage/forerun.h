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

/// Makes it, with a user namespace that has no ids yet. -errno, with the step in *failed, here and below.
long forerun(struct forerunner *forerunner, uint32_t zone_flags, int32_t *failed);

/// Gives the user namespace its ids, and lets the forerunner go on to the network.
long map_forerunner(struct forerunner *forerunner, const struct stage_ids *ids, int32_t *failed);

/// Waits until its network namespace stands.
long forerunner_is_done(const struct forerunner *forerunner, int32_t *failed);

#endif
