import CommandLineTable
import ZoneRuntime

/// ready, start, stop, halt, restart, pause, resume: from one state to another, zone by zone.

func ready(_ context: Context) throws(ZoneError) -> Int32 {
  try context.each { name throws(ZoneError) in
    try context.mayChange(name)
    try context.zones.ready(name)
  }
}

func start(_ context: Context) throws(ZoneError) -> Int32 {
  guard context.invocation.has(.all) else {
    return try context.each { name throws(ZoneError) in
      try context.mayChange(name)
      try context.zones.start(name)
    }
  }
  guard context.invocation.operands.isEmpty else { throw .commandLine("start: --all and a NAME exclude each other") }
  let failed = try context.zones.bootAll { name in Output.line("starting \(name)") }
  for (name, error) in failed { Output.complain("\(name): \(error)") }
  return failed.isEmpty ? 0 : 1
}

func stop(_ context: Context) throws(ZoneError) -> Int32 {
  let grace = try context.invocation.timeout
  return try context.each(all: { $0.state.isLive }) { name throws(ZoneError) in
    if !context.invocation.has(.all) { try context.mayChange(name) }
    try stop(name, grace, context)
  }
}

private func stop(_ name: String, _ grace: Double?, _ context: Context) throws(ZoneError) {
  var progress = Progress()
  defer { progress.end() }
  try context.zones.stop(name, grace: grace) { left in
    progress.show("stopping \(name): killed in \(Int(left.rounded(.up))) s, if it has not ended")
  }
}

func halt(_ context: Context) throws(ZoneError) -> Int32 {
  try context.each(all: { $0.state.isLive || $0.state == .unavailable }) { name throws(ZoneError) in
    if !context.invocation.has(.all) { try context.mayChange(name) }
    try context.zones.halt(name)
  }
}

func restart(_ context: Context) throws(ZoneError) -> Int32 {
  let grace = try context.invocation.timeout
  return try context.each { name throws(ZoneError) in
    try context.mayChange(name)
    try stop(name, grace, context)
    try context.zones.start(name)
  }
}

func pause(_ context: Context) throws(ZoneError) -> Int32 {
  try context.each { name throws(ZoneError) in
    try context.mayChange(name)
    try context.zones.pause(name)
  }
}

func resume(_ context: Context) throws(ZoneError) -> Int32 {
  try context.each { name throws(ZoneError) in
    try context.mayChange(name)
    try context.zones.resume(name)
  }
}
