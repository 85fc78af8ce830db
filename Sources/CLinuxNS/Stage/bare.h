#ifndef BARE_H
#define BARE_H
#include "kernel.h"

/// A zone without namespaces (STAGE_TIER_BARE).
static inline int is_bare(void) { return plan->tier == STAGE_TIER_BARE; }

/// Whether a Landlock domain that we entered keeps our signals in itself (process_ops.c).
extern int signals_are_scoped;

/// Kills what the keeper and all below it have started, but for the caller: by one signal, which the domain confines.
void kill_all(void);

/// From here on the orphans of all below are ours to reap.
void adopt_orphans(void);

#endif
