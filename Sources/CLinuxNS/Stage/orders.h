#ifndef ORDERS_H
#define ORDERS_H
#include "kernel.h"

/// What came ahead of the plan; `prepare.zone_flags` is 0 where nothing did.
extern struct stage_prepare prepare;

/// The plan's memory, while it is open: a child that was made before the plan came gets it from here.
extern int plan_fd;

/// Hears a preparation, if there is one, or else the plan. Exits where the launcher has gone, or what it says is wrong.
void hear_orders(void);

/// Hears the plan with its descriptors, and puts each in its place.
void hear_plan(void);

/// Maps the plan from its memory. -errno where it is none of ours.
long map_plan(int fd);

#endif
