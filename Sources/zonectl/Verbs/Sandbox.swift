import CommandLineTable
import Glibc
import LinuxNS
import ZoneRuntime

/// sandbox: the caller's own command, among his own files, in a zone of its own.
func sandbox(_ context: Context) throws(ZoneError) -> Int32 {
  let started = Clock.monotonicNanoseconds()
  var report = SandboxReport(
    id: context.invocation.value(.id) ?? freeName(context), command: context.invocation.command)
  guard let path = context.invocation.value(.report), !context.invocation.has(.explain) else {
    try stay(context, &report)
    return Int32(report.status)
  }
  let file = try ReportFile(SpecOptions.absolute(path))
  do throws(ZoneError) { try stay(context, &report) } catch {
    report.status = Int(Failure.status(error, of: context.invocation))
    report.error = error.description
    if case .timedOut = error { report.timedOut = true }
    report.seconds = Double(Clock.monotonicNanoseconds() - started) / 1e9
    report.addUsage()
    try file.write(report)
    throw error
  }
  report.seconds = Double(Clock.monotonicNanoseconds() - started) / 1e9
  report.addUsage()
  try file.write(report)
  return Int32(report.status)
}

/// Runs it and stays with it.
private func stay(_ context: Context, _ report: inout SandboxReport) throws(ZoneError) {
  let invocation = context.invocation
  let seconds = try invocation.timeout
  let facts = try context.zones.sandboxFacts(environment: Environment.all)
  var wish = try sandboxWish(invocation, facts)
  if invocation.has(.explain) {
    if invocation.has(.review) { wish.review = "LAYER" }
    return Output.write(try context.zones.explainSandbox(SandboxPlanner.spec(wish, facts, name: report.id)))
  }
  try context.zones.prepare(wish, facts)
  let review = invocation.has(.review) ? try beginReview(of: facts.folder, report, context) : nil
  wish.review = review?.folder
  // Held until we are through: nobody applies what is still being written.
  let lock = try review.map { (review) throws(ZoneError) in try review.lock() }
  defer { withExtendedLifetime(lock) {} }
  do throws(ZoneError) {
    let spec = try SandboxPlanner.spec(wish, facts, name: report.id)
    var notes = WatchNotes()
    try runSandbox(
      spec, context, deadline: seconds.map { Clock.monotonicNanoseconds() + UInt64($0 * 1e9) }, &report, &notes)
  } catch {
    if let review { try tell(review, &report) }
    throw error
  }
  if let review { try tell(review, &report) }
}

/// - Parameter notes: what a watcher has seen, where there was one.
func runSandbox(
  _ spec: ZoneSpec, _ context: Context, deadline: UInt64?, _ report: inout SandboxReport, _ notes: inout WatchNotes
) throws(ZoneError) {
  var client = TerminalClient(isTerminal: spec.terminal, passesInput: true)
  client.forwardsSignals = !spec.terminal
  client.deadline = deadline
  let streams: ZoneStreams
  if !spec.terminal, (0...2).allSatisfy({ isatty(CInt($0)) == 0 }) {
    client.passesInput = false
    streams = .direct(input: 0, output: 1, error: 2)
  } else {
    streams = .relay(input: true)
  }
  let running = try context.zones.run(
    spec, streams: streams, terminalSize: spec.terminal ? try? Terminal.size(0) : nil)
  if let missing = SandboxWalls.missing(spec) { Output.complain(missing) }
  if context.invocation.has(.verbose) { tellWalls(spec) }
  let outcome: TerminalClient.Outcome
  do throws(ZoneError) { outcome = try running.relay(client) } catch {
    running.giveUp()
    throw error
  }
  report.denials = running.endEgress()
  if spec.sandbox?.watch != nil { notes = running.endWatch() }
  if spec.sandbox?.learns != true { tell(notes, context, &report) }
  context.zones.note(report.denials, of: spec.name)
  if case .ended(let how, let oomKilled) = outcome {
    report.oomKilled = oomKilled
    switch how {
    case .exited(let code): report.code = Int(code)
    case .signaled(let signal): report.signal = Int(signal)
    }
    if context.invocation.has(.report) || spec.sandbox?.learns == true { running.awaitKeeper() }
    try running.finish(how, oomKilled: oomKilled)
  }
  defer { context.zones.endOrphans(of: spec) }
  report.status = Int(try finish(outcome, spec, context))
}

/// What was refused: by the proxy always, files and calls where somebody asked for it.
private func tell(_ notes: WatchNotes, _ context: Context, _ report: inout SandboxReport) {
  for denial in report.denials { Output.complain("denied \(denial.words)") }
  if notes.wasCut { Output.complain("the sandbox's watcher was killed: what was denied afterwards is not told") }
  if context.invocation.has(.verbose) {
    for denial in notes.denials {
      // A call's own words begin with its name.
      Output.complain("denied " + (denial.kind == .call ? "" : "\(denial.call) ") + denial.words)
    }
  }
  report.denials += notes.denials
}

// MARK: reviews

private func beginReview(of folder: String, _ report: SandboxReport, _ context: Context) throws(ZoneError) -> Review {
  try Review.make(of: folder, id: report.id, command: report.command, in: context.zones.directories)
}

/// What there is to look at; a review of nothing is none.
private func tell(_ review: Review, _ report: inout SandboxReport) throws(ZoneError) {
  let found = try review.changesOfOwner()
  report.changes = found.changes.map { "\($0.kind.letter) \($0.path.words)" }
  if found.changes.isEmpty, found.problems.isEmpty { return try review.dropByOwner() }
  let count = found.changes.count
  Output.complain(
    "\(count) \(count == 1 ? "change waits" : "changes wait") in review \(review.id) (zonectl changes list, show, apply or drop)"
  )
}

// MARK: what was asked for

/// The command line's options and before them those of profiles: of one value the last counts, lists are added to.
struct SandboxOptions {
  let invocation: Invocation
  var profiles: [SandboxProfile.Line] = []

  func values(_ option: ZonectlOption) -> [String] {
    profiles.filter { $0.option == option.rawValue }.map { $0.value } + invocation.values(option)
  }

  func value(_ option: ZonectlOption) -> String? { values(option).last }
  func has(_ option: ZonectlOption) -> Bool {
    invocation.has(option) || profiles.contains { $0.option == option.rawValue }
  }

  func paths(_ option: ZonectlOption) throws(ZoneError) -> [String] {
    try values(option).map(SpecOptions.absolute)
  }
}

func sandboxWish(_ invocation: Invocation, _ facts: SandboxFacts) throws(ZoneError) -> SandboxWish {
  var options = SandboxOptions(invocation: invocation)
  for word in invocation.values(.profile) {
    let profile = try SandboxProfile.find(word, in: facts.profiles, home: facts.account.home, folder: facts.folder)
    options.profiles += try profile.forSandbox()
  }
  var wish = SandboxWish()
  wish.command = invocation.command
  wish.readOnly = try options.paths(.ro)
  wish.writable = try options.paths(.rw)
  wish.hidden = try options.paths(.hide)
  wish.environment = SpecOptions.withCallers(options.profiles.filter { $0.option == "env" }.map { $0.value })
  wish.environment += try SpecOptions.environment(invocation)
  wish.home = options.value(.home)
  wish.nesting = options.has(.nesting)
  switch options.value(.ids) {
  case nil, "one"?: wish.manyIds = false
  case "many"?: wish.manyIds = true
  case let other?: throw .commandLine("--ids '\(other)': it is one or many")
  }
  wish.only = options.has(.only)
  wish.calls = options.values(.calls).flatMap { $0.split(separator: ",").map(String.init) }
  if invocation.has(.report) || invocation.has(.verbose) { wish.watch = .denials }
  wish.terminal = isatty(0) == 1 && isatty(1) == 1
  switch options.value(.network) {
  case nil, "none"?: wish.network = .none
  case "host"?: wish.network = .host
  case "full"?: wish.network = .named("default")
  case let other? where other.hasPrefix("allow="): try wish.allow(String(other.dropFirst(6)))
  case let other?:
    throw .commandLine("--network '\(other)': of a sandbox it is none, host, full or allow=HOST[:PORT],…")
  }
  var limits = ZoneSpec(name: "sandbox")
  for (name, option) in [("memory", ZonectlOption.memory), ("cpus", .cpus), ("pids", .pids)] {
    guard let value = options.value(option), let key = SpecKeys.find(name) else { continue }
    try spelled(key.write(options: [value], into: &limits))
  }
  wish.limits = limits.limits
  let walls = options.values(.require).flatMap({ $0.split(separator: ",") }).map(String.init)
  // Asked for by name, never fallen back to.
  wish.landlock = walls.contains("landlock")
  if wish.landlock { wish.bare = UserNamespaces.obstacle() }
  for wall in walls { try SandboxWalls.require(wall, wish) }
  return wish
}

/// What stands and what is in sight, for people.
private func tellWalls(_ spec: ZoneSpec) {
  guard let sandbox = spec.sandbox else { return }
  Output.complain("sandbox \(spec.name) of \(sandbox.account.name): \(SandboxWalls.words(spec))")
  for place in sandbox.places { Output.complain("\(place.access.rawValue) \(place.path) (\(place.why))") }
}
