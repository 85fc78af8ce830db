import Foundation
import Glibc
import Testing

/// What a hostile command tries in a sandbox, and how that ends there and in bubblewrap's with its usual options.
struct SandboxAttempt: Sendable, CustomTestStringConvertible {
  enum Ending: String, Sendable {
    case refused
    /// It succeeds, within a limit that the caller has.
    case bounded
    case succeeds = "**succeeds**"
    /// Nobody asked for a wall there.
    case notCovered = "not covered"
  }

  /// What is tried.
  var what: String
  var ours: Ending
  /// Without namespaces (`--require landlock`).
  var bare = Ending.refused
  var bwrap: Ending
  var firejail = Ending.refused
  /// Of the sandbox; PORT is the port of a service of the host's.
  var options: [String] = []
  /// A shell's script inside. It prints TAKEN where it got what it wanted. `$H` is the home, `$P` the project, `$V`
  /// something of the host's that the case made, `reach` the program of Tests/attacks.
  var script: String
  /// The same, outside and afterwards: what it did there.
  var after = ""

  var testDescription: String { what }
  var row: String { "| \(what) | \(ours.rawValue) | \(bare.rawValue) | \(bwrap.rawValue) | \(firejail.rawValue) |" }
  static let head =
    "| what is tried | zonectl sandbox | by Landlock alone | bwrap, the machine read-only and the project bound | firejail, its default profile and no network |"

  static let all: [SandboxAttempt] = [
    .init(what: "read a key in ~/.ssh", ours: .refused, bwrap: .succeeds, script: "cat $H/.ssh/id && echo TAKEN"),
    .init(what: "read a password in ~/.netrc", ours: .refused, bwrap: .succeeds, script: "cat $H/.netrc && echo TAKEN"),
    .init(
      what: "read the shell's history", ours: .refused, bwrap: .succeeds, script: "cat $H/.bash_history && echo TAKEN"),
    .init(
      what: "read another project", ours: .refused, bwrap: .succeeds, firejail: .succeeds,
      script: "cat $H/other/file && echo TAKEN"),
    .init(
      what: "read a key through a link in the project", ours: .refused, bwrap: .succeeds,
      script: "ln -s $H/.ssh/id link; cat link && echo TAKEN; rm -f link"),
    .init(
      what: "read a key through a hard link", ours: .refused, bwrap: .refused,
      script: "ln $H/.ssh/id hard && cat hard && echo TAKEN"),
    .init(
      what: "read a secret in the environment", ours: .refused, bwrap: .succeeds, firejail: .succeeds,
      script: "env | grep -q '^API_TOKEN=' && echo TAKEN"),
    .init(
      what: "read the environment of who started it", ours: .refused, bwrap: .succeeds, firejail: .succeeds,
      script: "cat /proc/[0-9]*/environ 2>/dev/null | grep -aq API_TOKEN=outside && echo TAKEN"),
    .init(what: "read /etc/shadow", ours: .refused, bwrap: .refused, script: "cat /etc/shadow && echo TAKEN"),
    .init(what: "write to /usr", ours: .refused, bwrap: .refused, script: "touch /usr/local/bin/x && echo TAKEN"),
    .init(
      what: "write to the caller's shell's start-up file", ours: .refused, bwrap: .refused,
      script: "echo x >> $H/.bashrc", after: "grep -q x $H/.bashrc && echo TAKEN"),
    .init(
      what: "plant a git hook", ours: .refused, bare: .notCovered, bwrap: .succeeds, firejail: .succeeds,
      script: "echo x > .git/hooks/post-checkout",
      after: "test -e $P/.git/hooks/post-checkout && echo TAKEN"),
    .init(
      what: "name a program in .git/config", ours: .refused, bare: .notCovered, bwrap: .succeeds, firejail: .succeeds,
      script: "printf '[core]\\nfsmonitor = x\\n' >> .git/config",
      after: "grep -q fsmonitor $P/.git/config && echo TAKEN"),
    .init(
      what: "move .git away and make another", ours: .refused, bare: .notCovered, bwrap: .succeeds, firejail: .succeeds,
      script: "mv .git old && mkdir .git && cp -r old/. .git && echo x > .git/hooks/a",
      after: "test -e $P/old && echo TAKEN"),
    .init(
      what: "plant .envrc", ours: .refused, bare: .notCovered, bwrap: .succeeds, firejail: .succeeds,
      script: "echo x > .envrc",
      after: "test -e $P/.envrc && echo TAKEN"),
    .init(
      what: "plant an editor's task", ours: .refused, bare: .notCovered, bwrap: .succeeds, firejail: .succeeds,
      script: "mkdir .vscode; echo x > .vscode/tasks.json",
      after: "test -e $P/.vscode/tasks.json && echo TAKEN"),
    .init(
      what: "plant an agent's configuration", ours: .refused, bare: .notCovered, bwrap: .succeeds, firejail: .succeeds,
      script: "mkdir .claude; echo x > .claude/settings.json",
      after: "test -e $P/.claude/settings.json && echo TAKEN"),
    .init(
      what: "put something in place of what covers it", ours: .refused, bare: .notCovered, bwrap: .succeeds,
      firejail: .succeeds,
      script: "rmdir .idea 2>/dev/null; mv .idea x 2>/dev/null; ln -s /tmp .idea",
      after: "test -L $P/.idea && echo TAKEN"),
    .init(
      what: "leave by the directories of others' processes", ours: .refused, bwrap: .succeeds, firejail: .succeeds,
      script: "for p in /proc/[0-9]*; do cat $p/root$V/file 2>/dev/null && echo TAKEN; done"),
    .init(what: "signal a process of the caller's", ours: .refused, bwrap: .refused, script: "reach signal $VICTIM"),
    .init(
      what: "reach a service on the host's 127.0.0.1", ours: .refused, bwrap: .refused,
      script: "reach tcp 127.0.0.1 $PORT"),
    .init(what: "send to an address by IPv4", ours: .refused, bwrap: .refused, script: "reach route 192.0.2.1 9"),
    .init(what: "send to an address by IPv6", ours: .refused, bwrap: .refused, script: "reach route6 2001:db8::1 9"),
    .init(what: "ask a name server", ours: .refused, bwrap: .refused, script: "reach route 192.0.2.53 53"),
    .init(what: "connect to an abstract socket", ours: .refused, bwrap: .refused, script: "reach abstract $SOCKET"),
    .init(
      what: "connect to an agent's socket in the home", ours: .refused, bwrap: .succeeds,
      script: "reach unix $H/agent.sock"),
    .init(what: "open a raw socket", ours: .refused, bwrap: .refused, script: "reach packet"),
    .init(what: "open a socket to the hypervisor (vsock)", ours: .refused, bwrap: .notCovered, script: "reach vsock"),
    .init(what: "attach shared memory of the caller's", ours: .refused, bwrap: .refused, script: "reach shm $KEY"),
    .init(what: "push keystrokes (TIOCSTI)", ours: .refused, bwrap: .succeeds, script: "reach tiocsti"),
    .init(what: "make a user namespace", ours: .refused, bwrap: .succeeds, script: "reach userns"),
    .init(what: "mount", ours: .refused, bwrap: .refused, script: "reach mount"),
    .init(what: "chroot", ours: .refused, bwrap: .refused, script: "reach chroot"),
    .init(what: "set up io_uring", ours: .refused, bwrap: .succeeds, script: "reach io_uring"),
    .init(what: "set up userfaultfd", ours: .refused, bwrap: .succeeds, script: "reach userfaultfd"),
    .init(what: "reach the caller's session keyring", ours: .refused, bwrap: .succeeds, script: "reach keyring"),
    .init(what: "load a BPF program", ours: .refused, bwrap: .notCovered, script: "reach bpf"),
    .init(what: "open a performance counter", ours: .refused, bwrap: .notCovered, script: "reach perf"),
    .init(
      what: "gain privileges by a set-uid program", ours: .refused, bwrap: .refused,
      script: "reach privileges"),
    .init(
      what: "change the kernel's settings", ours: .refused, bwrap: .refused,
      script: "echo x > /proc/sys/kernel/core_pattern && echo TAKEN"),
    .init(
      what: "fill the disk through /tmp", ours: .bounded, bwrap: .bounded, firejail: .succeeds,
      script: "dd if=/dev/zero of=/tmp/fill-$KEY bs=1k count=1 2>/dev/null",
      after: "test -e /tmp/fill-$KEY && echo TAKEN"),
    .init(
      what: "fork without end (--pids 50)", ours: .bounded, bare: .bounded, bwrap: .notCovered, firejail: .notCovered,
      options: ["--pids", "50"],
      script: "reach forks > made; [ \"$(cat made)\" -lt 50 ] || echo TAKEN; rm made"),
    .init(
      what: "reach an address past --network allow=", ours: .refused, bwrap: .notCovered, firejail: .notCovered,
      options: ["--network", "allow=one.example:443"],
      script: #"""
        python3 -c 'import socket
        s = socket.create_connection(("127.0.0.1", 3128))
        s.sendall(b"CONNECT 192.0.2.1:443 HTTP/1.1\r\n\r\n")
        print("TAKEN" if b" 200 " in s.recv(99) else "no")'
        reach route 192.0.2.1 9
        """#),
    .init(
      what: "show another name in TLS than was allowed", ours: .refused, bwrap: .notCovered, firejail: .notCovered,
      options: ["--network", "allow=localhost:PORT"],
      script: #"""
        python3 -c 'import socket, ssl
        s = socket.create_connection(("127.0.0.1", 3128))
        s.sendall(b"CONNECT localhost:'$PORT' HTTP/1.1\r\n\r\n")
        assert b" 200 " in s.recv(99)
        s.settimeout(3)
        try: ssl._create_unverified_context().wrap_socket(s, server_hostname="evil.example")
        except ssl.SSLError as error: print("no", error)
        except TimeoutError: print("TAKEN")'
        """#),
  ]
}
