import CommandLineTable
import Glibc
import LinuxNS
import ResourceControl
import ZoneRuntime

/// Verbs that print.
extension OCIContext {
  func list() throws(ZoneError) {
    let found = try containers.list()
    if invocation.has("quiet") {
      for container in found { Output.line(container.id) }
      return
    }
    if try asked(invocation.choice("format", ["table", "json"])) == "json" {
      Output.write(try ContainerStatus.json(of: found), to: 1)
      return
    }
    var table = TextTable(["id", "pid", "status", "bundle", "created", "owner"])
    for one in found {
      table.add([one.id, String(one.pid), one.state.rawValue, one.bundle, one.created, one.owner])
    }
    Output.write(table.text())
  }

  /// The container's lines of ps(1), as runc has it.
  func processes() throws(ZoneError) -> Int32 {
    let pids = try containers.processes(id)
    if try asked(invocation.choice("format", ["table", "json"])) == "json" {
      Output.line("[" + pids.map { String($0) }.joined(separator: ",") + "]")
      return 0
    }
    let options = Array(invocation.operands.dropFirst())
    let text = try plainly(
      try ProgramOutput.read("/usr/bin/env", ["env", "ps"] + (options.isEmpty ? ["-ef"] : options)))
    let lines = text.split(separator: "\n").map(String.init)
    guard let head = lines.first else { return 0 }
    let columns = head.split(separator: " ").map(String.init)
    guard let column = columns.firstIndex(of: "PID") else {
      throw .refused("ps: its table has no column PID (leave it in)")
    }
    Output.line(head)
    for line in lines.dropFirst() {
      let words = line.split(separator: " ")
      if words.count > column, let pid = Int32(words[column]), pids.contains(pid) { Output.line(line) }
    }
    return 0
  }

  func events() throws(ZoneError) {
    if invocation.has("stats") {
      Output.write(try containers.statistics(id), to: 1)
      return
    }
    let interval = try asked(invocation.seconds("interval")) ?? 5
    guard interval >= 0.1 else { throw .commandLine("events: --interval wants 0.1 or more") }
    try containers.watch(id, interval: CInt(interval * 1000)) { line in Output.write(line, to: 1) }
  }

  func spec() throws(ZoneError) {
    let folder = invocation.value("bundle") ?? "."
    let path = "\(folder)/config.json"
    guard !FileSystem.exists(path) else { throw .refused("cannot write \(path): it exists already (remove it first)") }
    let text = BundleTemplate.text(rootless: invocation.has("rootless"), uid: geteuid(), gid: getegid())
    try plainly(try FileSystem.replace(path, with: Array(text.utf8), mode: 0o666 & ~0o022))
  }

  /// `linux.resources` from a file, or from the options.
  func updateText() throws(ZoneError) -> [UInt8] {
    if let path = invocation.value("resources") {
      return try plainly(
        path == "-" ? try FileSystem.read(OwnedFD.open("/proc/self/fd/0", O_RDONLY)) : try FileSystem.read(path))
    }
    func number(_ option: String) throws(ZoneError) -> String? {
      guard let text = invocation.value(option) else { return nil }
      guard let value = Int64(text) else { throw .commandLine("update: --\(option) '\(text)': not a whole number") }
      return String(value)
    }
    func size(_ option: String) throws(ZoneError) -> String? {
      guard let text = invocation.value(option), Int64(text) == nil else { return try number(option) }
      do throws(LimitError) { return String(try ByteSize.parse(text, limit: "--\(option)")) } catch {
        throw .commandLine("update: \(error)")
      }
    }
    func quoted(_ option: String) throws(ZoneError) -> String? {
      guard let text = invocation.value(option) else { return nil }
      guard text.utf8.allSatisfy({ (48...57).contains($0) || $0 == 44 || $0 == 45 }) else {
        throw .commandLine("update: --\(option) '\(text)': no list such as 0-3,7")
      }
      return "\"\(text)\""
    }
    func object(_ fields: [(String, String?)]) -> String {
      "{" + fields.compactMap { field in field.1.map { "\"\(field.0)\":\($0)" } }.joined(separator: ",") + "}"
    }
    let cpu = object([
      ("period", try number("cpu-period")), ("quota", try number("cpu-quota")), ("burst", try number("cpu-burst")),
      ("shares", try number("cpu-share")), ("idle", try number("cpu-idle")), ("cpus", try quoted("cpuset-cpus")),
      ("mems", try quoted("cpuset-mems")),
    ])
    let memory = object([
      ("limit", try size("memory")), ("reservation", try size("memory-reservation")),
      ("swap", try size("memory-swap")),
    ])
    let pids = object([("limit", try number("pids-limit"))])
    let io = object([("weight", try number("blkio-weight"))])
    return Array(object([("cpu", cpu), ("memory", memory), ("pids", pids), ("blockIO", io)]).utf8)
  }
}
