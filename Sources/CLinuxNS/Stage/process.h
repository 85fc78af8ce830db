#ifndef PROCESS_H
#define PROCESS_H
#include "kernel.h"

/// What the command gets as 0, 1 and 2.
extern int payload_in, payload_out, payload_err;

/// Sets up stdio, runs the process section, announces itself on `announce` and executes. Returns only on failure.
long execute_process(int announce, int32_t *step);

#endif
