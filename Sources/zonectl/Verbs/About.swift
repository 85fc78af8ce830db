import CommandLineTable
import LinuxNS
import ZoneRuntime

/// completion, man, help, version: the table about itself.

func completion(_ invocation: Invocation) throws(ZoneError) -> Int32 {
  guard let script = zonectlTable.completion(shell: invocation.operands[0]) else {
    throw .commandLine(
      "no completion for '\(invocation.operands[0])': not one of \(CommandTable.shells.joined(separator: ", "))")
  }
  Output.write(script)
  return 0
}

func manual(_ invocation: Invocation) throws(ZoneError) -> Int32 {
  guard let directory = invocation.operands.first else {
    Output.write(zonectlTable.manPage())
    return 0
  }
  try plainly(FileSystem.makeDirectories(directory))
  let pages =
    [("zonectl", zonectlTable.manPage())]
    + zonectlTable.shownVerbs.map { ("zonectl-\($0.name)", zonectlTable.manPage($0)) }
  for (name, page) in pages {
    try plainly(FileSystem.replace("\(directory)/\(name).1", with: Array(page.utf8), mode: 0o644))
  }
  return 0
}

func help(_ invocation: Invocation) throws(ZoneError) -> Int32 {
  guard let word = invocation.operands.first else {
    Output.write(zonectlTable.help())
    return 0
  }
  guard let verb = zonectlTable.verb(word), verb.kind != .hidden else {
    throw .commandLine(.unknownVerb(word, nearest: Nearest.of(word, among: zonectlTable.shownVerbs.map { $0.name })))
  }
  Output.write(zonectlTable.help(verb))
  return 0
}

func version(_ invocation: Invocation) throws(ZoneError) -> Int32 {
  Output.line("\(zonectlTable.program) \(zonectlTable.version)")
  return 0
}
