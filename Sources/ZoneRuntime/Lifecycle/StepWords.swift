internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// The words for the stage's steps outside the plan's ops (stage_plan.h, enum stage_step), and hints for failures that
/// have a common reason.
enum StepWords {
  private static let table: [(stage_step, String)] = [
    (STAGE_STEP_PLAN, "read the plan"), (STAGE_STEP_UNSHARE, "make a mount namespace on the host's side"),
    (STAGE_STEP_PRIVATE, "make mounts private"), (STAGE_STEP_JOINER, "make the user namespace"),
    (STAGE_STEP_MAP, "map its ids"), (STAGE_STEP_USERNS, "open the user namespace"),
    (STAGE_STEP_IDENTITY, "become root of the user namespace"), (STAGE_STEP_CGROUP, "join the cgroups"),
    (STAGE_STEP_CLONE, "make the namespaces"), (STAGE_STEP_NESTED_MAP, "map the ids of the inner user namespace"),
    (STAGE_STEP_LISTEN, "listen"), (STAGE_STEP_RECORD, "write the keeper's record"),
    (STAGE_STEP_NAMESPACES, "keep the namespaces"),
    (STAGE_STEP_FORK, "fork"), (STAGE_STEP_EXECUTE, "execute the command"),
    (STAGE_STEP_DIED, "reach the first process: it was killed"), (STAGE_STEP_SETNS, "enter the namespaces"),
    (STAGE_STEP_TERMINALS, "open the zone's /dev/pts"),
    (STAGE_STEP_NETWORK, "make the network namespace and bring its lo up"),
    (STAGE_STEP_DETACH, "let the host's root go"), (STAGE_STEP_JOIN, "enter a namespace that it is to share"),
    (STAGE_STEP_TIME, "set the clocks of the time namespace"), (STAGE_STEP_GATE, "wait for its start"),
  ]

  static func words(_ step: Int) -> String {
    table.first { Int($0.0.rawValue) == step }?.1 ?? "step \(step)"
  }

  static func hint(_ step: Int, _ number: CInt) -> String? {
    let isOne = { (steps: [stage_step]) in steps.contains { Int($0.rawValue) == step } }
    let refused = number == EPERM || number == EACCES || number == ENOSPC || number == EUSERS
    if isOne([STAGE_STEP_JOINER, STAGE_STEP_MAP, STAGE_STEP_PRIVATE]), refused,
      let setting = UserNamespaceSetting.inTheWay()
    {
      return setting.words
    }
    if isOne([STAGE_STEP_PRIVATE]), refused {
      let alone = Landlock.refusal == nil ? "; zonectl sandbox --require landlock needs no mounts" : ""
      return "mounts are refused here: by a Landlock domain, a container or a security module around us\(alone)"
    }
    if isOne([STAGE_STEP_JOINER, STAGE_STEP_MAP]), refused {
      return "user namespaces are used up, or a container around us forbids them (sysctl user.max_user_namespaces)"
    }
    if number == ENOSPC, isOne([STAGE_STEP_CLONE, STAGE_STEP_UNSHARE, STAGE_STEP_NETWORK]) {
      return "namespaces are used up (sysctl user.max_mnt_namespaces and its neighbours)"
    }
    if number == EAGAIN, isOne(processes) { return Shortage.ofProcesses }
    return Shortage.remedy(number)
  }

  /// Steps that make a process, or take one into a group that counts them.
  private static let processes = [
    STAGE_STEP_UNSHARE, STAGE_STEP_JOINER, STAGE_STEP_CLONE, STAGE_STEP_NETWORK, STAGE_STEP_FORK, STAGE_STEP_CGROUP,
  ]

  /// `errno`, and what can be done about it at that step.
  static func reason(_ step: Int, _ number: CInt) -> String {
    SyscallError.name(number) + (hint(step, number).map { "; \($0)" } ?? "")
  }
}
