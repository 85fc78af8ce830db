import CommandLineTable
import Glibc
import LinuxNS
import ZoneRuntime

/// image: what zones are made from. Whatever reads an archive is `orchestrator`'s.
func images(_ context: Context) throws(ZoneError) -> Int32 {
  let words = Array(context.invocation.operands.dropFirst())
  switch context.invocation.operands[0] {
  case "list": return try ImageList(context).print(try atMost(1, words, "list [PREFIX]").first)
  case "show": return try show(try exactly(1, words, "show NAME")[0], context)
  case "tag":
    let words = try exactly(2, words, "tag NAME NEW")
    _ = try store(context, for: words[0]).tag(words[0], as: words[1])
    return 0
  case "delete":
    guard !words.isEmpty else { throw .commandLine("image delete: which one? (image delete NAME…)") }
    return try delete(words, context)
  case "prune":
    _ = try atMost(0, words, "prune")
    return try prune(context)
  case "import":
    guard (1...2).contains(words.count) else { throw .commandLine("image import wants FILE|-|DIR [NAME]") }
    return try handOver(importing(words, context.invocation), for: "image import")
  case let other: throw .commandLine("image: '\(other)' is not one of list, show, tag, delete, prune, import")
  }
}

/// Each option written out: what was parsed here is what is done there.
private func importing(_ words: [String], _ invocation: Invocation) -> [String] {
  var arguments = ["image", "import"]
  for option in [ZonectlOption.root, .platform, .from] {
    if let value = invocation.value(option) { arguments += ["--\(option.rawValue)", value] }
  }
  return arguments + ["--"] + words
}

private func exactly(_ count: Int, _ words: [String], _ grammar: String) throws(ZoneError) -> [String] {
  guard words.count == count else { throw .commandLine("image wants: image \(grammar)") }
  return words
}

private func atMost(_ count: Int, _ words: [String], _ grammar: String) throws(ZoneError) -> [String] {
  guard words.count <= count else { throw .commandLine("image wants: image \(grammar)") }
  return words
}

private func store(_ context: Context, for name: String) throws(ZoneError) -> ImageStore {
  guard let store = try ImageStore.open(context.zones.directories) else {
    throw .refused("no image is named '\(name)': none is here (zonectl image import brings one)")
  }
  return store
}

private func delete(_ names: [String], _ context: Context) throws(ZoneError) -> Int32 {
  var status: Int32 = 0
  for name in names {
    do throws(ZoneError) {
      _ = try store(context, for: name).delete(name, force: context.invocation.has(.force))
    } catch { status = Failure.tell(error, of: context.invocation) }
  }
  return status
}

private func prune(_ context: Context) throws(ZoneError) -> Int32 {
  let invocation = context.invocation
  let isDry = invocation.has(.dryRun)
  let wish = PrunePlan.Wish(all: invocation.has(.all), blobs: invocation.has(.blobs))
  if wish.all, !isDry, !invocation.has(.yes), isatty(0) == 1,
    !confirmed("remove all images that no zone was made from?")
  {
    throw .refused("nothing was pruned")
  }
  var plan = PrunePlan()
  if let store = try ImageStore.open(context.zones.directories) {
    var progress = Progress()
    plan = try store.prune(wish, dry: isDry) { progress.show("waiting for who adds to the images …") }
    progress.end()
  }
  if try Output.format(invocation) == .json {
    try Output.json(plan)
    return 0
  }
  for name in plan.names { Output.line("name      \(name.familiar)") }
  for image in plan.images { Output.line("image     \(image.text)") }
  for layer in plan.layers { Output.line("layer     \(layer)") }
  for blob in plan.blobs { Output.line("blob      \(blob.text)") }
  for path in plan.leftovers { Output.line("leftover  \(TextTable.printable(path))") }
  Output.line("\(isDry ? "would free" : "freed") \(Words.bytes(plan.bytes))")
  return 0
}

/// df: where space goes.
func diskUsage(_ context: Context) throws(ZoneError) -> Int32 {
  let format = try Output.format(context.invocation)
  let usage = try context.zones.usage()
  if format == .json {
    try Output.json(usage)
    return 0
  }
  var table = TextTable(["kind", "count", "size", "freeable"])
  for row in usage.rows {
    table.add([
      row.kind, String(row.count), Words.bytes(row.bytes) + (row.isPartial ? "+" : ""),
      row.freeable > 0 ? Words.bytes(row.freeable) : "-",
    ])
  }
  Output.write(table.text())
  return 0
}
