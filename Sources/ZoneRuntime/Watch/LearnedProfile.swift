internal import LinuxNS
internal import ResourceControl

/// A profile as `learn` writes it: what was seen of one run or of several.
public struct LearnedProfile: Sendable {
  public var files = LearnedFiles()
  /// `HOST:PORT`.
  public var hosts: Set<String> = []
  public var groups: CallGroups = .base
  /// Names of variables that were given.
  public var environment: Set<String> = []
  public var runs = 1
  public var commands: [String] = []
  /// The most that was seen, in bytes; and of processes and threads.
  public var memory: Int64 = 0
  public var processes = 0

  public init() {}

  private static let mark = "# zonectl learn, runs: "
  private static let commandMark = "# command: "
  private static let noteMark = "# note: "
  private static let peakMark = "# peak: "

  /// What `learn` has written before.
  /// - Throws: for what is no profile, or has lines that `learn` does not write.
  public init(named name: String, _ text: String, home: String) throws(ZoneError) {
    runs = 0
    for line in text.split(separator: "\n").map(String.init) {
      if line.hasPrefix(Self.mark) { runs = Int(line.dropFirst(Self.mark.utf8.count)) ?? 1 }
      if line.hasPrefix(Self.commandMark) { commands.append(String(line.dropFirst(Self.commandMark.utf8.count))) }
      if line.hasPrefix(Self.noteMark) { files.notes.insert(String(line.dropFirst(Self.noteMark.utf8.count))) }
      if line.hasPrefix(Self.peakMark) {
        let words = line.dropFirst(Self.peakMark.utf8.count).split(separator: " ")
        if words.count == 2 { (memory, processes) = (Int64(words[0]) ?? 0, Int(words[1]) ?? 0) }
      }
    }
    guard runs > 0 else {
      throw .refused("cannot add to \(name): it was not written by learn (name another file with --output)")
    }
    for line in try SandboxProfile(named: name, text, home: home).lines {
      switch line.option {
      case "only", "memory", "pids": continue
      case "ro": files.readOnly.insert(line.value)
      case "rw": files.writable.insert(line.value)
      case "env": environment.insert(line.value)
      case "network" where line.value.hasPrefix("allow="):
        hosts.formUnion(line.value.dropFirst(6).split(separator: ",").map(String.init))
      case "network" where line.value == "none": continue
      case "calls":
        do throws(SyntaxError) {
          groups.formUnion(try CallGroups(named: line.value.split(separator: ",").map(String.init)))
        } catch { throw .syntax(error) }
      default: throw .refused("cannot add to \(name): it has '\(line.option)', which learn does not write")
      }
    }
  }

  /// What either needs.
  public mutating func merge(_ other: LearnedProfile, _ ground: LearnedFiles.Ground) {
    files.readOnly.formUnion(other.files.readOnly)
    files.writable.formUnion(other.files.writable)
    files.notes.formUnion(other.files.notes)
    files.settle(ground)
    hosts.formUnion(other.hosts)
    groups.formUnion(other.groups)
    environment.formUnion(other.environment)
    runs += other.runs
    for command in other.commands where !commands.contains(command) && commands.count < 16 { commands.append(command) }
    memory = max(memory, other.memory)
    processes = max(processes, other.processes)
  }

  /// - Parameter limits: twice the peaks as limits, which want a control group for the memory.
  public func text(limits: Bool, _ ground: LearnedFiles.Ground) -> String {
    var lines = ["\(Self.mark)\(runs)"]
    lines += commands.map { Self.commandMark + $0 }
    lines += ["# Nothing but what is named here; a sandbox has no capability, so none is listed.", "only"]
    for (option, paths) in [("ro", files.readOnly), ("rw", files.writable)] {
      for path in paths.sorted() {
        guard Self.isSpellable(path) else {
          lines.append("\(Self.noteMark)a name that no line can have was used: \(Printable.text(path))")
          continue
        }
        if ground.isSecret(path) { lines.append("# The next one is a secret of yours. Is it meant to be read?") }
        if option == "rw", ground.isProtected(path) {
          lines.append("# Programs outside obey the next one. Is it meant to be written?")
        }
        lines.append(
          "\(option) \(Paths.lies(path, in: ground.account.home) ? "~" + path.dropFirst(ground.account.home.utf8.count) : path[...])"
        )
      }
    }
    lines += environment.sorted().map { "env \($0)" }
    if !hosts.isEmpty { lines.append("network allow=" + hosts.sorted().joined(separator: ",")) }
    lines.append("calls " + groups.words.joined(separator: ","))
    lines.append("\(Self.peakMark)\(memory) \(processes)")
    let hash = limits ? "" : "# "
    if memory > 0 { lines.append("\(hash)memory \(max(16, (memory * 2 + (1 << 20) - 1) >> 20))M") }
    if processes > 0 { lines.append("\(hash)pids \(max(16, processes * 2))") }
    lines += files.notes.sorted().filter(Self.isSpellable).map { Self.noteMark + $0 }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Blanks at the end, and lines' ends, would be lost.
  private static func isSpellable(_ text: String) -> Bool {
    !text.utf8.contains { $0 < 32 } && text.utf8.last != 32 && text.utf8.first != 32
  }
}
