import CommandLineTable
import Glibc
import LinuxNS
import ZoneRuntime

/// events: what the journal says, and follows.
func events(_ context: Context) throws(ZoneError) -> Int32 {
  let invocation = context.invocation
  let tail = try asked(invocation.number(.tail, in: 0...1_000_000_000))
  var reader = EventReader(names: Set(invocation.operands), isJSON: try Output.format(invocation) == .json)
  var file = GrowingFile(context.zones.journal.path)
  var past: [UInt8] = []
  try plainly(file.begin { past += $0 })
  let lines = reader.lines(past)
  Output.write(lines.suffix(tail ?? lines.count).joined())
  guard invocation.has(.follow) else { return 0 }
  while true {
    var new: [UInt8] = []
    if try plainly(file.more({ new += $0 })) { Output.write(reader.lines(new).joined()) }
    poll(nil, 0, 100)
  }
}

private struct EventReader {
  let names: Set<String>
  let isJSON: Bool
  /// A line whose end was not read yet.
  private var begun: [UInt8] = []

  init(names: Set<String>, isJSON: Bool) {
    self.names = names
    self.isJSON = isJSON
  }

  /// - Returns: what is to be printed, an event a line.
  mutating func lines(_ bytes: [UInt8]) -> [String] {
    begun += bytes
    guard let end = begun.lastIndex(of: 10) else { return [] }
    let whole = begun[...end]
    var found: [String] = []
    for line in whole.split(separator: 10) {
      guard let event = Journal.event(line), names.isEmpty || names.contains(event.zone) else { continue }
      found.append((isJSON ? String(decoding: line, as: UTF8.self) : EventReader.words(event)) + "\n")
    }
    begun = Array(begun[(end + 1)...])
    return found
  }

  private static func words(_ event: ZoneEvent) -> String {
    let seconds = Int64(event.at / 1_000_000_000)
    var words = "\(Timestamp.text(seconds, 0))  \(event.zone)  \(event.kind.rawValue)"
    if let denial = event.denial { words += "  \(denial.words)" }
    if event.kind == .ended { words += "  \(event.exit?.words ?? "its keeper was killed")" }
    if let restarts = event.restarts { words += "  restart \(restarts)" }
    return TextTable.printable(words)
  }
}
