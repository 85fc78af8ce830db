internal import CLinuxNS
internal import Glibc

/// Rows and columns of a terminal (ioctl_tty(2), TIOCGWINSZ).
public struct WindowSize: Equatable, Sendable {
  public var rows: UInt16
  public var columns: UInt16

  public init(rows: UInt16, columns: UInt16) {
    self.rows = rows
    self.columns = columns
  }
}

/// Terminals: raw mode and its end, window sizes, pseudo-terminal pairs (tty(4), pty(7)).
public enum Terminal {
  public static func isTerminal(_ fd: CInt) -> Bool { isatty(fd) == 1 }

  /// The size; ENOTTY where `fd` is no terminal.
  public static func size(_ fd: CInt) throws(SyscallError) -> WindowSize {
    var size = winsize()
    let result = withUnsafeMutablePointer(to: &size) { zns_ioctl(fd, UInt(TIOCGWINSZ), UInt(bitPattern: $0)) }
    try check(result, "ioctl TIOCGWINSZ")
    return WindowSize(rows: size.ws_row, columns: size.ws_col)
  }

  /// Sets the size; the terminal's foreground group gets SIGWINCH where it differs from the last.
  public static func setSize(_ fd: CInt, _ new: WindowSize) throws(SyscallError) {
    var size = winsize(ws_row: new.rows, ws_col: new.columns, ws_xpixel: 0, ws_ypixel: 0)
    let result = withUnsafeMutablePointer(to: &size) { zns_ioctl(fd, UInt(TIOCSWINSZ), UInt(bitPattern: $0)) }
    try check(result, "ioctl TIOCSWINSZ")
  }

  /// A new pair: the master, then the slave. The slave is opened by the master's descriptor (TIOCGPTPEER, Linux 4.13),
  /// never by a path that a mount could have changed (CVE-2025-52565).
  /// - Parameter ptmx: the multiplexer of the devpts that the pair is to belong to.
  public static func openPair(ptmx: String = "/dev/ptmx") throws(SyscallError) -> DescriptorPair {
    let master = try OwnedFD.open(ptmx, O_RDWR | O_NOCTTY)
    var unlocked: CInt = 0
    let unlock = withUnsafeMutablePointer(to: &unlocked) { zns_ioctl(master.raw, tiocsptlck, UInt(bitPattern: $0)) }
    try check(unlock, "ioctl TIOCSPTLCK", ptmx)
    let slave = try check(
      zns_ioctl(master.raw, tiocgptpeer, UInt(O_RDWR | O_NOCTTY | O_CLOEXEC)), "ioctl TIOCGPTPEER", ptmx)
    return DescriptorPair(first: master, second: OwnedFD(raw: CInt(slave)))
  }

  /// The byte that means end of file on this terminal, or nil where it reads raw bytes.
  /// Asked of a master it answers for its slave.
  public static func endOfFileByte(_ fd: CInt) -> UInt8? {
    var modes = termios()
    guard tcgetattr(fd, &modes) == 0, modes.c_lflag & tcflag_t(ICANON) != 0 else { return nil }
    return withUnsafeBytes(of: &modes.c_cc) { $0[Int(VEOF)] }
  }

  /// Whether bytes come as they are typed, without line editing, echo and signals.
  public static func isRaw(_ fd: CInt) throws(SyscallError) -> Bool {
    var modes = termios()
    try FileSystem.call("tcgetattr", nil) { tcgetattr(fd, &modes) }
    return modes.c_lflag & tcflag_t(ICANON | ECHO | ISIG) == 0
  }

  // asm-generic/ioctls.h, the same on x86-64 and aarch64: macros that Swift cannot import.
  private static let tiocsptlck: UInt = 0x4004_5431
  private static let tiocgptpeer: UInt = 0x5441
}

/// A terminal in raw mode (cfmakeraw(3)) until `restore`, or until the process ends in any way but SIGKILL:
/// by exit(3), by a signal that is not handled here, by a trap.
///
/// One at a time in a process, since an exit handler can only know one.
public struct RawMode: ~Copyable {
  private let fd: CInt

  /// Switches at once and drops nothing that was typed. EBUSY where the process has another one.
  public init(_ fd: CInt) throws(SyscallError) {
    var modes = termios()
    try FileSystem.call("tcgetattr", nil) { tcgetattr(fd, &modes) }
    guard Saved.claim(fd, modes) else { throw SyscallError(call: "tcsetattr", errno: EBUSY) }
    do {
      try RawMode.apply(fd)
    } catch {
      Saved.release()
      throw error
    }
    self.fd = fd
  }

  /// Raw again, after somebody else has changed the modes: a shell does when it continues a stopped job.
  public borrowing func enter() throws(SyscallError) { try RawMode.apply(fd) }

  /// The modes from before, for as long as the process is stopped.
  public borrowing func leave() { Saved.restore() }

  private static func apply(_ fd: CInt) throws(SyscallError) {
    var modes = Saved.modes
    cfmakeraw(&modes)
    try FileSystem.call("tcsetattr", nil) { tcsetattr(fd, TCSANOW, &modes) }
  }

  deinit {
    Saved.restore()
    Saved.release()
  }
}

/// What the exit and crash handlers need: plain memory, written before they are set.
private enum Saved {
  // unsafe: written only by `claim` before `fd` is set, read by handlers only while `fd` >= 0; RawMode's users are
  // single-threaded programs, and `claim` is guarded against a second one.
  nonisolated(unsafe) static var modes = termios()
  nonisolated(unsafe) static var fd: CInt = -1
  nonisolated(unsafe) static var prepared = false
  nonisolated(unsafe) static var before: [(signal: CInt, action: sigaction)] = []

  /// Signals that end a process from within: the terminal must be usable to read the message.
  static let fatal = [SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS]

  static func claim(_ descriptor: CInt, _ current: termios) -> Bool {
    guard fd < 0 else { return false }
    modes = current
    fd = descriptor
    if !prepared {
      atexit { Saved.restore() }
      prepared = true
    }
    for number in fatal {
      let restoreAndDie: @convention(c) (CInt) -> Void = { number in
        Saved.restore()
        signal(number, nil /* SIG_DFL */)
        raise(number)
      }
      var action = sigaction()
      #if hasFeature(Embedded)  // musl's name of the union
        action.__sa_handler.sa_handler = restoreAndDie
      #else
        action.__sigaction_handler.sa_handler = restoreAndDie
      #endif
      action.sa_flags = CInt(bitPattern: UInt32(SA_RESETHAND)) | SA_NODEFER
      var old = sigaction()
      if sigaction(number, &action, &old) == 0 { before.append((number, old)) }
    }
    return true
  }

  /// tcsetattr(3) is async-signal-safe (signal-safety(7)).
  static func restore() {
    guard fd >= 0 else { return }
    tcsetattr(fd, TCSANOW, &modes)
  }

  static func release() {
    fd = -1
    for entry in before {
      var action = entry.action
      sigaction(entry.signal, &action, nil)
    }
    before = []
  }
}

/// Signals as something to poll for (signalfd(2)): blocked in this thread while the value lives.
public struct SignalFD: ~Copyable {
  public let fd: OwnedFD
  private let before: sigset_t

  public init(_ signals: [CInt]) throws(SyscallError) {
    var set = sigset_t()
    var old = sigset_t()
    sigemptyset(&set)
    for number in signals { sigaddset(&set, number) }
    let blocked = pthread_sigmask(SIG_BLOCK, &set, &old)
    guard blocked == 0 else { throw SyscallError(call: "pthread_sigmask", errno: blocked) }
    var mask: UInt64 = 0
    for number in signals { mask |= 1 << UInt64(number - 1) }
    let raw = zns_signalfd(mask)
    guard raw >= 0 else {
      pthread_sigmask(SIG_SETMASK, &old, nil)
      throw SyscallError(call: "signalfd4", errno: CInt(-raw))
    }
    fd = OwnedFD(raw: CInt(raw))
    before = old
  }

  /// The next signal that waits, or nil.
  public borrowing func next() throws(SyscallError) -> CInt? {
    let number = zns_read_signalfd(fd.raw)
    if number == -Int(EAGAIN) { return nil }
    return CInt(try check(number, "read", "signalfd"))
  }

  /// Signals that came and were not read are dropped: a pending SIGPIPE would end the process here.
  deinit {
    while zns_read_signalfd(fd.raw) > 0 {}
    var old = before
    pthread_sigmask(SIG_SETMASK, &old, nil)
  }
}

extension OwnedFD {
  /// Sets O_NONBLOCK (fcntl(2)). It belongs to the open file: only for one that is shared with nobody.
  public borrowing func setNonBlocking() throws(SyscallError) {
    let flags = try check(zns_fcntl(raw, F_GETFL, 0), "fcntl F_GETFL")
    try check(zns_fcntl(raw, F_SETFL, flags | Int(O_NONBLOCK)), "fcntl F_SETFL")
  }
}

extension Terminal {
  /// The other end of a master, by ioctl_tty(2)'s TIOCGPTPEER: no path is opened, so none can be a trap (CVE-2025-52565).
  public static func peer(of master: borrowing OwnedFD) throws(SyscallError) -> OwnedFD {
    OwnedFD(
      raw: CInt(try check(zns_ioctl(master.raw, tiocgptpeer, UInt(O_RDWR | O_NOCTTY | O_CLOEXEC)), "ioctl TIOCGPTPEER"))
    )
  }
}
