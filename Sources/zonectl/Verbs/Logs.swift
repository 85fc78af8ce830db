import CommandLineTable
import Glibc
import LinuxNS
import ZoneRuntime

func logs(_ context: Context) throws(ZoneError) -> Int32 {
  let path = context.zones.logPath(context.name)
  let lines = try asked(context.invocation.number(.tail, in: 0...1_000_000_000))
  _ = try context.zones.status(context.name)  // no such zone is told as that, and not as a missing file
  var file = GrowingFile(path)
  if let lines {
    var all: [UInt8] = []
    try plainly(file.begin { all += $0 })
    Output.write(Array(all[start(ofLast: lines, in: all)...]), to: 1)
  } else {
    try plainly(file.begin { Output.write(Array($0), to: 1) })
  }
  guard context.invocation.has(.follow) else { return 0 }
  try plainly(follow(&file) { (try? context.zones.status(context.name))?.state })
  return 0
}

/// Where the last `lines` lines begin; a last line without its end counts.
private func start(ofLast lines: Int, in bytes: [UInt8]) -> Int {
  guard lines > 0 else { return bytes.count }
  var found = 0
  for index in bytes.indices.reversed() where bytes[index] == 10 && index != bytes.count - 1 {
    found += 1
    if found == lines { return index + 1 }
  }
  return 0
}

/// Until the zone has ended for good.
private func follow(_ file: inout GrowingFile, state: () -> ZoneState?) throws(SyscallError) {
  var quiet = 0
  while true {
    if try file.more({ Output.write(Array($0), to: 1) }) { quiet = 0 } else { quiet += 1 }
    // A restart passes through rest for moments: only a second of silence at rest is the end.
    if quiet >= 10, quiet % 10 == 0 {
      switch state() {
      case nil, .installed, .configured, .incomplete, .unavailable: return
      default: break
      }
    }
    poll(nil, 0, 100)
  }
}
