internal import CLinuxNS
internal import Glibc

#if !hasFeature(Embedded)
  /// open(2)'s O_PATH, which Glibc's module hides behind a feature macro.
  public let O_PATH: CInt = 0o10_000_000
#endif

/// A file descriptor with one owner: borrow it to use it, consume it to give it away; it closes when it ends.
///
/// Every descriptor of ours is close-on-exec; what a program is to inherit is passed by number at the spawn.
@frozen public struct OwnedFD: ~Copyable, Sendable {
  public let raw: CInt

  /// Takes over `raw`, which must be open and owned by nobody else.
  public init(raw: CInt) { self.raw = raw }

  deinit { _ = close(raw) }

  /// Gives the number away; the receiver closes it.
  public consuming func take() -> CInt {
    let number = raw
    discard self
    return number
  }

  /// A second descriptor of the same open file (fcntl F_DUPFD_CLOEXEC).
  public borrowing func duplicate() throws(SyscallError) -> OwnedFD {
    OwnedFD(raw: CInt(try check(zns_fcntl(raw, F_DUPFD_CLOEXEC, 3), "fcntl F_DUPFD_CLOEXEC")))
  }

  /// open(2), always O_CLOEXEC.
  public static func open(_ path: String, _ flags: CInt, mode: UInt32 = 0) throws(SyscallError) -> OwnedFD {
    try OwnedFD.openat(AT_FDCWD, path, flags, mode: mode)
  }

  /// openat(2), always O_CLOEXEC.
  public static func openat(_ directory: CInt, _ path: String, _ flags: CInt, mode: UInt32 = 0)
    throws(SyscallError) -> OwnedFD
  {
    let fd = zns_open(directory, path, flags | O_CLOEXEC, mode)
    let error = errno
    guard fd >= 0 else { throw SyscallError(call: "open", errno: error, path: path) }
    return OwnedFD(raw: fd)
  }

  /// pipe2(2) with O_CLOEXEC: the reading end, then the writing end.
  public static func pipe() throws(SyscallError) -> DescriptorPair {
    var ends: [CInt] = [-1, -1]
    try check(zns_pipe2(&ends, O_CLOEXEC), "pipe2")
    return DescriptorPair(first: OwnedFD(raw: ends[0]), second: OwnedFD(raw: ends[1]))
  }
}

/// Two connected descriptors: a pipe's reading and writing end, or the ends of a socket pair.
public struct DescriptorPair: ~Copyable, Sendable {
  public let first: OwnedFD
  public let second: OwnedFD

  /// socketpair(2) of AF_UNIX sockets, close-on-exec.
  /// - Parameter type: a ``SocketType``.
  public static func sockets(_ type: CInt) throws(SyscallError) -> DescriptorPair {
    var ends: [CInt] = [-1, -1]
    let result = socketpair(AF_UNIX, type | SocketType.closeOnExec, 0, &ends)
    let error = errno
    guard result == 0 else { throw SyscallError(call: "socketpair", errno: error) }
    return DescriptorPair(first: OwnedFD(raw: ends[0]), second: OwnedFD(raw: ends[1]))
  }

  /// Gives the first away and closes the second.
  public consuming func takeFirst() -> OwnedFD { first }

  init(first: consuming OwnedFD, second: consuming OwnedFD) {
    self.first = first
    self.second = second
  }
}

/// A process by pidfd: the only way we signal or wait, since a pid may have been reused (pidfd_open(2)).
public struct Pidfd: ~Copyable, Sendable {
  public let fd: OwnedFD

  public init(_ fd: consuming OwnedFD) { self.fd = fd }

  /// Throws ESRCH where no such process is alive or waits to be reaped.
  public static func open(_ pid: Int32) throws(SyscallError) -> Pidfd {
    Pidfd(OwnedFD(raw: CInt(try check(zns_pidfd_open(pid, 0), "pidfd_open", String(pid)))))
  }

  public borrowing func signal(_ number: CInt) throws(SyscallError) { try Pidfd.signal(fd.raw, number) }

  /// - Parameter process: a pidfd that is held by somebody else.
  public static func signal(_ process: CInt, _ number: CInt) throws(SyscallError) {
    try check(zns_pidfd_send_signal(process, number), "pidfd_send_signal", String(number))
  }

  /// Waits until the process has ended, for any process (poll(2) on a pidfd), not only for children.
  /// - Parameter timeout: milliseconds; negative waits for ever.
  /// - Returns: false where the time ran out.
  public borrowing func waitUntilEnd(timeout: CInt = -1) throws(SyscallError) -> Bool {
    try Poll.wait(fd.raw, for: Int16(POLLIN), timeout: timeout)
  }

  /// Reaps a child (waitid(2) with P_PIDFD).
  public borrowing func reap() throws(SyscallError) -> ExitStatus {
    var code: CInt = 0
    var status: CInt = 0
    try check(zns_wait_pidfd(fd.raw, 0, &code, &status), "waitid")
    return code == CLD_EXITED ? .exited(status) : .signaled(status)
  }
}

/// How a process ended (wait(2)).
public enum ExitStatus: Equatable, Sendable {
  case exited(CInt)
  case signaled(CInt)

  /// The status a shell shows: the code, or 128 + the signal's number.
  public var shellCode: CInt {
    switch self {
    case .exited(let code): code
    case .signaled(let number): 128 + number
    }
  }
}

public enum Poll {
  /// Waits for one descriptor (poll(2)), restarting after signals with the time that is left.
  /// - Returns: false where the time ran out.
  public static func wait(_ fd: CInt, for events: Int16, timeout: CInt) throws(SyscallError) -> Bool {
    let end = timeout < 0 ? nil : Clock.monotonicNanoseconds() + UInt64(timeout) * 1_000_000
    var left = timeout
    while true {
      var entry = pollfd(fd: fd, events: events, revents: 0)
      let result = poll(&entry, 1, left)
      let error = errno
      if result > 0 { return true }
      if result == 0 { return false }
      guard error == EINTR else { throw SyscallError(call: "poll", errno: error) }
      if let end {
        let now = Clock.monotonicNanoseconds()
        left = now >= end ? 0 : CInt((end - now + 999_999) / 1_000_000)
      }
    }
  }
}

public enum Clock {
  /// CLOCK_MONOTONIC, nanoseconds.
  public static func monotonicNanoseconds() -> UInt64 { read(CLOCK_MONOTONIC) }
  /// CLOCK_REALTIME, nanoseconds since 1970.
  public static func realtimeNanoseconds() -> UInt64 { read(CLOCK_REALTIME) }

  private static func read(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
