internal import Glibc
internal import LinuxNS
internal import ZoneRuntime

/// A process of ours that waits for our end, killed or not: what it does then is done in any case.
final class Lifeline {
  private let process: Pidfd
  /// Its end is what the other waits for.
  private var line: OwnedFD?

  /// - Parameters:
  ///   - words: of the orchestrator, hidden.
  ///   - program: the orchestrator.
  init(_ words: [String], program: String) throws(SyscallError) {
    let pair = try DescriptorPair.sockets(SocketType.packets)
    // Out of our process group: whoever kills all of that does not kill it.
    let started = try spawn(
      ProgramStart(path: program, arguments: ["orchestrator"] + words, fds: [pair.second.raw, 2, 2], newSession: true))
    process = Pidfd(OwnedFD(raw: started.pidfd))
    line = pair.takeFirst()
  }

  /// What it says next; empty: it was ended.
  func hear() -> String {
    guard line != nil else { return "" }
    return Self.hear(line!)
  }

  private static func hear(_ line: borrowing OwnedFD) -> String {
    var room = [UInt8](repeating: 0, count: 1 << 12)
    var got = 0
    repeat { got = read(line.raw, &room, room.count) } while got < 0 && errno == EINTR
    return String(decoding: room[..<max(got, 0)], as: UTF8.self)
  }

  /// Lets it do what it waits for, and waits until that is done.
  /// - Returns: what it said of it, empty: it was ended; nil: it was let go before.
  func end() -> String? {
    guard let line = line.take() else { return nil }
    shutdown(line.raw, CInt(SHUT_WR))
    let said = Self.hear(line)
    _ = try? process.reap()
    return said
  }

  deinit { _ = end() }

  // MARK: the other side

  /// Whether we were started by a `Lifeline`. What ends our caller from a terminal does not end us then.
  static func begin() -> Bool {
    var type: CInt = 0
    var size = socklen_t(MemoryLayout<CInt>.size)
    guard getsockopt(0, SOL_SOCKET, SO_TYPE, &type, &size) == 0 else { return false }
    for number in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE] { signal(number, SIG_IGN) }
    return true
  }

  static func tell(_ text: String) {
    let bytes = Array(text.utf8)
    _ = write(0, bytes, bytes.count)
  }

  static func waitForEnd() {
    var byte: UInt8 = 0
    while read(0, &byte, 1) < 0, errno == EINTR {}
  }
}
