internal import CommandLineTable
internal import Glibc
internal import LinuxNS
internal import ZoneRuntime

/// image list.
struct ImageList {
  private let look: StoreLook
  private let invocation: Invocation
  private let now = Clock.realtimeNanoseconds()

  init(_ look: StoreLook, _ invocation: Invocation) {
    self.look = look
    self.invocation = invocation
  }

  func print(_ prefix: String?) throws -> Int32 {
    let format = try ImageVerbs.format(invocation)
    let summaries = ImageSummary.all(look).filter { summary in
      guard let prefix else { return true }
      return summary.name.map { $0.familiar.hasPrefix(prefix) || $0.text.hasPrefix(prefix) } ?? false
    }
    if invocation.has(.quiet) {
      for name in summaries.compactMap({ $0.name }) { Terminal.print(name.familiar) }
    } else if format == .json {
      try ImageVerbs.json(summaries)
    } else {
      let isWide = format == .wide
      let hasDigests = invocation.has(.digests) || isWide
      var table = TextTable(
        ["name", "tag", "id", "age", "size", "shared", "zones"] + (hasDigests ? ["digest"] : [])
          + (isWide ? ["platform", "used"] : []))
      for summary in summaries { table.add(cells(summary, hasDigests: hasDigests, isWide: isWide)) }
      Terminal.write(table.text(), to: STDOUT_FILENO)
    }
    return 0
  }

  private func cells(_ image: ImageSummary, hasDigests: Bool, isWide: Bool) -> [String] {
    let ago = { (then: UInt64?) in then.map { Words.span(nanoseconds: now > $0 ? now - $0 : 0) } ?? "-" }
    var cells = [
      image.name?.familiarName ?? "-", image.name?.tag ?? "-", image.id.short, ago(image.made),
      Words.bytes(image.own), Words.bytes(image.shared), String(image.zones.count),
    ]
    if hasDigests { cells.append(image.digest.text) }
    if isWide { cells += [image.platform, ago(image.used)] }
    return cells
  }
}

extension ImageDetails {
  /// image show: every fact a line.
  var text: String {
    var rows: [(String, String)] = names.map { ("name", $0.familiar) }
    rows += [("digest", image.manifest.text), ("id", image.id.text), ("platform", image.platform)]
    if let created = image.created { rows.append(("created", created)) }
    rows.append(("size", "\(Words.bytes(own)), and \(Words.bytes(shared)) shared with other images"))
    for zone in zones { rows.append(("zone", zone)) }
    rows.append(("", ""))
    rows += image.use.rows
    rows.append(("", ""))
    for (index, layer) in image.layers.enumerated() {
      let words = "\(layer.diff.text) \(Words.bytes(layer.bytes)) (\(layer.number))"
      rows.append(("layer \(image.layers.count - index)", words))
    }
    for step in image.history {
      let words = [step.command, step.comment].compactMap { $0 }.joined(separator: " # ")
      rows.append(("history", words.isEmpty ? "-" : words))
    }
    let width = rows.map { $0.0.utf8.count }.max() ?? 0
    return rows.map { name, text in
      let blanks = String(repeating: " ", count: width - name.utf8.count + 1)
      return name.isEmpty ? "\n" : "\(name):\(blanks)\(TextTable.printable(text))\n"
    }.joined()
  }
}

extension ImageUse {
  /// By the names by which `create` has them.
  fileprivate var rows: [(String, String)] {
    var rows: [(String, String)] = []
    if !entrypoint.isEmpty { rows.append(("entrypoint", ShellWords.join(entrypoint))) }
    if !command.isEmpty { rows.append(("command", ShellWords.join(command))) }
    for (name, value) in environment.sorted(by: { $0.key < $1.key }) { rows.append(("env", "\(name)=\(value)")) }
    if let user { rows.append(("user", user)) }
    if let workdir { rows.append(("workdir", workdir)) }
    for path in volumes { rows.append(("volume", path)) }
    for port in ports { rows.append(("port", port)) }
    if let stopSignal { rows.append(("stop-signal", Signals.name(stopSignal))) }
    if let stopTimeout { rows.append(("stop-timeout", String(stopTimeout))) }
    if let health { rows.append(("health", ShellWords.join(health.command))) }
    for (name, value) in labels.sorted(by: { $0.key < $1.key }) { rows.append(("label", "\(name)=\(value)")) }
    return rows
  }
}
