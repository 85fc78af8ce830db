import CommandLineTable
import LinuxNS
import ZoneRuntime

func wait(_ context: Context) throws(ZoneError) -> Int32 {
  let invocation = context.invocation
  let format = try Output.format(invocation)
  let end = try invocation.timeout.map { Clock.monotonicNanoseconds() + UInt64($0 * 1e9) }
  var ends: [Ended] = []
  let status = try context.each { name throws(ZoneError) in
    let left = end.map { $0 > Clock.monotonicNanoseconds() ? Double($0 - Clock.monotonicNanoseconds()) / 1e9 : 0 }
    guard let exit = try context.zones.wait(name, timeout: left) else {
      guard try context.zones.status(name).state.isLive else {
        throw .refused("cannot wait for zone \(name): it does not live and has never run")
      }
      throw .timedOut("zone \(name) has not ended in time")
    }
    ends.append(Ended(name: name, exit: exit))
    if format != .json { Output.line((invocation.operands.count > 1 ? "\(name) " : "") + exit.words) }
  }
  if format == .json { try Output.json(ends) }
  return status
}

private struct Ended: JSONObject {
  var name: String
  var exit: ZoneExit

  static var blank: Ended { Ended(name: "", exit: .blank) }

  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("exit", &exit)
    try json.field("name", &name)
  }
}

extension ZoneExit {
  /// `0`, `137 oom-killed`, `143 TERM`.
  var words: String {
    if oomKilled { return "\(shellCode) oom-killed" }
    return signal.map { "\(shellCode) \(Signals.name(Int32($0)))" } ?? "\(shellCode)"
  }
}
