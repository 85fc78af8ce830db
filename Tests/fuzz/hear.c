// The keeper as something that takes any bytes: what its clients and the zone's first process say to it. The sources are the
// stage's own, in one piece, and the kernel is played: a message is the next of the input's, a write is looked at.
//
// An input: a byte of circumstances, then steps: a byte (who speaks, and whether we are listened to), a length, a message.
//
//     scripts/fuzz keeper                                       libFuzzer
//     gcc -DREPLAY -I Sources/CLinuxNS/include -I Sources/CLinuxNS/Stage Tests/fuzz/hear.c      each input once
#define STAGE_SYSTEM_CALLS
// The stage brings its own of these, and so does the C library beside it.
#define memcpy stage_memcpy
#define memset stage_memset
#define memmove stage_memmove
#define memcmp stage_memcmp
#include "kernel.c"
#include "record.c"
#include "clients.c"
#include "keeper.c"
#undef memcpy
#undef memset
#undef memmove
#undef memcmp

// The C library's headers and the kernel's do not go together.
extern int dprintf(int, const char *, ...);
extern void abort(void) __attribute__((noreturn));
extern unsigned long long strtoull(const char *, char **, int);
extern char *strstr(const char *, const char *);

char *program_name;
// Of zones without namespaces, which no input is of.
int signals_are_scoped;
void kill_all(void) {}
const struct stage_plan *plan;
static struct stage_plan the_plan;

// MARK: the input

enum { GATE = 200, PIPE, INPUT, RECORD, LISTENING, CLIENT };
static const uint8_t *rest;
static size_t left;
static int is_deaf;  // nobody takes what we say
static void *over[5];

static void broken(const char *promise, long value) {
  dprintf(2, "keeper: %s: %ld\n", promise, value);
  abort();
}

static int next_byte(void) { return left ? (left--, *rest++) : 0; }

/// The next message, as recvmsg(2) gives one of a SEQPACKET socket: cut to the room. At the input's end everybody has gone.
static long next_message(struct msghdr_ *message) {
  size_t n = (size_t)next_byte();
  if (n > left) n = left;
  if (n > message->parts[0].length) n = message->parts[0].length;
  stage_memcpy(message->parts[0].base, rest, n);
  rest += n, left -= n;
  int pid = 77;
  struct { struct cmsghdr_ header; struct ucred_ sender; } credentials = {
      {sizeof credentials.header + sizeof credentials.sender, SOL_SOCKET, SCM_CREDENTIALS}, {pid, 0, 0}};
  message->control_length = 0;
  if (n && (message->parts[0].length == 16) && sizeof credentials <= 256) {
    stage_memcpy(message->control, &credentials, sizeof credentials);
    message->control_length = sizeof credentials;
  }
  return (long)n;
}

// MARK: what is looked at

static char written[4096];
static size_t written_size;

static unsigned long long field(const char *name) {
  const char *at = strstr(written, name);
  if (!at) return 0;
  return strtoull(at + length(name), 0, 10);
}

/// What `zonectl` takes of a keeper (Soundness.swift): another record would leave the zone to be cleaned up by hand.
static void check_record(void) {
  written[written_size] = 0;
  if (field("\"code\":") > 255) broken("a status above 255 is recorded", (long)field("\"code\":"));
  if (field("\"signal\":") > 127) broken("a signal above 127 is recorded", (long)field("\"signal\":"));
  if (field("\"process\":") > 0x7fffffff) broken("a process below 0 is recorded", (long)field("\"process\":"));
}

static long take(int fd, const char *bytes, size_t n) {
  if (fd == RECORD) {
    if (written_size + n >= sizeof written) broken("a record of bytes", (long)(written_size + n));
    stage_memcpy(written + written_size, bytes, n);
    written_size += n;
    return (long)n;
  }
  if (is_deaf) return -EAGAIN;
  return n > 3 ? (long)(n / 2) : (long)n;
}

long sys6(long number, long a, long b, long c, long d, long e, long f) {
  (void)e, (void)f;
  switch (number) {
    case __NR_recvmsg: return left ? next_message((struct msghdr_ *)b) : 0;
    case __NR_sendmsg: {
      const struct msghdr_ *message = (const struct msghdr_ *)b;
      if (message->part_count != 1 || message->parts[0].length > STAGE_MESSAGE_ROOM)
        broken("a message of bytes", (long)message->parts[0].length);
      return is_deaf ? -EAGAIN : (long)message->parts[0].length;
    }
    case __NR_write: return take((int)a, (const char *)b, (size_t)c);
    case __NR_openat: written_size = 0; return RECORD;
    case __NR_renameat: check_record(); return 0;
    case __NR_openat2: return 300;
    case __NR_accept4: return CLIENT + 100;
    case __NR_pidfd_send_signal:
      if (b < 0 || b > 64) broken("a signal that is none is sent", b);
      return 0;
    case __NR_ppoll: {
      struct pollfd *fd = (struct pollfd *)a;
      fd->revents = fd->events;
      return fd->events & POLLOUT ? !is_deaf : next_byte() & 1;
    }
    case __NR_waitid: {
      struct child_info *info = (struct child_info *)c;
      if (info) info->code = CLD_EXITED, info->status = 3;
      return 0;
    }
    case __NR_getpid: return 1234;
    case __NR_execve: case __NR_execveat: case __NR_exit_group: __builtin_longjmp(over, 1);
    case __NR_sched_getscheduler: return 1;
    case __NR_pread64: return -ENODEV;
    case __NR_clock_gettime: ((int64_t *)b)[0] = 1700000000, ((int64_t *)b)[1] = 0; return 0;
    default: (void)d; return 0;
  }
}

// MARK: what the keeper has of others

void forget_launcher(void) {}
void launch(struct zone *zone) { (void)zone; }

static void reset(int circumstances) {
  stage_memset(&record, 0, sizeof record);
  record.init = 55;
  gone_through = marked = input_pending = input_end = exited = 0;
  input_at = input_size = 0;
  is_batch = 0, log_fd = -1, is_deaf = 0;
  stage_memset(&the_plan, 0, sizeof the_plan);
  the_plan.own_init = circumstances & 1;
  the_plan.open_gate = circumstances >> 1 & 1;
  the_plan.hand_over = circumstances >> 2 & 1;
  the_plan.fd_oom = -1;
  plan = &the_plan;
  open_clients(CLIENT);
  gone_through = clients[0].attached = plan->open_gate != 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  rest = bytes, left = size;
  reset(next_byte());
  struct zone zone = {.control = CLIENT, .gate = GATE, .exec_pipe = PIPE, .init = 400, .helpers = {-1, -1}, .output = -1,
                      .errors = -1, .input = INPUT, .master = -1, .devpts = -1, .listening = LISTENING, .init_pid = 55};
  if (__builtin_setjmp(over)) return 0;
  while (left) {
    int step = next_byte();
    struct client *client = &clients[step >> 3 & 7];
    is_deaf = step >> 7;
    switch (step & 7) {
      case 0: case 1: if (zone.gate >= 0) hear_gate(&zone); break;
      case 2: accept_client(LISTENING); break;
      case 3: if (zone.exec_pipe >= 0 && gone_through) executed(&zone); break;
      case 4: if (input_pending) write_input(&zone); break;
      default: if (client->socket >= 0 && !client->muted) hear(&zone, client);
    }
  }
  is_deaf = 0;
  end(&zone);
}

#ifdef REPLAY
extern void *fopen(const char *, const char *);
extern size_t fread(void *, size_t, size_t, void *);
extern int fclose(void *);

int main(int count, char **paths) {
  static uint8_t bytes[1 << 16];
  for (int i = 1; i < count; i++) {
    void *file = fopen(paths[i], "r");
    if (!file) broken(paths[i], -1);
    dprintf(2, "%s\n", paths[i]);
    LLVMFuzzerTestOneInput(bytes, fread(bytes, 1, sizeof bytes, file));
    fclose(file);
  }
}
#endif
