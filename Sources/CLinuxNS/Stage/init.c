// Pid 1 of a zone that brings no init of its own: the zone section, the gate, the command; then it forwards signals
// and reaps orphans until the command has ended or the keeper has gone.
#include "bare.h"
#include "kernel.h"
#include "process.h"
#include "init.h"
#include "network.h"
#include "ops.h"

static void fail(int gate, int section, int32_t step, long error) __attribute__((noreturn));
static void fail(int gate, int section, int32_t step, long error) {
  int32_t numbers[3] = {section, step, (int32_t)-error};
  send_numbers(gate, GATE_FAILED, numbers, 3);
  sys_exit(125);
}

/// From here on foreign code may run beside us: nothing of ours may be traced or read through /proc.
static void hide(void) { sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

static void free_of_host(int gate) {
  long result = let_go();
  if (result < 0) fail(gate, STAGE_SECTION_ZONE, STAGE_STEP_DETACH, result);
}

/// Whatever was held through the launch: all but the right to signal the command, should it run as another user.
static void drop_powers(void) {
  sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {{1u << CAP_KILL, 1u << CAP_KILL, 0}, {0, 0, 0}};
  SYS2(__NR_capset, &header, data);
}

// The command runs already, and its end is known to us alone: what the kernel could not do this time is asked for again.
// Where it cannot for long, the zone ends with us.
enum { MOST_TRIES = 1000 };

/// Reaps all that has ended. Returns 1, and tells the keeper, where the command was among them.
static int reap(int gate, int command) {
  for (int tries = 0;;) {
    struct child_info info;
    memset(&info, 0, sizeof info);
    long result = SYS5(__NR_waitid, 0 /* P_ALL */, 0, &info, WEXITED | WNOHANG, 0);
    if (result < 0 && result != -ECHILD) {
      if (++tries == MOST_TRIES) sys_exit(125);
      continue;
    }
    if (result < 0 || info.pid == 0) return 0;
    if (info.pid != command) continue;
    int32_t numbers[2] = {info.code == CLD_EXITED ? info.status : 0, info.code == CLD_EXITED ? 0 : info.status};
    send_numbers(gate, GATE_EXITED, numbers, 2);
    return 1;
  }
}

static void watch(int gate, int command) __attribute__((noreturn));
static void watch(int gate, int command) {
  uint64_t all = ~0ull;
  int signals = -1;
  for (int tries = 0; signals < 0; tries++) {
    if (tries == MOST_TRIES) sys_exit(125);
    signals = (int)SYS4(__NR_signalfd4, -1, &all, 8, O_CLOEXEC);
  }
  for (;;) {
    struct pollfd fds[2] = {{gate, POLLIN, 0}, {signals, POLLIN, 0}};
    if (sys_poll(fds, 2) < 0) continue;
    int signal = 0;
    if (fds[0].revents) {
      char message[16];
      long got = receive_message(gate, message, sizeof message, 0, 0, 0, MSG_DONTWAIT);
      // The keeper has gone: the zone ends with it.
      if (got == 0 || (got < 0 && got != -EAGAIN)) {
        kill_all();
        sys_exit(0);
      }
      if (got == 5 && message[0] == GATE_SIGNAL) memcpy(&signal, message + 1, 4);
    } else if (fds[1].revents) {
      uint32_t info[32];
      if (sys_read(signals, info, sizeof info) != sizeof info) continue;
      if (info[0] == SIGCHLD) {
        if (reap(gate, command)) sys_exit(0);
        continue;
      }
      signal = (int)info[0];
    }
    if (!signal) continue;
    if (command > 0) SYS2(__NR_kill, command, signal);
    else if (signal == SIGTERM || signal == SIGINT || signal == SIGKILL || signal == SIGHUP || signal == SIGQUIT) {
      int32_t numbers[2] = {0, signal == SIGTERM ? 0 : signal};
      send_numbers(gate, GATE_EXITED, numbers, 2);
      sys_exit(0);
    }
  }
}

/// The command's process. Returns its pid.
static int make_command(int gate, int exec_pipe) {
  struct clone_args args = {.exit_signal = SIGCHLD};
  long pid = sys_clone3(&args);
  if (pid < 0) fail(gate, STAGE_SECTION_PROCESS, STAGE_STEP_FORK, pid);
  if (pid > 0) return (int)pid;
  int32_t step = STAGE_STEP_NETWORK;
  told_on = gate;
  // Made ahead, it was born before the zone's network.
  long result = enter_network(&zone_network);
  if (result >= 0) result = execute_process(gate, exec_pipe, &step);
  int32_t numbers[3] = {STAGE_SECTION_PROCESS, step, (int32_t)-result};
  send_numbers(told_on, GATE_FAILED, numbers, 3);
  sys_exit(127);
}

/// The command's process, ahead: it gives up its powers and loads its filter while we put the root in place.
static int make_command_ahead(int gate, int exec_pipe) {
  long page = SYS(__NR_mmap, 0, 4096, 3 /* PROT_READ | PROT_WRITE */, 0x21 /* MAP_SHARED | MAP_ANONYMOUS */, -1, 0);
  if (page > -4096 && page < 0) fail(gate, STAGE_SECTION_PROCESS, STAGE_STEP_FORK, page);
  root_stands = (volatile uint32_t *)page;
  return make_command(gate, exec_pipe);
}

void be_first_process(int gate, int exec_pipe) {
  int32_t step = 0;
  sys_prctl(PR_SET_NAME, (unsigned long)"zone-init", 0, 0, 0);
  // "zone-keeper NAME", in place: the zone's ps(1) shows its own pid 1, with blanks to the old length.
  static const char name[] = "zone-init  ";
  if (length(program_name) >= sizeof name - 1) memcpy(program_name, name, sizeof name - 1);
  int command = 0;
  // Its terminal is one of the zone's, which there is none of yet.
  if (plan->argc > 0 && !plan->own_init && !plan->terminal && !is_bare()) command = make_command_ahead(gate, exec_pipe);
  long result = run_section(STAGE_SECTION_ZONE, &step);
  if (result < 0) fail(gate, STAGE_SECTION_ZONE, step, result);

  // A plan that leaves it out would leave the zone in the host's network.
  if (zone_network.socket >= 0) fail(gate, 0, STAGE_STEP_NETWORK, -EPROTO);

  // Where nothing waits at the gate, the host's root goes last: the command's process looks for itself that it has gone,
  // and need not wait for the grace period.
  int ahead = command && plan->open_gate;
  if (!ahead) free_of_host(gate);

  // The keeper makes later terminals below this mount. Opened now, while nothing foreign has run in here.
  devpts_fd = (int)sys_open(AT_FDCWD, "/dev/pts", O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
  if (devpts_fd < 0) fail(gate, STAGE_SECTION_ZONE, STAGE_STEP_TERMINALS, devpts_fd);
  // So is what it is to hold as 0, 1 and 2.
  int null = (int)sys_open(AT_FDCWD, "/dev/null", O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0);
  int fds[2] = {devpts_fd, master_fd}, fd_count = master_fd >= 0 ? 2 : 1;
  char ready = GATE_READY;
  result = send_message(gate, &ready, 1, fds, fd_count, 0);
  if (result < 0) sys_exit(125);
  if (master_fd >= 0) {
    sys_close(master_fd);
    payload_in = payload_out = payload_err = slave_fd;
  }

  // The gate. Only its word means "go": an end of file means that the keeper has gone.
  if (!plan->open_gate) {
    char message[16];
    result = receive_message(gate, message, sizeof message, 0, 0, 0, 0);
    if (result != 1 || message[0] != GATE_GO) sys_exit(0);
  }

  if (plan->own_init) {
    // Set after the last change of credentials it would be better still; those clear it, so the section's end sets it.
    result = execute_process(gate, exec_pipe, &step);
    fail(told_on, STAGE_SECTION_PROCESS, step, result);
  }

  hide();
  if (plan->argc == 0) {
    int32_t self = 1;
    send_numbers(gate, GATE_PROCESS, &self, 1);
  } else if (command) say_root_stands();
  else command = make_command(gate, exec_pipe);
  if (ahead) free_of_host(gate);
  drop_powers();
  // Only the gate stays open: whoever waits for the end of the pipes must not wait for us.
  sys_close(exec_pipe);
  for (int i = 0; i < 3; i++) {
    if (null >= 0) SYS3(__NR_dup3, null, i, 0);
    else sys_close(i);
  }
  // Over `null`, should that be 3. Where it cannot be moved it stays where it is: without it nobody learns how the command ends.
  if (gate != 3 && SYS3(__NR_dup3, gate, 3, O_CLOEXEC) == 3) gate = 3;
  if (gate > 3) SYS3(__NR_close_range, 3, gate - 1, 0);
  SYS3(__NR_close_range, gate + 1, ~0u, 0);
  watch(gate, command);
}
