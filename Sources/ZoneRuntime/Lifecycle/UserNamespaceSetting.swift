internal import LinuxNS

/// A setting of the machine's that keeps its users from user namespaces, without which nobody but root has zones.
enum UserNamespaceSetting: CaseIterable {
  /// user_namespaces(7).
  case most
  /// Debian's own switch.
  case clone
  /// Ubuntu's since 23.10: the namespace is made, and what is done in it refused.
  case appArmor

  var file: String {
    switch self {
    case .most: "/proc/sys/user/max_user_namespaces"
    case .clone: "/proc/sys/kernel/unprivileged_userns_clone"
    case .appArmor: "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
    }
  }

  private var forbids: String { self == .appArmor ? "1" : "0" }

  var short: String {
    switch self {
    case .most: "user.max_user_namespaces is 0"
    case .clone: "kernel.unprivileged_userns_clone is 0"
    case .appArmor: "kernel.apparmor_restrict_unprivileged_userns is 1"
    }
  }

  /// With the tier that needs none, where this kernel has it.
  var words: String {
    alone
      + (Landlock.refusal == nil
        ? "; a sandbox runs without them, within weaker walls: zonectl sandbox --require landlock" : "")
  }

  private var alone: String {
    switch self {
    case .most:
      "sysctl user.max_user_namespaces is 0, so that nobody may make user namespaces (root: sysctl -w user.max_user_namespaces=15000)"
    case .clone:
      "sysctl kernel.unprivileged_userns_clone is 0, so that only root may make user namespaces (root: sysctl -w kernel.unprivileged_userns_clone=1)"
    case .appArmor:
      "sysctl kernel.apparmor_restrict_unprivileged_userns is 1, so that AppArmor lets only programs with a profile use user namespaces (root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or a profile for zonectl with the rule 'userns,')"
    }
  }

  /// - Parameter read: a file's first line; nil where there is none.
  static func inTheWay(_ read: (String) -> String? = { try? FileSystem.readLine($0) }) -> UserNamespaceSetting? {
    allCases.first { read($0.file) == $0.forbids }
  }
}

/// Whether this caller can have user namespaces at all.
public enum UserNamespaces {
  /// What is in their way, in words; nil where they can be had. Tried out, by a child: a program may have a profile that lets
  /// it, and a container around us may forbid what the settings allow.
  public static func obstacle() -> String? {
    guard let number = UserNamespace.refusal() else { return nil }
    return UserNamespaceSetting.inTheWay().map { $0.short }
      ?? "user namespaces are refused here: \(SyscallError.name(number))"
  }
}
