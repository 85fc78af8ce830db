import CommandLineTable
import Glibc
import LinuxNS
import ZoneRuntime

/// changes: what a command has made of a tree under `sandbox --review`.
func changes(_ context: Context) throws(ZoneError) -> Int32 {
  let action = context.invocation.operands[0]
  let folder = try currentFolder()
  let review = try Review.find(context.invocation.value(.id), from: folder, in: context.zones.directories)
  var paths: [BytePath] = []
  for word in context.invocation.operands.dropFirst() { paths.append(try review.path(word, from: folder)) }
  switch action {
  case "list": return try list(review, paths, context)
  case "show":
    let problems = try review.show(paths, forTerminal: isatty(1) == 1) { Output.write($0, to: 1) }
    return told(problems, "look at")
  case "apply": return try apply(review, paths, context)
  case "drop": return try drop(review, paths, context)
  default: throw .commandLine("changes: '\(action)' is not one of list, show, apply, drop")
  }
}

private func list(_ review: Review, _ paths: [BytePath], _ context: Context) throws(ZoneError) -> Int32 {
  let format = try Output.format(context.invocation)
  let found = try review.changes(paths)
  if format == .json {
    try Output.json(found)
    return found.problems.isEmpty ? 0 : 1
  }
  var table = TextTable(["change", "size", "path"])
  for change in found.changes { table.add([change.kind.letter, size(change), change.path.words]) }
  if !found.changes.isEmpty { Output.write(table.text()) }
  return told(found.problems, "look at")
}

/// `12`, or `10>12` where both are files of different sizes.
private func size(_ change: TreeChange) -> String {
  let sizes = [change.old, change.new].map { $0?.kind == .file ? $0?.size : nil }
  switch (sizes[0], sizes[1]) {
  case (let old?, let new?): return old == new ? "\(new)" : "\(old)>\(new)"
  case (let one?, nil), (nil, let one?): return "\(one)"
  case (nil, nil): return "-"
  }
}

private func apply(_ review: Review, _ paths: [BytePath], _ context: Context) throws(ZoneError) -> Int32 {
  let outcome = try review.apply(
    ReviewChoice(
      paths: paths, force: context.invocation.has(.force), protected: ProtectedPaths.all.map { BytePath($0) }))
  if !context.invocation.has(.quiet) {
    for change in outcome.applied { Output.line("\(change.kind.letter)  \(change.path.words)") }
  }
  for note in outcome.notes { Output.complain("\(note.path.words): \(note.why)") }
  return told(outcome.refused, "apply")
}

private func drop(_ review: Review, _ paths: [BytePath], _ context: Context) throws(ZoneError) -> Int32 {
  if !context.invocation.has(.yes), isatty(0) == 1 {
    let what = paths.isEmpty ? "all changes" : paths.map { $0.words }.joined(separator: ", ")
    guard confirmed("forget \(what) of review \(review.id) (\(review.tree))?") else {
      throw .refused("nothing of review \(review.id) was dropped")
    }
  }
  try review.drop(paths)
  return 0
}

private func told(_ refused: [Refusal], _ doing: String) -> Int32 {
  for refusal in refused { Output.complain("cannot \(doing) \(refusal.path.words): \(refusal.why)") }
  return refused.isEmpty ? 0 : 1
}

private func currentFolder() throws(ZoneError) -> String {
  guard let found = getcwd(nil, 0) else {
    throw .refused("cannot tell the current directory: \(SyscallError.describe(errno)) (cd to another one)")
  }
  defer { free(found) }
  return String(cString: found)
}
