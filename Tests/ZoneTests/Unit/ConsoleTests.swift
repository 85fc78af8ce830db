import Foundation
import Glibc
import LinuxNS
import Testing

@testable import ZoneRuntime

/// The terminal client between two real pseudo-terminals: the person's and the zone's.
/// Serialized: a process can have one raw terminal.
@Suite(.serialized, .ends(within: 1)) struct ConsoleTests {
  @Test func rawWhileItRunsAndRestoredAtTheEnd() throws {
    let rig = try Rig("read line; exit 7")
    let before = try rig.personModes()
    let running = rig.start()
    #expect(eventually { try! LinuxNS.Terminal.isRaw(rig.personSlave) })
    rig.type("go\r")
    #expect(running.outcome() == .ended(.exited(7), oomKilled: false))
    #expect(try rig.personModes() == before)
  }

  @Test(arguments: [SIGTERM, SIGHUP, SIGINT, SIGQUIT]) func restoredWhenASignalTellsUsToGo(signal: CInt) throws {
    let rig = try Rig("read line")
    let before = try rig.personModes()
    let running = rig.start()
    #expect(eventually { try! LinuxNS.Terminal.isRaw(rig.personSlave) })
    running.signal(signal)
    #expect(running.outcome() == .interrupted(signal))
    #expect(try rig.personModes() == before)
  }

  @Test func aDeadlineEndsTheRelay() throws {
    let rig = try Rig("read line")
    let running = rig.start { $0.deadline = LinuxNS.Clock.monotonicNanoseconds() + 50_000_000 }
    #expect(running.outcome() == .timedOut)
  }

  @Test func detachKeysAreSeenAlsoWhenTheyComeOneByOne() throws {
    let rig = try Rig("stty raw -echo; echo ready; exec cat")
    let running = rig.start { $0.detachKeys = .standard }
    #expect(rig.shown(until: "ready"))
    rig.type("\u{10}x\u{10}")
    // A first key that was none is passed on with what follows it; the second is still held back.
    #expect(rig.shown(until: "\u{10}x"))
    rig.type("\u{11}")
    #expect(running.outcome() == .detached)
    #expect(!rig.screen().contains("\u{11}"))
  }

  @Test func controlCIsAByteAndTheFarTerminalMakesItASignal() throws {
    let rig = try Rig("trap 'echo caught; exit 3' INT; echo ready; while :; do read line; done", ownsTerminal: true)
    let running = rig.start()
    #expect(rig.shown(until: "ready"))
    rig.type("\u{3}")
    #expect(running.outcome() == .ended(.exited(3), oomKilled: false))
    #expect(rig.screen().contains("caught"))
  }

  @Test func theWindowsSizeIsPassedOnAtTheStartAndWhenItChanges() throws {
    let rig = try Rig("read line")
    try LinuxNS.Terminal.setSize(rig.person, WindowSize(rows: 31, columns: 97))
    let running = rig.start()
    #expect(eventually { try! LinuxNS.Terminal.size(rig.zoneSlave) == WindowSize(rows: 31, columns: 97) })
    try LinuxNS.Terminal.setSize(rig.person, WindowSize(rows: 50, columns: 132))
    running.signal(SIGWINCH)
    #expect(eventually { try! LinuxNS.Terminal.size(rig.zoneSlave) == WindowSize(rows: 50, columns: 132) })
    rig.type("\r")
    #expect(running.outcome() == .ended(.exited(0), oomKilled: false))
  }

  @Test func aMegabyteOfAnyBytesPassesUnchangedBothWays() throws {
    let rig = try Rig("stty raw -echo; echo ready; exec head -c 1048576")
    let running = rig.start()
    #expect(rig.shown(until: "ready\n"))
    rig.forget()
    var random = SplitMix(state: 42)
    let sent = (0..<1_048_576).map { _ in UInt8.random(in: 0...255, using: &random) }
    var received: [UInt8] = []
    var at = 0
    let deadline = Date().addingTimeInterval(40)
    while received.count < sent.count && Date() < deadline {
      if at < sent.count {
        let count = sent[at...].withUnsafeBytes { write(rig.person, $0.baseAddress, min($0.count, 4096)) }
        if count > 0 { at += count }
      }
      received += rig.take(milliseconds: at < sent.count ? 0 : 20)
    }
    #expect(received == sent)
    #expect(running.outcome() == .ended(.exited(0), oomKilled: false))
  }

  @Test func endOfInputBecomesTheTerminalsEndOfFile() throws {
    let rig = try Rig("cat >/dev/null; exit 5")
    let pipe = try OwnedFD.pipe()
    try FileSystem.write(Array("text\n".utf8), to: pipe.second)
    let running = rig.start { $0.input = pipe.first.raw }
    _ = try? FileSystem.write([], to: pipe.second)
    dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), pipe.second.raw)  // closes the pipe's only writing end
    #expect(running.outcome() == .ended(.exited(5), oomKilled: false))
  }

  @Test func aBackgroundProcessDoesNotHoldTheTerminal() throws {
    let rig = try Rig("sleep 30 & echo last words; exit 0")
    let running = rig.start()
    #expect(running.outcome(timeout: 10) == .ended(.exited(0), oomKilled: false))
    #expect(rig.screen().contains("last words"))
  }
}

/// A person's terminal, a zone's terminal, and a shell on the latter.
final class Rig: @unchecked Sendable {  // descriptors only; one test uses it, and the client's thread reads numbers
  let person: CInt, personSlave: CInt
  let zone: CInt, zoneSlave: CInt
  private let pid: pid_t
  private var seen: [UInt8] = []

  init(_ script: String, ownsTerminal: Bool = false) throws {
    let persons = try LinuxNS.Terminal.openPair()
    let zones = try LinuxNS.Terminal.openPair()
    person = try persons.first.duplicate().take()
    personSlave = try persons.second.duplicate().take()
    zone = try zones.first.duplicate().take()
    zoneSlave = try zones.second.duplicate().take()
    _ = fcntl(person, F_SETFL, O_NONBLOCK)
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for number: CInt in 0...2 { posix_spawn_file_actions_adddup2(&actions, zoneSlave, number) }
    let command = ownsTerminal ? ["setsid", "-c", "sh", "-c", script] : ["setsid", "sh", "-c", script]
    var arguments = command.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var child: pid_t = 0
    // A shell cannot trap what was ignored when it began, and the test runner may ignore SIGINT.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var all = sigset_t()
    var none = sigset_t()
    sigfillset(&all)
    sigemptyset(&none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
    let result = posix_spawnp(&child, "setsid", &actions, &attributes, &arguments, environ)
    guard result == 0 else { throw SyscallError(call: "posix_spawnp", errno: result) }
    pid = child
  }

  deinit {
    kill(pid, SIGKILL)
    var status: CInt = 0
    waitpid(pid, &status, WNOHANG)
    for fd in [person, personSlave, zone, zoneSlave] { close(fd) }
  }

  func start(_ change: (inout TerminalClient) -> Void = { _ in }) -> RunningClient {
    var client = TerminalClient(input: personSlave, output: personSlave, error: personSlave, isTerminal: true)
    change(&client)
    let (zone, pid) = (zone, pid)
    return RunningClient { [client] in
      let master = OwnedFD(raw: try OwnedFD(raw: zone).borrowedDuplicate())
      let process = try Pidfd.open(pid)
      let outcome = try client.relay(master: master, until: process.fd.raw)
      return outcome == .finished ? .ended(try process.reap(), oomKilled: false) : outcome
    }
  }

  func type(_ text: String) {
    let bytes = Array(text.utf8)
    _ = bytes.withUnsafeBytes { write(person, $0.baseAddress, $0.count) }
  }

  func take(milliseconds: CInt) -> [UInt8] {
    var entry = pollfd(fd: person, events: Int16(POLLIN), revents: 0)
    guard poll(&entry, 1, milliseconds) > 0 else { return [] }
    var room = [UInt8](repeating: 0, count: 65536)
    let count = read(person, &room, room.count)
    return count > 0 ? Array(room[0..<count]) : []
  }

  func screen() -> String {
    while case let more = take(milliseconds: 0), !more.isEmpty { seen += more }
    return String(decoding: seen, as: UTF8.self)
  }

  func shown(until text: String) -> Bool { eventually { self.screen().contains(text) } }
  func forget() { seen = [] }

  func personModes() throws -> [UInt8] {
    var modes = termios()
    guard tcgetattr(personSlave, &modes) == 0 else { throw SyscallError(call: "tcgetattr", errno: errno) }
    return withUnsafeBytes(of: modes) { Array($0) }
  }
}

extension OwnedFD {
  /// A duplicate's number; this descriptor stays its owner's.
  consuming func borrowedDuplicate() throws -> CInt {
    let copy = try duplicate().take()
    _ = take()
    return copy
  }
}

/// A relay on a thread of its own.
final class RunningClient: @unchecked Sendable {  // `lock` guards what both threads touch
  private let lock = NSCondition()
  private var result: Result<TerminalClient.Outcome, any Error>?
  private var thread: pthread_t?

  init(_ body: @escaping @Sendable () throws -> TerminalClient.Outcome) {
    let thread = Thread { [self] in
      lock.lock()
      self.thread = pthread_self()
      lock.broadcast()
      lock.unlock()
      let result = Result { try body() }
      lock.lock()
      self.result = result
      lock.broadcast()
      lock.unlock()
    }
    thread.start()
    lock.lock()
    while self.thread == nil { lock.wait() }
    lock.unlock()
  }

  /// To that thread alone: the process's other threads do not block it.
  func signal(_ number: CInt) {
    lock.lock()
    defer { lock.unlock() }
    if result == nil { pthread_kill(thread!, number) }
  }

  /// CPU seconds of the relay's thread so far.
  func spent() -> Double {
    lock.lock()
    defer { lock.unlock() }
    var clock = clockid_t()
    var time = timespec()
    guard result == nil, pthread_getcpuclockid(thread!, &clock) == 0, clock_gettime(clock, &time) == 0 else { return 0 }
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  func outcome(timeout: Double = 15) -> TerminalClient.Outcome? {
    let deadline = Date().addingTimeInterval(timeout)
    lock.lock()
    defer { lock.unlock() }
    while result == nil { guard lock.wait(until: deadline) else { return nil } }
    if case .failure(let error)? = result { Issue.record("\(error)") }
    return try? result!.get()
  }
}
