import Foundation
import Glibc

/// A command on a pseudo terminal of its own, as a person at a terminal runs it: we hold the other end.
final class Terminal {
  let pid: pid_t
  /// The command's own terminal, `/dev/pts/3`.
  let path: String
  private let master: Int32
  private var seen = Data()
  private var ended: Int32?

  init(_ command: Command, rows: Int = 24, columns: Int = 80) throws {
    var ends: (master: Int32, slave: Int32) = (-1, -1)
    guard openpty(&ends.master, &ends.slave, nil, nil, nil) == 0 else {
      throw SpawnFailed(program: "openpty", errno: errno)
    }
    master = ends.master
    // Ours stays open nowhere but here: the slave's last close is what tells that the command is gone.
    defer { close(ends.slave) }
    var name = [CChar](repeating: 0, count: 128)
    guard ttyname_r(ends.slave, &name, name.count) == 0 else { throw SpawnFailed(program: "ttyname_r", errno: errno) }
    path = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    for end in [ends.master, ends.slave] { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    _ = fcntl(master, F_SETFL, O_NONBLOCK)
    try Terminal.resize(path, rows, columns)
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    // The first terminal that a session leader opens becomes its controlling terminal (tty(4)).
    posix_spawn_file_actions_addopen(&actions, 0, path, O_RDWR, 0)
    posix_spawn_file_actions_adddup2(&actions, 0, 1)
    posix_spawn_file_actions_adddup2(&actions, 0, 2)
    pid = try Running.spawn(command, &actions)
  }

  deinit {
    if ended == nil {
      kill(pid, SIGKILL)
      var status: Int32 = 0
      waitpid(pid, &status, 0)
    }
    close(master)
  }

  /// Everything that was shown so far.
  var screen: String {
    pump(milliseconds: 0)
    return String(decoding: seen, as: UTF8.self)
  }

  func type(_ text: String) {
    let bytes = Array(text.utf8)
    _ = bytes.withUnsafeBytes { write(master, $0.baseAddress, $0.count) }
  }

  /// Waits until `text` is shown; false where the time ran out.
  func shows(_ text: String, timeout: Double = 15) -> Bool { shows(timeout: timeout) { $0.contains(text) } }

  func shows(timeout: Double = 15, _ condition: (String) -> Bool) -> Bool {
    let deadline = Date().addingTimeInterval(timeout)
    while Date() < deadline {
      if condition(screen) { return true }
      pump(milliseconds: 20)
    }
    return false
  }

  func resize(rows: Int, columns: Int) throws { try Terminal.resize(path, rows, columns) }

  /// Waits for the command's end; nil where the time ran out.
  func wait(timeout: Double = 15) -> Int32? {
    let deadline = Date().addingTimeInterval(timeout)
    while ended == nil && Date() < deadline {
      pump(milliseconds: 10)
      var status: Int32 = 0
      if waitpid(pid, &status, WNOHANG) == pid { ended = Running.shellCode(status) }
    }
    pump(milliseconds: 0)
    return ended
  }

  private func pump(milliseconds: Int32) {
    var entry = pollfd(fd: master, events: Int16(POLLIN), revents: 0)
    guard poll(&entry, 1, milliseconds) > 0 else { return }
    guard entry.revents & Int16(POLLIN) != 0 else {
      // Hung up: nothing more will come, so this is only a pause for whoever polls again.
      _ = poll(nil, 0, milliseconds)
      return
    }
    var buffer = [UInt8](repeating: 0, count: 65536)
    let count = read(master, &buffer, buffer.count)
    if count > 0 { seen.append(contentsOf: buffer[0..<count]) }
  }

  private static func resize(_ path: String, _ rows: Int, _ columns: Int) throws {
    try Command.text("stty", "-F", path, "rows", String(rows), "cols", String(columns))
  }
}
