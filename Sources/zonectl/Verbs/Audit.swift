import CommandLineTable
import ZoneRuntime

func audit(_ context: Context) throws(ZoneError) -> Int32 {
  let format = try Output.format(context.invocation)
  let audit = try context.zones.audit(context.name)
  if format == .json {
    try Output.json(audit)
  } else {
    var table = TextTable(["finding", "result", "detail"])
    for finding in audit.findings {
      table.add([finding.name, finding.isAsAsked ? "ok" : "DIFFERS", finding.isAsAsked ? finding.seen : words(finding)])
    }
    Output.write(table.text { column, cell in column == 1 ? Output.paint(cell, isGood: cell == "ok") : nil })
    for note in audit.weaker { Output.line("weaker: \(TextTable.printable(note))") }
  }
  return audit.isAsAsked ? 0 : 1
}

private func words(_ finding: AuditFinding) -> String {
  finding.differences.map { "\($0.what): wanted \($0.wanted), is \($0.found)" }.joined(separator: "; ")
}
