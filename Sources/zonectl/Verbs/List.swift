import CommandLineTable
import LinuxNS
import ZoneRuntime

func list(_ context: Context) throws(ZoneError) -> Int32 {
  let format = try Output.format(context.invocation)
  let isQuiet = context.invocation.has(.quiet)
  if !context.invocation.operands.isEmpty {
    var found: [ZoneStatus] = []
    let status = try context.each { name throws(ZoneError) in found.append(try context.zones.status(name)) }
    if isQuiet {
      Output.write(found.map { $0.name + "\n" }.joined())
    } else if format == .json {
      try Output.json(found)
    } else {
      let table = ZoneTable(isWide: format == .wide)
      Output.write(table.text(found.map { table.cells($0) }))
    }
    return status
  }
  if isQuiet {
    Output.write(try context.zones.listNames().map { $0 + "\n" }.joined())
  } else if format == .json {
    try Output.json(try context.zones.list())
  } else {
    let table = ZoneTable(isWide: format == .wide)
    Output.write(table.text(table.rows(try context.zones.look())))
  }
  return 0
}

private struct ZoneTable {
  let isWide: Bool
  private let now = Clock.realtimeNanoseconds()

  init(isWide: Bool) { self.isWide = isWide }

  private var headers: [String] {
    ["name", "state", "up", "address", "ports", "last end"]
      + (isWide
        ? ["pid", "restarts", "image", "network", "memory", "cpus", "quota", "fleet", "expires", "command"] : [])
  }

  func text(_ rows: [[String]]) -> String {
    var table = TextTable(headers)
    for row in rows { table.add(row) }
    return table.text { column, cell in
      guard column == 1 else { return nil }
      return ZoneState(rawValue: cell).flatMap(Output.paint) ?? Output.paint(cell, isGood: false)
    }
  }

  /// A zone is asked for by some ten files and the kernel's; of many, a copy of us asks for half.
  func rows(_ look: ZonesLook) -> [[String]] {
    guard look.names.count >= 200 else { return cells(look, look.names[...]) }
    let (first, second) = (look.names[..<(look.names.count / 2)], look.names[(look.names.count / 2)...])
    let copy: CopyOfUs
    do throws(SyscallError) {
      copy = try CopyOfUs.begin {
        var bytes: [UInt8] = []
        for row in cells(look, second) { for cell in row { bytes += Array(cell.utf8) + [0] } }
        return bytes
      }
    } catch { return cells(look, look.names[...]) }
    let ours = cells(look, first)
    guard let bytes = copy.bytes() else { return ours + cells(look, second) }
    var rows = ours
    var row: [String] = []
    for cell in bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast() {
      row.append(String(decoding: cell, as: UTF8.self))
      guard row.count == headers.count else { continue }
      rows.append(row)
      row = []
    }
    return rows
  }

  private func cells(_ look: ZonesLook, _ names: ArraySlice<String>) -> [[String]] {
    var rows: [[String]] = []
    for zone in look.statuses(of: names, counting: false) { rows.append(cells(zone)) }
    return rows
  }

  func cells(_ zone: ZoneStatus) -> [String] {
    let up = zone.started.map { Words.span(nanoseconds: now > $0 ? now - $0 : 0) }
    let end = zone.exit.map { "\($0.words), \(Words.span(nanoseconds: now > $0.at ? now - $0.at : 0)) ago" }
    var cells: [String?] = [
      zone.name, zone.state.rawValue + (zone.quota?.isFull == true ? " (full)" : ""), up,
      zone.addresses.joined(separator: " "), setting("publish", zone), end,
    ]
    if isWide {
      cells += [
        zone.pid.map(String.init), String(zone.restarts), setting("image", zone), setting("network", zone),
        setting("memory", zone), setting("cpus", zone), quota(zone), zone.spec.fleet, setting("expires", zone),
        setting("command", zone),
      ]
    }
    return cells.map { $0 == nil || $0 == "" ? "-" : $0! }
  }

  private func quota(_ zone: ZoneStatus) -> String? {
    guard let quota = zone.quota else { return setting("quota", zone) }
    return "\(Words.bytes(quota.bytes)) of \(Words.bytes(quota.limit))" + (quota.isFull ? ", full" : "")
  }

  private func setting(_ key: String, _ zone: ZoneStatus) -> String? {
    SpecKeys.find(key)?.texts(zone.spec).joined(separator: ",")
  }
}
