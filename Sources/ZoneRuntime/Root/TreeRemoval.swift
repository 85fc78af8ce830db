internal import Glibc
internal import LinuxNS

/// Taking away what a zone has left on disk. A zone of an ordinary user's owns files there by his subordinate ids, in
/// directories that he may not enter: those are removed by the root of a user namespace with the zone's id maps.
enum TreeRemoval {
  /// A missing one is fine. What stands in the way is told with its name; the tree may then be gone in part.
  static func remove(_ path: String) throws(SyscallError) {
    do throws(SyscallError) { try FileSystem.removeTree(path) } catch {
      // With a step the reason is known, and more rights would not help.
      guard error.errno == EACCES || error.errno == EPERM, error.step == nil, geteuid() != 0,
        let maps = try? UserIdMaps.ofCaller(), maps.needsHelper  // without subordinate ids there is nobody else to be
      else { throw error }
      try FileSystem.removeTree(path, mappingIds: maps.write)
    }
  }
}

extension UserIdMaps {
  /// The maps of this user's zones, by /etc/subuid and /etc/subgid; the single map where newuidmap(1) is not installed.
  static func ofCaller() throws(SyntaxError) -> UserIdMaps {
    let read = { (path: String) -> [UInt8] in (try? FileSystem.read(path)) ?? [] }  // missing is the same as empty
    guard FileSystem.exists("/usr/bin/newuidmap") else { return try single(uid: geteuid(), gid: getegid()) }
    return try many(
      uid: geteuid(), gid: getegid(), name: LoginName.of(geteuid(), in: read("/etc/passwd")),
      subuid: read("/etc/subuid"),
      subgid: read("/etc/subgid"))
  }

  /// Gives them to a process in a new user namespace, by the distribution's setuid helpers, who check /etc/subuid and
  /// /etc/subgid; we ship none.
  func write(to pid: Int32) throws(SyscallError) {
    let null = try OwnedFD.open("/dev/null", O_RDWR)
    for (program, maps) in [("newuidmap", uids), ("newgidmap", gids)] {
      let path = "/usr/bin/\(program)"
      let started = try spawn(
        ProgramStart(
          path: path, arguments: [program, String(pid)] + Self.helperArguments(maps),
          fds: [null.raw, null.raw, null.raw]))
      guard try Pidfd(OwnedFD(raw: started.pidfd)).reap() == .exited(0) else {
        throw SyscallError(
          call: program, errno: EPERM, step: "map your subordinate ids (look at /etc/subuid and /etc/subgid)")
      }
    }
  }
}
