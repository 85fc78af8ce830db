internal import Glibc
internal import LinuxNS

extension Zones {
  /// Removes what zones only copied or compiled for themselves, where no zone is left at all: the copies of /etc and the
  /// seccomp filters. The next start makes them anew (some 0.1 s).
  ///
  /// A zone makes its directory before it looks for a copy. So one that could have seen the old place is seen here after
  /// the copies were moved away, and they are put back.
  public func removeCaches() throws(ZoneError) {
    guard try names().isEmpty else { return }
    IdRangeLeases(directory: directories.sharedRun).forgetTurn()
    try attempt("remove the copies of /etc and the filters") { () throws(SyscallError) in
      try FileSystem.removeTree("\(directories.shared)/seccomp")
    }
    let store = "\(directories.shared)/etc"
    let going = "\(directories.shared)/etc.going"
    try attempt("remove the copies of /etc") { () throws(SyscallError) in
      try FileSystem.removeTree(going)
      guard FileSystem.exists(store) else { return }
      try FileSystem.call("rename", store) { rename(store, going) }
    }
    let isUsed = try !names().isEmpty
    try attempt("remove the copies of /etc") { () throws(SyscallError) in
      if isUsed, FileSystem.exists(going) {
        try FileSystem.makeDirectories(store, mode: 0o711)
        // One that is there again is the same: its name tells what it was made from.
        for name in try FileSystem.list(going) { _ = rename("\(going)/\(name)", "\(store)/\(name)") }
      }
      try FileSystem.removeTree(going)
    }
  }
}
