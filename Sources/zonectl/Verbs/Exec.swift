import CommandLineTable
import Glibc
import LinuxNS
import ZoneRuntime

func exec(_ context: Context) throws(ZoneError) -> Int32 {
  let invocation = context.invocation
  try requireTerminal(invocation)
  var request = ExecRequest(command: invocation.command)
  for word in try SpecOptions.environment(invocation) {
    guard let equals = word.firstIndex(of: "="), equals != word.startIndex else {
      throw .commandLine("env '\(word)': write NAME=VALUE")
    }
    request.environment[String(word[..<equals])] = String(word[word.index(after: equals)...])
  }
  request.user = invocation.value(.user)
  request.workdir = invocation.value(.workdir)
  request.terminal = invocation.has(.tty)
  if !invocation.has(.interactive) { request.standardInput = -1 }
  request.timeout = try invocation.timeout
  return try execute(request, passesInput: invocation.has(.interactive), context)
}

/// A login shell: `-l` makes any shell of passwd read what a login reads.
func login(_ context: Context) throws(ZoneError) -> Int32 {
  var spec = try context.zones.status(context.name).spec
  spec.user = context.invocation.value(.user)
  var request = ExecRequest(command: [try context.zones.shell(of: spec), "-l"])
  request.user = spec.user ?? "0"
  request.terminal = isatty(0) == 1
  return try execute(request, passesInput: true, context)
}

private func execute(_ request: ExecRequest, passesInput: Bool, _ context: Context) throws(ZoneError) -> Int32 {
  var request = request
  guard request.terminal else { return try context.zones.exec(context.name, request).shellCode }
  request.terminalSize = try? Terminal.size(0)  // none where our input is no terminal
  let execution = try context.zones.execute(context.name, request)
  var client = TerminalClient(isTerminal: true, passesInput: passesInput)
  client.deadline = request.timeout.map { Clock.monotonicNanoseconds() + UInt64($0 * 1e9) }
  switch try execution.relay(client) {
  case .timedOut:
    try execution.signal(SIGKILL)
    _ = try execution.wait(timeout: 5)
    throw .timedOut("the command in zone \(context.name) was killed: its time (--timeout) is over")
  case .interrupted(let signal):
    // Whoever closes a terminal ends what runs on it (SIGHUP).
    try execution.signal(SIGHUP)
    return 128 + signal
  default:
    guard let status = try execution.wait() else { throw .refused("lost the command in zone \(context.name)") }
    return status.shellCode
  }
}
