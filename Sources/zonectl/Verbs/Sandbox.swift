import CommandLineTable
import Glibc
import LinuxNS
import ZoneRuntime

/// sandbox: the caller's own command, among his own files, in a zone of its own.
func sandbox(_ context: Context) throws(ZoneError) -> Int32 {
  let started = Clock.monotonicNanoseconds()
  let name = context.invocation.value(.id) ?? freeName(context)
  guard let path = context.invocation.value(.report) else { return try stay(context, name).status }
  let file = try ReportFile(SpecOptions.absolute(path))
  var report = SandboxReport(id: name, command: context.invocation.command)
  defer { withExtendedLifetime(file) {} }
  do throws(ZoneError) {
    let (outcome, status) = try stay(context, name)
    report.status = Int(status)
    if case .ended(let how, let oomKilled) = outcome {
      report.oomKilled = oomKilled
      switch how {
      case .exited(let code): report.code = Int(code)
      case .signaled(let signal): report.signal = Int(signal)
      }
    }
  } catch {
    report.status = Int(Failure.status(error, of: context.invocation))
    report.error = error.description
    if case .timedOut = error { report.timedOut = true }
    finish(&report, started)
    try file.write(report)
    throw error
  }
  finish(&report, started)
  try file.write(report)
  return Int32(report.status)
}

private func finish(_ report: inout SandboxReport, _ started: UInt64) {
  report.seconds = Double(Clock.monotonicNanoseconds() - started) / 1e9
  report.addUsage()
}

/// Runs it and stays with it.
private func stay(_ context: Context, _ name: String) throws(ZoneError) -> (
  outcome: TerminalClient.Outcome, status: Int32
) {
  let invocation = context.invocation
  let seconds = try invocation.timeout
  let wish = try sandboxWish(invocation)
  try context.zones.prepare(wish)
  let facts = try context.zones.sandboxFacts(environment: Environment.all)
  let spec = try SandboxPlanner.spec(wish, facts, name: name)

  var client = TerminalClient(isTerminal: spec.terminal, passesInput: true)
  client.forwardsSignals = !spec.terminal
  let streams: ZoneStreams
  if !spec.terminal, (0...2).allSatisfy({ isatty(CInt($0)) == 0 }) {
    client.passesInput = false
    streams = .direct(input: 0, output: 1, error: 2)
  } else {
    streams = .relay(input: true)
  }
  let running = try context.zones.run(
    spec, streams: streams, terminalSize: spec.terminal ? try? Terminal.size(0) : nil)
  if invocation.has(.verbose) { tellWalls(spec) }
  client.deadline = seconds.map { Clock.monotonicNanoseconds() + UInt64($0 * 1e9) }
  let outcome: TerminalClient.Outcome
  do throws(ZoneError) { outcome = try running.relay(client) } catch {
    running.giveUp()
    throw error
  }
  if case .ended = outcome {
    if invocation.has(.report) { running.awaitKeeper() }
    try running.finish()
  }
  return (outcome, try finish(outcome, spec, context))
}

private func sandboxWish(_ invocation: Invocation) throws(ZoneError) -> SandboxWish {
  var wish = SandboxWish()
  wish.command = invocation.command
  wish.readOnly = try invocation.values(.ro).map(SpecOptions.absolute)
  wish.writable = try invocation.values(.rw).map(SpecOptions.absolute)
  wish.hidden = try invocation.values(.hide).map(SpecOptions.absolute)
  wish.environment = try SpecOptions.environment(invocation)
  wish.home = invocation.value(.home)
  wish.nesting = invocation.has(.nesting)
  wish.terminal = isatty(0) == 1 && isatty(1) == 1
  switch invocation.value(.network) {
  case nil, "none"?: wish.network = .none
  case "host"?: wish.network = .host
  case "full"?: wish.network = .named("default")
  case let other?: throw .commandLine("--network '\(other)': of a sandbox it is none, host or full")
  }
  var limits = ZoneSpec(name: "sandbox")
  for key in SpecKeys.table where ["memory", "cpus", "pids"].contains(key.name) {
    let values = invocation.values(key.name)
    if !values.isEmpty { try spelled(key.write(options: values, into: &limits)) }
  }
  wish.limits = limits.limits
  for wall in invocation.values(.require).flatMap({ $0.split(separator: ",") }) {
    try SandboxWalls.require(String(wall), wish)
  }
  return wish
}

/// What stands and what is in sight, for people.
private func tellWalls(_ spec: ZoneSpec) {
  guard let sandbox = spec.sandbox else { return }
  Output.complain("sandbox \(spec.name) of \(sandbox.account.name): \(SandboxWalls.words(spec))")
  for place in sandbox.places { Output.complain("\(place.access.rawValue) \(place.path) (\(place.why))") }
}
