#ifndef CLIENTS_H
#define CLIENTS_H
#include "kernel.h"

enum { CLIENTS = 64 };

struct client {
  int socket;
  int attached;
  int muted;  // its input waits to be written: it is not heard meanwhile
};

/// Who is connected; the first is the launcher's control socket. -1 where there is nobody.
extern struct client clients[CLIENTS + 1];

/// Nobody but the launcher yet.
void open_clients(int control);

/// Takes who connects, if he may speak to us: root, and the zone's owner. A full table keeps nobody out for good: its
/// last place is always the last comer's.
void accept_client(int listening);
void drop(struct client *client);

/// Says it; who does not take it at once, because he does not read, is let go.
void tell(struct client *client, char kind, const int32_t *numbers, int count);
void tell_attached(char kind, const int32_t *numbers, int count);
void refuse(struct client *client, long error);

/// Whether it takes a message now.
int has_room(const struct client *client);
/// Whether everybody who is attached does.
int readers_ready(void);

/// Copies what the command wrote to the log and to who is attached. Returns 0 at its end.
int copy_out(int from, char kind);

/// The rest of the output, after the zone's last process.
void drain(int from, char kind);

/// At the zone's end: gives who is attached time to read (10 s for all of them together), and lets go who did not.
void wait_for_readers(void);

#endif
