#ifndef KEEPER_H
#define KEEPER_H
#include "kernel.h"

/// A living zone as its keeper sees it. Descriptors are -1 where there is none.
struct zone {
  int control;        // the launcher, until it closes its end
  int gate;           // SEQPACKET to the zone's first process, with its senders' pids
  int exec_pipe;      // ends when the command was executed
  int init;           // pidfd of the zone's first process
  int helpers[2];     // pidfds of who put the root together and of who made the network, until they have ended
  int listening;      // its socket in the run directory
  int32_t init_pid, process_pid;
  int output, errors; // what the command writes
  int input;          // what it reads
  int master, devpts;
  int namespaces[8], namespace_count;
};

/// The record in the zone's run directory: what `zonectl` reads to know the state (keeper.json, replaced atomically).
enum phase { PHASE_READY, PHASE_RUNNING, PHASE_SHUTTING_DOWN, PHASE_ENDED };
struct record { enum phase phase; int32_t init, process, code, signal, oom, asked, reboot; uint64_t started, ended; };
long write_record(const struct record *record);
uint64_t now_realtime(void);

/// The log: appended to, and renamed to NAME.1 when it is longer than the plan allows.
void log_open(void);
void log_write(const char *bytes, size_t n);

/// Makes the zone up to its gate; on failure it tells the launcher and exits.
void launch(struct zone *zone);

/// Serves the zone until it has ended and its output is drained, then hands over or exits.
__attribute__((noreturn)) void serve(struct zone *zone);

#endif
