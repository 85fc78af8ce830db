import Foundation
import Glibc
import Testing

/// A hostile command in a sandbox, carried out against the program as it is released, and the same one in bubblewrap.
@Suite(
  .serialized, .machine, .needs(.root, .ordinaryUser, .program("gcc"), .program("git"), .program("bwrap")),
  .ends(within: 5))
struct AttackSandboxTests {
  @Test(arguments: [Zonectl.Who.ordinaryUser, .userOfOneId, .root]) func everyAttemptEndsAsTheTableSays(
    who: Zonectl.Who
  )
    throws
  {
    try Victim.with(who) { (victim) throws in
      for attempt in SandboxAttempt.all {
        let found = try victim.try(attempt, in: victim.sandbox)
        #expect(found.taken == (attempt.ours == .succeeds), "\(attempt.what): \(found.told)")
        try victim.restore()
      }
    }
  }

  /// An attempt that bubblewrap lets through shows that its success would be seen.
  @Test func theSameInBubblewrap() throws {
    try Victim.with(.ordinaryUser) { (victim) throws in
      for attempt in SandboxAttempt.all where attempt.bwrap == .succeeds || attempt.bwrap == .refused {
        let found = try victim.try(attempt, in: victim.bubblewrap)
        #expect(found.taken == (attempt.bwrap == .succeeds), "\(attempt.what): \(found.told)")
        try victim.restore()
      }
    }
  }

  @Test func limitsHoldWithoutAControlGroup() throws {
    try Victim.with(.userOfOneId) { (victim) throws in
      let outcome = try victim.me.command(["--pids", "20", "--ro", victim.tools], ["\(victim.tools)/reach", "forks"])
        .run()
      let made = try #require(Int(outcome.text), "\(outcome)")
      #expect(made > 5 && made < 20, "\(outcome)")
    }
  }
}

/// The same in firejail, a setuid program, which only the long run installs.
@Suite(
  .serialized, .machine, .needs(.root, .ordinaryUser, .program("gcc"), .program("git"), .program("firejail")),
  .ends(within: 5))
struct LongAttackSandboxTests {
  @Test func theSameInFirejail() throws {
    let home = try #require(OrdinaryUser.found).home
    try Victim.with(.ordinaryUser) { (victim) throws in
      for attempt in SandboxAttempt.all where attempt.firejail == .succeeds || attempt.firejail == .refused {
        let found = try victim.try(attempt, in: victim.firejail, home: home)
        #expect(found.taken == (attempt.firejail == .succeeds), "\(attempt.what): \(found.told)")
        try victim.restore()
      }
    }
  }
}

/// A developer with things to lose.
final class Victim {
  let me: Developer
  let tools: String
  /// Options of the sandbox.
  var walls: [String] = []
  private var port: UInt16 = 0
  private var sockets: [Int32] = []
  private let key: Int32 = 0x5a6f_0000 | (getpid() & 0xffff)
  private var memory: Int32 = -1
  private var process: Running?

  static func with(_ who: Zonectl.Who, _ body: (Victim) throws -> Void) throws {
    try Developer.with(who, git: true) { (me) throws in
      let victim = try Victim(me)
      defer { victim.end() }
      try body(victim)
    }
  }

  private init(_ me: Developer) throws {
    self.me = me
    tools = me.zones.folder + "/tools"
    _ = try Attack.build("reach", into: tools)
    self.me.environment["API_TOKEN"] = "outside"
    try me.outside(
      """
      mkdir -p ~/.ssh ~/other; echo key > ~/.ssh/id; echo p > ~/.netrc; echo h > ~/.bash_history; echo mine > ~/other/file
      echo '# mine' > ~/.bashrc
      """)
    sockets = [try listener(), try abstract("\(me.zones.folder)/abstract"), try named(me.home + "/agent.sock")]
    memory = shmget(key, 4096, IPC_CREAT | 0o666)
    process = try Command(me.zones.prefix + ["sleep", "1000"]).start()
  }

  func end() {
    for socket in sockets { close(socket) }
    if memory >= 0 { shmctl(memory, IPC_RMID, nil) }
    if let process {
      kill(process.pid, SIGKILL)
      _ = try? process.finish(timeout: 5)
    }
  }

  /// A command around a script; options are the sandbox' own.
  typealias Walls = (_ script: String, _ options: [String]) -> Command

  var sandbox: Walls {
    { [me, tools, walls] script, options in
      me.command(walls + options + ["--ro", tools], ["sh", "-c", script])
    }
  }

  var bubblewrap: Walls {
    { [me] script, _ in
      var command = me.command([], ["sh", "-c", script])
      let from = command.argv.firstIndex { $0.hasSuffix("/zonectl") } ?? 0
      command.argv.replaceSubrange(
        from..<(command.argv.count - 3),
        with: [
          "bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--ro-bind",
          me.zones.folder,
          me.zones.folder, "--bind", me.project, me.project, "--unshare-all", "--die-with-parent",
        ])
      return command
    }
  }

  /// By the profile that it has for a program of no particular name, and without a network. It knows one home alone, that of
  /// passwd(5), so his stands there.
  var firejail: Walls {
    { [me] script, _ in
      var command = me.command([], [])
      let user = OrdinaryUser.found
      let enter = "mount --bind \(me.home) \(user?.home ?? ""); cd \(user?.home ?? "")/project; exec \"$@\""
      command.argv =
        ["unshare", "--mount", "--propagation", "private", "sh", "-ec", enter, "sh"] + OrdinaryUser.prefix
        + ["firejail", "--quiet", "--net=none", "sh", "-c", script]
      command.environment["HOME"] = user?.home
      return command
    }
  }

  func `try`(_ attempt: SandboxAttempt, in walls: Walls, home: String? = nil) throws -> (taken: Bool, told: String) {
    let home = home ?? me.home
    let head =
      """
      H=\(home) P=\(home)/project V=\(home)/other KEY=\(key) PORT=\(port) SOCKET=\(me.zones.folder)/abstract VICTIM=\(process?.pid ?? 0)
      PATH=$PATH:\(tools)

      """
    let options = attempt.options.map { $0.replacingOccurrences(of: "PORT", with: "\(port)") }
    let outcome = try walls(head + attempt.script, options).run()
    var taken = outcome.out.contains("TAKEN")
    if !attempt.after.isEmpty {
      let after = try Command("sh", "-c", head + "H=\(me.home) P=\(me.project)\n" + attempt.after).run()
      taken = taken || after.out.contains("TAKEN")
    }
    return (taken, "\(outcome)")
  }

  /// As it was: what one attempt did is not the next one's.
  func restore() throws {
    try me.outside(
      """
      [ ! -e old ] || { rm -rf .git; mv old .git; }
      [ ! -L .idea ] || rm .idea
      rm -rf .envrc .vscode .claude .idea hard link x; rm -f .git/hooks/post-checkout .git/hooks/a
      git config --unset core.fsmonitor || true
      """)
  }

  private func listener() throws -> Int32 {
    let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let ready = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(fd, $0, size) == 0 && listen(fd, 8) == 0 && getsockname(fd, $0, &size) == 0
      }
    }
    try #require(ready)
    port = UInt16(bigEndian: address.sin_port)
    return fd
  }

  private func abstract(_ name: String) throws -> Int32 { try unix([0] + Array(name.utf8) + [0]) }

  private func named(_ path: String) throws -> Int32 {
    let fd = try unix(Array(path.utf8) + [0])
    chmod(path, 0o777)
    return fd
  }

  private func unix(_ path: [UInt8]) throws -> Int32 {
    let fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
    let size = socklen_t(MemoryLayout<sa_family_t>.size + path.count - (path[0] == 0 ? 0 : 1))
    let ready = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(fd, $0, size) == 0 && listen(fd, 8) == 0 }
    }
    try #require(ready)
    return fd
  }
}
