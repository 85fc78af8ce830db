import CommandLineTable
import LinuxNS
import ZoneRuntime

func list(_ context: Context) throws(ZoneError) -> Int32 {
  let format = try Output.format(context.invocation)
  if context.invocation.has(.quiet), context.invocation.operands.isEmpty {
    Output.write(try context.zones.listNames().map { $0 + "\n" }.joined())
    return 0
  }
  var found: [ZoneStatus] = []
  var status: CInt = 0
  if context.invocation.operands.isEmpty {
    found = try context.zones.list()
  } else {
    status = try context.each { name throws(ZoneError) in found.append(try context.zones.status(name)) }
  }
  if context.invocation.has(.quiet) {
    Output.write(found.map { $0.name + "\n" }.joined())
  } else if format == .json {
    try Output.json(found)
  } else {
    Output.write(table(found, wide: format == .wide))
  }
  return status
}

private func table(_ zones: [ZoneStatus], wide: Bool) -> String {
  let now = Clock.realtimeNanoseconds()
  var table = TextTable(
    ["name", "state", "up", "address", "ports", "last end"]
      + (wide ? ["pid", "restarts", "image", "network", "memory", "cpus", "fleet", "command"] : []))
  for zone in zones {
    let up = zone.started.map { Words.span(nanoseconds: now > $0 ? now - $0 : 0) }
    let end = zone.exit.map { "\($0.words), \(Words.span(nanoseconds: now > $0.at ? now - $0.at : 0)) ago" }
    var cells: [String?] = [
      zone.name, zone.state.rawValue, up, zone.addresses.joined(separator: " "), setting("publish", zone), end,
    ]
    if wide {
      cells += [
        zone.pid.map(String.init), String(zone.restarts), setting("image", zone), setting("network", zone),
        setting("memory", zone), setting("cpus", zone), zone.spec.fleet, setting("command", zone),
      ]
    }
    table.add(cells.map { $0 == nil || $0 == "" ? "-" : $0! })
  }
  return table.text { column, cell in column == 1 ? ZoneState(rawValue: cell).flatMap(Output.paint) : nil }
}

private func setting(_ key: String, _ zone: ZoneStatus) -> String? {
  SpecKeys.find(key)?.texts(zone.spec).joined(separator: ",")
}
