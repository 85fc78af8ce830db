// What the keeper leaves on disk: its record and the log.
#include "keeper.h"

uint64_t now_realtime(void) {
  int64_t time[2] = {0, 0};
  SYS2(__NR_clock_gettime, 0, time);
  return (uint64_t)time[0] * 1000000000ull + (uint64_t)time[1];
}

static char *put_field(char *to, const char *name, uint64_t value) {
  to = put_text(to, ",\"");
  to = put_text(to, name);
  to = put_text(to, "\":");
  return put_number(to, value);
}

// The file that the record is in.
static int record_fd = -1;
static size_t record_size;

/// Where nothing new can be made, on a full disk say or without a descriptor, the record is written over where it lies: it has
/// its room there. Who reads meanwhile may have to look again; a state that is not true would stay.
static long write_over(char *bytes, size_t size, size_t room, long why) {
  if (record_fd < 0 || record_size > room) return why;
  while (size < record_size) bytes[size++] = ' ';
  long result = SYS4(__NR_pwrite64, record_fd, bytes, size, 0);
  if (result != (long)size) return result < 0 ? result : -ENOSPC;
  record_size = size;
  return 0;
}

long write_record(const struct record *r) {
  static const char *const phases[] = {"ready", "running", "shutting_down", "ended"};
  char bytes[512], *end = put_text(bytes, "{\"version\":1,\"phase\":\"");
  end = put_text(end, phases[r->phase]);
  end = put_text(end, "\"");
  end = put_field(end, "keeper", (uint64_t)SYS0(__NR_getpid));
  end = put_field(end, "init", (uint64_t)r->init);
  end = put_field(end, "process", (uint64_t)r->process);
  end = put_field(end, "started", r->started);
  if (r->phase == PHASE_ENDED) {
    end = put_field(end, "ended", r->ended);
    end = put_field(end, "code", (uint64_t)r->code);
    end = put_field(end, "signal", (uint64_t)r->signal);
    end = put_text(end, r->oom ? ",\"oom\":true" : ",\"oom\":false");
    if (r->reboot) end = put_text(end, ",\"reboot\":true");
    end = put_text(end, r->asked ? ",\"asked\":true" : ",\"asked\":false");
  }
  end = put_text(end, "}\n");
  size_t size = (size_t)(end - bytes);
  long fd = sys_open(plan->fd_run, ".keeper.json", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
  if (fd < 0) return write_over(bytes, size, sizeof bytes, fd);
  long result = sys_write((int)fd, bytes, size);
  if (result >= 0) result = result == (long)size ? SYS4(__NR_renameat, plan->fd_run, ".keeper.json", plan->fd_run, "keeper.json") : -ENOSPC;
  if (result < 0) {
    sys_close((int)fd);
    SYS3(__NR_unlinkat, plan->fd_run, ".keeper.json", 0);
    return write_over(bytes, size, sizeof bytes, result);
  }
  if (record_fd >= 0) sys_close(record_fd);
  record_fd = (int)fd;
  record_size = size;
  return 0;
}

static int log_fd = -1;
static uint64_t log_size;

void log_open(void) {
  if (plan->fd_log_dir < 0 || plan->direct) return;
  long fd = sys_open(plan->fd_log_dir, text(plan->log_name), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
  log_fd = (int)fd;
  if (fd < 0) return;
  long end = SYS3(__NR_lseek, fd, 0, 2 /* SEEK_END */);
  log_size = end < 0 ? 0 : (uint64_t)end;
}

void log_write(const char *bytes, size_t n) {
  if (log_fd < 0) return;
  if (plan->log_limit && log_size + n > plan->log_limit) {
    char older[256], *end = put_text(older, text(plan->log_name));
    end = put_text(end, ".1");
    *end = 0;
    sys_close(log_fd);
    SYS4(__NR_renameat, plan->fd_log_dir, text(plan->log_name), plan->fd_log_dir, older);
    log_open();
    if (log_fd < 0) return;
  }
  // A full disk loses lines of the log, not the zone.
  while (n) {
    long sent = sys_write(log_fd, bytes, n);
    if (sent == -EINTR) continue;
    if (sent <= 0) return;
    log_size += (uint64_t)sent;
    bytes += sent;
    n -= (size_t)sent;
  }
}
