import CommandLineTable
import Glibc
import LinuxNS
import ZoneRuntime

/// Fleet verbs are `orchestrator`'s: we become it, with every argument as it was typed.
func handOver(_ invocation: Invocation) throws(ZoneError) -> Int32 {
  try handOver(Array(CommandLine.arguments.dropFirst()), for: invocation.verb.name)
}

/// The same for verbs that are this program's, and too much for one that has to be small: what was typed can be parsed, and
/// is parsed there by the same table.
func handOverChecked(_ invocation: Invocation) throws(ZoneError) -> Int32 {
  try handOver(["zonectl"] + CommandLine.arguments.dropFirst(), for: invocation.verb.name)
}

private func handOver(_ words: [String], for verb: String) throws(ZoneError) -> Int32 {
  let path = try orchestrator(for: verb)
  var arguments = (["orchestrator"] + words).map { strdup($0) } + [nil]
  execv(path, &arguments)
  let error = errno
  for argument in arguments { free(argument) }
  throw .call("hand '\(verb)' over", SyscallError(call: "execve", errno: error, path: path))
}

/// Runs it beside us, with our standard input and error.
/// - Returns: whether it did what it was told to, and what it printed.
func runOrchestrator(_ words: [String], for verb: String) throws(ZoneError) -> (isDone: Bool, said: [UInt8]) {
  let path = try orchestrator(for: verb)
  do throws(SyscallError) {
    let pipe = try OwnedFD.pipe()
    let started = try spawn(
      ProgramStart(
        path: path, arguments: ["orchestrator"] + words, environment: Environment.all, fds: [0, pipe.second.raw, 2]))
    let said = try FileSystem.read(pipe.takeFirst(), limit: 1 << 16, name: "answer")
    return (try Pidfd(OwnedFD(raw: started.pidfd)).reap() == .exited(0), said)
  } catch { throw .call("start '\(verb)'", error) }
}

/// Beside our own file, then on PATH.
private func orchestrator(for verb: String) throws(ZoneError) -> String {
  var folders: [String] = []
  if let own = try? FileSystem.readLink("/proc/self/exe") { folders.append(FileSystem.parent(of: own)) }
  let beside = folders.first ?? "its folder"
  folders += (getenv("PATH").map { String(cString: $0) } ?? "").split(separator: ":").map(String.init)
  for folder in folders where folder.hasPrefix("/") {
    let path = folder == "/" ? "/orchestrator" : "\(folder)/orchestrator"
    if access(path, X_OK) == 0 { return path }
  }
  throw .refused(
    "cannot do '\(verb)': the program orchestrator is neither in \(beside) nor on PATH (install it beside zonectl)")
}
