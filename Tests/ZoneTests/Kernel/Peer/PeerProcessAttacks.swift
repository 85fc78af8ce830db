import Foundation
import Glibc
import Testing

/// Attacks on the way that a process takes into a container, and on what it has when it is there.
extension PeerAttack {
  /// Numbers that a runtime's descriptors can have.
  private static let numbers = Array(3..<24)
  private static let up = String(repeating: "/..", count: 12)

  static let processes: [PeerAttack] = [
    PeerAttack(
      rule: "runtime binary overwritten from inside",
      attack: "who comes in by `exec` is caught by /proc/PID/exe and written over (CVE-2019-5736)",
      ours: .refused("only the sealed stage enters"),
      runc: .refused("fixed in 1.0.0-rc7: a copy of itself enters"),
      control: "replaced by a copy of nsenter(1)",
      perform: { bundle, way in
        bundle.give("CAP_SYS_PTRACE")
        let program = try bundle.arm("overwrite")
        // The file that comes in, and would be written over.
        let entering = way == .open ? bundle.folder + "/nsenter" : bundle.program
        if way == .open { try Command.text("cp", "-L", Command.find("nsenter") ?? "nsenter", entering) }
        // It is the container's own process, so that nothing of the runtime's waits for it and keeps the file busy.
        bundle.shell("exec \(program) 20 > /said")
        try bundle.create()
        try bundle.ok("start", "a")
        let said = { contents(bundle.rootfs + "/said") ?? "" }
        guard eventually({ said().contains("looking") }) else { return Found(true, "it does not look") }
        let pid = try bundle.state()?["pid"] as? Int ?? 0
        _ = eventually(timeout: 18) {
          let enter =
            way == .open
            ? Command(entering, "-t", "\(pid)", "-m", "-p", "/bin/true") : bundle.command(["exec", "a", "true"])
          _ = try? enter.run()
          return said().contains("caught") || said().contains("nothing")
        }
        guard eventually(timeout: 30, { said().contains("write over") || said().contains("nothing") }) else {
          return Found(true, "no end: \(said())")
        }
        let head = FileHandle(forReadingAtPath: entering)?.readData(ofLength: 4)
        return Found(head != Data([0x7f, 0x45, 0x4c, 0x46]) || said().contains("DONE"), said())
      }),
    PeerAttack(
      rule: "runtime binary overwritten from inside",
      attack: "the process is /proc/self/exe, with the libraries of the image",
      ours: .refused("the stage does not execute itself"),
      runc: .succeeds("runc itself runs in the container, though a copy that cannot be written"),
      perform: { bundle, _ in
        let libraries = (try? Command("ldd", bundle.program).run())?.out ?? ""
        for word in libraries.split(whereSeparator: \.isWhitespace) where word.hasPrefix("/") {
          let target = bundle.rootfs + word
          try FileManager.default.createDirectory(
            atPath: (target as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
          try Command.text("cp", "-L", String(word), target)
        }
        bundle["process.args"] = ["/proc/self/exe", "--version"]
        let outcome = try bundle.start()
        return Found(outcome.status == 0 || !outcome.out.isEmpty, outcome)
      }),
    PeerAttack(
      rule: "leaked host descriptors",
      attack: "the working directory is a descriptor of the runtime's, at the start and by `exec` (CVE-2024-21626)",
      ours: .refused("nothing is open, and getcwd must know it"),
      runc: .refused("fixed in 1.1.12, and in Debian's 1.1.5"),
      perform: { bundle, _ in
        let file = try bundle.victim() + "/file"
        let look = ["cat", "." + up + file]
        bundle["process.args"] = look
        for number in numbers {
          bundle["process.cwd"] = "/proc/self/fd/\(number)"
          let outcome = try bundle.start("b")
          if outcome.out.contains("untouched") { return Found(true, outcome) }
        }
        bundle["process.cwd"] = "/"
        try bundle.sleeping()
        for number in numbers {
          let outcome = try bundle.command(["exec", "--cwd", "/proc/self/fd/\(number)", "a"] + look).run()
          if outcome.out.contains("untouched") { return Found(true, outcome) }
        }
        return Found(false, "no number of \(numbers)")
      }),
    PeerAttack(
      rule: "leaked host descriptors",
      attack: "the program, a script's interpreter, or PATH is a descriptor of the runtime's",
      ours: .refused("all are closed, not marked, before the execve"),
      runc: .refused("fixed in 1.1.12, and in Debian's 1.1.5"),
      control: "with a folder handed over (`--preserve-fds`)",
      perform: { bundle, way in
        let plain = (name: "", flags: ["-nostdlib", "-static"])
        let outside = try Attack.build("outside", plain, into: bundle.folder + "/victim")
        let folder = (outside as NSString).deletingLastPathComponent
        if way == .open {
          bundle["process.args"] = ["/proc/self/fd/3" + up + outside]
          let command = try bundle.prepared("b", ["--preserve-fds", "1"]).through("exec \"$@\" 3</")
          let outcome = try command.run()
          return Found(outcome.out.contains("DONE"), outcome)
        }
        for number in numbers {
          let way = "/proc/self/fd/\(number)\(up)"
          let script = bundle.rootfs + "/bin/script"
          try "#!\(way)\(outside)\n".write(toFile: script, atomically: false, encoding: .utf8)
          chmod(script, 0o755)
          for (program, path) in [(way + outside, "/bin"), ("/bin/script", "/bin"), ("outside", way + folder)] {
            bundle["process.args"] = [program]
            bundle["process.env"] = ["PATH=\(path)"]
            let outcome = try bundle.start("b")
            if outcome.out.contains("DONE") { return Found(true, outcome) }
          }
        }
        return Found(false, "no number of \(numbers)")
      }),
    PeerAttack(
      rule: "leaked host descriptors",
      attack: "what the caller had open without close-on-exec (CVE-2016-9962)",
      ours: .refused("closed"),
      runc: .refused("marked close-on-exec"),
      control: "with `--preserve-fds`",
      perform: { bundle, way in
        let file = try bundle.victim() + "/file"
        bundle.shell("ls -l /proc/self/fd; cat /proc/self/fd/3/*; cat <&4; echo end")
        let command = try bundle.prepared("b", way == .open ? ["--preserve-fds", "2"] : [])
        let outcome = try command.through("exec 3<\(bundle.folder)/victim 4<\(file); exec \"$@\"").run()
        return Found(outcome.out.contains("untouched"), outcome)
      }),
    PeerAttack(
      rule: "leaked host descriptors",
      attack: "root, folder and descriptors of who comes in by `exec` are tried, with CAP_SYS_PTRACE (CVE-2016-9962)",
      ours: .refused("what enters has none of the host's"),
      runc: .refused("it lets go of the host's before it joins"),
      control: "with a folder handed over",
      perform: { bundle, way in
        bundle.give("CAP_SYS_PTRACE")
        let program = try bundle.arm("catcher")
        let marker = try bundle.victim() + "/file"
        try bundle.sleeping()
        let catcher = try bundle.command(["exec", "a", program, "4", marker]).start()
        guard catcher.readUntil({ $0.contains("ready") }) else { return Found(true, catcher.output) }
        let enter = bundle.command(
          way == .open ? ["exec", "--preserve-fds", "1", "a", "sleep", "1"] : ["exec", "a", "true"]
        ).through(way == .open ? "exec \"$@\" 3</" : "exec \"$@\"")
        _ = catcher.readUntil { text in
          if text.contains("end") || text.contains("DONE") { return true }
          _ = try? enter.run()
          return false
        }
        let found = catcher.output
        return Found(found.contains("DONE"), found.prefix(2000))
      }),
    PeerAttack(
      rule: "inheritable capabilities on exec",
      attack: "a capability given by `exec --cap` is inheritable or ambient (CVE-2022-29162)",
      ours: .refused("nothing is but what the bundle names"),
      runc: .refused("fixed in 1.1.2"),
      control: "with inheritable ones in the bundle",
      perform: { bundle, way in
        if way == .open { bundle.give("CAP_KILL", sets: ["inheritable"]) }
        try bundle.sleeping()
        let outcome = try bundle.run(
          "exec", "--cap", "CAP_KILL", "a", "grep", "-E", "CapInh|CapAmb", "/proc/self/status")
        return Found(
          outcome.lines.count != 2 || !outcome.lines.allSatisfy { $0.hasSuffix("\t0000000000000000") }, outcome)
      }),
    PeerAttack(
      rule: "`-u 1` parsed as root, overflow as a name",
      attack: "`exec --user 4294967296`, and as a group",
      ours: .refused("numbers are parsed strictly"),
      runc: .succeeds("the process is root's: 32 bits of the number are left"),
      perform: { bundle, _ in
        try bundle.sleeping()
        for user in ["4294967296", "1000:4294967296"] {
          let outcome = try bundle.run("exec", "--user", user, "a", "id")
          if outcome.out.contains("(root)") || outcome.out.contains("gid=0") { return Found(true, outcome) }
        }
        return Found(false, "both")
      }),
    PeerAttack(
      rule: "keystrokes pushed to the parent terminal",
      attack: "TIOCSTI into the caller's terminal, which a detached container has as its input (CVE-2017-5226)",
      ours: .refused("a session of its own"),
      runc: .refused("the same"),
      control: "with CAP_SYS_ADMIN",
      perform: { bundle, way in
        if way == .open { bundle.give("CAP_SYS_ADMIN") }
        bundle["process.args"] = [try bundle.arm("terminal")]
        let command = try bundle.prepared("a", ["--detach"]).through(
          "\"$@\"; until \"$1\" --root \(bundle.folder)/state state a | grep -q stopped; do :; done")
        let terminal = try Terminal(command)
        _ = terminal.wait()
        return Found(!terminal.screen.contains("end") || terminal.screen.contains("DONE"), terminal.screen)
      }),
    PeerAttack(
      rule: "netlink attribute length overflow",
      attack: "the path of a namespace is longer than an attribute's length can tell (CVE-2021-43784)",
      ours: .refused("no netlink is in the way; the path is too long"),
      runc: .refused("fixed in 1.0.3"),
      perform: { bundle, _ in
        let long = String(repeating: "/", count: 65536 + 32) + "proc/self/ns/net"
        bundle["linux.namespaces"] = (bundle["linux.namespaces"] as? [[String: Any]])?.map { namespace in
          namespace["type"] as? String == "network" ? ["type": "network", "path": long] : namespace
        }
        bundle.shell("echo ran")
        let outcome = try bundle.start()
        return Found(outcome.text == "ran", outcome)
      }),
    PeerAttack(
      rule: "supplementary groups kept",
      attack: "the caller's groups, at the start and by `exec`",
      ours: .refused("setgroups always runs"),
      runc: .refused("the same"),
      control: "with additionalGids",
      perform: { bundle, way in
        if way == .open { bundle["process.user.additionalGids"] = [4, 27] }
        let asMember = { (command: Command) throws -> Outcome in
          var command = command
          command.argv = ["setpriv", "--groups", "4,27", "--"] + command.argv
          return try command.run()
        }
        bundle.shell("grep Groups: /proc/self/status")
        let first = try asMember(try bundle.prepared("b"))
        try bundle.sleeping()
        let second = try asMember(bundle.command(["exec", "a", "grep", "Groups:", "/proc/self/status"]))
        let none = [first, second].allSatisfy { $0.text == "Groups:" || $0.text == "Groups:\t0" }
        return Found(!none, "\(first) \(second)")
      }),
    PeerAttack(
      rule: "the caller's keys",
      attack: "a key in the caller's session keyring is searched for and read",
      ours: .refused("a session keyring of its own"),
      runc: .refused("the same"),
      control: "with `--no-new-keyring`",
      perform: { bundle, way in
        let helper = try Attack.build("withkey", into: bundle.folder + "/helpers")
        bundle["process.args"] = [try bundle.arm("keyring"), "0"]
        var command = try bundle.prepared("a", way == .open ? ["--no-new-keyring"] : [])
        command.argv.insert(helper, at: 0)
        let outcome = try command.run()
        let report = Report(lines: outcome.lines)
        return Found(report.refusal("search session") == nil || !outcome.out.contains("own: read"), outcome)
      }),
    PeerAttack(
      rule: "a hostile tree: FIFOs",
      attack: "/etc/passwd of the root is a FIFO: the start waits for a writer without end",
      ours: .refused("nobody's name is looked up there"),
      runc: .succeeds("it hangs until it is killed"),
      perform: { bundle, _ in
        for name in ["passwd", "group"] {
          unlink(bundle.rootfs + "/etc/" + name)
          mkfifo(bundle.rootfs + "/etc/" + name, 0o644)
        }
        bundle.timeout = 5
        bundle.shell("echo ran")
        let outcome = try bundle.start()
        return Found(outcome.timedOut, outcome)
      }),
    PeerAttack(
      rule: "the runtime signalled from inside",
      attack: "kill(0) of the process reaches the process group that started the runtime",
      ours: .refused("a session of its own"),
      runc: .refused("the same"),
      perform: { bundle, _ in
        bundle.shell("kill -USR1 0; kill -USR1 -1; echo alive")
        let outcome = try bundle.prepared("a").through("trap 'echo signalled' USR1; \"$@\"; echo after").run()
        return Found(outcome.out.contains("signalled") || !outcome.out.contains("after"), outcome)
      }),
  ]
}
