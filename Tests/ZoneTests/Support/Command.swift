import Foundation
import Glibc
import LinuxNS

/// How a command ended and what it said.
struct Outcome: CustomStringConvertible {
  var command: [String]
  /// As a shell shows it: the code, or 128 + the signal's number.
  var status: Int32
  /// The command was killed because its time ran out.
  var timedOut = false
  var output: Data
  var errors: Data

  var out: String { String(decoding: output, as: UTF8.self) }
  var err: String { String(decoding: errors, as: UTF8.self) }
  /// The lines of stdout, without the empty one at the end.
  var lines: [String] { out.split(separator: "\n", omittingEmptySubsequences: true).map(String.init) }
  /// stdout without white space around it.
  var text: String { out.trimmingCharacters(in: .whitespacesAndNewlines) }

  var description: String {
    "\(command.joined(separator: " ")): \(timedOut ? "timed out" : "status \(status)")\nstdout: \(out)\nstderr: \(err)"
  }
}

/// A program to run: its arguments, what it reads, in whose name, and for how long at most.
struct Command {
  var argv: [String]
  var input = Data()
  var environment: [String: String] = Command.plainEnvironment
  var directory: String?
  /// Seconds until it and its session are killed.
  var timeout: Double = 30

  init(_ argv: [String]) { self.argv = argv }
  init(_ argv: String...) { self.argv = argv }

  /// What a login gives, and nothing of the runner's own environment.
  static let plainEnvironment = [
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8",
    "TERM": "xterm",
  ]

  /// Runs it to its end, or to the end of its time.
  func run() throws -> Outcome {
    let running = try start()
    return try running.finish(timeout: timeout)
  }

  /// Runs it and expects status 0; what it wrote to stdout, without white space around it.
  @discardableResult
  static func text(_ argv: String...) throws -> String {
    let outcome = try Command(argv).run()
    guard outcome.status == 0 else { throw CommandFailed(outcome: outcome) }
    return outcome.text
  }

  /// Starts it with its three streams on pipes, in a session of its own.
  func start() throws -> Running { try Running(self) }
}

struct CommandFailed: Error, CustomStringConvertible {
  var outcome: Outcome
  var description: String { outcome.description }
}

struct SpawnFailed: Error, CustomStringConvertible {
  var program: String
  var errno: Int32
  var description: String { "cannot start \(program): \(String(cString: strerror(errno)))" }
}

/// A command that runs. Its input is written and its output collected by `finish` and `readUntil`.
final class Running {
  let command: Command
  let pid: pid_t
  private var input: Int32
  private var outputs: [Int32]
  private var collected: [Data] = [Data(), Data()]
  private var unwritten: Data
  private var ended: Int32?

  init(_ command: Command) throws {
    self.command = command
    unwritten = command.input
    let pipes = try (0..<3).map { _ in try Running.pipe() }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, pipes[0].read, 0)
    posix_spawn_file_actions_adddup2(&actions, pipes[1].write, 1)
    posix_spawn_file_actions_adddup2(&actions, pipes[2].write, 2)
    do {
      pid = try Running.spawn(command, &actions)
    } catch {
      for end in pipes.flatMap({ [$0.read, $0.write] }) { close(end) }
      throw error
    }
    input = pipes[0].write
    outputs = [pipes[1].read, pipes[2].read]
    for fd in [pipes[0].read, pipes[1].write, pipes[2].write] { close(fd) }
    for fd in [input] + outputs { _ = fcntl(fd, F_SETFL, O_NONBLOCK) }
    if unwritten.isEmpty { closeInput() }
  }

  deinit {
    if ended == nil {
      kill(-pid, SIGKILL)
      kill(pid, SIGKILL)
      var status: Int32 = 0
      waitpid(pid, &status, 0)
    }
    closeInput()
    for fd in outputs where fd >= 0 { close(fd) }
  }

  var isRunning: Bool { reap(wait: false) == nil }

  func signal(_ number: Int32) { kill(pid, number) }

  /// Everything it has written to stdout so far.
  var output: String {
    pump(milliseconds: 0)
    return String(decoding: collected[0], as: UTF8.self)
  }

  /// Waits until stdout satisfies `condition`; false where the time ran out or the command ended without it.
  func readUntil(timeout: Double = 20, _ condition: (String) -> Bool) -> Bool {
    let deadline = Date().addingTimeInterval(timeout * Patience.factor)
    while Date() < deadline {
      if condition(output) { return true }
      if !pump(milliseconds: 20) && reap(wait: false) != nil { return condition(output) }
    }
    return false
  }

  /// Waits for its end; past the timeout it and its session are killed.
  func finish(timeout: Double = 30) throws -> Outcome {
    let deadline = Date().addingTimeInterval(timeout * Patience.factor)
    var timedOut = false
    // The streams may outlive the command in a child of it, so the command's own end is what counts.
    while reap(wait: false) == nil {
      if Date() >= deadline {
        timedOut = true
        kill(-pid, SIGKILL)
        kill(pid, SIGKILL)
        _ = reap(wait: true)
        break
      }
      pump(milliseconds: 5)
    }
    while pump(milliseconds: 0) {}
    closeInput()
    return Outcome(
      command: command.argv, status: ended ?? -1, timedOut: timedOut, output: collected[0], errors: collected[1])
  }

  private func reap(wait: Bool) -> Int32? {
    if let ended { return ended }
    var status: Int32 = 0
    guard waitpid(pid, &status, wait ? 0 : WNOHANG) == pid else { return nil }
    ended = Running.shellCode(status)
    return ended
  }

  private func closeInput() {
    if input >= 0 { close(input) }
    input = -1
  }

  /// Moves what can be moved now; false where nothing moved.
  @discardableResult
  private func pump(milliseconds: Int32) -> Bool {
    var polled: [pollfd] = []
    if input >= 0 { polled.append(pollfd(fd: input, events: Int16(POLLOUT), revents: 0)) }
    for fd in outputs where fd >= 0 { polled.append(pollfd(fd: fd, events: Int16(POLLIN), revents: 0)) }
    guard poll(&polled, nfds_t(polled.count), milliseconds) > 0 else { return false }
    var moved = false
    for entry in polled where entry.revents != 0 {
      if entry.fd == input {
        moved = write() || moved
      } else if let index = outputs.firstIndex(of: entry.fd) {
        moved = read(index) || moved
      }
    }
    return moved
  }

  private func write() -> Bool {
    let count = unwritten.withUnsafeBytes { Glibc.write(input, $0.baseAddress, $0.count) }
    let error = errno
    if count > 0 { unwritten.removeFirst(count) }
    if unwritten.isEmpty || (count < 0 && error != EAGAIN) { closeInput() }
    return count > 0
  }

  private func read(_ index: Int) -> Bool {
    var buffer = [UInt8](repeating: 0, count: 65536)
    let count = Glibc.read(outputs[index], &buffer, buffer.count)
    let error = errno
    if count > 0 {
      collected[index].append(contentsOf: buffer[0..<count])
      return true
    }
    if count == 0 || error != EAGAIN {
      close(outputs[index])
      outputs[index] = -1
    }
    return false
  }

  static func shellCode(_ status: Int32) -> Int32 { status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f) }

  static func pipe() throws -> (read: Int32, write: Int32) {
    let ends = try OwnedFD.pipe()
    return try (ends.first.duplicate().take(), ends.second.duplicate().take())
  }

  /// posix_spawn(3) in a new session, with default signals and no descriptor but those of `actions`.
  static func spawn(_ command: Command, _ actions: inout posix_spawn_file_actions_t) throws -> pid_t {
    // What the runner keeps open without CLOEXEC must not reach a zone: cases look for leaked descriptors.
    for number in (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? [] {
      guard let fd = Int32(number), fd > 2, fcntl(fd, F_GETFD) & FD_CLOEXEC == 0 else { continue }
      posix_spawn_file_actions_addclose(&actions, fd)
    }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var all = sigset_t()
    var none = sigset_t()
    sigfillset(&all)
    sigemptyset(&none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setsigmask(&attributes, &none)
    // POSIX_SPAWN_SETSID is hidden behind _GNU_SOURCE (spawn.h).
    let newSession: Int16 = 0x80
    posix_spawnattr_setflags(
      &attributes, newSession | Int16(POSIX_SPAWN_SETSIGDEF) | Int16(POSIX_SPAWN_SETSIGMASK))
    let words = (command.directory.map { ["env", "-C", $0] } ?? []) + command.argv
    let argv = words.map { strdup($0) } + [nil]
    let envp = command.environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for word in argv + envp { free(word) } }
    var pid: pid_t = 0
    let path = command.environment["PATH"] ?? ""
    let program = Command.find(words[0], in: path) ?? words[0]
    let error = posix_spawn(&pid, program, &actions, &attributes, argv, envp)
    guard error == 0 else { throw SpawnFailed(program: words[0], errno: error) }
    return pid
  }
}

extension Command {
  /// The file of a program's name, by PATH; nil where there is none.
  static func find(_ name: String, in path: String = Command.plainEnvironment["PATH"]!) -> String? {
    if name.contains("/") { return name }
    return path.split(separator: ":").map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
  }
}

extension Command {
  func with(input: String) -> Command {
    var copy = self
    copy.input = Data(input.utf8)
    return copy
  }
}
