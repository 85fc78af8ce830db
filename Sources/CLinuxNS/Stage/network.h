#ifndef NETWORK_H
#define NETWORK_H
#include "kernel.h"

/// The zone's network namespace, made ahead by a process that ends when everybody is in it.
struct network {
  int process;  // pidfd
  int socket;   // SEQPACKET; tells when it stands
};

/// Begins to make it, in a user namespace whose ids are mapped. The pidfd is the keeper's to reap by, or -errno.
long make_network(struct network *network, int user_namespace);

/// Goes into it when it stands. 0 where there is none to go into, -errno with what failed.
long enter_network(struct network *network);

/// The zone's, in its first process and the command's.
extern struct network zone_network;

#endif
