internal import CLinuxNS
internal import Glibc

/// A launched stage: its process, and the socket it answers on.
public struct StageProcess: ~Copyable, Sendable {
  public let pid: Int32
  public let pidfd: Pidfd
  public let control: OwnedFD

  /// Executes the stage on `plan`, from a sealed memfd: nothing that a zone enters is a file of the host's
  /// (CVE-2019-5736). The caller may be multi-threaded.
  /// - Parameter name: what ps(1) shows behind the program's name.
  public static func launch(_ plan: StagePlan, name: String) throws(SyscallError) -> StageProcess {
    let image = try sealed("zone-stage", executable: true) { (file) throws(SyscallError) in
      let error = StageImage.words.withUnsafeBytes { words in
        FileSystem.write(all: UnsafeRawBufferPointer(rebasing: words[..<StageImage.byteCount]), to: file)
      }
      if error != 0 { throw SyscallError(call: "write", errno: error, path: "zone-stage") }
    }
    let (block, sources) = plan.marshalled()
    let memory = try sealed("zone-plan", executable: false) { (file) throws(SyscallError) in
      try FileSystem.write(block, to: file)
    }
    let sockets = try DescriptorPair.sockets(CInt(SOCK_SEQPACKET.rawValue))
    let null = try OwnedFD.open("/dev/null", O_RDWR)
    let program = plan.mode == .launch ? "zone-keeper" : "zone-exec"
    let fds: [CInt] = [null.raw, null.raw, null.raw, memory.raw, sockets.second.raw] + sources
    let pidfd = try spawn(
      ProgramStart(executable: image.raw, arguments: [program, name], fds: fds, newSession: plan.mode == .launch))
    return StageProcess(pid: pidfd.pid, pidfd: Pidfd(OwnedFD(raw: pidfd.pidfd)), control: sockets.takeFirst())
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
  try check(zns_fcntl(file.raw, 1033 /* F_ADD_SEALS */, 0xf /* SEAL, SHRINK, GROW, WRITE */), "fcntl F_ADD_SEALS", name)
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

  public init(
    executable: CInt = -1, path: String = "", arguments: [String], environment: [String] = [], fds: [CInt],
    newSession: Bool = false
  ) {
    self.executable = executable
    self.path = path
    self.arguments = arguments
    self.environment = environment
    self.fds = fds
    self.newSession = newSession
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
            fd_count: CInt(fds.count), new_session: start.newSession ? 1 : 0)
          return zns_spawn(&raw, &pidfd)
        }
      }
    }
  }
  try check(result, "execve", start.executable >= 0 ? start.arguments.first : start.path)
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
