import CommandLineTable
import Glibc
import LinuxNS
import ZoneRuntime

/// run: a zone is made, started and stayed with.
func run(_ context: Context) throws(ZoneError) -> Int32 {
  let invocation = context.invocation
  if !invocation.has(.detach) { try requireTerminal(invocation) }
  let name = invocation.value(.name) ?? freeName(context)
  var spec = try newSpec(context, name)
  spec.ephemeral = invocation.has(.rm)
  let seconds = try invocation.timeout
  var client = try terminalClient(invocation, isTerminal: spec.terminal, passesInput: invocation.has(.interactive))
  var brought = try bringImage(of: spec, context)
  guard brought.isDone else { return 125 }
  if spec.command.isEmpty, !brought.saysCommand { spec.command = [try context.zones.shell(of: spec)] }

  if invocation.has(.detach) {
    guard seconds == nil else { throw .commandLine("run: --timeout wants somebody who waits; leave --detach out") }
    try context.zones.runDetached(spec, of: brought.root.take())
    Output.line(name)
    return 0
  }
  let direct = directStreams(spec, invocation)
  if direct != nil { client.passesInput = false }
  let running = try context.zones.run(
    spec, of: brought.root.take(), streams: direct ?? .relay(input: client.passesInput),
    terminalSize: spec.terminal ? try? Terminal.size(0) : nil)
  client.deadline = seconds.map { Clock.monotonicNanoseconds() + UInt64($0 * 1e9) }
  let outcome: TerminalClient.Outcome
  do throws(ZoneError) { outcome = try running.relay(client) } catch {
    // What was to go with its end goes now, since nobody stays with it.
    if spec.ephemeral { running.giveUp() }
    throw error
  }
  if case .ended(let status, let oomKilled) = outcome { try running.finish(status, oomKilled: oomKilled) }
  return try finish(outcome, spec, context)
}

func attach(_ context: Context) throws(ZoneError) -> Int32 {
  let spec = try context.zones.status(context.name).spec
  let client = try terminalClient(context.invocation, isTerminal: spec.terminal, passesInput: true)
  return try finish(context.zones.attach(context.name, client), spec, context)
}

/// Our own descriptors for the command, where that is as good as a copying keeper and cheaper: nothing is to be kept as
/// a log, and none of them is a terminal, which a zone must never hold.
private func directStreams(_ spec: ZoneSpec, _ invocation: Invocation) -> ZoneStreams? {
  guard spec.ephemeral, !spec.terminal, spec.restart == .no, (0...2).allSatisfy({ isatty(CInt($0)) == 0 }) else {
    return nil
  }
  return .direct(input: invocation.has(.interactive) ? 0 : -1, output: 1, error: 2)
}

/// A terminal for the command is the caller's, passed on: with --interactive he must have one.
func requireTerminal(_ invocation: Invocation) throws(ZoneError) {
  guard invocation.has(.tty), invocation.has(.interactive), isatty(0) == 0 else { return }
  throw .refused("cannot give '\(invocation.verb.name)' a terminal: standard input is none (leave -t out)")
}

/// The caller's own terminal and descriptors, as the options want them.
private func terminalClient(_ invocation: Invocation, isTerminal: Bool, passesInput: Bool) throws(ZoneError)
  -> TerminalClient
{
  var client = TerminalClient(isTerminal: isTerminal, passesInput: passesInput)
  client.forwardsSignals = !(isTerminal && passesInput)
  client.detachKeys = isTerminal ? try spelled(invocation.value(.detachKeys).map(DetachKeys.parse) ?? .standard) : nil
  return client
}

/// What a relay's end means for the zone and for our exit status.
func finish(_ outcome: TerminalClient.Outcome, _ spec: ZoneSpec, _ context: Context) throws(ZoneError) -> Int32 {
  switch outcome {
  case .ended(let status, let oomKilled):
    if oomKilled {
      let limit = SpecKeys.find("memory")?.texts(spec).first.map { " (its limit is \($0))" } ?? ""
      Output.complain("zone \(spec.name) was oom-killed\(limit)")
    }
    return status.shellCode
  case .finished: return 0
  case .detached:
    Output.complain("detached from \(spec.name), which goes on (zonectl attach \(spec.name))")
    return 0
  case .interrupted(let signal):
    // We are told to go. A zone that was to go with us does; another one is left as it is.
    if spec.ephemeral { try context.zones.delete(spec.name, force: true) }
    return 128 + signal
  case .timedOut:
    if spec.ephemeral { try context.zones.delete(spec.name, force: true) } else { try context.zones.halt(spec.name) }
    throw .timedOut("zone \(spec.name) was halted: its time (--timeout) is over")
  case .lost:
    throw .refused("cannot stay with zone \(spec.name): its keeper was killed, and the zone with it")
  }
}

/// Two words that name no zone yet.
func freeName(_ context: Context) -> String {
  var random = SystemRandomNumberGenerator()
  return ZoneNames.make(using: &random) { name in
    FileSystem.exists(context.zones.directories.data(of: name))
      || FileSystem.exists(context.zones.directories.run(of: name))
  }
}
