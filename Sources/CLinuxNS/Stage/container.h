#ifndef CONTAINER_H
#define CONTAINER_H
#include "kernel.h"

__attribute__((noreturn)) void make_container(void);
__attribute__((noreturn)) void enter_container(void);

/// The mounts of the container stand: the launcher runs its hooks, and we run those of createContainer.
long mounted(void);

/// Runs some of the plan's hooks, one after the other. 0, or what `run_hook` says, with *step telling which.
long run_hooks(uint32_t from, uint32_t count, int state, int32_t *step);

/// Executes a hook and waits for its end. 0; -errno, where it could not be executed or took too long (-ETIMEDOUT);
/// -(STAGE_HOOK_EXITED + status), -(STAGE_HOOK_KILLED + signal).
/// - state: a file that becomes its standard input, or -1.
long run_hook(const struct stage_hook *hook, int state);

#endif
