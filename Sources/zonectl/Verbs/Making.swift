import CommandLineTable
import ZoneRuntime

/// configure, create, explain: from options to a spec, and what is done with it.

func configure(_ context: Context) throws -> Int32 {
  try context.zones.configure(SpecOptions.apply(context.invocation, to: ZoneSpec(name: context.name)))
  return 0
}

func create(_ context: Context) throws -> Int32 {
  // A zone that was configured, and nothing said against it: as its spec says.
  if SpecOptions.isEmpty(context.invocation), (try? context.zones.status(context.name).state) == .configured {
    try context.zones.create(configured: context.name)
  } else {
    try context.zones.create(SpecOptions.apply(context.invocation, to: ZoneSpec(name: context.name)))
  }
  return 0
}

func explain(_ context: Context) throws -> Int32 {
  let base: ZoneSpec
  do {
    base = try context.zones.status(context.name).spec
  } catch {
    guard case .notFound = error else { throw error }
    base = ZoneSpec(name: context.name)
  }
  let text = try context.zones.explain(SpecOptions.apply(context.invocation, to: base))
  Output.write(text.hasSuffix("\n") ? text : text + "\n")
  return 0
}
