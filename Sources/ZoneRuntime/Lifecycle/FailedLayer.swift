internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// Which layer of the kernel refused a step of a start, and the mend, where the step's own words and the errno do not say it.
extension PlannedOp {
  /// nil where nothing more is known.
  func hint(_ number: CInt) -> String? {
    let isDenied = number == EPERM || number == EACCES
    switch op.code {
    case .landlock:
      if let why = Landlock.refusal { return "Landlock: \(why)" }
      if number == E2BIG { return "Landlock: sixteen domains lie around us already (start it outside of some)" }
      return "Landlock refuses it"
    case .seccomp:
      if number == EINVAL { return "seccomp: the kernel has no filters (CONFIG_SECCOMP_FILTER), or takes none so long" }
      return isDenied ? "seccomp: a filter around us forbids another (a container's; start it outside)" : nil
    case .rootTmpfs, .rootTree, .hostTree, .attach, .mount, .overlay, .rootOverlay, .readOnly, .enterRoot, .pivot:
      guard number == EPERM else {
        guard number == ENOSPC, let room = Shortage.remedy(ENOSPC) else { return nil }
        // A layer that lies on a full disk says the same as a namespace that has all the mounts it may have.
        return "mount: \(room); or too many mounts (sysctl fs.mount-max)"
      }
      if let setting = UserNamespaceSetting.inTheWay(), setting == .appArmor { return setting.words }
      if let module = Self.securityModule {
        return "mount: refused, maybe by \(module) (journalctl -k tells; a container around us may forbid it too)"
      }
      return "mount: refused, by a container around us maybe (start it outside, or let that one mount)"
    default: return nil
    }
  }

  /// A security module with rules of its own for mounts.
  private static var securityModule: String? {
    let modules = (try? FileSystem.readLine("/sys/kernel/security/lsm")) ?? nil
    let names = (modules ?? "").split(separator: ",")
    if names.contains("apparmor") || FileSystem.exists("/sys/module/apparmor") { return "AppArmor" }
    return names.contains("selinux") ? "SELinux" : nil
  }
}
