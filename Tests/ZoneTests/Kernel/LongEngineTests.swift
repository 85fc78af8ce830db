import Foundation
import Glibc
import Testing

/// Engines drive `zone-oci` in runc's place: their daily verbs, by their own programs.
private final class Engine {
  let folder: String
  let parent = "zones-test-engine-\(getpid())"
  let slice = "zonestestengine\(getpid()).slice"
  var prefix: [String] = []
  var environment = ["PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
  private var daemon: Running?

  init() throws {
    folder = try makeTemporaryFolder()
    chmod(folder, 0o755)
    try FileManager.default.copyItem(atPath: Zonectl.program, toPath: folder + "/zone-oci")
    chmod(folder + "/zone-oci", 0o755)
    try BusyboxRoot.make(at: folder + "/rootfs")
    // Engines bind files there.
    for name in ["hosts", "hostname", "resolv.conf"] {
      try "".write(toFile: "\(folder)/rootfs/etc/\(name)", atomically: false, encoding: .utf8)
    }
  }

  func start(_ argv: [String], until ready: [String]) throws {
    let daemon = try Command(argv).start()
    self.daemon = daemon
    let answers = eventually(timeout: 60) { !daemon.isRunning || (try? Command(ready).run().status) == 0 }
    guard answers, daemon.isRunning else { throw CommandFailed(outcome: try daemon.finish(timeout: 0)) }
  }

  @discardableResult
  func run(_ words: String...) throws -> Outcome { try run(words) }

  @discardableResult
  func run(_ words: [String]) throws -> Outcome {
    var command = Command(prefix + words)
    command.timeout = 60
    command.environment.merge(environment) { $1 }
    return try command.run()
  }

  @discardableResult
  func ok(_ words: String..., sourceLocation: SourceLocation = #_sourceLocation) throws -> Outcome {
    let outcome = try run(words)
    try #require(outcome.status == 0, "\(outcome)", sourceLocation: sourceLocation)
    return outcome
  }

  func end() {
    daemon?.signal(SIGTERM)
    if let daemon { _ = eventually(timeout: 30) { !daemon.isRunning } }
    // Podman puts its monitors there, in each tree.
    for tree in ["."] + ((try? FileManager.default.contentsOfDirectory(atPath: "/sys/fs/cgroup")) ?? []) {
      for group in ["\(parent)/conmon", parent] { rmdir("/sys/fs/cgroup/\(tree)/\(group)") }
    }
    if GroupManager.systemd.isThere { _ = try? SystemdUnits.ask(["stop", slice]) }
    _ = try? Command("rm", "-rf", "--one-file-system", folder).run()
  }
}

/// Who makes the groups.
enum GroupManager: String, CaseIterable, Sendable {
  case cgroupfs, systemd

  var isThere: Bool { self == .cgroupfs || FileManager.default.fileExists(atPath: "/run/systemd/system") }
  static var here: [GroupManager] { allCases.filter(\.isThere) }
}

/// What Podman and Docker have in common: the same words, the same meanings.
private struct DailyVerbs {
  let engine: Engine
  /// Options of every `run`, and the image's words.
  let options: [String]
  let image: [String]
  /// Looks at a living container.
  let look: (_ name: String) throws -> Void

  private func run(_ more: [String], _ command: String...) throws -> Outcome {
    try engine.run(["run"] + options + more + image + command)
  }

  func check() throws {
    let once = try run(["--rm"], "sh", "-c", "id -u; ls /dev/null; exit 42")
    #expect(once.status == 42 && once.lines == ["0", "/dev/null"], "\(once)")
    #expect(try run(["--rm"], "nosuch").status == 127)
    #expect(try run(["--rm"], "/etc").status == 126)
    let walls = try run(
      [
        "--rm", "--user", "1000:1000", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
        "--hostname", "here",
      ],
      "sh", "-c",
      "id -u; hostname; touch /x 2>&1; grep -E 'NoNewPrivs|Seccomp:|CapEff' /proc/self/status | tr -d '\\t'; echo again > /dev/stdout"
    )
    #expect(
      walls.lines == [
        "1000", "here", "touch: /x: Read-only file system", "CapEff:0000000000000000", "NoNewPrivs:1", "Seccomp:2",
        "again",
      ],
      "\(walls)")
    let host = try run(["--rm", "--pid", "host", "--ipc", "host"], "readlink", "/proc/self/ns/pid")
    #expect(host.text == (try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/pid")), "\(host)")
    let set = try run(
      [
        "--rm", "--sysctl", "net.ipv4.ip_forward=1", "--oom-score-adj", "500", "--shm-size", "1m", "--tmpfs",
        "/scratch",
      ],
      "sh", "-c",
      "cat /proc/sys/net/ipv4/ip_forward /proc/self/oom_score_adj; df /dev/shm | tail -1 | awk '{print $2}'; touch /scratch/x && echo made"
    )
    #expect(set.lines == ["1", "500", "1024", "made"], "\(set)")

    mkdir(engine.folder + "/data", 0o755)
    let long = try run(
      [
        "-d", "--name", "web", "--memory", "64m", "--pids-limit", "60", "-v", "\(engine.folder)/data:/data:ro", "-v",
        "kept:/kept",
      ],
      "sh", "-c", "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done")
    #expect(long.status == 0, "\(long)")
    #expect(try eventually { try engine.run("logs", "web").out.contains("up") })
    #expect(try engine.ok("ps", "--format", "{{.Names}}").text == "web")
    let inside = try engine.run(
      "exec", "-u", "7", "-e", "A=b", "-w", "/tmp", "web", "sh", "-c",
      "id -u; echo $A; pwd; cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; exit 9"
    )
    #expect(inside.status == 9 && inside.lines == ["7", "b", "/tmp", "67108864"], "\(inside)")
    #expect(try engine.run("exec", "web", "touch", "/data/x").status != 0)
    try engine.ok("exec", "web", "touch", "/kept/x")
    #expect(try engine.run("exec", "web", "nosuch").status != 0)
    try engine.ok("pause", "web")
    #expect(try engine.ok("inspect", "--format", "{{.State.Status}}", "web").text == "paused")
    try engine.ok("unpause", "web")
    #expect(try engine.ok("stats", "--no-stream", "--format", "{{.MemUsage}}", "web").text.contains("/ 6"))
    #expect(try engine.ok("top", "web").out.contains("sleep"))
    try engine.ok("restart", "-t", "2", "web")
    #expect(try engine.ok("inspect", "--format", "{{.State.Running}}", "web").text == "true")
    #expect(try engine.run("exec", "web", "ls", "/kept").text == "x")
    try engine.ok("stop", "-t", "5", "web")
    #expect(try engine.ok("inspect", "--format", "{{.State.ExitCode}}", "web").text == "5")
    try engine.ok("rm", "web")
    let killed = try run(["-d", "--name", "gone"], "sleep", "1000")
    #expect(killed.status == 0)
    try look("gone")
    try engine.ok("kill", "gone")
    #expect(try eventually { try engine.run("inspect", "--format", "{{.State.ExitCode}}", "gone").text == "137" })
    try engine.ok("rm", "-f", "gone")
    try engine.ok("volume", "rm", "kept")
    var interactive = Command(engine.prefix + ["run", "--rm", "-it"] + options + image + ["sh", "-c", "tty; exit 6"])
    interactive.environment.merge(engine.environment) { $1 }
    let terminal = try Terminal(interactive)
    #expect(terminal.wait(timeout: 30) == 6 && terminal.screen.contains("/dev/pts/0"), "\(terminal.screen)")
    #expect(try engine.ok("ps", "-aq").text.isEmpty)
  }
}

@Suite(
  .serialized, .machine, .needs(.root, .program("busybox"), .program("podman"), .program("dockerd"), .program("ctr")),
  .ends(within: 30))
struct LongEngineTests {
  /// Where systemd runs it is asked by default.
  @Test(arguments: GroupManager.here) func podman(manager: GroupManager) throws {
    let engine = try Engine()
    defer { engine.end() }
    engine.prefix = podman(engine) + (manager == .systemd ? [] : ["--cgroup-manager=cgroupfs"])
    try DailyVerbs(
      engine: engine,
      options: [
        "--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000", "--cgroup-parent",
        manager == .systemd ? engine.slice : "/" + engine.parent,
      ], image: ["--rootfs", engine.folder + "/rootfs"]
    ) { name in
      let group = try group(engine, name, "{{.State.Pid}}")
      let id = try engine.ok("inspect", "--format", "{{.Id}}", name).text
      #expect(
        group.hasSuffix(manager == .systemd ? "/\(engine.slice)/libpod-\(id).scope" : "/\(engine.parent)/libpod-\(id)"))
    }.check()
  }

  private func podman(_ engine: Engine) -> [String] {
    [
      "podman", "--root", engine.folder + "/root", "--runroot", engine.folder + "/run", "--storage-driver", "vfs",
      "--events-backend", "none", "--runtime", engine.folder + "/zone-oci",
    ]
  }

  /// The group of a container's process in the tree that has the limits.
  private func group(_ engine: Engine, _ name: String, _ format: String) throws -> String {
    let pid = try engine.ok("inspect", "--format", format, name).text
    let lines = (contents("/proc/\(pid)/cgroup") ?? "").split(separator: "\n").map(String.init)
    return lines.first { $0.split(separator: ":")[1].split(separator: ",").contains("memory") } ?? lines.last ?? ""
  }

  /// Of a user whose manager runs, as after a login by ssh: Podman goes into a scope of his, and calls the runtime as root
  /// of his user namespace.
  @Test(.needs(.ordinaryUser, .path("/run/systemd/system"))) func podmanOfAnOrdinaryUser() throws {
    let engine = try Engine()
    defer { engine.end() }
    let user = try #require(OrdinaryUser.found)
    try Command.text("chown", "-R", "\(user.uid):\(user.gid)", engine.folder)
    engine.prefix = OrdinaryUser.prefix + podman(engine)
    engine.environment["HOME"] = user.home
    engine.environment["XDG_RUNTIME_DIR"] = "/run/user/\(user.uid)"
    try DailyVerbs(
      engine: engine, options: ["--network", "none"], image: ["--rootfs", engine.folder + "/rootfs"]
    ) { name in
      let id = try engine.ok("inspect", "--format", "{{.Id}}", name).text
      let group = try group(engine, name, "{{.State.Pid}}")
      #expect(group.hasSuffix("/user@\(user.uid).service/user.slice/libpod-\(id).scope"), "\(group)")
    }.check()
    // Ends the process that holds his namespaces.
    try engine.ok("system", "migrate")
    #expect(try SystemdUnits.loaded("libpod-*", .ordinaryUser).filter { !$0.contains("conmon") }.isEmpty)
  }

  @Test(arguments: GroupManager.here) func docker(manager: GroupManager) throws {
    let engine = try Engine()
    defer { engine.end() }
    let socket = "unix://\(engine.folder)/docker.sock"
    engine.prefix = ["docker", "-H", socket]
    try engine.start(
      [
        "dockerd", "--data-root", engine.folder + "/data-root", "--exec-root", engine.folder + "/exec", "-H", socket,
        "-p", engine.folder + "/docker.pid", "--iptables=false", "--ip-forward=false", "--bridge=none",
        "--storage-driver=vfs", "--exec-opt", "native.cgroupdriver=\(manager)", "--cgroup-parent",
        manager == .systemd ? engine.slice : "/" + engine.parent, "--add-runtime", "zones=\(engine.folder)/zone-oci",
      ], until: ["docker", "-H", socket, "info"])
    try Command.text("sh", "-c", "tar -C \(engine.folder)/rootfs -c . | docker -H \(socket) import - image")
    try DailyVerbs(
      engine: engine, options: ["--runtime", "zones", "--network", "none", "--ulimit", "nofile=1024:1024"],
      image: ["image"]
    ) { name in
      let id = try engine.ok("inspect", "--format", "{{.Id}}", name).text
      let group = try group(engine, name, "{{.State.Pid}}")
      #expect(group.hasSuffix(manager == .systemd ? "/\(engine.slice)/docker-\(id).scope" : "/\(engine.parent)/\(id)"))
    }.check()
  }

  @Test(arguments: GroupManager.here) func containerd(manager: GroupManager) throws {
    let engine = try Engine()
    defer { engine.end() }
    try """
    version = 2
    root = "\(engine.folder)/root"
    state = "\(engine.folder)/state"
    disabled_plugins = ["io.containerd.grpc.v1.cri"]
    [grpc]
      address = "\(engine.folder)/c.sock"
    [ttrpc]
      address = "\(engine.folder)/c.sock.ttrpc"
    [plugins."io.containerd.internal.v1.opt"]
      path = "\(engine.folder)/opt"
    """.write(toFile: engine.folder + "/config.toml", atomically: false, encoding: .utf8)
    engine.prefix = ["ctr", "-a", engine.folder + "/c.sock"]
    try engine.start(["containerd", "-c", engine.folder + "/config.toml"], until: engine.prefix + ["version"])
    let make =
      ["run", "--rootfs", "--runc-binary", engine.folder + "/zone-oci"]
      + (manager == .systemd
        ? ["--runc-systemd-cgroup", "--cgroup", "\(engine.slice):ctr:c"] : ["--cgroup", "/\(engine.parent)/c"])
    let once = try engine.run(make + ["--rm", engine.folder + "/rootfs", "once", "sh", "-c", "id -u; exit 4"])
    #expect(once.status == 4 && once.text == "0", "\(once)")
    #expect(try engine.run(make + ["-d", engine.folder + "/rootfs", "long", "sleep", "1000"]).status == 0)
    let inside = try engine.run("task", "exec", "--exec-id", "e", "long", "sh", "-c", "echo in; exit 3")
    #expect(inside.status == 3 && inside.text == "in", "\(inside)")
    try engine.ok("task", "pause", "long")
    #expect(try engine.ok("task", "ls").out.contains("PAUSED"))
    try engine.ok("task", "resume", "long")
    #expect(try engine.ok("task", "metrics", "long").out.contains("memory"))
    #expect(try engine.ok("task", "ps", "long").out.contains("PID"))
    try engine.ok("task", "kill", "-s", "KILL", "long")
    #expect(try eventually { try engine.run("task", "ls").out.contains("STOPPED") })
    _ = try engine.run("task", "rm", "long")  // its status is that of the task
    try engine.ok("c", "rm", "long")
  }
}
