internal import CLinuxNS
internal import Glibc

/// Reaps children of ours that nobody waits for: keepers and networks' helpers, which outlive the calls that start
/// them and end when they like. A child that somebody does wait for is reaped by him within the time between two looks.
struct OrphanReaper {
  private var seen = 0

  mutating func look() {
    while true {
      let pid = zns_ended_child()
      guard pid > 0, pid == seen else {
        seen = max(0, pid)
        return
      }
      waitpid(Int32(pid), nil, WNOHANG)
    }
  }
}
