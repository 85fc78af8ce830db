import CommandLineTable
import ZoneRuntime

/// cp: one side is NAME:PATH.
func copyFiles(_ context: Context) throws(ZoneError) -> Int32 {
  let (source, target) = (context.invocation.operands[0], context.invocation.operands[1])
  let told: (String) -> Void = { Output.complain("left out \($0)") }
  switch (ZonePath(source), ZonePath(target)) {
  case (let zone?, nil): try context.zones.copy(zone.name, .out(zonePath: zone.path, target), leftOut: told)
  case (nil, let zone?):
    try context.mayChange(zone.name)
    try context.zones.copy(zone.name, .into(source, zonePath: zone.path), leftOut: told)
  case (nil, nil): throw .commandLine("cp: neither '\(source)' nor '\(target)' is in a zone; write NAME:PATH")
  case (_?, _?): throw .commandLine("cp: '\(source)' and '\(target)' are both in zones; copy to a place here first")
  }
  return 0
}

/// `web:/etc/hosts`; `./a:b` and `/a:b` are paths here.
private struct ZonePath {
  let name: String
  let path: String

  init?(_ text: String) {
    guard let colon = text.firstIndex(of: ":"), isDNSLabel(String(text[..<colon])) else { return nil }
    name = String(text[..<colon])
    path = String(text[text.index(after: colon)...])
  }
}
