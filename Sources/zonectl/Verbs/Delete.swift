import CommandLineTable
import Glibc
import ZoneRuntime

func delete(_ context: Context) throws(ZoneError) -> Int32 {
  let force = context.invocation.has(.force)
  let asks = !context.invocation.has(.yes) && isatty(0) == 1
  return try context.each { name throws(ZoneError) in
    let status = try context.zones.status(name)
    try context.mayChange(name)
    if asks && !confirmed("delete zone \(name) (\(status.state.rawValue)) and its data?") {
      throw .refused("zone \(name) was not deleted")
    }
    try context.zones.delete(name, force: force)
  }
}

/// Asks on the terminal; anything but y or yes is no.
func confirmed(_ question: String) -> Bool {
  Output.write(Array("\(question) [y/N] ".utf8), to: 2)
  // A terminal gives a line at a time.
  var answer = [UInt8](repeating: 0, count: 256)
  let count = read(0, &answer, answer.count)
  let words = String(decoding: answer.prefix(max(0, count)), as: UTF8.self).split(whereSeparator: { $0.isWhitespace })
  return words.count == 1 && ["y", "yes"].contains(words[0].lowercased())
}
