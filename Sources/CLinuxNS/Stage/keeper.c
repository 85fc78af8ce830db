// The keeper: one a zone, on the host's side, outside the zone's cgroup and its caller's session. It holds the gate,
// the terminal and the log, tells the state, and at the end records how the zone ended and hands over to `zonectl`.
#include "bare.h"
#include "clients.h"
#include "keeper.h"
#include "process.h"

static struct record record = {.phase = PHASE_READY};
static int gone_through, marked, input_pending, input_end, exited;
static char input_bytes[STAGE_MESSAGE_ROOM];
static size_t input_at, input_size;

static void open_gate(struct zone *zone, struct client *client) {
  if (gone_through) { refuse(client, -EALREADY); return; }
  char go = GATE_GO;
  long result = send_message(zone->gate, &go, 1, 0, 0, 0);
  if (result < 0) { refuse(client, result); return; }
  gone_through = 1;
  client->attached = 1;  // it hears how the start ends
}

/// A terminal of the zone's own devpts for an execution: opened below the mount we hold, never by a path of the zone's,
/// as the zone's root, so that the other end belongs to it.
static void give_terminal(struct zone *zone, struct client *client) {
  if (zone->devpts < 0) { refuse(client, -ENODEV); return; }
  SYS1(__NR_setfsgid, plan->zone_root_gid);
  SYS1(__NR_setfsuid, plan->zone_root_uid);
  long master = sys_resolve(zone->devpts, "ptmx", O_RDWR | O_NOCTTY, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
  SYS1(__NR_setfsuid, SYS0(__NR_geteuid));
  SYS1(__NR_setfsgid, SYS0(__NR_getegid));
  if (master < 0) { refuse(client, master); return; }
  int unlock = 0, fd = (int)master;
  SYS3(__NR_ioctl, fd, TIOCSPTLCK, &unlock);
  char kind = STAGE_SAYS_DESCRIPTORS;
  send_message(client->socket, &kind, 1, &fd, 1, 0);
  sys_close(fd);
}

static void write_input(struct zone *zone) {
  int to = zone->master >= 0 ? zone->master : zone->input;
  while (input_at < input_size) {
    long sent = to < 0 ? -EPIPE : sys_write(to, input_bytes + input_at, input_size - input_at);
    if (sent == -EAGAIN) break;
    if (sent == -EINTR) continue;
    if (sent < 0) { input_at = input_size; break; }
    input_at += (size_t)sent;
  }
  input_pending = input_at < input_size;
  for (int i = 0; !input_pending && i <= CLIENTS; i++) clients[i].muted = 0;
  if (!input_pending && input_end && zone->input >= 0) {
    sys_close(zone->input);
    zone->input = -1;
  }
}

static void hear(struct zone *zone, struct client *client) {
  static char message[STAGE_MESSAGE_ROOM];
  long got = receive_message(client->socket, message, sizeof message, 0, 0, 0, MSG_DONTWAIT);
  // A client that closed before it read our answer: told once, ahead of what it had sent.
  if (got == -ECONNRESET) got = receive_message(client->socket, message, sizeof message, 0, 0, 0, MSG_DONTWAIT);
  if (got == -EAGAIN) return;
  if (got <= 0) {
    if (client == &clients[0]) zone->control = -1;
    drop(client);
    return;
  }
  int32_t number = 0;
  if (got >= 5) memcpy(&number, message + 1, 4);
  switch (message[0]) {
    case STAGE_GO: open_gate(zone, client); break;
    case STAGE_ATTACH: client->attached = 1; break;
    case STAGE_INPUT:
      if (input_pending) { refuse(client, -EBUSY); break; }
      client->muted = 1;
      memcpy(input_bytes, message + 1, (size_t)got - 1);
      input_at = 0, input_size = (size_t)got - 1;
      write_input(zone);
      break;
    case STAGE_INPUT_END:
      input_end = 1;
      write_input(zone);
      break;
    case STAGE_WINDOW:
      if (got == 5 && zone->master >= 0) {
        struct { uint16_t rows, columns, x, y; } size = {0, 0, 0, 0};
        memcpy(&size, message + 1, 4);
        SYS3(__NR_ioctl, zone->master, TIOCSWINSZ, &size);
      }
      break;
    case STAGE_SIGNAL:
      if (got != 5 || number < 1 || number > 64) refuse(client, -EINVAL);
      else if (number == SIGKILL || plan->own_init || !gone_through) {
        long result = SYS4(__NR_pidfd_send_signal, zone->init, number, 0, 0);
        if (result < 0) refuse(client, result);
      } else {
        // A frozen zone does not take it: then it is refused.
        long result = send_numbers(zone->gate, GATE_SIGNAL, &number, 1);
        if (result < 0) refuse(client, result);
      }
      break;
    case STAGE_STOPPING:
      record.asked = 1;
      if (record.phase != PHASE_ENDED) {
        record.phase = PHASE_SHUTTING_DOWN;
        write_record(&record);
      }
      number = 0;
      tell(client, STAGE_SAYS_NO, &number, 1);  // 0: heard
      break;
    case STAGE_GOING_ON:
      record.asked = 0;
      if (record.phase == PHASE_SHUTTING_DOWN) {
        record.phase = gone_through ? PHASE_RUNNING : PHASE_READY;
        write_record(&record);
      }
      tell(client, STAGE_SAYS_GOING_ON, 0, 0);
      break;
    case STAGE_NAMESPACES: {
      // Root enters by the pidfd, which no other process can come to have.
      char kind = STAGE_SAYS_DESCRIPTORS;
      int each = zone->namespace_count > 0;
      send_message(client->socket, &kind, 1, each ? zone->namespaces : &zone->init, each ? zone->namespace_count : 1, 0);
      break;
    }
    case STAGE_TERMINAL: give_terminal(zone, client); break;
    default: refuse(client, -EPROTO);
  }
}

static void hear_gate(struct zone *zone) {
  char message[16];
  int sender = 0;
  long got = receive_message(zone->gate, message, sizeof message, 0, 0, &sender, MSG_DONTWAIT);
  if (got == -EAGAIN) return;
  // It is still there, and how the command ends is told by it alone. Whoever is short for long goes on without.
  static int shortages;
  if (got == -ENOMEM && ++shortages < 1000) return;
  if (got <= 0) {
    sys_close(zone->gate);
    zone->gate = -1;
    return;
  }
  if (message[0] == GATE_PROCESS) {
    record.process = sender;
    marked = 1;
  } else if (message[0] == GATE_FAILED && got == 13) {
    int32_t numbers[3];
    memcpy(numbers, message + 1, sizeof numbers);
    marked = 0;
    tell_attached(STAGE_SAYS_FAILED, numbers, 3);
    record.code = numbers[2] == ENOENT ? 127 : 126;
    exited = 1;
    SYS4(__NR_pidfd_send_signal, zone->init, SIGKILL, 0, 0);
  } else if (message[0] == GATE_EXITED && got == 9) {
    memcpy(&record.code, message + 1, 4);
    memcpy(&record.signal, message + 5, 4);
    // It is said from inside the zone: what wait(2) cannot tell would make a record that nobody takes.
    record.code &= 0xff, record.signal &= 0x7f;
    exited = 1;
  }
}

/// The end of the exec pipe: the command was executed, if it had announced itself and told no failure since.
static void executed(struct zone *zone) {
  sys_close(zone->exec_pipe);
  zone->exec_pipe = -1;
  while (zone->gate >= 0 && !marked && !exited) {
    struct pollfd fd = {zone->gate, POLLIN, 0};
    if (sys_poll(&fd, 1) < 0) break;
    hear_gate(zone);
  }
  // A failed execve is told on the gate before the pipe can end.
  for (struct pollfd fd = {zone->gate, POLLIN, 0}; zone->gate >= 0 && !exited;) {
    int64_t none[2] = {0, 0};
    if (SYS5(__NR_ppoll, &fd, 1, none, 0, 8) <= 0) break;
    hear_gate(zone);
  }
  if (!marked) return;
  record.started = now_realtime();
  record.phase = record.asked ? PHASE_SHUTTING_DOWN : PHASE_RUNNING;
  long result = write_record(&record);
  if (result < 0) {
    // Nobody could know of a zone without a record: it does not run.
    int32_t numbers[3] = {0, STAGE_STEP_RECORD, (int32_t)-result};
    tell_attached(STAGE_SAYS_FAILED, numbers, 3);
    record.code = 125;
    exited = 1;
    SYS4(__NR_pidfd_send_signal, zone->init, SIGKILL, 0, 0);
    return;
  }
  tell_attached(STAGE_SAYS_STARTED, &record.process, 1);
}

static int was_oom_killed(void) {
  static char bytes[1024];
  if (plan->fd_oom < 0) return 0;
  long got = SYS4(__NR_pread64, plan->fd_oom, bytes, sizeof bytes - 1, 0);
  for (long i = 0; i + 9 < got; i++)
    if ((i == 0 || bytes[i - 1] == '\n') && memcmp(bytes + i, "oom_kill ", 9) == 0) return bytes[i + 9] != '0';
  return 0;
}

static void vectors(uint32_t offset, uint32_t count, const char **to) {
  const uint32_t *from = (const uint32_t *)text(offset);
  for (uint32_t i = 0; i < count; i++) to[i] = text(from[i]);
  to[count] = 0;
}

/// sched(7): SCHED_BATCH does not preempt when it wakes, so that the keeper is in nobody's way: the command's least of
/// all. Only from the ordinary policy, and back to it only then: another one was somebody's wish.
static int is_batch;
static void schedule_as_batch(int batch) {
  enum { ORDINARY = 0, BATCH = 3 };
  int priority = 0;
  if (batch ? SYS1(__NR_sched_getscheduler, 0) != ORDINARY : !is_batch) return;
  is_batch = SYS3(__NR_sched_setscheduler, 0, batch ? BATCH : ORDINARY, &priority) >= 0 && batch;
}

/// A restart, and all clean-up, is `zonectl` executed by us: it has the power and the policy.
static void hand_over(void) {
  const char *argv[plan->zonectl_argc + 1], *envp[plan->zonectl_envc + 1];
  vectors(plan->zonectl_argv, plan->zonectl_argc, argv);
  vectors(plan->zonectl_envp, plan->zonectl_envc, envp);
  uint64_t none = 0;
  SYS4(__NR_rt_sigprocmask, 2, &none, 0, 8);
  schedule_as_batch(0);
  SYS3(__NR_close_range, 3, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */);
  SYS3(__NR_execve, text(plan->zonectl), argv, envp);
  // Its file was replaced or removed since: the one that launched us is still open.
  SYS5(__NR_execveat, plan->fd_zonectl, "", argv, envp, AT_EMPTY_PATH);
  sys_exit(1);
}

static void reap_helper(struct zone *zone, int helper) {
  if (zone->helpers[helper] < 0) return;
  struct child_info info;
  wait_for_child(P_PIDFD, zone->helpers[helper], &info);
  sys_close(zone->helpers[helper]);
  zone->helpers[helper] = -1;
}

/// What a pid namespace's end does elsewhere. Where no domain confines our signals, the launcher looks for what is left.
static void end_rest(void) {
  struct child_info info;
  kill_all();
  while (signals_are_scoped && SYS5(__NR_waitid, 0 /* P_ALL */, 0, &info, WEXITED, 0) >= 0) {}
}

static void end(struct zone *zone) __attribute__((noreturn));
static void end(struct zone *zone) {
  struct child_info info;
  wait_for_child(P_PIDFD, zone->init, &info);
  if (is_bare()) end_rest();
  if (zone->gate >= 0)
    while (zone->gate >= 0) hear_gate(zone);
  if (!exited || plan->own_init) {
    record.code = info.code == CLD_EXITED ? info.status : 0;
    record.signal = info.code == CLD_EXITED ? 0 : info.status;
  }
  // reboot(2) in a pid namespace: its init ends as by one of these, which nobody could have sent it (pid_namespaces(7)).
  if (plan->own_init && (record.signal == SIGHUP || record.signal == SIGINT)) {
    record.reboot = record.signal == SIGHUP;
    record.code = record.signal = 0;
  }
  if (zone->exec_pipe >= 0 && gone_through) {
    // Ended before it executed, and said nothing: killed on the way.
    int32_t numbers[3] = {STAGE_SECTION_PROCESS, STAGE_STEP_DIED, EPIPE};
    tell_attached(STAGE_SAYS_FAILED, numbers, 3);
  }
  drain(zone->master, STAGE_SAYS_OUTPUT);
  drain(zone->output, STAGE_SAYS_OUTPUT);
  drain(zone->errors, STAGE_SAYS_ERROR);
  record.oom = was_oom_killed();
  record.phase = PHASE_ENDED;
  record.ended = now_realtime();
  int32_t numbers[3] = {record.code, record.signal, record.oom};
  // A launcher that stays cleans up, and may begin; our record he reads when his socket is closed.
  int stays = clients[0].socket >= 0 && !plan->hand_over;
  if (stays) {
    wait_for_readers();
    tell(&clients[0], STAGE_SAYS_ENDED, numbers, 3);
  }
  write_record(&record);
  // The socket goes first: from here on nobody may take us for alive.
  sys_close(zone->listening);
  if (!stays) wait_for_readers();
  for (int i = stays; i <= CLIENTS; i++) tell(&clients[i], STAGE_SAYS_ENDED, numbers, 3);
  // Nothing of ours is in the launcher's way any more: he need not wait until our memory is taken apart.
  if (stays) sys_close(clients[0].socket);
  for (int i = 0; i < 2; i++) {
    // The zone is over, whatever such a one still waits for.
    if (zone->helpers[i] >= 0) SYS4(__NR_pidfd_send_signal, zone->helpers[i], SIGKILL, 0, 0);
    reap_helper(zone, i);
  }
  // The launcher has heard, and cleans up.
  if (stays && clients[0].socket >= 0) sys_exit(0);
  hand_over();
  sys_exit(0);
}

void serve(struct zone *zone) {
  schedule_as_batch(1);
  record.init = zone->init_pid;
  open_clients(zone->control);
  gone_through = clients[0].attached = plan->open_gate != 0;
  int one = 1;
  int *const to[] = {&zone->master, &zone->input, &zone->gate};
  for (int i = 0; i < 3; i++)
    if (*to[i] >= 0) SYS3(__NR_ioctl, *to[i], FIONBIO, &one);
  for (;;) {
    if (plan->ends_with_launcher && clients[0].socket < 0) SYS4(__NR_pidfd_send_signal, zone->init, SIGKILL, 0, 0);
    // Who is not there takes no place: poll(2) takes no more of them than RLIMIT_NOFILE, which may be low.
    enum { FIXED = 9 };
    struct pollfd fds[FIXED + CLIENTS + 1];
    struct client *who[CLIENTS + 1];
    unsigned count = FIXED;
    // What wakes us may stand in the way of the command, where a processor is all there is: until it runs the pipe alone
    // tells of it, and at its end the init's. What was said on the gate meanwhile is read then.
    int begins = gone_through && zone->exec_pipe >= 0;
    // While somebody who is attached has no room, nothing is read for him; his socket tells when he has. Nor before the
    // command is known to run: who waits for that takes no output, and a look at the pipe may have come too early for it.
    int ready = !begins && readers_ready();
    fds[0] = (struct pollfd){zone->init, POLLIN, 0};
    fds[1] = (struct pollfd){gone_through ? -1 : zone->gate, POLLIN, 0};
    fds[2] = (struct pollfd){zone->exec_pipe, POLLIN, 0};
    fds[3] = (struct pollfd){ready ? zone->output : -1, POLLIN, 0};
    fds[4] = (struct pollfd){ready ? zone->errors : -1, POLLIN, 0};
    fds[5] = (struct pollfd){zone->master >= 0 ? zone->master : input_pending ? zone->input : -1,
                             (short)((zone->master >= 0 && ready ? POLLIN : 0) | (input_pending ? POLLOUT : 0)), 0};
    fds[6] = (struct pollfd){zone->listening, POLLIN, 0};
    for (int i = 0; i < 2; i++) fds[7 + i] = (struct pollfd){begins ? -1 : zone->helpers[i], POLLIN, 0};
    for (int i = 0; i <= CLIENTS; i++) {
      struct client *client = &clients[i];
      if (client->socket < 0) continue;
      int waits = !ready && client->attached && !has_room(client);
      who[count - FIXED] = client;
      fds[count++] = (struct pollfd){client->socket, (short)((client->muted ? 0 : POLLIN) | (waits ? POLLOUT : 0)), 0};
    }
    if (sys_poll(fds, count) < 0) continue;
    if (fds[1].revents) hear_gate(zone);
    if (fds[2].revents && zone->exec_pipe >= 0) executed(zone);
    if (fds[3].revents && !copy_out(zone->output, STAGE_SAYS_OUTPUT)) sys_close(zone->output), zone->output = -1;
    if (fds[4].revents && !copy_out(zone->errors, STAGE_SAYS_ERROR)) sys_close(zone->errors), zone->errors = -1;
    if (fds[5].revents) {
      if (input_pending) write_input(zone);
      if (zone->master >= 0 && ready && fds[5].revents & (POLLIN | POLLHUP) && !copy_out(zone->master, STAGE_SAYS_OUTPUT) &&
          fds[5].revents & POLLHUP)
        sys_close(zone->master), zone->master = -1;
    }
    for (unsigned i = FIXED; i < count; i++)
      if (fds[i].revents & ~POLLOUT && who[i - FIXED]->socket == fds[i].fd) hear(zone, who[i - FIXED]);
    if (fds[6].revents) accept_client(zone->listening);
    for (int i = 0; i < 2; i++)
      if (fds[7 + i].revents) reap_helper(zone, i);
    if (fds[0].revents) end(zone);
  }
}

void keep_zone(void) {
  sys_prctl(PR_SET_NAME, (unsigned long)"zone-keeper", 0, 0, 0);
  struct zone zone = {.control = STAGE_FD_CONTROL, .gate = -1, .exec_pipe = -1, .init = -1, .helpers = {-1, -1}, .output = -1,
                      .errors = -1, .input = -1, .master = -1, .devpts = -1, .listening = -1};
  launch(&zone);
  record.init = zone.init_pid;
  // With an open gate "ready" is not a state anybody could see: the next record says "running".
  long result = plan->open_gate ? 0 : write_record(&record);
  if (result >= 0) result = SYS2(__NR_listen, zone.listening, 128);
  if (result < 0) {
    int32_t numbers[3] = {0, STAGE_STEP_RECORD, (int32_t)-result};
    send_numbers(STAGE_FD_CONTROL, STAGE_SAYS_FAILED, numbers, 3);
    sys_exit(125);
  }
  log_open();
  if (!plan->open_gate) send_numbers(STAGE_FD_CONTROL, STAGE_SAYS_READY, &zone.init_pid, 1);
  serve(&zone);
}
