#ifndef PROCESS_H
#define PROCESS_H
#include "kernel.h"

/// What the launcher was set to and its zone must not be: ignored signals, and being spared by the OOM killer.
void forget_launcher(void);

/// What the command gets as 0, 1 and 2.
extern int payload_in, payload_out, payload_err;

/// Where a failure of the process is to be told: numbers change on the way into the command.
extern int told_on;

/// Sets up stdio, runs the process section, announces itself on `announce` and executes. Returns only on failure, which
/// is to be told on `told_on`. `last` is the one other descriptor that stays open, until the execve.
long execute_process(int announce, int last, int32_t *step);

/// Where the command's process is made before the zone's root stands: the word it waits for, shared with the zone's init.
/// 0 where there is nothing to wait for.
extern volatile uint32_t *root_stands;

/// The container's state for its startContainer hooks, or -1. They are programs of the container's, executed as its process
/// is: with its ids and powers, behind its filter.
extern int hook_state;

/// Where a watched command's process sends its filter's listener, or -1.
extern int watch_way;

/// The plan's command by execvp(3)'s search, in the zone's own tree: a missing or forbidden file tries the next folder, EACCES is
/// remembered. `try` is called until it says something else.
long search(long (*try)(const char *path, const void *with), const void *with);

/// HOME as STAGE_OP_HOME has found it, and which variable of the environment it is; 0 where it has not.
extern const char *home_variable;
extern uint32_t home_place;

/// Waits until the root stands, and goes there: what was the working directory until now lies outside of it.
long wait_for_root(void);
void say_root_stands(void);

#endif
