internal import Glibc
internal import LinuxNS

/// One of our standard outputs, written without ever blocking.
///
/// O_NONBLOCK belongs to the open file, which our caller's shell shares; so a terminal or FIFO is opened anew, and where
/// that is not possible only as much is written as poll(2) promises room for (PIPE_BUF, pipe(7)).
struct OutputEnd: ~Copyable {
  private let own: OwnedFD?
  private let number: CInt
  private let most: Int
  var pending = ByteQueue()

  init(_ fd: CInt) {
    number = fd
    var status = stat()
    let kind = fstat(fd, &status) == 0 ? status.st_mode & S_IFMT : 0
    if kind == S_IFCHR || kind == S_IFIFO,
      let opened = try? OwnedFD.open("/proc/self/fd/\(fd)", O_WRONLY | O_NONBLOCK | O_NOCTTY)
    {
      own = consume opened
      most = 1 << 16
    } else {
      own = nil
      most = kind == S_IFREG ? 1 << 16 : 4096
    }
  }

  var raw: CInt {
    switch own {
    case .some(let own): own.raw
    case .none: number
    }
  }

  /// Writes what there is room for.
  /// - Returns: false where nobody reads any more.
  mutating func write() throws(SyscallError) -> Bool {
    let fd = raw
    let sent = pending.withFront(most) { Glibc.write(fd, $0.baseAddress, $0.count) }
    let error = errno
    if sent >= 0 {
      pending.drop(sent)
      return true
    }
    switch error {
    case EAGAIN, EINTR: return true
    case EPIPE, EIO: return false
    default: throw SyscallError(call: "write", errno: error, path: "standard output")
    }
  }
}
