internal import CLinuxNS
internal import Glibc

/// Why somebody else than root and the caller could redirect a path, or reach what lies there.
public enum PathDistrust: Equatable, Sendable {
  /// A directory or link on the way, or the place itself, belongs to that uid.
  case owner(UInt32, String)
  case link(UInt32, String)
  /// Others may write to the directory, and it is not sticky.
  case writable(String)
  case notADirectory(String)
  /// The place itself may be read or entered by others.
  case open(String)
}

extension FileSystem {
  /// Looks at every directory and link on the way to a place of ours, one lstat(2) each. What is missing is fine.
  /// - Parameter path: absolute.
  /// - Returns: nil where nobody but root and the caller decides what is there.
  public static func distrust(of path: String) throws(SyscallError) -> PathDistrust? {
    var result = zns_trust()
    let answer = zns_trust_path(path, geteuid(), &result)
    let name = answer == 0 ? "" : String(cString: result.path)
    try check(answer, "lstat", name.isEmpty ? path : name)
    if answer == 0 { return nil }
    return switch UInt32(result.why) {
    case ZNS_TRUST_LINK.rawValue: .link(result.owner, name)
    case ZNS_TRUST_WRITABLE.rawValue: .writable(name)
    case ZNS_TRUST_NO_DIRECTORY.rawValue: .notADirectory(name)
    case ZNS_TRUST_OPEN.rawValue: .open(name)
    default: .owner(result.owner, name)
    }
  }
}
