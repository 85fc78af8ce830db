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

  var words: String {
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
