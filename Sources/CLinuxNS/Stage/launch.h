#ifndef LAUNCH_H
#define LAUNCH_H
#include "keeper.h"

/// What the processes of a launch have between each other, while it lasts.
struct launch {
  int link[2];         // of whoever puts the root together: [0]; of the zone's first process, and a joiner: [1]
  int gate[2];         // the keeper's: [0]; of the zone's first process: [1]
  int exec_pipe;       // ends, close-on-exec, when the command was executed
  long joiner;         // the keeper's child, for it to reap (user tier)
  int32_t first_pid;
};

// On the link: a failure, or what the tier agrees on.
enum { LINK_FAILED = 'f', LINK_MAPPED = 'i', LINK_DONE = 'd', LINK_GO = 'j', LINK_MOVED = 'm' };

/// Puts the root together and the zone's first process into its namespaces. On failure it tells the launcher and exits.
void launch_by_host(struct zone *zone, struct launch *launch);
void launch_by_user(struct zone *zone, struct launch *launch);
void launch_bare(struct zone *zone, struct launch *launch);

/// Tells the launcher and exits.
__attribute__((noreturn)) void launch_failed(int32_t section, int32_t step, long error);
/// The same from the link's other side.
__attribute__((noreturn)) void link_failed(int link, int32_t section, int32_t step, long error);

/// Waits for one message of the link's or the gate's other side; tells a failure on and exits.
void expect(int from, char kind, char *message, size_t room, int *fds, int *fd_count);

/// In a child: closes the launch's other side, so that the end of either is seen by the other.
void keep_far_side(const struct zone *zone, const struct launch *launch);
void keep_near_side(const struct launch *launch);

/// Binds the keeper's socket in the zone's run directory; nobody reaches it before it listens.
void bind_socket(struct zone *zone, int run_directory);

/// What the command gets as 0, 1 and 2, where that is no terminal.
void set_up_stdio(struct zone *zone);

#endif
