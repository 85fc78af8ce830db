internal import CLinuxNS
internal import Glibc

/// A stage: its process, and the socket it answers on. One that was begun and gets no plan ends when it is dropped.
public struct StageProcess: ~Copyable, Sendable {
  public enum Kind: Sendable {
    /// Becomes the keeper of a new zone.
    case keeper
    /// Joins a living zone.
    case execution
    /// Makes an OCI container's process, a child of ours, and ends.
    case container
  }

  public let pid: Int32
  public let pidfd: Pidfd
  public let control: OwnedFD

  /// Executes the stage from a sealed memfd: nothing that a zone enters is a file of the host's (CVE-2019-5736). It
  /// waits for orders, and ends where this end of its socket closes. The caller may be multi-threaded.
  /// - Parameters:
  ///   - name: what ps(1) shows behind the program's name.
  ///   - group: the v2 group's directory that it is born in; -1: in its caller's group.
  public static func begin(_ kind: Kind, name: String, group: CInt = -1) throws(SyscallError) -> StageProcess {
    let image = try sealed("zone-stage", executable: true) { (file) throws(SyscallError) in
      let error = StageImage.words.withUnsafeBytes { words in
        FileSystem.write(all: UnsafeRawBufferPointer(rebasing: words[..<StageImage.byteCount]), to: file)
      }
      if error != 0 { throw SyscallError(call: "write", errno: error, path: "zone-stage") }
    }
    let sockets = try DescriptorPair.sockets(SocketType.packets)
    let null = try OwnedFD.open("/dev/null", O_RDWR)
    let program =
      switch kind {
      case .keeper: "zone-keeper"
      case .execution: "zone-exec"
      case .container: "zone-oci"
      }
    let pidfd = try spawn(
      ProgramStart(
        executable: image.raw, arguments: [program, name], fds: [null.raw, null.raw, null.raw, sockets.second.raw],
        newSession: kind == .keeper, signalsBlocked: true, cgroup: group))
    return StageProcess(pid: pidfd.pid, pidfd: Pidfd(OwnedFD(raw: pidfd.pidfd)), control: sockets.takeFirst())
  }

  /// Has a keeper of host root's begin before there is a plan.
  /// - Parameters:
  ///   - zoneFlags: clone3(2) flags of the zone's first process, as they will be in the plan.
  ///   - tellNetwork: send the network namespace as soon as it is made.
  public borrowing func begin(zoneFlags: UInt32, tellNetwork: Bool) throws(SyscallError) {
    let message =
      [UInt8(STAGE_BEGIN.rawValue)] + withUnsafeBytes(of: zoneFlags) { Array($0) } + [tellNetwork ? 1 : 0]
    try check(zns_send_fds(control.raw, message, message.count, nil, 0), "sendmsg")
  }

  /// Has a container's stage make namespaces before there is a plan.
  /// - Parameter flags: unshare(2) flags, of those that the plan will have.
  public borrowing func make(ahead flags: UInt32) throws(SyscallError) {
    let message = [UInt8(STAGE_AHEAD.rawValue)] + withUnsafeBytes(of: flags) { Array($0) }
    try check(zns_send_fds(control.raw, message, message.count, nil, 0), "sendmsg")
  }

  /// Tells such a keeper what the zone's first process is born on.
  /// - Parameters:
  ///   - uidMap: the text of /proc/PID/uid_map, as `gidMap` of gid_map; at most 255 bytes each.
  ///   - run: the zone's run directory.
  ///   - group: the v2 group's directory, or -1.
  ///   - tasks: the v1 groups' `tasks` files.
  public borrowing func send(uidMap: String, gidMap: String, run: CInt, group: CInt, tasks: [CInt]) throws(SyscallError)
  {
    precondition(uidMap.utf8.count < 256 && gidMap.utf8.count < 256)
    var message = [UInt8](repeating: 0, count: 2 + MemoryLayout<stage_ids>.size)
    message[0] = UInt8(STAGE_GROUND.rawValue)
    message[1] = group >= 0 ? 1 : 0
    for (at, text) in [(2, uidMap), (258, gidMap)] {
      for (index, byte) in text.utf8.enumerated() { message[at + index] = byte }
    }
    let fds = [run] + (group >= 0 ? [group] : []) + tasks
    try check(zns_send_fds(control.raw, message, message.count, fds, CInt(fds.count)), "sendmsg")
  }

  /// Hands the plan over, in sealed memory, with its descriptors; they stay the caller's own.
  public borrowing func send(_ plan: StagePlan) throws(SyscallError) {
    let (block, fds) = plan.marshalled()
    let memory = try sealed("zone-plan", executable: false) { (file) throws(SyscallError) in
      try FileSystem.write(block, to: file)
    }
    let all = [memory.raw] + fds
    let most = Int(STAGE_FDS_A_MESSAGE)
    var at = 0
    repeat {
      let part = Array(all[at..<min(at + most, all.count)])
      at += part.count
      let message = [UInt8(STAGE_PLAN.rawValue), at < all.count ? 1 : 0]
      try check(zns_send_fds(control.raw, message, message.count, part, CInt(part.count)), "sendmsg")
    } while at < all.count
    withExtendedLifetime(memory) {}
  }

  /// Ends one that is not wanted any more, and waits for its end.
  public consuming func abandon() {
    split { (process, socket) in
      shutdown(socket.raw, CInt(SHUT_RDWR))
      // Best effort: whoever abandons it has an error to tell already.
      if (try? process.waitUntilEnd(timeout: 5000)) != true { try? process.signal(SIGKILL) }
      _ = try? process.reap()
    }
  }

  /// Gives the process and the socket to their next owners.
  public consuming func split<Result: ~Copyable>(
    _ body: (consuming Pidfd, consuming OwnedFD) -> Result
  ) -> Result { body(pidfd, control) }

  private init(pid: Int32, pidfd: consuming Pidfd, control: consuming OwnedFD) {
    self.pid = pid
    self.pidfd = pidfd
    self.control = control
  }
}

/// A memfd (memfd_create(2)) filled by `write`, then sealed against every change.
public func sealed(
  _ name: String, executable: Bool, write: (borrowing OwnedFD) throws(SyscallError) -> Void
) throws(SyscallError) -> OwnedFD {
  let base: UInt32 = 1 | 2  // MFD_CLOEXEC, MFD_ALLOW_SEALING
  // MFD_EXEC and MFD_NOEXEC_SEAL are Linux 6.3's; before it every memfd may be executed.
  var result = zns_memfd_create(name, base | (executable ? 0x10 : 0x08))
  if result == -Int(EINVAL) { result = zns_memfd_create(name, base) }
  let file = OwnedFD(raw: CInt(try check(result, "memfd_create", name)))
  try write(file)
  try check(
    zns_fcntl(file.raw, 1033 /* F_ADD_SEALS */, 0xf /* SEAL, SHRINK, GROW, WRITE */), "fcntl F_ADD_SEALS", name)
  return file
}

/// What `spawn` starts.
public struct ProgramStart {
  /// An open file to execute; -1 executes `path`.
  public var executable: CInt = -1
  public var path = ""
  public var arguments: [String]
  public var environment: [String] = []
  /// What the program gets as 0, 1, 2, …; -1 leaves a number closed. Everything else closes at the execve.
  public var fds: [CInt]
  public var newSession = false
  /// It begins with every signal blocked, and sets its own mask.
  public var signalsBlocked = false
  /// A v2 group's directory that it is born in (clone3(2), CLONE_INTO_CGROUP); -1: in the caller's group.
  public var cgroup: CInt = -1

  public init(
    executable: CInt = -1, path: String = "", arguments: [String], environment: [String] = [], fds: [CInt],
    newSession: Bool = false, signalsBlocked: Bool = false, cgroup: CInt = -1
  ) {
    self.executable = executable
    self.path = path
    self.arguments = arguments
    self.environment = environment
    self.fds = fds
    self.newSession = newSession
    self.signalsBlocked = signalsBlocked
    self.cgroup = cgroup
  }
}

/// Starts a program by clone(CLONE_VM | CLONE_VFORK): from any thread, without copying our memory.
/// - Returns: its pid, and a pidfd that the caller owns.
public func spawn(_ start: ProgramStart) throws(SyscallError) -> (pid: Int32, pidfd: CInt) {
  var pidfd: CInt = -1
  let result = withVector(start.arguments) { arguments in
    withVector(start.environment) { environment in
      start.path.withCString { path in
        start.fds.withUnsafeBufferPointer { fds in
          var raw = zns_spawn(
            executable: start.executable, path: path, argv: arguments, envp: environment, fds: fds.baseAddress,
            fd_count: CInt(fds.count), new_session: start.newSession ? 1 : 0, blocked: start.signalsBlocked ? 1 : 0,
            cgroup: start.cgroup)
          return zns_spawn(&raw, &pidfd)
        }
      }
    }
  }
  // clone(2) says so, and never execve(2) here: it changes no user.
  let call = result == -Int(EAGAIN) ? "clone" : "execve"
  try check(result, call, start.executable >= 0 ? start.arguments.first : start.path)
  return (Int32(result), pidfd)
}

/// A NULL-terminated vector of C strings for the time of `body`.
func withVector<Result>(
  _ values: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
  var pointers: [UnsafeMutablePointer<CChar>?] = values.map { strdup($0) }
  pointers.append(nil)
  defer { for pointer in pointers { free(pointer) } }
  return pointers.withUnsafeBufferPointer { body($0.baseAddress!) }
}
