import Foundation
import Glibc
import Testing

/// A watched sandbox, from end to end.
@Suite(.serialized, .machine, .needs(.root, .ordinaryUser, .program("gcc"), .program("git")), .ends(within: 5))
struct WatchTests {
  struct Told: Decodable {
    struct Denial: Decodable {
      var kind: String
      var name: String
      var call: String
      var rule: String
    }
    var status: Int
    var denials: [Denial]
  }

  private func watched(_ me: Developer, _ options: [String] = [], _ script: String) throws -> (Outcome, Told) {
    let path = me.zones.folder + "/report.json"
    let outcome = try me.inside(["--report", path] + options, script)
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    return (outcome, try JSONDecoder().decode(Told.self, from: data))
  }

  /// What is tried, and what of it is to be read in the report: kind, the name's end, a part of the rule.
  static let attempts: [(script: String, kind: String, name: String, rule: String)] = [
    ("cat $H/.ssh/id", "file", "/.ssh/id", "yours alone"),
    ("cat $H/.netrc", "file", "/.netrc", "yours alone"),
    ("cat $H/other/file", "file", "/other/file", "not given"),
    ("ln -s $H/.ssh/key link; cat link; rm -f link", "file", "/.ssh/key", "yours alone"),
    ("cat /etc/shadow", "file", "/etc/shadow", "a copy"),
    ("touch /usr/local/bin/x", "file", "/usr/local/bin/x", "the machine's"),
    ("echo x >> $H/.bashrc", "file", "/.bashrc", "not given"),
    ("echo x > .git/hooks/post-checkout", "file", "/.git/hooks/post-checkout", "protected"),
    ("echo x >> .git/config", "file", "/.git/config", "protected"),
    ("mv .git old", "file", "/.git", "stays where it is"),
    ("echo x > .envrc", "file", "/.envrc", "protected"),
    ("echo x > /proc/sys/kernel/core_pattern", "file", "/proc/sys/kernel/core_pattern", "read-only"),
    ("reach route 192.0.2.1 9", "network", "192.0.2.1:9", "--network none"),
    ("reach route6 2001:db8::1 9", "network", "]:9", "--network none"),
    ("reach packet", "call", "socket AF_PACKET", "families"),
    ("reach vsock", "call", "socket AF_VSOCK", "families"),
    ("reach tiocsti", "call", "ioctl TIOCSTI", "keystrokes"),
    ("reach userns", "call", "unshare CLONE_NEWUSER", "--nesting"),
    ("reach mount", "call", "mount", "CAP_SYS_ADMIN"), ("reach chroot", "call", "chroot", "CAP_SYS_CHROOT"),
    ("reach io_uring", "call", "io_uring_setup", "no zone has it"),
    ("reach userfaultfd", "call", "userfaultfd", "no zone has it"),
    ("reach keyring", "call", "keyctl", "--nesting"), ("reach bpf", "call", "bpf", "CAP_BPF"),
    ("reach perf", "call", "perf_event_open", "CAP_PERFMON"),
  ]

  @Test(arguments: [Zonectl.Who.ordinaryUser, .userOfOneId, .root]) func whatIsRefusedIsToldWithItsRule(
    who: Zonectl.Who
  ) throws {
    try Developer.with(who, git: true) { (me) throws in
      let tools = me.zones.folder + "/tools"
      _ = try Attack.build("reach", into: tools)
      try me.outside(
        "mkdir -p ~/.ssh ~/other; for f in .ssh/id .ssh/key .netrc other/file .bashrc; do echo x > ~/$f; done")
      let script = Self.attempts.map { "(\($0.script)) 2>/dev/null" }.joined(separator: "\n")
      let (outcome, told) = try watched(
        me, ["--ro", tools], "H=\(me.home) PATH=$PATH:\(tools)\n\(script)\necho done")
      #expect(outcome.lines.last == "done" && !outcome.out.contains("TAKEN"), "\(outcome)")
      for attempt in Self.attempts {
        let found = told.denials.contains {
          $0.kind == attempt.kind && $0.name.hasSuffix(attempt.name) && $0.rule.contains(attempt.rule)
        }
        #expect(found, "\(attempt.script): \(told.denials.map { "\($0.kind) \($0.call) \($0.name): \($0.rule)" })")
      }
      #expect(!told.denials.contains { $0.name.hasPrefix("/usr/lib") || $0.name == me.project })
    }
  }

  /// What works in a sandbox is no denial, and works as fast as it did: a status, a pipe, children, a signal.
  @Test func aWatchedCommandIsLeftAlone() throws {
    try Developer.with(git: true) { (me) throws in
      let (outcome, told) = try watched(
        me, [],
        "echo two > file; mkdir d; (sleep 5 & kill $!; wait); ls | wc -l; cat file /tmp/none 2>/dev/null; exit 3")
      #expect(outcome.status == 3 && told.status == 3 && outcome.lines.last == "two", "\(outcome)")
      #expect(told.denials.isEmpty, "\(told.denials)")
      let loud = try me.inside(["--verbose"], "cat \(me.home)/../zonectl; touch /usr/x")
      #expect(loud.err.contains("/usr/x: the machine's own, read-only"), "\(loud)")
    }
  }

  /// Without whoever answers, what is asked is refused: nothing hangs, and nothing is open.
  @Test func aKilledWatcherOpensNothing() throws {
    try Developer.with { (me) throws in
      try me.outside("mkdir ~/.ssh; echo key > ~/.ssh/id; mkfifo way; touch found")
      // Builtins alone: the shell itself asks for each.
      let script = """
        exec 3<>way; echo ready; read line <&3
        read before < /etc/hostname || echo refused; echo x > /usr/x && echo TAKEN
        exec 4< \(me.home)/.ssh/id && read key <&4 && echo TAKEN $key
        """
      let running = try me.command(["--report", me.zones.folder + "/r"], ["sh", "-c", script]).start()
      try #require(running.readUntil { $0.contains("ready") })
      var watcher: Int32?
      _ = eventually(timeout: 10) {
        let found = try? Command("pgrep", "-f", "^\(me.zones.folder)/zonectl sandbox-watch").run()
        watcher = found?.lines.first.flatMap { Int32($0) }
        return watcher != nil
      }
      #expect(kill(try #require(watcher), SIGKILL) == 0)
      try me.outside("echo go > way")
      let outcome = try running.finish(timeout: 20)
      #expect(!outcome.timedOut && outcome.out.contains("refused") && !outcome.out.contains("TAKEN"), "\(outcome)")
      #expect(outcome.err.contains("watcher was killed"), "\(outcome)")
    }
  }

  /// The command may filter itself, and cannot have a second listener: the kernel takes one.
  @Test func aFilterInTheFilterWorks() throws {
    try Developer.with { (me) throws in
      let program = """
        import ctypes, os, platform, struct
        call = ctypes.CDLL(None, use_errno=True).syscall
        number = 317 if platform.machine() == "x86_64" else 277
        allow = (ctypes.c_ubyte * 8).from_buffer_copy(struct.pack("HBBI", 6, 0, 0, 0x7fff0000))
        class Filter(ctypes.Structure): _fields_ = [("count", ctypes.c_ushort), ("program", ctypes.c_void_p)]
        one = Filter(1, ctypes.addressof(allow))
        print(call(number, 1, 0, ctypes.byref(one)))
        print(call(number, 1, 8, ctypes.byref(one)), ctypes.get_errno())
        print(open("/etc/passwd").read() != "")
        """
      try program.write(toFile: me.project + "/filter.py", atomically: true, encoding: .utf8)
      let (outcome, _) = try watched(me, [], "python3 filter.py")
      #expect(outcome.lines == ["0", "-1 \(EBUSY)", "True"], "\(outcome)")
    }
  }
}
