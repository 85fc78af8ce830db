import CommandLineTable
import Glibc
import ZoneRuntime

func delete(_ context: Context) throws -> Int32 {
  let force = context.invocation.has(.force)
  let asks = !context.invocation.has(.yes) && isatty(0) == 1
  return try context.each { name in
    let status = try context.zones.status(name)
    try context.mayChange(name)
    if asks && !confirmed("delete zone \(name) (\(status.state.rawValue)) and its data?") {
      throw ZoneError.refused("zone \(name) was not deleted")
    }
    try context.zones.delete(name, force: force)
  }
}

/// Asks on the terminal; anything but y or yes is no.
private func confirmed(_ question: String) -> Bool {
  Output.write(Array("\(question) [y/N] ".utf8), to: 2)
  guard let answer = readLine(strippingNewline: true) else { return false }
  return ["y", "yes"].contains(answer.lowercased())
}
