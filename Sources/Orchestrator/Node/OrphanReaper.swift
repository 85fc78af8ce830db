internal import Glibc

/// Reaps children of ours that nobody waits for: keepers and networks' helpers, which outlive the calls that start
/// them and end when they like. A child that somebody does wait for is reaped by him within the time between two looks.
struct OrphanReaper {
  private var seen: pid_t = 0

  init() {}

  mutating func look() {
    var information = siginfo_t()
    // WNOWAIT leaves the child as it is (waitid(2)).
    while waitid(P_ALL, 0, &information, WEXITED | WNOHANG | WNOWAIT) == 0 {
      let pid = information._sifields._sigchld.si_pid
      guard pid != 0 else {
        seen = 0
        return
      }
      guard pid == seen else {
        seen = pid
        return
      }
      waitpid(pid, nil, WNOHANG)
      information = siginfo_t()
    }
  }
}
