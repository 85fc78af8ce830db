// A launch without namespaces: the keeper forks the zone's first process. What a pid namespace does elsewhere, that nothing
// outlives the zone, is done by a Landlock domain which the keeper enters first: a signal to everybody reaches all in it,
// whatever its parent, session or group is, and nobody else (landlock(7), scopes; Linux 6.12). The command gets a domain of
// its own below that one, and can signal neither us nor anybody outside.
#include "bare.h"
#include "keeper.h"
#include "init.h"
#include "launch.h"

void kill_all(void) {
  // Whoever can reach pid 1 is in no such domain: never without it.
  if (signals_are_scoped && SYS2(__NR_kill, 1, 0) < 0) SYS2(__NR_kill, -1, SIGKILL);
}

void adopt_orphans(void) { sys_prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

void launch_bare(struct zone *zone, struct launch *launch) {
  int32_t step = 0;
  set_up_stdio(zone);
  long result = run_section(STAGE_SECTION_BEFORE, &step);
  if (result < 0) launch_failed(STAGE_SECTION_BEFORE, step, result);
  adopt_orphans();
  struct clone_args args = {.exit_signal = SIGCHLD};
  result = sys_clone3(&args);
  if (result < 0) launch_failed(0, STAGE_STEP_FORK, result);
  if (result == 0) {
    keep_far_side(zone, launch);
    adopt_orphans();
    be_first_process(launch->gate[1], launch->exec_pipe);
  }
  keep_near_side(launch);
  launch->first_pid = (int32_t)result;
}
