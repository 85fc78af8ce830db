internal import Glibc
internal import LinuxNS

/// What of a sparse zone lies on disk and lasts: one folder for each of `LaunchPlanner.lasting`, and /etc's layer.
enum SparseData {
  /// Relative to the zone's root folder, with modes as a fresh system has them.
  static let folders: [(path: String, mode: UInt32)] = [
    ("", 0o711), ("etc", 0o755), (".etc-work", 0o700), ("home", 0o755), ("root", 0o700), ("srv", 0o755),
    ("local", 0o755), ("local/bin", 0o755), ("local/lib", 0o755), ("local/sbin", 0o755), ("local/share", 0o755),
    ("var", 0o755), ("var/cache", 0o755), ("var/lib", 0o755), ("var/log", 0o755), ("var/mail", 0o755),
    ("var/spool", 0o755), ("var/tmp", 0o1777),
  ]
  static let links: [(path: String, target: String)] = [("var/run", "/run"), ("var/lock", "/run/lock")]

  static func make(at root: String) throws(ZoneError) {
    try attempt("make the zone's folders") { () throws(SyscallError) in
      for (path, mode) in folders {
        let full = path.isEmpty ? root : "\(root)/\(path)"
        try FileSystem.makeDirectories(full, mode: mode)
        try FileSystem.call("chmod", full) { chmod(full, mode) }  // mkdir(2) has the umask's word in it
      }
      for (path, target) in links where !FileSystem.exists("\(root)/\(path)") {
        _ = unlink("\(root)/\(path)")
        try FileSystem.call("symlink", path) { symlink(target, "\(root)/\(path)") }
      }
    }
  }
}
