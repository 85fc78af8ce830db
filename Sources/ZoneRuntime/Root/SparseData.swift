internal import Glibc
internal import LinuxNS

/// What of a sparse zone lies on disk and lasts: one folder for each of `LaunchPlanner.lasting`, and /etc's layer.
enum SparseData {
  /// Relative to the zone's root folder, with modes as a fresh system has them.
  static let folders: [(path: String, mode: UInt32)] = [
    ("", 0o711), ("etc", 0o755), (etcWork, 0o700), ("home", 0o755), ("root", 0o700), ("srv", 0o755),
    ("local", 0o755), ("local/bin", 0o755), ("local/lib", 0o755), ("local/sbin", 0o755), ("local/share", 0o755),
    ("var", 0o755), ("var/cache", 0o755), ("var/lib", 0o755), ("var/log", 0o755), ("var/mail", 0o755),
    ("var/spool", 0o755), ("var/tmp", 0o1777),
  ]
  static let links: [(path: String, target: String)] = [("var/run", "/run"), ("var/lock", "/run/lock")]

  /// Those that are mounted, each by itself.
  static var mounted: [String] { LaunchPlanner.lasting.map { $0.name } + ["etc"] }

  /// Empty ones that look as others do, to be mounted above them.
  static func make(at root: String, like other: String) throws(SyscallError) {
    for name in mounted {
      let (path, old) = ("\(root)/\(name)", "\(other)/\(name)")
      try FileSystem.makeDirectories(path, mode: 0o755)
      guard let facts = try FileFacts.at(old) else { continue }
      if geteuid() == 0, facts.uid != 0 || facts.gid != 0 {
        try FileSystem.call("chown", path) { lchown(path, facts.uid, facts.gid) }
      }
      try FileSystem.copyAttributes(old, to: path)
      try FileSystem.call("chmod", path) { chmod(path, facts.mode & 0o7777) }
      try FileSystem.setModified(path, facts.modified)
    }
  }

  /// overlayfs' own, one for each.
  static func makeWork(at work: String) throws(SyscallError) {
    guard try !FileSystem.isThere(work) else { return }
    let new = "\(work).new"
    for name in mounted { try FileSystem.makeDirectories("\(new)/\(name)", mode: 0o700) }
    try FileSystem.call("rename", work) { rename(new, work) }
  }

  /// From when it was never frozen: its folders become a layer of the shape that others have.
  static func layOut(_ files: ZoneFiles) throws(SyscallError) {
    guard try FileSystem.isThere(files.root) else { return }
    try FileSystem.makeDirectories(files.own, mode: 0o700)
    try TreeRemoval.remove("\(files.root)/\(etcWork)")
    try FileSystem.call("rename", files.upper) { rename(files.root, files.upper) }
  }

  /// Takes that back, where nothing came of it. Best effort: whoever failed has an error to report.
  static func undoLayOut(_ files: ZoneFiles) {
    // An empty folder at most would be replaced by it.
    _ = rename(files.upper, files.root)
    guard FileSystem.exists(files.root) else { return }
    mkdir("\(files.root)/\(etcWork)", 0o700)
  }

  private static let etcWork = ".etc-work"

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
