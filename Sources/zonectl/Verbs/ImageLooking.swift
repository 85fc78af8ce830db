import CommandLineTable
import LinuxNS
import ZoneRuntime

/// image list.
struct ImageList {
  private let context: Context
  private let look: StoreLook
  private let now = Clock.realtimeNanoseconds()

  init(_ context: Context) throws(ZoneError) {
    self.context = context
    look =
      try ImageStore.open(context.zones.directories).map { (store) throws(ZoneError) in try store.look() }
      ?? StoreLook()
  }

  func print(_ prefix: String?) throws(ZoneError) -> Int32 {
    let format = try Output.format(context.invocation)
    let summaries = ImageSummary.all(look).filter { summary in
      guard let prefix else { return true }
      return summary.name.map { $0.familiar.hasPrefix(prefix) || $0.text.hasPrefix(prefix) } ?? false
    }
    if context.invocation.has(.quiet) {
      Output.write(summaries.compactMap { $0.name.map { $0.familiar + "\n" } }.joined())
    } else if format == .json {
      try Output.json(summaries)
    } else {
      let hasDigests = context.invocation.has(.digests) || format == .wide
      var table = TextTable(
        ["name", "tag", "id", "age", "size", "shared", "zones"] + (hasDigests ? ["digest"] : [])
          + (format == .wide ? ["platform", "used"] : []))
      for summary in summaries { table.add(cells(summary, hasDigests: hasDigests, isWide: format == .wide)) }
      Output.write(table.text())
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

/// image show.
func show(_ text: String, _ context: Context) throws(ZoneError) -> Int32 {
  let format = try Output.format(context.invocation)
  guard let store = try ImageStore.open(context.zones.directories) else {
    throw .refused("no image is named '\(text)': none is here (zonectl image import brings one)")
  }
  let found = try store.find(text)
  let details = ImageDetails(found.record, try store.look())
  if format == .json {
    try Output.json(details)
  } else {
    Output.write(description(details))
  }
  return 0
}

private func description(_ details: ImageDetails) -> String {
  let image = details.image
  var rows: [(String, String)] = details.names.map { ("name", $0.familiar) }
  rows += [("digest", image.manifest.text), ("id", image.id.text), ("platform", image.platform)]
  if let created = image.created { rows.append(("created", created)) }
  rows.append(("size", "\(Words.bytes(details.own)), and \(Words.bytes(details.shared)) shared with other images"))
  for zone in details.zones { rows.append(("zone", zone)) }
  rows.append(("", ""))
  rows += uses(image.use)
  rows.append(("", ""))
  for (index, layer) in image.layers.enumerated() {
    rows.append(
      ("layer \(image.layers.count - index)", "\(layer.diff.text) \(Words.bytes(layer.bytes)) (\(layer.number))"))
  }
  for step in image.history {
    let words = [step.command, step.comment].compactMap { $0 }.joined(separator: " # ")
    rows.append(("history", words.isEmpty ? "-" : words))
  }
  let width = rows.map { $0.0.utf8.count }.max() ?? 0
  return rows.map { name, text in
    name.isEmpty
      ? "\n"
      : name + ":" + String(repeating: " ", count: width - name.utf8.count + 1) + TextTable.printable(text) + "\n"
  }.joined()
}

/// By the names by which `create` has them.
private func uses(_ use: ImageUse) -> [(String, String)] {
  var rows: [(String, String)] = []
  if !use.entrypoint.isEmpty { rows.append(("entrypoint", ShellWords.join(use.entrypoint))) }
  if !use.command.isEmpty { rows.append(("command", ShellWords.join(use.command))) }
  for (name, value) in use.environment.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
    rows.append(("env", "\(name)=\(value)"))
  }
  if let user = use.user { rows.append(("user", user)) }
  if let workdir = use.workdir { rows.append(("workdir", workdir)) }
  for path in use.volumes { rows.append(("volume", path)) }
  for port in use.ports { rows.append(("port", port)) }
  if let signal = use.stopSignal { rows.append(("stop-signal", Signals.name(signal))) }
  if let seconds = use.stopTimeout { rows.append(("stop-timeout", String(seconds))) }
  if let health = use.health { rows.append(("health", ShellWords.join(health.command))) }
  for (name, value) in use.labels.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
    rows.append(("label", "\(name)=\(value)"))
  }
  return rows
}
