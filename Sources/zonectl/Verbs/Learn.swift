import CommandLineTable
import Glibc
import LinuxNS
import ZoneRuntime

/// learn: a run that is looked at, and the least profile of it.
func learn(_ context: Context) throws(ZoneError) -> Int32 {
  let invocation = context.invocation
  var facts = try context.zones.sandboxFacts(environment: Environment.all)
  let ground = LearnedFiles.Ground(
    account: facts.account, folder: facts.folder, inputs: inputs(invocation.command, facts), look: facts.look)
  // Whatever cannot be written later is said before the command runs.
  let check = try invocation.has(.check) ? profileToCheck(invocation, facts) : nil
  let target = try invocation.has(.check) ? nil : outputPath(invocation, facts)
  let before = try target.flatMap { (path) throws(ZoneError) in try earlier(path, facts.account.home) }

  facts.tops = (try? FileSystem.list("/")) ?? []
  let (report, notes) = try watch(learnWish(invocation), facts, context)
  if notes.wasCut { throw .refused("cannot learn of this run: its watcher was killed") }
  let hosts = report.denials.filter { $0.call == "allowed" }.map { $0.name }

  if let check {
    let denials = LearnCheck(check, ground).denials(notes, hosts: hosts)
    for denial in denials { Output.complain("would be denied: \(denial.call) \(denial.words)") }
    return denials.isEmpty ? Int32(report.status) : 1
  }
  var learned = LearnedProfile()
  learned.files = LearnedFiles(notes.sightings, ground)
  learned.hosts = Set(hosts)
  learned.groups = notes.groups
  learned.environment = Set(try SpecOptions.environment(invocation).map { String($0.prefix { $0 != "=" }) })
  learned.commands = [TextTable.printable(invocation.command.joined(separator: " "))]
  (learned.memory, learned.processes) = (report.peakMemory, notes.mostProcesses)
  if let before {
    var merged = before
    merged.merge(learned, ground)
    learned = merged
  }
  if let target { try write(learned.text(limits: invocation.has(.limits), ground), to: target, invocation) }
  return Int32(report.status)
}

/// The run itself: the caller's files as they are, and every host by the proxy.
private func watch(
  _ wish: SandboxWish, _ facts: SandboxFacts, _ context: Context
) throws(ZoneError) -> (SandboxReport, WatchNotes) {
  var report = SandboxReport(id: freeName(context), command: context.invocation.command)
  var notes = WatchNotes()
  let seconds = try context.invocation.timeout
  try context.zones.prepare(wish, facts)
  let spec = try SandboxPlanner.spec(wish, facts, name: report.id)
  try runSandbox(
    spec, context, deadline: seconds.map { Clock.monotonicNanoseconds() + UInt64($0 * 1e9) }, &report, &notes)
  report.addUsage()
  return (report, notes)
}

private func learnWish(_ invocation: Invocation) throws(ZoneError) -> SandboxWish {
  var wish = SandboxWish()
  wish.command = invocation.command
  wish.environment = try SpecOptions.environment(invocation)
  wish.everything = true
  wish.watch = .everything
  wish.terminal = isatty(0) == 1 && isatty(1) == 1
  switch invocation.value(.network) {
  case nil, "allow"?: wish.allowEverything()
  case "none"?: wish.network = .none
  case let other?: throw .commandLine("--network '\(other)': of learn it is allow or none")
  }
  return wish
}

/// What the command line names of the caller's files.
private func inputs(_ command: [String], _ facts: SandboxFacts) -> [String] {
  command.compactMap { word in
    guard let path = try? SpecOptions.absolute(word), facts.look(path) != nil else { return nil }
    return facts.real(path)
  }
}

private func profileToCheck(_ invocation: Invocation, _ facts: SandboxFacts) throws(ZoneError) -> ZoneSpec {
  guard invocation.has(.profile) else { throw .commandLine("learn --check: which profile? (--profile NAME or PATH)") }
  return try SandboxPlanner.spec(sandboxWish(invocation, facts), facts, name: "check")
}

/// Among the caller's own profiles: one in the project the command could change, and have more the next time.
private func outputPath(_ invocation: Invocation, _ facts: SandboxFacts) throws(ZoneError) -> String {
  if invocation.has(.profile) { throw .commandLine("learn: --profile is for --check; --output names what is written") }
  if let path = invocation.value(.output) { return try SpecOptions.absolute(path) }
  let name = invocation.command[0].split(separator: "/").last.map(String.init) ?? "command"
  guard !SandboxProfile.shippedNames.contains(name) else {
    throw .commandLine("learn: a profile '\(name)' comes with zonectl (name another with --output)")
  }
  return "\(facts.profiles)/\(name)"
}

private func earlier(_ path: String, _ home: String) throws(ZoneError) -> LearnedProfile? {
  guard FileSystem.exists(path) else { return nil }
  let bytes = try plainly(FileSystem.read(path, limit: 1 << 20))
  return try LearnedProfile(named: path, String(decoding: bytes, as: UTF8.self), home: home)
}

private func write(_ text: String, to path: String, _ invocation: Invocation) throws(ZoneError) {
  try plainly(FileSystem.makeDirectories(FileSystem.parent(of: path)))
  try plainly(FileSystem.replace(path, with: Array(text.utf8), mode: 0o644))
  Output.complain("wrote the profile \(path) (zonectl sandbox --profile \(path) …)")
}
