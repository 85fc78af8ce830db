import CommandLineTable
import ZoneRuntime

func kill(_ context: Context) throws(ZoneError) -> Int32 {
  let invocation = context.invocation
  let texts = invocation.values(.signal) + invocation.operands.dropFirst()
  guard texts.count <= 1 else { throw .commandLine("kill: the signal is given twice") }
  let signal = try spelled(Signals.number(parsing: texts.first ?? "TERM"))
  try context.mayChange(context.name)
  try context.zones.kill(context.name, signal: signal)
  return 0
}
