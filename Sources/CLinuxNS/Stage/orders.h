#ifndef ORDERS_H
#define ORDERS_H
#include "kernel.h"

/// What a launch of host root's begins with.
struct orders { uint32_t zone_flags; int tell_network; };
extern struct orders orders;
static inline int is_begun(void) { return orders.zone_flags != 0; }

/// The namespaces that a container's stage has made already (STAGE_AHEAD).
extern uint32_t made_ahead;

/// The plan's memory, while it is open: a child that was made before the plan came gets it from here.
extern int plan_fd;

/// Hears the first order: to begin, or the plan. Exits where the launcher has gone, or what it says is wrong.
void hear_orders(void);

/// What the zone's first process is born on: its ids, and its groups: the v2 directory or -1, and the v1 groups' tasks files.
/// And the zone's run directory.
struct ground { struct stage_ids ids; int run_directory, directory, tasks[STAGE_MOST_GROUPS], task_count; };
void hear_ground(struct ground *ground);

/// Hears the plan with its descriptors, and puts each in its place.
void hear_plan(void);

/// Maps the plan from its memory. -errno where it is none of ours.
long map_plan(int fd);

#endif
