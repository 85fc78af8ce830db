internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// A process as it is written down: a pid alone may have been reused since.
struct ProcessIdentity: Codable, Equatable, Sendable {
  var pid: Int32
  /// Clock ticks after the machine's start (proc_pid_stat(5), field 22).
  var startTime: UInt64
  var bootId: String

  static func current() throws(SyscallError) -> ProcessIdentity { try of(getpid()) }

  static func of(_ pid: Int32) throws(SyscallError) -> ProcessIdentity {
    ProcessIdentity(
      pid: pid, startTime: try startTime(pid), bootId: try FileSystem.readLine("/proc/sys/kernel/random/boot_id"))
  }

  /// The living process, or nil where it has ended (a zombie has ended too; if it is our child it is reaped).
  func open() -> Pidfd? {
    guard let process = try? Pidfd.open(pid), (try? Self.of(pid)) == self else { return nil }
    guard (try? process.waitUntilEnd(timeout: 0)) == false else {
      _ = try? process.reap()  // fails where it is init's child: init does it
      return nil
    }
    return process
  }

  /// Ends it: SIGTERM, then SIGKILL after `grace` seconds. Blocks.
  func end(grace: Double) throws(SyscallError) {
    guard let process = open() else { return }
    try Self.signal(process, SIGTERM)
    if try !process.waitUntilEnd(timeout: CInt(grace * 1000)) {
      try Self.signal(process, SIGKILL)
      _ = try process.waitUntilEnd(timeout: 5000)
    }
    _ = try? process.reap()  // as above
  }

  private static func signal(_ process: borrowing Pidfd, _ number: CInt) throws(SyscallError) {
    do { try process.signal(number) } catch  where error.errno == ESRCH {}
  }

  private static func startTime(_ pid: Int32) throws(SyscallError) -> UInt64 {
    let stat = try FileSystem.readLine("/proc/\(pid)/stat")
    // The name in parentheses may hold anything; the fields that follow its last parenthesis begin with the third.
    let fields = stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].split(separator: " ")
    guard fields.count > 20, let time = UInt64(fields[20]) else {
      throw SyscallError(call: "read", errno: EINVAL, path: "/proc/\(pid)/stat")
    }
    return time
  }
}

/// A program of ours that outlives its starter: own session, no descriptor of ours but the ones named.
struct DetachedProcess {
  /// - Parameter output: where its standard output and error go.
  /// - Returns: the process, our child.
  static func start(_ executable: String, _ arguments: [String], output: borrowing OwnedFD) throws(SyscallError)
    -> Pidfd
  {
    let null = try OwnedFD.open("/dev/null", O_RDWR)
    var argv = ([executable] + arguments).map { strdup($0) } + [nil]
    var environment = ProcessEnvironment.all.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for text in argv + environment { free(text) } }
    let fds = [null.raw, output.raw, output.raw]
    var pidfd: CInt = -1
    let result = executable.withCString { path in
      argv.withUnsafeMutableBufferPointer { argv in
        environment.withUnsafeMutableBufferPointer { environment in
          fds.withUnsafeBufferPointer { fds in
            var spawn = zns_spawn(
              executable: -1, path: path, argv: UnsafePointer(argv.baseAddress!),
              envp: UnsafePointer(environment.baseAddress!),
              fds: fds.baseAddress, fd_count: 3, new_session: 1, blocked: 0, cgroup: -1)
            return zns_spawn(&spawn, &pidfd)
          }
        }
      }
    }
    try check(result, "execve", executable)
    return Pidfd(OwnedFD(raw: pidfd))
  }
}

/// The variables we were started with (environ(7)).
public enum ProcessEnvironment {
  public static var all: [String: String] {
    guard let bytes = try? FileSystem.read("/proc/self/environ") else { return [:] }
    var variables: [String: String] = [:]
    for entry in bytes.split(separator: 0) {
      let parts = String(decoding: entry, as: UTF8.self).split(
        separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if parts.count == 2 { variables[String(parts[0])] = String(parts[1]) }
    }
    return variables
  }
}
