import CommandLineTable
import ZoneRuntime

/// configure, create, explain: from options to a spec, and what is done with it.

/// A new zone's spec, as the options want it. Without a word about the network it has the one its owner can have;
/// ports that are to be published are such a word.
func newSpec(_ context: Context, _ name: String) throws(ZoneError) -> ZoneSpec {
  var spec = ZoneSpec(name: name)
  if !context.invocation.has(.network), !context.invocation.has(.publish) {
    spec.network = context.zones.networkWithoutAWord()
  }
  return try SpecOptions.apply(context, to: spec)
}

func configure(_ context: Context) throws(ZoneError) -> Int32 {
  try context.zones.configure(newSpec(context, context.name))
  return 0
}

func create(_ context: Context) throws(ZoneError) -> Int32 {
  // A zone that was configured, and nothing said against it: as its spec says.
  if SpecOptions.isEmpty(context.invocation), let status = try? context.zones.status(context.name),
    status.state == .configured
  {
    guard try bringImage(of: status.spec, context).isDone else { return 1 }
    try context.zones.create(configured: context.name)
  } else {
    let spec = try newSpec(context, context.name)
    var brought = try bringImage(of: spec, context)
    guard brought.isDone else { return 1 }
    try context.zones.create(spec, of: brought.root.take())
  }
  return 0
}

/// Of a zone that runs by the orchestrator, which copies what it has written.
func clone(_ context: Context) throws(ZoneError) -> Int32 {
  let (zone, snapshot) = context.invocation.zoneState
  let new = context.invocation.operands[1]
  guard zone != new else { throw .commandLine("clone: \(shortened(new)) would be a clone of itself") }
  let isTemplate = context.invocation.has(.asTemplate)
  guard try context.zones.clone(zone, snapshot: snapshot, as: new, template: isTemplate, copying: { _ in nil })
  else { return try handOverChecked(context.invocation) }
  Output.line(new)
  return 0
}

func explain(_ context: Context) throws(ZoneError) -> Int32 {
  let base: ZoneSpec
  do {
    base = try context.zones.status(context.name).spec
  } catch {
    guard case .notFound = error else { throw error }
    base = ZoneSpec(name: context.name)
  }
  let text = try context.zones.explain(SpecOptions.apply(context, to: base))
  Output.write(text.hasSuffix("\n") ? text : text + "\n")
  return 0
}
