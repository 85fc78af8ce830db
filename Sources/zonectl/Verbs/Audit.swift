import CommandLineTable
import ZoneRuntime

func audit(_ context: Context) throws(ZoneError) -> Int32 {
  let format = try Output.format(context.invocation)
  let audit = try found(context)
  if format == .json {
    try Output.json(audit)
  } else {
    var table = TextTable(["finding", "result", "detail"])
    for finding in audit.findings {
      let result = finding.isAsAsked ? finding.state ?? "ok" : "DIFFERS"
      table.add([finding.name, result, finding.isAsAsked ? finding.seen : words(finding)])
    }
    Output.write(
      table.text { column, cell in
        column == 1 && cell != "open" && cell != "told"
          ? Output.paint(cell, isGood: cell == "ok" || cell == "stands") : nil
      })
    for note in audit.weaker { Output.line("weaker: \(TextTable.printable(note))") }
  }
  return audit.isAsAsked ? 0 : 1
}

/// Of a zone by its name, or of a process by its number: a zone whose name is that number comes first.
private func found(_ context: Context) throws(ZoneError) -> ZoneAudit {
  let invocation = context.invocation
  let walls = invocation.values(.require).flatMap { $0.split(separator: ",") }.map(String.init)
  let pid = try asked(invocation.number(.pid, in: 1...Int(Int32.max)))
  guard let name = invocation.operands.first else {
    guard let pid else {
      throw .commandLine(
        .missingOperand("NAME or --pid PID", verb: invocation.verb.name, grammar: invocation.verb.grammar))
    }
    return try context.zones.audit(pid: Int32(pid), required: walls)
  }
  guard pid == nil else { throw .commandLine("audit: --pid and a NAME exclude each other") }
  do throws(ZoneError) { return try context.zones.audit(name, required: walls) } catch {
    guard case .notFound = error, let number = Int32(name), number > 0 else { throw error }
    return try context.zones.audit(pid: number, required: walls)
  }
}

private func words(_ finding: AuditFinding) -> String {
  finding.differences.map { "\($0.what): wanted \($0.wanted), is \($0.found)" }.joined(separator: "; ")
}
