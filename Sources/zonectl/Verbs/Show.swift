import CommandLineTable
import LinuxNS
import ZoneRuntime

func show(_ context: Context) throws(ZoneError) -> Int32 {
  let format = try Output.format(context.invocation)
  var found: [ZoneStatus] = []
  let status = try context.each { name throws(ZoneError) in
    var status = try context.zones.status(name)
    context.zones.addUse(to: &status)
    found.append(status)
  }
  if format == .json {
    try Output.json(found)
  } else {
    Output.write(found.map(description).joined(separator: "\n"))
  }
  return status
}

/// Every fact a line; settings by the names by which `set` changes them.
private func description(_ zone: ZoneStatus) -> String {
  let now = Clock.realtimeNanoseconds()
  let ago = { (then: UInt64) in "\(Words.span(nanoseconds: now > then ? now - then : 0)) ago" }
  var rows: [(String, String)] = [("name", zone.name), ("state", Output.paint(zone.state) ?? zone.state.rawValue)]
  if let why = zone.why { rows.append(("why", why)) }
  if let pid = zone.pid { rows.append(("pid", String(pid))) }
  if let keeper = zone.keeper { rows.append(("keeper", String(keeper))) }
  if let started = zone.started { rows.append(("started", ago(started))) }
  if zone.restarts > 0 { rows.append(("restarts", String(zone.restarts))) }
  if let exit = zone.exit { rows.append(("last end", "\(exit.words), \(ago(exit.at))")) }
  if let kills = zone.oomKills, kills > 0 { rows.append(("oom kills", String(kills))) }
  if let use = zone.use {
    if let made = use.made { rows.append(("made", "\(ago(made)), by uid \(use.owner)")) }
    if let used = use.used, !zone.state.isLive { rows.append(("used", ago(used))) }
    rows.append(("size", Words.bytes(use.bytes) + (use.isPartial ? "+" : "")))
  }
  if let quota = zone.quota {
    let words = "\(Words.bytes(quota.bytes)) of \(Words.bytes(quota.limit))"
    rows.append(("written", quota.isFull ? "\(words): full (zonectl set \(zone.name) quota=SIZE)" : words))
  }
  for address in zone.addresses { rows.append(("address", address)) }
  if let fleet = zone.spec.fleet { rows.append(("fleet", fleet)) }
  if zone.spec.ephemeral { rows.append(("deleted", "when it ends")) }
  rows.append(("", ""))
  for key in SpecKeys.table {
    for text in key.texts(zone.spec) { rows.append((key.name, TextTable.printable(text))) }
  }
  let width = rows.map { $0.0.count }.max() ?? 0
  return rows.map { name, text in
    name.isEmpty ? "\n" : name + ":" + String(repeating: " ", count: width - name.count + 1) + text + "\n"
  }.joined()
}
