// Who is connected to the keeper, and what they are shown. Nobody can hold it up: neither who does not read or write,
// nor who fills the table, nor who was given the other end of the zone's output.
#include "clients.h"
#include "keeper.h"

struct client clients[CLIENTS + 1];

// Given up for who connects where no other descriptor is left (RLIMIT_NOFILE, which whoever launched us may have had low),
// and whose place that is. Without it he would not be taken, and poll(2) would not wait for anything else.
static int spare = -1;
static struct client *on_spare;

static void keep_spare(void) {
  if (spare < 0) spare = (int)SYS3(__NR_fcntl, 0, 1030 /* F_DUPFD_CLOEXEC */, 0);
}

void open_clients(int control) {
  for (int i = 0; i <= CLIENTS; i++) clients[i].socket = -1;
  clients[0].socket = control;
  int one = 1;
  SYS3(__NR_ioctl, control, FIONBIO, &one);
  keep_spare();
}

void drop(struct client *client) {
  if (client->socket >= 0) sys_close(client->socket);
  client->socket = -1;
  client->attached = client->muted = 0;
  if (client == on_spare) on_spare = 0;
  keep_spare();
}

void tell(struct client *client, char kind, const int32_t *numbers, int count) {
  if (client->socket >= 0 && send_numbers(client->socket, kind, numbers, count) < 0) drop(client);
}

void tell_attached(char kind, const int32_t *numbers, int count) {
  for (int i = 0; i <= CLIENTS; i++)
    if (clients[i].attached) tell(&clients[i], kind, numbers, count);
}

void refuse(struct client *client, long error) {
  int32_t number = (int32_t)-error;
  tell(client, STAGE_SAYS_NO, &number, 1);
}

void accept_client(int listening) {
  // What we say must never wait for who is to hear it.
  long socket = SYS4(__NR_accept4, listening, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK);
  int on_last = socket == -EMFILE || socket == -ENFILE;
  if (on_last) {
    if (spare >= 0) sys_close(spare), spare = -1;
    else if (on_spare) {
      // As with a full table: the last place is always the last comer's.
      struct client *last = on_spare;
      sys_close(last->socket);
      *last = (struct client){.socket = -1};
    }
    socket = SYS4(__NR_accept4, listening, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK);
  }
  if (socket < 0) return;
  struct ucred_ peer;
  unsigned size = sizeof peer;
  long result = SYS5(__NR_getsockopt, socket, SOL_SOCKET, SO_PEERCRED, &peer, &size);
  if (result < 0 || (peer.uid != 0 && peer.uid != plan->owner_uid)) {
    sys_close((int)socket);
    if (on_last) on_spare = 0, keep_spare();
    return;
  }
  int place = 1;
  while (place < CLIENTS && clients[place].socket >= 0) place++;
  drop(&clients[place]);
  clients[place] = (struct client){.socket = (int)socket};
  if (on_last) on_spare = &clients[place];
}

/// Polls for room, at most `milliseconds`.
static int wait_for_room(const struct client *client, int milliseconds) {
  struct pollfd fd = {client->socket, POLLOUT, 0};
  int64_t time[2] = {milliseconds / 1000, (int64_t)(milliseconds % 1000) * 1000000};
  return SYS5(__NR_ppoll, &fd, 1, time, 0, 8) > 0;
}

int has_room(const struct client *client) { return wait_for_room(client, 0); }

int readers_ready(void) {
  for (int i = 0; i <= CLIENTS; i++)
    if (clients[i].attached && !has_room(&clients[i])) return 0;
  return 1;
}

int copy_out(int from, char kind) {
  static char message[STAGE_MESSAGE_ROOM];
  long got = sys_read(from, message + 1, sizeof message - 1);
  if (got == -EAGAIN || got == -EINTR) return 1;
  if (got <= 0) return 0;  // EIO: the last one closed the terminal's other end
  log_write(message + 1, (size_t)got);
  message[0] = kind;
  for (int i = 0; i <= CLIENTS; i++) {
    if (!clients[i].attached) continue;
    // There was room before we read (readers_ready): who reads slowly slows the zone, as any pipe does, never us.
    if (send_message(clients[i].socket, message, (size_t)got + 1, 0, 0, 0) < 0) drop(&clients[i]);
  }
  return 1;
}

void drain(int from, char kind) {
  // Somebody else may hold the other end, and write on. This many reads empty the largest pipe (1 MiB) or terminal.
  enum { MOST_READS = 256 };
  int one = 1;
  if (from < 0) return;
  SYS3(__NR_ioctl, from, FIONBIO, &one);
  for (int reads = 0; reads < MOST_READS; reads++) {
    struct pollfd fd = {from, POLLIN, 0};
    int64_t none[2] = {0, 0};
    if (SYS5(__NR_ppoll, &fd, 1, none, 0, 8) <= 0 || !(fd.revents & POLLIN)) return;
    wait_for_readers();
    if (!copy_out(from, kind)) return;
  }
}

static int milliseconds_now(void) {
  int64_t time[2] = {0, 0};
  SYS2(__NR_clock_gettime, 1 /* CLOCK_MONOTONIC */, time);
  return (int)(time[0] * 1000 + time[1] / 1000000);
}

void wait_for_readers(void) {
  static int patience = 10000;
  for (int i = 0; i <= CLIENTS; i++) {
    if (!clients[i].attached || has_room(&clients[i])) continue;
    int begun = milliseconds_now();
    if (!wait_for_room(&clients[i], patience)) drop(&clients[i]);
    patience -= milliseconds_now() - begun;
    if (patience < 0) patience = 0;
  }
}
