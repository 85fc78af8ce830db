import CommandLineTable
import Glibc
import LinuxNS
import ZoneRuntime

/// `zone-oci`: the same executable by its second name, which speaks runc's grammar.
enum OCIProgram {
  static func main(_ arguments: [String]) -> Never {
    let parsed: Parsed
    do throws(UsageError) { parsed = try ociTable.parse(arguments) } catch {
      complain(error.description)
      exit(2)
    }
    switch parsed {
    case .help(let verb): Output.write(verb.map(ociTable.help) ?? ociTable.help())
    case .version: Output.write("zone-oci version \(ociTable.version)\nspec: \(Containers.specification)\n")
    case .run(let invocation):
      var log: OCILog?
      // runc's: of exec 255, for a process that could not be executed is told apart from one that ended with 1.
      let failed: CInt = invocation.ociVerb == .exec ? 255 : 1
      Heap.setStatusWhenShort(failed)
      do throws(ZoneError) {
        let opened = try OCILog(invocation)
        log = opened
        exit(try OCIContext(invocation, opened).run())
      } catch {
        log?.write(error.description, level: "error")
        complain(error.description)
        if case .commandLine = error { exit(2) }
        exit(failed)
      }
    }
    exit(0)
  }

  static func complain(_ text: String) {
    Output.write(Array("zone-oci: \(TextTable.printable(text))\n".utf8), to: 2)
  }
}

/// Where engines read what went wrong: a line for each message, as runc's logger has them.
struct OCILog: Sendable {
  private let path: String?
  private let isJSON: Bool
  let debug: Bool

  init(_ invocation: Invocation) throws(ZoneError) {
    path = invocation.value("log")
    isJSON = try asked(invocation.choice("log-format", ["text", "json"])) == "json"
    debug = invocation.has("debug")
    guard let path else { return }
    do throws(SyscallError) {
      _ = try OwnedFD.open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY, mode: 0o644)
    } catch { throw .refused("cannot write the log: \(error)") }
  }

  func write(_ message: String, level: String) {
    guard let path, let file = try? OwnedFD.open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY, mode: 0o644) else {
      return
    }
    let now = Clock.realtimeNanoseconds()
    let time = Containers.timestamp(seconds: Int64(now / 1_000_000_000), nanoseconds: 0)
    let line: [UInt8]
    if isJSON {
      line = (try? JSON.encode(Line(level: level, msg: message, time: time))) ?? []
    } else {
      var quoted = ""
      for character in TextTable.printable(message) {
        if character == "\"" || character == "\\" { quoted.append("\\") }
        quoted.append(character)
      }
      line = Array("time=\"\(time)\" level=\(level) msg=\"\(quoted)\"".utf8)
    }
    Output.write(line + [10], to: file.raw)
  }

  private struct Line: JSONObject {
    var level = "", msg = "", time = ""
    static var blank: Line { Line() }

    mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
      try json.field("level", &level)
      try json.field("msg", &msg)
      try json.field("time", &time)
    }
  }
}

/// A verb's run: what was asked, and the containers of the place it was asked for.
struct OCIContext {
  let invocation: Invocation
  let containers: Containers
  let log: OCILog

  init(_ invocation: Invocation, _ log: OCILog) throws(ZoneError) {
    self.invocation = invocation
    self.log = log
    let manager = try asked(invocation.choice("cgroup-manager", ["cgroupfs", "systemd"]))
    _ = try asked(invocation.choice("rootless", ["true", "false", "auto", ""]))
    containers = try Containers(
      root: invocation.value("root"), systemdCgroup: invocation.has("systemd-cgroup") || manager == "systemd"
    ) { message in
      log.write(message, level: "warning")
      OCIProgram.complain(message)
    }
    if log.debug { log.write("\(invocation.verb.name) \(invocation.operands.joined(separator: " "))", level: "debug") }
  }

  var id: String { invocation.operands[0] }

  /// - Returns: the exit status.
  func run() throws(ZoneError) -> Int32 {
    switch invocation.ociVerb {
    case .create: try containers.create(id, try request())
    case .start: try containers.start(id)
    case .run: return try runContainer()
    case .kill: try kill()
    case .delete: try containers.delete(id, force: invocation.has("force"))
    case .exec: return try exec()
    case .pause: try containers.pause(id)
    case .resume: try containers.resume(id)
    case .update: try containers.update(id, try updateText())
    case .state: Output.write(try containers.status(id).json(), to: 1)
    case .list: try list()
    case .ps: return try processes()
    case .events: try events()
    case .features: Output.write(try containers.features(), to: 1)
    case .spec: try spec()
    case nil: preconditionFailure("the table has a verb that is no OCIVerb: \(invocation.verb.name)")
    }
    return 0
  }

  func request() throws(ZoneError) -> ContainerRequest {
    var request = ContainerRequest(bundle: invocation.value("bundle") ?? ".")
    request.consoleSocket = invocation.value("console-socket")
    request.pidFile = invocation.value("pid-file")
    request.noPivot = invocation.has("no-pivot")
    request.noNewKeyring = invocation.has("no-new-keyring")
    request.preservedDescriptors = try asked(invocation.number("preserve-fds", in: 0...40)) ?? 0
    return request
  }

  private func kill() throws(ZoneError) {
    let word = invocation.operands.count > 1 ? invocation.operands[1] : "TERM"
    let number = try spelled(try Signals.number(parsing: word))
    try containers.kill(id, signal: number, all: invocation.has("all"))
  }

  // MARK: processes that we wait for

  private func runContainer() throws(ZoneError) -> Int32 {
    let detached = invocation.has("detach")
    let request = try request()
    if detached {
      try containers.create(id, request)
      do throws(ZoneError) { try containers.start(id) } catch {
        try? containers.delete(id, force: true)
        throw error
      }
      return 0
    }
    return try containers.run(id, request, keep: invocation.has("keep"), OCIForeground.wait)
  }

  private func exec() throws(ZoneError) -> Int32 {
    var request = ContainerExecRequest()
    if let path = invocation.value("process") {
      request.process = try plainly(try FileSystem.read(path, limit: 64 << 20))
    }
    request.arguments = invocation.command
    request.environment = invocation.values("env")
    request.cwd = invocation.value("cwd")
    if let user = invocation.value("user") {
      let parts = user.split(separator: ":", omittingEmptySubsequences: false).map { UInt32($0) }
      guard parts.count <= 2, let uid = parts[0], parts.count == 1 || parts[1] != nil else {
        throw .commandLine("exec: --user '\(user)': wants UID[:GID]")
      }
      request.uid = uid
      request.gid = parts.count == 2 ? parts[1] : nil
    }
    for text in invocation.values("additional-gids") {
      guard let gid = UInt32(text) else {
        throw .commandLine("exec: --additional-gids '\(text)': not a group's number")
      }
      request.additionalGids.append(gid)
    }
    request.capabilities = invocation.values("cap")
    request.terminal = invocation.has("tty")
    if invocation.has("no-new-privs") { request.noNewPrivileges = true }
    request.apparmorProfile = invocation.value("apparmor")
    request.selinuxLabel = invocation.value("process-label")
    request.consoleSocket = invocation.value("console-socket")
    request.pidFile = invocation.value("pid-file")
    request.preservedDescriptors = try asked(invocation.number("preserve-fds", in: 0...40)) ?? 0
    request.cgroup = invocation.value("cgroup")
    request.ignorePaused = invocation.has("ignore-paused")
    request.foreground = !invocation.has("detach")
    if !request.foreground {
      _ = try containers.execute(id, request)
      return 0
    }
    let signals = try ContainerProcess.heldSignals()
    return try OCIForeground.wait(containers.execute(id, request), signals)
  }
}

/// We stay: signals are passed on, a terminal is relayed, and the end is ours to tell.
enum OCIForeground {
  static func wait(_ process: consuming ContainerProcess, _ signals: borrowing SignalFD) throws(ZoneError) -> Int32 {
    if let terminal = process.terminal.take() {
      var client = TerminalClient(isTerminal: true, passesInput: true)
      client.detachKeys = nil
      client.forwardsSignals = true
      let outcome = try plainly(try client.relay(master: terminal, until: process.process.fd.raw))
      // Nobody reads any more. A process that goes on nevertheless has lost its terminal, and is waited for as one without.
      if case .interrupted(let number) = outcome { try? process.process.signal(number) }
    }
    while true {
      var polled = [
        pollfd(fd: process.process.fd.raw, events: Int16(POLLIN), revents: 0),
        pollfd(fd: signals.fd.raw, events: Int16(POLLIN), revents: 0),
      ]
      if poll(&polled, 2, -1) < 0 { continue }
      if polled[0].revents != 0 { return try plainly(try process.process.reap()).shellCode }
      while let number = try plainly(try signals.next()) {
        try? process.process.signal(number)  // gone meanwhile is told by the descriptor
      }
    }
  }
}
